//! Letters that match a filter.

use super::filter::Filter;
use crate::letters::{Letter, Letters};
use crate::place::Found;

/// What was listed.
pub struct Listed {
    /// The letters that are wanted.
    pub letters: Vec<Letter>,
    /// How many were looked at.
    pub looked_at: u64,
    /// About how many there are.
    pub all: u64,
}

/// Lists the letters that are wanted, so many at most.
pub async fn list(
    place: &Found,
    letters: &mut dyn Letters,
    mut filter: Filter,
    limit: usize,
) -> anyhow::Result<Listed> {
    let mut found = Vec::new();
    let mut looked_at = 0;
    let all = letters.count().await?;
    while found.len() < limit {
        let page = letters.next().await?;
        if page.is_empty() {
            break;
        }
        looked_at += page.len() as u64;
        found.extend(page.into_iter().filter(|letter| filter.wants(letter)));
    }
    found.truncate(limit);
    if found.is_empty() {
        filter.check(place)?;
    }
    Ok(Listed { letters: found, looked_at, all })
}
