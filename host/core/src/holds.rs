//! Holds: what an operator said about targets. Where it is kept is behind [`Holds`]: a row of the local
//! store, or an object in S3.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::clock::Timestamp;

/// How long reading the state may take before the last known one counts on.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// The state with a short memory, so that asking costs nothing. If it cannot be read, the last known one
/// counts on; as long as it was never read, nobody knows that a target may be called.
#[derive(Clone)]
pub struct Watched {
    holds: Arc<dyn Holds>,
    memory: Duration,
    known: Arc<Mutex<Known>>,
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Known {
    state: Option<Arc<HoldState>>,
    fresh_until: Option<Instant>,
}

impl Watched {
    /// Watches; what was read counts for so long.
    pub fn new(holds: Arc<dyn Holds>, memory: Duration) -> Watched {
        Watched { holds, memory, known: Arc::default(), reading: Arc::default() }
    }

    /// Where the state is kept.
    pub fn holds(&self) -> &dyn Holds {
        &*self.holds
    }

    /// The state as far as it is known; `None` if it never could be read.
    pub async fn state(&self) -> Option<Arc<HoldState>> {
        if let Some(fresh) = self.fresh() {
            return fresh;
        }
        // One reads; the others go by what was known before, if anything was.
        let _reading = match self.reading.try_lock() {
            Ok(reading) => reading,
            Err(_) if self.known().state.is_some() => return self.known().state.clone(),
            Err(_) => self.reading.lock().await,
        };
        if let Some(fresh) = self.fresh() {
            return fresh;
        }
        let read = timeout(PATIENCE, self.holds.read()).await;
        let mut known = self.known();
        known.fresh_until = Some(Instant::now() + self.memory);
        match read {
            Ok(Ok(state)) => {
                tell(known.state.as_deref(), &state);
                known.state = Some(Arc::new(state));
            }
            Ok(Err(error)) => warn!(error = %error, "the last known holds count on"),
            Err(_) => warn!("reading the holds took too long, the last known ones count on"),
        }
        known.state.clone()
    }

    /// The state if it was read, or tried to be read, a short while ago.
    fn fresh(&self) -> Option<Option<Arc<HoldState>>> {
        let known = self.known();
        known.fresh_until.is_some_and(|until| Instant::now() < until).then(|| known.state.clone())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

/// Logs what changed, once.
fn tell(before: Option<&HoldState>, now: &HoldState) {
    let before = before.map(|state| &state.holds);
    for (target, hold) in &now.holds {
        if before.and_then(|holds| holds.get(target)) != Some(hold) {
            let until = hold.until.map(|until| until.to_string());
            info!(target_name = target, reason = hold.reason, by = hold.by, until, "target is on hold");
        }
    }
    for target in before.into_iter().flatten().map(|(target, _)| target).filter(|name| !now.holds.contains_key(*name)) {
        info!(target_name = target, "target is resumed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(since: u64, until: Option<u64>) -> Hold {
        Hold { since: Timestamp(since), until: until.map(Timestamp), reason: "release".into(), by: "ops".into() }
    }

    #[test]
    fn a_hold_ends_by_itself_and_a_longer_one_keeps_its_beginning() {
        let mut state = HoldState::default();
        Change::Hold("sss".into(), hold(10, Some(20))).apply(&mut state);
        assert!(state.hold("sss", Timestamp(19)).is_some());
        assert!(state.hold("sss", Timestamp(20)).is_none());
        Change::Hold("sss".into(), hold(15, None)).apply(&mut state);
        assert_eq!(state.hold("sss", Timestamp(99)).map(|hold| hold.since), Some(Timestamp(10)));
        Change::Hold("sss".into(), hold(5, Some(7))).apply(&mut state);
        Change::Hold("sss".into(), hold(30, None)).apply(&mut state);
        assert_eq!(state.hold("sss", Timestamp(99)).map(|hold| hold.since), Some(Timestamp(30)), "it was over");
    }

    #[test]
    fn a_resume_ends_the_hold_and_a_hold_ends_the_drain() {
        let mut state = HoldState::default();
        Change::Hold("sss".into(), hold(10, None)).apply(&mut state);
        let drain = Drain { at: Timestamp(20), per_second: 10.0 };
        Change::Resume("sss".into(), Some(drain)).apply(&mut state);
        assert!(state.hold("sss", Timestamp(20)).is_none());
        assert_eq!(state.drains["sss"], drain);
        Change::Hold("sss".into(), hold(30, None)).apply(&mut state);
        assert!(state.drains.is_empty());
    }
}
