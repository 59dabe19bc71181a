//! Dead letters as the commands see them, in a local store or on SQS, where reading a letter means receiving it.

mod behind;
mod broken;
mod error;
mod journal;
mod letter;
mod local;
mod queue;
mod sqs;

use std::path::PathBuf;

use towpath_types::queue::GroupId;

use crate::aws;
use crate::place::Backend;
use local::LocalLetters;
use sqs::SqsLetters;

pub(crate) use error::Unreachable;
pub use error::{EditedMeanwhile, LettersError};
pub use letter::Letter;
pub use local::browsed_letter;
pub use queue::{Edited, Letters, Moved, NotSentBack};

/// Opens the dead letters of a place, or with `refused` the webhooks that ingest turned away. `to` is the URL of the queue to send them
/// back to, instead of the config's.
pub async fn open(backend: &Backend, to: Option<&str>, refused: bool) -> anyhow::Result<Box<dyn Letters>> {
    match backend {
        Backend::Local(queues) if refused && to.is_none() => {
            Ok(Box::new(LocalLetters::new(queues.events.clone(), queues.refused.clone())))
        }
        Backend::Local(queues) => match to {
            Some(_) => Err(LettersError::OwnQueue.into()),
            None => Ok(Box::new(LocalLetters::new(queues.events.clone(), queues.dead_letters.clone()))),
        },
        Backend::Sqs { events, refused: url, .. } if refused => {
            let url = url.clone().ok_or(LettersError::NoRefusedQueue)?;
            open_sqs(to.or(events.as_deref()), url).await
        }
        Backend::Sqs { events, dead_letters, .. } => open_sqs(to.or(events.as_deref()), dead_letters.clone()).await,
    }
}

/// The same for letters behind this cursor, in pages of this size. A queue on SQS has no cursors: there it starts with whatever is received.
pub async fn open_after(
    backend: &Backend,
    refused: bool,
    cursor: Option<&str>,
    page: usize,
) -> anyhow::Result<Box<dyn Letters>> {
    match backend {
        Backend::Local(queues) => {
            let dead = if refused { &queues.refused } else { &queues.dead_letters };
            Ok(Box::new(LocalLetters::new(queues.events.clone(), dead.clone()).after(cursor, page)))
        }
        Backend::Sqs { .. } => open(backend, None, refused).await,
    }
}

/// Up to `most` letters of a group behind this cursor, in order; `None` on SQS, which cannot look into a group.
pub async fn of_group(
    backend: &Backend,
    refused: bool,
    group: &GroupId,
    cursor: Option<&str>,
    most: usize,
) -> anyhow::Result<Option<Vec<Letter>>> {
    let Backend::Local(queues) = backend else { return Ok(None) };
    let dead = if refused { &queues.refused } else { &queues.dead_letters };
    let page = dead.browse_group(group, cursor, most).await?;
    Ok(Some(page.into_iter().map(browsed_letter).collect()))
}

/// What redrives from a queue of SQS keep on this machine: how far they got, and where letters belong.
pub(crate) fn journals(url: &str) -> [PathBuf; 2] {
    ["redrive", "behind"].map(|kind| sqs::file(url, kind))
}

async fn open_sqs(events: Option<&str>, dead_letters: String) -> anyhow::Result<Box<dyn Letters>> {
    let events = match events {
        Some(url) => Some(aws::queue(url).await?),
        None => None,
    };
    let dead = aws::queue(&dead_letters).await?;
    Ok(Box::new(SqsLetters::new(events, dead, dead_letters)?))
}
