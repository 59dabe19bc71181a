//! Which builds of its plugin a message meets: the route's own or the canary, and a shadow beside it.
//!
//! A shadow sees what the live one saw, after the message is done with, and nothing of its verdict is sent. Where
//! the verdicts differ is logged and counted, without a byte of what is in them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tracing::{Instrument as _, debug, warn};

use super::{Lease, Pipeline, call};
use towpath_config::route::{Route, Routes};
use towpath_metrics as metrics;
use towpath_plugin::{Plugin, Plugins};
use towpath_runtime::tasks::panic_text;
use towpath_types::message::Message;
use towpath_types::outcome::Fault;
use towpath_types::queue::Received;
use towpath_types::verdict::{Request, Verdict};

/// The route of a message, and the builds of its plugin that it meets.
pub(super) struct Seat<'a> {
    pub(super) route: Option<&'a Arc<Route>>,
    pub(super) plugin: Option<Arc<Plugin>>,
    pub(super) shadow: Option<Arc<Plugin>>,
}

/// What a shadow is compared with.
pub(super) struct Witness {
    pub(super) message: Message,
    pub(super) verdict: Result<Verdict, Fault>,
}

impl<'a> Seat<'a> {
    pub(super) fn of(received: &Received, routes: &'a Routes, plugins: &Plugins) -> Seat<'a> {
        let route = routes.by_group(&received.group);
        let canary = route.and_then(|route| plugins.get(route.rollout.canary_for(&received.group)?));
        let is_canary = canary.is_some();
        let plugin = canary.or_else(|| plugins.get(&route?.plugin));
        let shadow = route.and_then(|route| plugins.get(route.rollout.shadow.as_deref()?));
        // A candidate is not compared with itself.
        let shadow = shadow.filter(|_| !is_canary);
        Seat { route, plugin, shadow }
    }

    /// The plugin's name, which is known even if it is not loaded.
    pub(super) fn name(&self) -> Option<&str> {
        let loaded = self.plugin.as_ref().map(|plugin| plugin.name());
        loaded.or_else(|| self.route.map(|route| route.plugin.as_str()))
    }
}

impl Pipeline {
    /// Runs the shadow of a message that is done with. Whatever it does, the message stays done with; if there is too
    /// little time it is not run.
    pub(super) async fn compare(&self, seat: &Seat<'_>, witness: Witness, lease: &Lease) {
        let Some(shadow) = &seat.shadow else { return };
        if lease.left() < shadow.limits().timeout {
            debug!(shadow = shadow.name(), "too little time is left for the shadow");
            return;
        }
        let (name, digest) = (shadow.name(), shadow.short_digest());
        let span = tracing::info_span!("shadow", shadow = name, digest);
        let call = call::call(shadow, witness.message, lease.left()).instrument(span);
        let called = AssertUnwindSafe(call).catch_unwind().await;
        let differs = match called {
            Ok(Ok((_, transformed))) => difference(&witness.verdict, &transformed.verdict),
            Ok(Err(problem)) => Some(problem),
            Err(panic) => Some(format!("the host panicked: {}", panic_text(&*panic))),
        };
        self.tally.count_shadow(differs.is_some());
        metrics::compared(name, differs.is_none());
        match differs {
            None => debug!(shadow = name, shadow_digest = digest, "the shadow agrees"),
            Some(differs) => warn!(shadow = name, shadow_digest = digest, differs, "the shadow differs"),
        }
    }
}

/// In what two verdicts differ, in words that quote nothing of them; `None` if they do not.
fn difference(live: &Result<Verdict, Fault>, shadow: &Result<Verdict, Fault>) -> Option<String> {
    let (kind, other) = (kind(live), kind(shadow));
    if kind != other {
        return Some(format!("verdict: {kind} becomes {other}"));
    }
    match (live, shadow) {
        (Ok(Verdict::Deliver(live)), Ok(Verdict::Deliver(shadow))) => {
            if live.len() != shadow.len() {
                return Some(format!("requests: {} become {}", live.len(), shadow.len()));
            }
            let pairs = live.iter().zip(shadow).enumerate();
            let parts: Vec<String> = pairs.flat_map(|(n, (live, shadow))| parts(n, live, shadow)).collect();
            (!parts.is_empty()).then(|| parts.join(", "))
        }
        (Ok(Verdict::Retry { after, .. }), Ok(Verdict::Retry { after: other, .. })) if after != other => {
            Some("the time to retry after".to_owned())
        }
        _ => None,
    }
}

/// `deliver`, `skip no-deal`, `plugin-trap` …: codes are metric labels and hold nothing of an event.
fn kind(verdict: &Result<Verdict, Fault>) -> String {
    match verdict {
        Ok(Verdict::Deliver(_)) => "deliver".to_owned(),
        Ok(Verdict::Skip(reason)) => format!("skip {}", reason.code),
        Ok(Verdict::Reject(reason)) => format!("reject {}", reason.code),
        Ok(Verdict::Retry { reason, .. }) => format!("retry {}", reason.code),
        Err(fault) => fault.kind.code().to_owned(),
    }
}

fn parts(position: usize, live: &Request, shadow: &Request) -> Vec<String> {
    let parts = [
        ("target", live.target != shadow.target),
        ("method", live.method != shadow.method),
        ("path", live.path != shadow.path),
        ("headers", live.headers != shadow.headers),
        ("body", live.body != shadow.body),
        ("idempotency key", live.idempotency_key != shadow.idempotency_key),
    ];
    parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| format!("request {position}: {part}")).collect()
}
