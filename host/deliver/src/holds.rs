//! The holds as the gates see them: read with a short memory, and still in force where they cannot be read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;
use towpath_metrics as metrics;
use towpath_types::clock::{Clock, Moment, Timestamp};
use towpath_types::holds::{Drain, Hold, HoldState, Holds};
use tracing::{error, info, warn};

/// How long holds that are kept elsewhere count once they were read: a hold or a resume is felt after this.
pub const MEMORY: Duration = Duration::from_secs(10);

/// How long reading the state may take before the last known one is used.
const PATIENCE: Duration = Duration::from_secs(2);

/// How old the last known state may be: from then on a target that was not on hold may be on hold by now.
const TRUSTED: Duration = Duration::from_secs(60);

/// What is known about targets, and whether that is recent.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    state: Arc<HoldState>,
    is_current: bool,
}

impl View {
    /// The hold on a target that is in force now, as far as is known: what was on hold stays on hold.
    pub fn hold(&self, target: &str, now: Timestamp) -> Option<&Hold> {
        self.state.hold(target, now)
    }

    /// How a target is drained, if it is.
    pub fn drain(&self, target: &str) -> Option<&Drain> {
        self.state.drains.get(target)
    }

    /// Whether a target that is not on hold here may be called. If the state could not be read for a minute, nobody knows.
    pub fn is_current(&self) -> bool {
        self.is_current
    }
}

/// The state with a short memory, so that asking costs nothing. If it cannot be read, the last known one is used for a
/// minute.
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
    /// When the state was asked for; `None` if it never could be read.
    read: Option<Moment>,
    /// When it was read, or could not be, the last time.
    tried: Option<Moment>,
}

impl Known {
    fn view(&self) -> View {
        let is_current = self.read.is_some_and(|read| read.elapsed() < TRUSTED);
        View { state: Arc::clone(&self.state), is_current }
    }
}

impl Watched {
    /// Watches; what was read is used for so long before it is read again.
    pub fn new(holds: Arc<dyn Holds>, memory: Duration, clock: Clock) -> Watched {
        Watched { holds, memory, clock, known: Arc::default(), reading: Arc::default() }
    }

    /// Where the state is kept.
    pub fn holds(&self) -> &dyn Holds {
        &*self.holds
    }

    /// The state as far as it is known.
    pub async fn state(&self) -> View {
        if let Some(view) = self.remembered() {
            return view;
        }
        // One reads. The others go on with what was read a moment ago, never with what is older than that.
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
            Err(_) => "reading took too long".to_owned(),
        };
        metrics::holds_unreadable();
        let mut known = self.known.lock();
        known.tried = Some(self.clock.moment());
        let view = known.view();
        if view.is_current {
            warn!(problem, "holds unreadable, using last known state")
        } else {
            error!(problem, "holds unreadable, no target is called until they can be read")
        }
        view
    }

    /// The state if it was read, or tried to be read, a short while ago.
    fn remembered(&self) -> Option<View> {
        let known = self.known.lock();
        let tried = known.tried.as_ref()?;
        (tried.elapsed() < self.memory).then(|| known.view())
    }

    /// The state if it was read within so long.
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
#[path = "holds/tests.rs"]
mod tests;
