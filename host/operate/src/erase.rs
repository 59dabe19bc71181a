//! Erases a person's events from everything that this machine keeps: queues, archive, story, audit and replays.

mod deadline;
mod lines;
mod person;
mod place;
mod plan;
mod replays;
mod run;
mod traces;
mod unfinished;
mod unreachable;

pub use person::Subject;
pub use plan::{Plan, plan};
pub use run::{Earlier, Progress, Report, run};
pub use unreachable::{Expires, Unreachable};

use std::path::PathBuf;
use std::time::Duration;

/// What an operator asks for.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// Whose events.
    pub subject: Subject,
    /// Why; the audit has it.
    pub note: String,
    /// A folder with another archive, as a copy; that of the store is searched too.
    pub folder: Option<PathBuf>,
    /// How long to wait for what is being delivered.
    pub wait: Duration,
    /// The most bytes of the store that are rewritten: hosts wait meanwhile.
    pub most: u64,
}

/// Why nothing is erased.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EraseError {
    /// No condition was given.
    #[error("no events selected")]
    Everything,
    /// A replay could store events that were just erased.
    #[error("a replay or another erasure runs on this store: wait until it ends, or stop it")]
    Busy,
    /// Another one has to end first.
    #[error(
        "the erasure that {by} started at {started_at} is not complete: {in_flight} of its events are still being delivered, and {arrived} \
        arrived meanwhile; stop their sender, and try again"
    )]
    Earlier {
        /// Who started it.
        by: String,
        /// When.
        started_at: String,
        /// How many of its events are being delivered.
        in_flight: u64,
        /// How many arrived meanwhile.
        arrived: u64,
    },
}

/// How many there are of each kind: of events, repeats included, except where it says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Waiting to be delivered.
    pub waiting: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Webhooks that ingest turned away.
    pub refused: u64,
    /// Messages in queues of clients of the SQS endpoint.
    pub other_queues: u64,
    /// In the archive.
    pub archived: u64,
    /// Lines of the story.
    pub story: u64,
    /// Entries of the audit.
    pub audit: u64,
    /// Files of replays.
    pub replays: u64,
}

impl Counts {
    /// All of them.
    pub fn sum(&self) -> u64 {
        let Counts { waiting, dead_letters, refused, other_queues, archived, story, audit, replays } = self;
        waiting + dead_letters + refused + other_queues + archived + story + audit + replays
    }
}

#[cfg(test)]
mod tests;
