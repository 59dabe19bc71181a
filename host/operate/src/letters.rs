//! Dead letters as the commands see them, wherever they lie: in a local store, or in a queue of SQS, where
//! looking means receiving.

mod behind;
mod broken;
mod journal;
mod letter;
mod local;
mod queue;
mod sqs;

use anyhow::bail;

use crate::aws;
use crate::place::Backend;
use local::LocalLetters;
use sqs::SqsLetters;

pub use letter::Letter;
pub use local::browsed_letter;
pub use queue::{Edited, Letters, Moved, NotSentBack};

/// Opens the dead letters of a place; `to` is the URL of the queue to send back to, instead of the config's.
/// With `refused` it is what the front door refused.
pub async fn open(backend: &Backend, to: Option<&str>, refused: bool) -> anyhow::Result<Box<dyn Letters>> {
    match backend {
        Backend::Local(queues) if refused && to.is_none() => {
            Ok(Box::new(LocalLetters::new(queues.events.clone(), queues.refused.clone())))
        }
        Backend::Local(queues) => match to {
            Some(_) => bail!("--to is for queues of SQS: letters of a local store go back to its own queue"),
            None => Ok(Box::new(LocalLetters::new(queues.events.clone(), queues.dead_letters.clone()))),
        },
        Backend::Sqs { events, refused: url, .. } if refused => {
            let Some(url) = url.clone() else {
                bail!(
                    "no config names queue.refused_url, the queue that keeps what the front door refuses: give --config FILE"
                );
            };
            open_sqs(to.or(events.as_deref()), url).await
        }
        Backend::Sqs { events, dead_letters, .. } => open_sqs(to.or(events.as_deref()), dead_letters.clone()).await,
    }
}

async fn open_sqs(events: Option<&str>, dead_letters: String) -> anyhow::Result<Box<dyn Letters>> {
    let events = match events {
        Some(url) => Some(aws::queue(url).await?),
        None => None,
    };
    let dead = aws::queue(&dead_letters).await?;
    Ok(Box::new(SqsLetters::new(events, dead, dead_letters)?))
}
