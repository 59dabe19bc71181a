//! What happened, in order: what ingest answered, what the target was asked and answered, what was done to the hosts.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::event::Event;
use parking_lot::Mutex;

/// One request at the target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// When, since the beginning.
    pub at: Duration,
    /// The event in its body; none if the body is that of no event.
    pub event: Option<Event>,
    /// Its `webhook-id`.
    pub webhook_id: String,
    /// The status that the target decided on.
    pub status: u16,
    /// What was done to the answer, if anything was.
    pub trouble: Option<&'static str>,
    /// The host that made it, if its path says so.
    pub by: Option<usize>,
}

impl Call {
    /// Whether the target took it: what became of the answer on its way is another matter.
    pub fn is_taken(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// An event that was answered 202.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// When, since the beginning.
    pub at: Duration,
    /// The id that ingest answered.
    pub id: String,
    /// The `webhook-id` that ingest answered.
    pub webhook_id: String,
    /// How many tries before that got no answer, or another one.
    pub failed: u32,
}

/// Something that was done to the hosts or to what is around them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incident {
    /// When, since the beginning.
    pub at: Duration,
    /// What.
    pub what: String,
}

/// A host that stood still.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// Which.
    pub host: usize,
    /// From when, since the beginning.
    pub from: Duration,
    /// Until when.
    pub to: Duration,
}

/// All that happened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Records {
    /// What was answered 202.
    pub accepted: HashMap<Event, Accepted>,
    /// What the target got, in order.
    pub calls: Vec<Call>,
    /// What was done, in order.
    pub incidents: Vec<Incident>,
    /// When hosts stood still.
    pub pauses: Vec<Pause>,
}

/// Writes down what happens.
#[derive(Debug)]
pub struct Journal {
    began: Instant,
    records: Mutex<Records>,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal { began: Instant::now(), records: Mutex::default() }
    }
}

impl Journal {
    /// How long it is written.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ingest answered 202.
    pub fn accepted(&self, event: Event, id: String, webhook_id: String, failed: u32) {
        let at = self.elapsed();
        self.records.lock().accepted.insert(event, Accepted { at, id, webhook_id, failed });
    }

    /// The target was asked; when is set here.
    pub fn called(&self, call: Call) {
        // The time is taken under the lock: calls stand in the order of their times.
        let mut records = self.records.lock();
        let at = self.began.elapsed();
        records.calls.push(Call { at, ..call });
    }

    /// A host stood still since then, and is about to go on.
    pub fn paused(&self, host: usize, from: Duration) {
        let mut records = self.records.lock();
        let to = self.began.elapsed();
        records.pauses.push(Pause { host, from, to });
    }

    /// Something was done.
    pub fn done(&self, what: impl Into<String>) {
        let mut records = self.records.lock();
        records.incidents.push(Incident { at: self.began.elapsed(), what: what.into() });
    }

    /// How many events were answered 202, and how many calls the target got.
    pub fn counts(&self) -> (usize, usize) {
        let records = self.records.lock();
        (records.accepted.len(), records.calls.len())
    }

    /// All that happened so far.
    pub fn read(&self) -> Records {
        self.records.lock().clone()
    }
}
