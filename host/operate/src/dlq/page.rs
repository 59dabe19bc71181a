//! A page of letters, found by a look whose cost is bounded whatever the queue holds.

use super::filter::Filter;
use crate::letters::{self, Letter, Letters};
use crate::place::{Backend, Found};

/// How many letters one look reads at most.
pub const MOST_LOOKED_AT: u64 = 2_000;

/// How many bytes of bodies one look reads, about.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// How many letters are read at a time: what is read beyond [`MOST_BYTES`] is less than so many bodies.
const AT_A_TIME: usize = 16;

/// Opens the letters behind a cursor for a page of at most `limit`.
pub async fn open(
    backend: &Backend,
    refused: bool,
    cursor: Option<&str>,
    limit: usize,
) -> anyhow::Result<Box<dyn Letters>> {
    letters::open_after(backend, refused, cursor, limit.min(AT_A_TIME)).await
}

/// A page of letters.
#[derive(Debug)]
pub struct Page {
    /// The letters that match, oldest first.
    pub letters: Vec<Letter>,
    /// How many letters this look has read.
    pub looked_at: u64,
    /// The approximate number of all letters.
    pub all: u64,
    /// Where to go on; `None` if everything was read.
    pub next: Option<String>,
}

/// The next `limit` letters that match, or fewer if a bounded look finds no more: then the page says where to go on. `from_start` says that
/// `letters` start with the first one, so that a name that is nowhere is an error.
pub async fn page(
    found: &Found,
    letters: &mut dyn Letters,
    mut filter: Filter,
    limit: usize,
    from_start: bool,
) -> anyhow::Result<Page> {
    let mut page = Page { letters: Vec::new(), looked_at: 0, all: letters.count().await?, next: None };
    let mut bytes = 0;
    loop {
        let read = letters.next().await?;
        if read.is_empty() {
            if page.letters.is_empty() && from_start {
                filter.check(found)?;
            }
            return Ok(page);
        }
        for letter in read {
            page.looked_at += 1;
            bytes += letter.body.len();
            let cursor = letter.sequence().to_owned();
            if filter.wants(&letter) {
                page.letters.push(letter);
            }
            // On SQS there are no cursors: all that can be received is read.
            let is_full = page.letters.len() == limit || page.looked_at == MOST_LOOKED_AT || bytes >= MOST_BYTES;
            if is_full && !cursor.is_empty() {
                page.next = Some(cursor);
                return Ok(page);
            }
        }
    }
}

/// The letters of one route and reason, as the store counts them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The route; `None` if none matched.
    pub route: Option<String>,
    /// The reason; `other` for those that are too many to tell apart.
    pub reason: String,
    /// How many letters.
    pub letters: u64,
}

/// The letters by route and reason, the most frequent first, without reading them; `None` on SQS, which does not tell.
pub async fn standing(backend: &Backend, refused: bool) -> anyhow::Result<Option<Vec<Standing>>> {
    let Backend::Local(queues) = backend else { return Ok(None) };
    let dead = if refused { queues.refused.clone() } else { queues.dead_letters.clone() };
    let of = |count: towpath_local::LetterCount| Standing {
        route: Some(count.route).filter(|route| !route.is_empty()),
        reason: count.reason,
        letters: count.messages,
    };
    let standing = tokio::task::spawn_blocking(move || dead.standing()).await??;
    Ok(Some(standing.letters.into_iter().map(of).collect()))
}

/// The other letters of a letter's group: up to `most` of its first ones, and whether there are more.
pub async fn neighbours(
    backend: &Backend,
    refused: bool,
    letter: &Letter,
    most: usize,
) -> anyhow::Result<Option<(Vec<Letter>, bool)>> {
    let Some(mut others) = letters::of_group(backend, refused, &letter.group, None, most + 2).await? else {
        return Ok(None);
    };
    others.retain(|other| other.id != letter.id);
    let more = others.len() > most;
    others.truncate(most);
    Ok(Some((others, more)))
}

#[cfg(test)]
mod tests;
