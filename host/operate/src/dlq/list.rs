//! Letters that match a filter.

use super::filter::Filter;
use crate::letters::{Letter, Letters};
use crate::place::Found;

/// The result of a search.
pub struct Listed {
    /// The letters that match.
    pub letters: Vec<Letter>,
    /// How many letters were read.
    pub looked_at: u64,
    /// The approximate number of all letters.
    pub all: u64,
}

/// The first `limit` letters that match.
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
