//! What the front door refuses: webhooks that fail the verification of their route.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::Response;
use tokio::time::Instant;
use towpath_core::clock::Clock;
use towpath_core::dead_letter::DeadLetter;
use towpath_core::envelope::{self, Webhook};
use towpath_core::route::Route;
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

impl Ingest {
    /// Answers 401, after the webhook was counted and, where there is a store, kept with the reason.
    pub(crate) async fn refuse(
        &self,
        route: &Route,
        verification: &Verification,
        webhook: &Webhook,
        why: &Unverified,
    ) -> Response {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let kept = self.keep(route, webhook, why).await;
        warn!(route = route.path, reason = "unverified", detail = %why, kept, "webhook refused");
        let mut answer = problem(StatusCode::UNAUTHORIZED, &format!("not verified: {why}"));
        // RFC 9110 section 15.5.2: a 401 names the way to do it right.
        let challenge = header::HeaderValue::from_static(verification.challenge());
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        answer
    }

    async fn keep(&self, route: &Route, webhook: &Webhook, why: &Unverified) -> bool {
        let Some(queue) = &self.refused_queue else { return false };
        let body = envelope::encode(webhook);
        if !self.kept.lock().unwrap_or_else(PoisonError::into_inner).take(body.len(), Instant::now()) {
            return false;
        }
        let (id, now) = (uuid::Uuid::new_v4().to_string(), Clock::wall().now());
        let letter = DeadLetter::refused_at_ingest(id, &route.path, &route.plugin, why.to_string(), now);
        let sent = queue.send(letter.carried_by(route.group_of(webhook), body)).await;
        sent.inspect_err(|error| warn!(error = %error, "what was refused could not be kept")).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
