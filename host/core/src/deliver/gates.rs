//! Gates: whether a target may be called now. An operator's hold, a breaker and a drain each may say no.

mod breaker;
mod drain;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{info, warn};

pub use breaker::BreakerPolicy;

use super::Target;
use crate::clock::{Clock, Timestamp};
use crate::holds::{BreakerReport, Watched};
use breaker::{Breaker, Moved, Probe, Refusal};
use drain::Drains;

/// How long telling others of a breaker may take.
const REPORT_PATIENCE: Duration = Duration::from_secs(1);

/// A target that must not be called now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closed {
    /// The target.
    pub target: String,
    /// Which gate.
    pub gate: Gate,
    /// Why, for the operator.
    pub why: String,
    /// When it is worth asking again, if that is known.
    pub after: Option<Duration>,
}

/// The gates of a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// Somebody said that it must not be called.
    Hold,
    /// It was away, and is left alone for a while.
    Breaker,
    /// What waited is sent to it one after another.
    Drain,
}

/// The gates of all targets.
#[derive(Debug)]
pub(super) struct Gates {
    holds: Option<Watched>,
    breakers: BTreeMap<String, Arc<Breaker>>,
    drains: Drains,
    clock: Clock,
}

/// Leave to call some targets, kept until they were called. What it holds of their breakers is given back
/// with it.
#[derive(Debug)]
pub(super) struct Leave {
    _probes: Vec<Probe>,
}

impl Gates {
    pub(super) fn new<'a>(targets: impl Iterator<Item = &'a Target>, holds: Option<Watched>, clock: Clock) -> Gates {
        let breakers = targets.map(|target| (target.name.clone(), Arc::new(Breaker::new(target.breaker)))).collect();
        Gates { holds, breakers, drains: Drains::default(), clock }
    }

    /// Whether all these targets may be called for a message that was stored then. Waits a moment for its
    /// turn where a target is being drained, never past `deadline`.
    pub(super) async fn pass(
        &self,
        targets: &[&Target],
        stored_at: Timestamp,
        deadline: Instant,
    ) -> Result<Leave, Closed> {
        let state = match &self.holds {
            None => None,
            Some(holds) => match holds.state().await {
                Some(state) => Some(state),
                None => return Err(unknown(targets)),
            },
        };
        for target in targets {
            if target.hold {
                return Err(closed(target, Gate::Hold, "on hold by the config".to_owned(), None));
            }
            if let Some(hold) = state.as_ref().and_then(|state| state.hold(&target.name, self.clock.now())) {
                let left = hold.until.map(|until| until.since(self.clock.now()));
                return Err(closed(target, Gate::Hold, format!("on hold since {}", hold.since), left));
            }
        }
        let mut probes = Vec::new();
        for target in targets {
            let Some(breaker) = self.breakers.get(&target.name) else { continue };
            match breaker.pass() {
                Ok(probe) => probes.extend(probe),
                Err(Refusal { after }) => {
                    return Err(closed(target, Gate::Breaker, "its breaker is open".to_owned(), Some(after)));
                }
            }
        }
        for target in targets {
            let drain = state.as_ref().and_then(|state| state.drains.get(&target.name));
            let Some(drain) = drain.filter(|drain| stored_at <= drain.at) else { continue };
            if let Err(after) = self.drains.turn(&target.name, drain, deadline).await {
                return Err(closed(target, Gate::Drain, "it is being drained at a rate".to_owned(), Some(after)));
            }
        }
        Ok(Leave { _probes: probes })
    }

    /// Tells the breaker of a target what came of a call.
    pub(super) async fn record(&self, target: &str, available: bool) {
        let Some(breaker) = self.breakers.get(target) else { return };
        let (open, probe_in) = match breaker.record(available) {
            None => return,
            Some(Moved::Opened { failures, probe_in }) => {
                let seconds = probe_in.as_secs_f64();
                warn!(target_name = target, failures, probe_in_s = seconds, "target is away, its breaker is open");
                (true, Some(probe_in))
            }
            Some(Moved::Closed) => {
                info!(target_name = target, "target is back, its breaker is closed");
                (false, None)
            }
        };
        let Some(holds) = &self.holds else { return };
        let at = self.clock.now();
        let probe_at = probe_in.map(|wait| at + wait);
        let report = BreakerReport { target: target.to_owned(), open, at, probe_at };
        match timeout(REPORT_PATIENCE, holds.holds().report(report)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(error = %error, "the breaker's state is not shown in status"),
            Err(_) => warn!("telling the breaker's state took too long, status does not show it"),
        }
    }
}

fn closed(target: &Target, gate: Gate, why: String, after: Option<Duration>) -> Closed {
    Closed { target: target.name.clone(), gate, why, after }
}

fn unknown(targets: &[&Target]) -> Closed {
    let target = targets.first().map(|target| target.name.clone()).unwrap_or_default();
    let why = "nobody knows whether it is on hold: the holds cannot be read".to_owned();
    Closed { target, gate: Gate::Hold, why, after: None }
}
