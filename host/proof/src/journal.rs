//! Records a run in order: answers of ingest, requests and answers of the target, and faults.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::event::Event;
use parking_lot::Mutex;

/// One request at the target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The time since the start.
    pub at: Duration,
    /// The event in its body; `None` if the body matches no event.
    pub event: Option<Event>,
    /// Its `webhook-id`.
    pub webhook_id: String,
    /// The status that the target decided on.
    pub status: u16,
    /// How the answer was disturbed, if it was.
    pub trouble: Option<&'static str>,
    /// The host that sent it, if its path names one.
    pub by: Option<usize>,
    /// Whether it says that an operator replayed the event.
    pub replayed: bool,
}

impl Call {
    /// Whether the target accepted it, even if the answer was lost.
    pub fn is_taken(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// An event that was answered 202.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// The time since the start.
    pub at: Duration,
    /// The id that ingest answered.
    pub id: String,
    /// The `webhook-id` that ingest answered.
    pub webhook_id: String,
    /// The number of failed attempts before.
    pub failed: u32,
}

/// A fault, or its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incident {
    /// The time since the start.
    pub at: Duration,
    /// What happened.
    pub what: String,
}

/// A host that was frozen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// The host.
    pub host: usize,
    /// The beginning, since the start.
    pub from: Duration,
    /// The end, since the start.
    pub to: Duration,
}

/// The records of a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Records {
    /// Events that were answered 202.
    pub accepted: HashMap<Event, Accepted>,
    /// Requests at the target, in order.
    pub calls: Vec<Call>,
    /// Faults, in order.
    pub incidents: Vec<Incident>,
    /// When hosts were frozen.
    pub pauses: Vec<Pause>,
}

/// Records what happens.
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
    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Records that ingest answered 202.
    pub fn accepted(&self, event: Event, id: String, webhook_id: String, failed: u32) {
        let at = self.elapsed();
        self.records.lock().accepted.insert(event, Accepted { at, id, webhook_id, failed });
    }

    /// Records a request at the target; sets its time.
    pub fn called(&self, call: Call) {
        // The time is taken under the lock, so that calls are ordered by time.
        let mut records = self.records.lock();
        let at = self.began.elapsed();
        records.calls.push(Call { at, ..call });
    }

    /// Records that a host was frozen since `from` and is about to continue.
    pub fn paused(&self, host: usize, from: Duration) {
        let mut records = self.records.lock();
        let to = self.began.elapsed();
        records.pauses.push(Pause { host, from, to });
    }

    /// Records a fault.
    pub fn done(&self, what: impl Into<String>) {
        let mut records = self.records.lock();
        records.incidents.push(Incident { at: self.began.elapsed(), what: what.into() });
    }

    /// The number of events that were answered 202, and of requests at the target.
    pub fn counts(&self) -> (usize, usize) {
        let records = self.records.lock();
        (records.accepted.len(), records.calls.len())
    }

    /// The records so far.
    pub fn read(&self) -> Records {
        self.records.lock().clone()
    }
}
