//! The shadow: another build of the plugin processes the same message after it is settled, and its requests are not
//! sent. Where the verdicts differ is logged and counted, without any of their content.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use towpath_metrics as metrics;
use towpath_plugin::{Plugin, Transformed};
use towpath_runtime::lease::Lease;
use towpath_runtime::tasks::panic_text;
use towpath_types::message::Message;
use towpath_types::outcome::Fault;
use towpath_types::verdict::{Request, Verdict};
use tracing::{Instrument as _, Span, debug, info_span, warn};

use super::call;

/// What the live plugin got, and its verdict.
pub(super) struct Witness {
    pub(super) message: Message,
    pub(super) verdict: Result<Verdict, Fault>,
}

impl Witness {
    pub(super) fn with(self, shadow: Option<&Arc<Plugin>>) -> Option<Comparison> {
        let Witness { message, verdict } = self;
        Some(Comparison { shadow: Arc::clone(shadow?), message, verdict, span: Span::current() })
    }
}

/// A shadow that has yet to run, and the verdict to compare it with.
pub struct Comparison {
    shadow: Arc<Plugin>,
    message: Message,
    verdict: Result<Verdict, Fault>,
    /// The message's span.
    span: Span,
}

impl Comparison {
    /// Runs the shadow and returns whether the verdicts agree; `None` if too little time was left to run it.
    pub(super) async fn run(self, lease: &Lease) -> Option<bool> {
        let span = self.span.clone();
        self.compare(lease).instrument(span).await
    }

    async fn compare(self, lease: &Lease) -> Option<bool> {
        let Comparison { shadow, message, verdict, .. } = self;
        let name = shadow.name();
        let digest = shadow.short_digest();
        if lease.left() < shadow.limits().timeout {
            debug!(shadow = name, "too little time left for the shadow");
            return None;
        }
        let span = info_span!("shadow", shadow = name, digest);
        let call = call::call(&shadow, message, lease.left()).instrument(span);
        let differs = differs(&verdict, call).await;
        metrics::compared(name, differs.is_none());
        match &differs {
            None => debug!(event = "shadow-agreed", shadow = name, shadow_digest = digest, "the shadow agrees"),
            Some(differs) => {
                warn!(event = "shadow-differed", shadow = name, shadow_digest = digest, differs, "the shadow differs");
            }
        }
        Some(differs.is_none())
    }
}

/// How a shadow's call differs from the live verdict; `None` if it does not. A call that fails or panics differs.
async fn differs(
    live: &Result<Verdict, Fault>,
    call: impl Future<Output = Result<(Message, Transformed), String>>,
) -> Option<String> {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(Ok((_, transformed))) => difference(live, &transformed.verdict),
        Ok(Err(problem)) => Some(problem),
        Err(panic) => Some(format!("the host panicked: {}", panic_text(&*panic))),
    }
}

/// How two verdicts differ, without quoting them; `None` if they do not.
pub fn difference(live: &Result<Verdict, Fault>, shadow: &Result<Verdict, Fault>) -> Option<String> {
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
            Some("retry time".to_owned())
        }
        _ => None,
    }
}

/// `deliver`, `skip no-deal`, `plugin-trap` …: codes are metric labels and contain nothing of an event.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_on_which_the_host_panics_differs() {
        let live = Ok(Verdict::Deliver(Vec::new()));
        let differs = differs(&live, async { panic!("on purpose") }).now_or_never();
        assert_eq!(differs, Some(Some("the host panicked: on purpose".to_owned())));
    }
}
