//! Holds: what operators decided about targets. [`Holds`] hides where they are stored: a row of the local store, or an
//! object in S3.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// A target that must not be called.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hold {
    pub since: Timestamp,
    /// The end of the hold; absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The operator's reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The operator.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// A drain after a resume: messages stored before `at` are sent at most at this rate, in each host process.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Drain {
    /// When the target was resumed.
    pub at: Timestamp,
    /// Messages per second.
    pub per_second: f64,
}

/// Holds and drains, by target.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct HoldState {
    /// Holds, including expired ones.
    #[serde(default)]
    pub holds: BTreeMap<String, Hold>,
    /// Targets that were resumed with a rate.
    #[serde(default)]
    pub drains: BTreeMap<String, Drain>,
}

impl HoldState {
    /// The hold on a target that is in force at `now`.
    pub fn hold(&self, target: &str, now: Timestamp) -> Option<&Hold> {
        self.holds.get(target).filter(|hold| hold.until.is_none_or(|until| until > now))
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    /// Hold the target. An existing hold is replaced but keeps its beginning.
    Hold(String, Hold),
    /// Resume the target, and drain its backlog at this rate.
    Resume(String, Option<Drain>),
}

impl Change {
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

/// What a host reports about the breaker of a target.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BreakerReport {
    pub target: String,
    pub open: bool,
    /// When it opened or closed.
    pub at: Timestamp,
    /// When the target is probed next, if the breaker is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_at: Option<Timestamp>,
}

#[derive(Debug, thiserror::Error)]
#[error("the state of holds in {place} is not available: {problem}")]
pub struct HoldsError {
    pub place: String,
    pub problem: String,
}

#[async_trait]
pub trait Holds: Send + Sync + 'static {
    /// The current state. An empty store is not an error.
    async fn read(&self) -> Result<HoldState, HoldsError>;

    /// Makes a change atomically: concurrent changes are not lost. Returns the new state.
    async fn change(&self, change: Change) -> Result<HoldState, HoldsError>;

    /// Stores a host's report on a breaker; the last one for a target wins.
    async fn report(&self, report: BreakerReport) -> Result<(), HoldsError>;

    /// The last reports on these targets.
    async fn reports(&self, targets: &[String]) -> Result<Vec<BreakerReport>, HoldsError>;
}

#[cfg(test)]
#[path = "holds/tests.rs"]
mod tests;
