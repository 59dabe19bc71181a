//! Gates decide whether a target may be called now: operators' holds, breakers, drains and limits.

mod breaker;
mod drain;
mod limit;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::holds::{View, Watched};
use crate::places::{Away, Entered, Place};
use breaker::{Breaker, BreakerOpen, Moved, Probe};
use drain::Drains;
use limit::Limit;
use towpath_config::target::Target;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::holds::BreakerReport;
use towpath_types::outcome::{Closed, Gate};

/// How long publishing a breaker's state may take.
const REPORT_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) target: &'a Target,
    /// How many requests the verdict makes to it.
    pub(super) requests: u32,
}

/// Why the targets must not be called now.
#[derive(Debug)]
pub(super) enum NoLeave {
    Closed(Closed),
    /// The driver stops.
    Stopped,
}

impl From<Closed> for NoLeave {
    fn from(closed: Closed) -> NoLeave {
        NoLeave::Closed(closed)
    }
}

#[derive(Debug)]
struct TargetGates {
    breaker: Arc<Breaker>,
    limit: Limit,
}

#[derive(Debug)]
pub(super) struct Gates {
    holds: Option<Watched>,
    known: BTreeMap<String, TargetGates>,
    drains: Drains,
    clock: Clock,
}

/// The permission to call some targets. Hold it until the calls are over: dropping it releases their probes, slots and
/// places.
#[derive(Debug)]
pub(super) struct Leave<'a> {
    _probes: Vec<Probe>,
    _slots: Vec<OwnedSemaphorePermit>,
    _entered: Entered<'a>,
}

impl Gates {
    pub(super) fn new<'a>(targets: impl Iterator<Item = &'a Target>, holds: Option<Watched>, clock: Clock) -> Gates {
        let known = |target: &Target| TargetGates {
            breaker: Arc::new(Breaker::new(target.breaker)),
            limit: Limit::new(target.limits),
        };
        let known = targets.map(|target| (target.name.clone(), known(target))).collect();
        Gates { holds, known, drains: Drains::default(), clock }
    }

    /// Asks to call all these targets for a message that was stored at `stored_at`. While a target is at its limit or
    /// drained, this waits without a place, until `latest` at most.
    pub(super) async fn pass<'a>(
        &self,
        targets: &BTreeMap<&str, Wanted<'_>>,
        stored_at: Timestamp,
        latest: Instant,
        place: &'a mut Place,
    ) -> Result<Leave<'a>, NoLeave> {
        let view = self.open(targets).await?;
        let limits = async {
            let mut slots = Vec::new();
            for (name, wanted) in targets {
                let drain = view.as_ref().and_then(|view| view.drain(name));
                if let Some(drain) = drain.filter(|drain| stored_at <= drain.at)
                    && let Err(after) = self.drains.turn(name, drain, latest).await
                {
                    let why = "it is drained at a limited rate".to_owned();
                    return Err(closed(wanted.target, Gate::Drain, why, Some(after)));
                }
                if let Some(known) = self.known.get(*name) {
                    slots.extend(known.limit.pass(wanted.requests).await);
                }
            }
            Ok(slots)
        };
        let names: Vec<&str> = targets.keys().copied().collect();
        let crowded = |after| {
            let target = targets.values().next().map(|wanted| wanted.target.name.clone()).unwrap_or_default();
            let why = "too many messages are waiting for it".to_owned();
            NoLeave::Closed(Closed { target, gate: Gate::Crowd, why, after })
        };
        let (slots, entered) = match place.enter(&names, latest, limits).await {
            Ok(entered) => entered.map_err(NoLeave::Closed)?,
            Err(Away::Crowded(after)) => return Err(crowded(Some(after))),
            Err(Away::Late) => return Err(crowded(None)),
            Err(Away::Closed) => return Err(NoLeave::Stopped),
        };
        if entered.waited {
            // An operator may have put a target on hold in the meantime.
            self.open(targets).await?;
        }
        let mut probes = Vec::new();
        for (name, wanted) in targets {
            let Some(known) = self.known.get(*name) else { continue };
            match known.breaker.pass() {
                Ok(probe) => probes.extend(probe),
                Err(refusal) => return Err(refused(wanted.target, refusal).into()),
            }
        }
        Ok(Leave { _probes: probes, _slots: slots, _entered: entered })
    }

    /// The known holds, if none of these targets is on hold or has an open breaker.
    async fn open(&self, targets: &BTreeMap<&str, Wanted<'_>>) -> Result<Option<View>, Closed> {
        let view = match &self.holds {
            None => None,
            Some(holds) => Some(holds.state().await),
        };
        for Wanted { target, .. } in targets.values() {
            if target.hold {
                return Err(closed(target, Gate::Hold, "on hold in the config".to_owned(), None));
            }
            if let Some(hold) = view.as_ref().and_then(|view| view.hold(&target.name, self.clock.now())) {
                let left = hold.until.map(|until| until.since(self.clock.now()));
                return Err(closed(target, Gate::Hold, format!("on hold since {}", hold.since), left));
            }
            if view.as_ref().is_some_and(|view| !view.is_current()) {
                let why = "the holds cannot be read, so it may be on hold".to_owned();
                return Err(closed(target, Gate::Unknown, why, None));
            }
            if let Some(refusal) = self.known.get(&target.name).and_then(|known| known.breaker.refuses()) {
                return Err(refused(target, refusal));
            }
        }
        Ok(view)
    }

    /// Records the result of a call in the target's breaker, and publishes a change of the breaker.
    pub(super) async fn record(&self, target: &str, available: bool) {
        let Some(TargetGates { breaker, .. }) = self.known.get(target) else { return };
        let (open, probe_in) = match breaker.record(available) {
            None => return,
            Some(Moved::Opened { failures, probe_in }) => {
                let seconds = probe_in.as_secs_f64();
                warn!(
                    event = "breaker-opened",
                    target_name = target,
                    failures,
                    probe_in_s = seconds,
                    "breaker opened: target unavailable"
                );
                (true, Some(probe_in))
            }
            Some(Moved::Closed) => {
                info!(event = "breaker-closed", target_name = target, "breaker closed: target available");
                (false, None)
            }
        };
        let Some(holds) = &self.holds else { return };
        let at = self.clock.now();
        let probe_at = probe_in.map(|wait| at + wait);
        let report = BreakerReport { target: target.to_owned(), open, at, probe_at };
        let problem = match timeout(REPORT_PATIENCE, holds.holds().report(report)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("timed out after {} s", REPORT_PATIENCE.as_secs()),
        };
        warn!(
            event = "breaker-report-failed",
            target_name = target,
            error = problem,
            "breaker state cannot be stored, status does not show it"
        );
    }
}

fn closed(target: &Target, gate: Gate, why: String, after: Option<Duration>) -> Closed {
    Closed { target: target.name.clone(), gate, why, after }
}

fn refused(target: &Target, refusal: BreakerOpen) -> Closed {
    closed(target, Gate::Breaker, "its breaker is open".to_owned(), Some(refusal.after))
}
