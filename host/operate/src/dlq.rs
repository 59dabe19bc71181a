//! What operators do with dead letters. Reading changes nothing, but on SQS it counts as a receive.

mod body;
pub mod bulk;
pub mod diff;
pub mod edit;
pub mod filter;
pub mod list;
pub mod page;
pub mod preview;
pub mod redrive;
pub mod stats;
#[cfg(test)]
mod stock;
pub mod what_if;

use anyhow::bail;

use crate::letters::{Letter, Letters};

pub use body::field;

/// No letter has this id.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no dead letter {0}: `towpath dlq list` shows those that are there")]
pub struct NoSuchLetter(pub String);

/// The one letter that has an id with this prefix. Fails if there are several, or none.
pub async fn one(letters: &mut dyn Letters, id: &str) -> anyhow::Result<Letter> {
    let mut found: Vec<Letter> = Vec::new();
    loop {
        let page = letters.next().await?;
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().filter(|letter| letter.named(id)));
        if let Some(whole) = found.iter().position(|letter| letter.id.as_str() == id) {
            return Ok(found.swap_remove(whole));
        }
    }
    if found.len() > 1 {
        // Copies of one message share its first id; their ids in the queue differ.
        let ids: Vec<&str> = found.iter().map(|letter| letter.id.as_str()).collect();
        bail!(
            "{id} names {} dead letters, which are {} in their queue: give one of these ids",
            ids.len(),
            ids.join(", ")
        );
    }
    found.pop().ok_or_else(|| NoSuchLetter(id.to_owned()).into())
}
