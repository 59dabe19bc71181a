//! What the front door refuses: webhooks that fail the verification of their route, or lack its keys.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::Response;
use tokio::time::Instant;
use towpath_core::clock::Clock;
use towpath_core::dead_letter::DeadLetter;
use towpath_core::envelope::{self, Webhook};
use towpath_core::route::{KeyProblem, Keys, Route};
use towpath_core::verify::{Evidence, Unverified, Verification};
use tracing::warn;

use crate::router::{Ingest, problem};

/// The most that is kept in a day: who posts without a secret must not fill the disk.
const KEPT_A_DAY: usize = 64 * 1024 * 1024;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long a secret that may have been rotated is waited for. A sender gives up after ten seconds or so.
const PATIENCE: Duration = Duration::from_secs(3);

/// How much was kept since when.
#[derive(Default)]
pub(crate) struct Kept {
    since: Option<Instant>,
    bytes: usize,
}

impl Kept {
    /// Whether so much more may be kept; if so, it counts.
    fn take(&mut self, bytes: usize, now: Instant) -> bool {
        if self.since.is_none_or(|since| now - since >= DAY) {
            *self = Kept { since: Some(now), bytes: 0 };
        }
        let fits = self.bytes + bytes <= KEPT_A_DAY;
        self.bytes += if fits { bytes } else { 0 };
        fits
    }
}

/// Verifies a webhook that arrives now.
pub(crate) async fn check(verification: &Verification, webhook: &Webhook) -> Result<(), Unverified> {
    let evidence = Evidence::arriving(webhook, Clock::wall().now());
    verification.check_anew(evidence, Instant::now() + PATIENCE).await
}

/// Why a webhook is refused.
pub(crate) enum Refusal<'a> {
    /// It fails the verification.
    Unverified(&'a Verification, Unverified),
    /// It lacks keys, on a route that says `on_missing_key = "refuse"`.
    MissingKey(&'a [KeyProblem]),
}

impl Refusal<'_> {
    /// The reason of its letter.
    fn reason(&self) -> &'static str {
        match self {
            Refusal::Unverified(..) => "unverified",
            Refusal::MissingKey(_) => "missing-key",
        }
    }

    fn detail(&self) -> String {
        match self {
            Refusal::Unverified(_, why) => why.to_string(),
            Refusal::MissingKey(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        }
    }

    fn answer(&self) -> Response {
        match self {
            Refusal::Unverified(verification, why) => {
                let mut answer = problem(StatusCode::UNAUTHORIZED, &format!("not verified: {why}"));
                // RFC 9110 section 15.5.2: a 401 names the way to do it right.
                let challenge = header::HeaderValue::from_static(verification.challenge());
                answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                answer
            }
            Refusal::MissingKey(_) => {
                let detail = format!("a key of the event cannot be read: {}", self.detail());
                problem(StatusCode::UNPROCESSABLE_ENTITY, &detail)
            }
        }
    }
}

impl Ingest {
    /// Answers 401 or 422, after the webhook was counted and, where there is a store, kept with the reason.
    pub(crate) async fn refuse(&self, route: &Route, webhook: &Webhook, keys: &Keys, refusal: Refusal<'_>) -> Response {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let kept = self.keep(route, webhook, keys, &refusal).await;
        warn!(route = route.path, reason = refusal.reason(), detail = refusal.detail(), kept, "webhook refused");
        refusal.answer()
    }

    async fn keep(&self, route: &Route, webhook: &Webhook, keys: &Keys, refusal: &Refusal<'_>) -> bool {
        let Some(queue) = &self.refused_queue else { return false };
        let body = envelope::encode(webhook);
        if !self.kept.lock().unwrap_or_else(PoisonError::into_inner).take(body.len(), Instant::now()) {
            return false;
        }
        let (id, now) = (uuid::Uuid::new_v4().to_string(), Clock::wall().now());
        let (reason, detail) = (refusal.reason(), refusal.detail());
        let letter = DeadLetter::refused_at_ingest(id, route, reason, detail, now);
        let sent = queue.send(letter.carried_by(keys.group.clone(), body, keys.attributes())).await;
        sent.inspect_err(|error| warn!(error = %error, "what was refused could not be kept")).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use towpath_core::dead_letter::REASONS;

    use super::*;

    #[test]
    fn every_reason_of_a_refusal_is_one_that_letters_are_known_by() {
        let source = include_str!("refused.rs").split("fn reason").nth(1).expect("the reasons");
        let arms = source.split("fn ").next().unwrap_or_default().split("=> \"").skip(1);
        let reasons: Vec<&str> = arms.map(|arm| arm.split('"').next().expect("a reason")).collect();
        assert!(reasons.len() >= 2 && reasons.contains(&Refusal::MissingKey(&[]).reason()), "{reasons:?}");
        assert!(reasons.iter().all(|reason| REASONS.contains(reason)), "{reasons:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_in_a_day_is_bounded() {
        let mut kept = Kept::default();
        assert!(kept.take(KEPT_A_DAY - 10, Instant::now()));
        assert!(!kept.take(11, Instant::now()));
        assert!(kept.take(10, Instant::now()), "what did not fit was not counted");
        tokio::time::advance(DAY).await;
        assert!(kept.take(11, Instant::now()));
    }
}
