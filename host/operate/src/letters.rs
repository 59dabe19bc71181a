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

use crate::aws;
use crate::place::Backend;
use local::LocalLetters;
use sqs::SqsLetters;

pub use error::LettersError;
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
