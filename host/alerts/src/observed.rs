//! What rules are about.

use towpath_types::clock::Timestamp;

/// What a host sees at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observed {
    /// Targets behind which groups are stuck because their first event fails, and since when. The name is empty if no target was involved.
    pub stuck: Vec<Lasting>,
    /// Targets on hold.
    pub held: Vec<Lasting>,
    /// Targets whose breaker is open.
    pub open: Vec<Lasting>,
    /// Events that were dead-lettered since the start of the host.
    pub dead_letters: u64,
    /// Webhooks that ingest turned away since the start of the host.
    pub unauthorized: u64,
}

/// Something that lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lasting {
    /// The target.
    pub target: String,
    /// Since when.
    pub since: Timestamp,
    /// More about it, for people.
    pub detail: String,
}
