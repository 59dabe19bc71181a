//! The holds as the gates see them: cached for a short time, and still in force while they cannot be read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;
use towpath_metrics as metrics;
use towpath_types::clock::{Clock, Moment, Timestamp};
use towpath_types::holds::{Drain, Hold, HoldState, Holds};
use tracing::{error, info, warn};

/// How long remote holds are cached: a hold or a resume takes effect within this time.
pub const MEMORY: Duration = Duration::from_secs(10);

/// How long a read may take before the last known state is used.
const PATIENCE: Duration = Duration::from_secs(2);

/// The age limit of the last known state. Beyond it, any target may be on hold by now.
const TRUSTED: Duration = Duration::from_secs(60);

/// The known holds and drains, and whether they are recent.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    state: Arc<HoldState>,
    is_current: bool,
}

impl View {
    /// The hold that is in force on a target. A known hold stays in force even if the state is not recent.
    pub fn hold(&self, target: &str, now: Timestamp) -> Option<&Hold> {
        self.state.hold(target, now)
    }

    pub fn drain(&self, target: &str) -> Option<&Drain> {
        self.state.drains.get(target)
    }

    /// Whether a target without a hold may be called. It may not if the state could not be read for a minute.
    pub fn is_current(&self) -> bool {
        self.is_current
    }
}

/// The state, cached so that asking is cheap. If it cannot be read, the last known one is used for a minute.
#[derive(Clone)]
pub struct Watched {
    holds: Arc<dyn Holds>,
    memory: Duration,
    clock: Clock,
    known: Arc<Mutex<Known>>,
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Known {
    state: Arc<HoldState>,
    /// When the last successful read was requested; `None` before the first.
    read: Option<Moment>,
    /// When the last read was tried, successful or not.
    tried: Option<Moment>,
}

impl Known {
    fn view(&self) -> View {
        let is_current = self.read.is_some_and(|read| read.elapsed() < TRUSTED);
        View { state: Arc::clone(&self.state), is_current }
    }
}

impl Watched {
    /// Caches what it reads for `memory`.
    pub fn new(holds: Arc<dyn Holds>, memory: Duration, clock: Clock) -> Watched {
        Watched { holds, memory, clock, known: Arc::default(), reading: Arc::default() }
    }

    pub fn holds(&self) -> &dyn Holds {
        &*self.holds
    }

    /// The state, read again if the cached one is too old.
    pub async fn state(&self) -> View {
        if let Some(view) = self.remembered() {
            return view;
        }
        // One task reads. Meanwhile the others use a state that was read a moment ago, but no older one.
        let _reading = match self.reading.try_lock() {
            Ok(reading) => reading,
            Err(_) => match self.read_within(self.memory + PATIENCE) {
                Some(view) => return view,
                None => self.reading.lock().await,
            },
        };
        if let Some(view) = self.remembered() {
            return view;
        }
        let asked = self.clock.moment();
        let problem = match timeout(PATIENCE, self.holds.read()).await {
            Ok(Ok(state)) => {
                let mut known = self.known.lock();
                tell(known.read.is_some().then_some(&*known.state), &state);
                *known = Known { state: Arc::new(state), read: Some(asked), tried: Some(asked) };
                return View { state: Arc::clone(&known.state), is_current: true };
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("timed out after {} s", PATIENCE.as_secs()),
        };
        metrics::holds_unreadable();
        let mut known = self.known.lock();
        known.tried = Some(self.clock.moment());
        let view = known.view();
        if view.is_current {
            warn!(event = "holds-unreadable", problem, "holds unreadable, using last known state")
        } else {
            error!(event = "holds-unreadable", problem, "holds unreadable, calling no target until they can be read")
        }
        view
    }

    /// The state, if the last read or failed read is recent enough.
    fn remembered(&self) -> Option<View> {
        let known = self.known.lock();
        let tried = known.tried.as_ref()?;
        (tried.elapsed() < self.memory).then(|| known.view())
    }

    /// The state, if it was read within this time.
    fn read_within(&self, age: Duration) -> Option<View> {
        let known = self.known.lock();
        let read = known.read.as_ref()?;
        (read.elapsed() < age).then(|| known.view())
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

/// Logs each change once.
fn tell(before: Option<&HoldState>, now: &HoldState) {
    let before = before.map(|state| &state.holds);
    for (target, hold) in &now.holds {
        if before.and_then(|holds| holds.get(target)) != Some(hold) {
            let until = hold.until.map(|until| until.to_string());
            info!(
                event = "target-held",
                target_name = target,
                reason = hold.reason,
                by = hold.by,
                until,
                "target is on hold"
            );
        }
    }
    for target in before.into_iter().flatten().map(|(target, _)| target).filter(|name| !now.holds.contains_key(*name)) {
        info!(event = "target-resumed", target_name = target, "target resumed");
    }
}

#[cfg(test)]
#[path = "holds/tests.rs"]
mod tests;
