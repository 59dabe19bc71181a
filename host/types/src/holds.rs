//! Holds: what an operator said about targets. Where it is kept is behind [`Holds`]: a row of the local
//! store, or an object in S3.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// A target that must not be called.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hold {
    /// Since when.
    pub since: Timestamp,
    /// Until when; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who said so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// How what waited is drained: messages stored before `at` at most so many a second, in each host process.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Drain {
    /// When the target was resumed.
    pub at: Timestamp,
    /// Messages a second.
    pub per_second: f64,
}

/// What is known about targets, by their names.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct HoldState {
    /// Targets on hold; some of them may be over.
    #[serde(default)]
    pub holds: BTreeMap<String, Hold>,
    /// Targets that were resumed at a rate.
    #[serde(default)]
    pub drains: BTreeMap<String, Drain>,
}

impl HoldState {
    /// The hold on a target that is in force now.
    pub fn hold(&self, target: &str, now: Timestamp) -> Option<&Hold> {
        self.holds.get(target).filter(|hold| hold.until.is_none_or(|until| until > now))
    }
}

/// What an operator says.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    /// Put the target on hold; a hold that is there is replaced, but for its beginning.
    Hold(String, Hold),
    /// Let it be called again, and drain what waited at this rate.
    Resume(String, Option<Drain>),
}

impl Change {
    /// Makes the change.
    pub fn apply(self, state: &mut HoldState) {
        match self {
            Change::Hold(target, mut hold) => {
                if let Some(before) = state.hold(&target, hold.since) {
                    hold.since = before.since;
                }
                state.drains.remove(&target);
                state.holds.insert(target, hold);
            }
            Change::Resume(target, drain) => {
                state.holds.remove(&target);
                match drain {
                    Some(drain) => state.drains.insert(target, drain),
                    None => state.drains.remove(&target),
                };
            }
        }
    }
}

/// What a host says of the breaker of a target.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BreakerReport {
    /// The target.
    pub target: String,
    /// Whether it is open.
    pub open: bool,
    /// When that became so.
    pub at: Timestamp,
    /// When it is tried next, if it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_at: Option<Timestamp>,
}

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the state of holds in {place} is not available: {problem}")]
pub struct HoldsError {
    /// Where it is kept.
    pub place: String,
    /// What went wrong.
    pub problem: String,
}

/// Where the state is kept.
#[async_trait]
pub trait Holds: Send + Sync + 'static {
    /// What is known now. Nothing stored is no error.
    async fn read(&self) -> Result<HoldState, HoldsError>;

    /// Makes a change; nobody's change at the same time is lost. Returns what is known then.
    async fn change(&self, change: Change) -> Result<HoldState, HoldsError>;

    /// Stores what a host says of a breaker; the last one of a target counts.
    async fn report(&self, report: BreakerReport) -> Result<(), HoldsError>;

    /// The last reports on these targets.
    async fn reports(&self, targets: &[String]) -> Result<Vec<BreakerReport>, HoldsError>;
}

#[cfg(test)]
#[path = "holds/tests.rs"]
mod tests;
