//! The shadow: another build of the plugin sees what the live one saw, after the message is settled, and nothing of its verdict is
//! sent. Where the verdicts differ is logged and counted, without a byte of what is in them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use towpath_metrics as metrics;
use towpath_plugin::Plugin;
use towpath_runtime::lease::Lease;
use towpath_runtime::tasks::panic_text;
use towpath_types::message::Message;
use towpath_types::outcome::Fault;
use towpath_types::verdict::{Request, Verdict};
use tracing::{Instrument as _, Span, debug, info_span, warn};

use super::call;

/// A shadow that is still to be run, and what it is compared with.
pub struct Comparison {
    pub(super) shadow: Arc<Plugin>,
    pub(super) message: Message,
    pub(super) verdict: Result<Verdict, Fault>,
    /// The message's span.
    pub(super) span: Span,
}

impl Comparison {
    /// Runs the shadow, unless too little time is left for it. Whether the verdicts agree, if it was run.
    pub(super) async fn run(self, lease: &Lease) -> Option<bool> {
        let span = self.span.clone();
        self.compare(lease).instrument(span).await
    }

    async fn compare(self, lease: &Lease) -> Option<bool> {
        let Comparison { shadow, message, verdict, .. } = self;
        let name = shadow.name();
        let digest = shadow.short_digest();
        if lease.left() < shadow.limits().timeout {
            debug!(shadow = name, "too little time is left for the shadow");
            return None;
        }
        let span = info_span!("shadow", shadow = name, digest);
        let call = call::call(&shadow, message, lease.left()).instrument(span);
        let differs = match AssertUnwindSafe(call).catch_unwind().await {
            Ok(Ok((_, transformed))) => difference(&verdict, &transformed.verdict),
            Ok(Err(problem)) => Some(problem),
            Err(panic) => Some(format!("the host panicked: {}", panic_text(&*panic))),
        };
        metrics::compared(name, differs.is_none());
        match &differs {
            None => debug!(shadow = name, shadow_digest = digest, "the shadow agrees"),
            Some(differs) => warn!(shadow = name, shadow_digest = digest, differs, "the shadow differs"),
        }
        Some(differs.is_none())
    }
}

/// In what two verdicts differ, in words that quote nothing of them; `None` if they do not.
fn difference(live: &Result<Verdict, Fault>, shadow: &Result<Verdict, Fault>) -> Option<String> {
    let before = kind(live);
    let after = kind(shadow);
    if before != after {
        return Some(format!("verdict: {before} becomes {after}"));
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
