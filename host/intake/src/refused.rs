//! What the front door turns away: webhooks that fail the verification of their route, or lack its keys.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{StatusCode, header};
use axum::response::Response;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use towpath_config::route::Route;
use towpath_config::verify::Verification;
use towpath_keys::Outbound;
use towpath_route::{KeyProblem, Keys};
use towpath_types::dead_letter::{DeadLetter, Seen, UNVERIFIED};
use towpath_types::envelope::Webhook;
use towpath_types::queue::Proof;
use towpath_verify::door::{self, Verified};
use towpath_verify::fetched::{Asker, Key, KeySource, Unavailable, Wanted};
use towpath_verify::{Evidence, Unproven, Unverified, bind, challenge, check_anew};
use tracing::warn;

use crate::budget::{Admission, Ask, SenderAddress};
use crate::ingest::{Ingest, problem};
use crate::unlearned::not_learned;

/// How long to wait for keys, and for the refresh of a secret that may have been rotated. Senders give up after about ten
/// seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Verifies a webhook that arrives now.
pub(crate) async fn check(
    ingest: &Ingest,
    route: &Route,
    verification: &Verification,
    webhook: &Webhook,
    from: Option<SenderAddress>,
) -> Result<Option<Proof>, Unproven> {
    let evidence = Evidence::arriving(webhook, ingest.clock.now());
    let asker = Asker { route: route.path.clone(), sender: from.map(SenderAddress::address) };
    let source = OnBehalf { remote: &*ingest.remote, asker };
    check_anew(verification, evidence, &source, Instant::now() + PATIENCE).await
}

/// Asks for keys in the name of the sender of a webhook.
struct OnBehalf<'a> {
    remote: &'a dyn Outbound,
    asker: Asker,
}

#[async_trait]
impl KeySource for OnBehalf<'_> {
    async fn keys(&self, wanted: &Wanted) -> Result<Arc<[Key]>, Unavailable> {
        self.remote.keys(&Wanted { asker: self.asker.clone(), ..wanted.clone() }).await
    }
}

/// What is known of a webhook that was verified just now.
pub(crate) fn verified(ingest: &Ingest, route: &Route, verification: &Verification, webhook: &Webhook) -> Verified {
    let at = ingest.clock.now();
    let by = door::proven_by(verification, Evidence::arriving(webhook, at));
    Verified { route: route.path.clone(), at, by }
}

/// The answer to what is not verified.
pub(crate) fn unverified(verification: &Verification, why: &Unverified) -> Response {
    let mut answer = problem(StatusCode::UNAUTHORIZED, &format!("not verified: {why}"));
    // RFC 9110 section 15.5.2: a 401 must name the authentication scheme to use.
    let challenge = header::HeaderValue::from_static(challenge(verification));
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    answer
}

/// Why a webhook is turned away.
pub(crate) enum Refusal<'a> {
    Unverified(&'a Verification, Unverified),
    /// It lacks keys, on a route with `on_missing_key = "refuse"`.
    MissingKey(&'a [KeyProblem]),
}

impl Refusal<'_> {
    /// The reason in its letter.
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
            Refusal::Unverified(verification, why) => unverified(verification, why),
            Refusal::MissingKey(_) => {
                let detail = format!("a key of the event cannot be read: {}", self.detail());
                problem(StatusCode::UNPROCESSABLE_ENTITY, &detail)
            }
        }
    }
}

impl Ingest {
    /// Answers 401 or 422, after counting the webhook and, where there is a store, keeping it with the reason.
    pub(crate) async fn refuse(
        &self,
        route: &Route,
        webhook: &Webhook,
        keys: &Keys,
        refusal: Refusal<'_>,
        from: Option<SenderAddress>,
    ) -> Response {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let kept = self.keep(route, webhook, keys, &refusal, from).await;
        warn!(route = route.path, reason = refusal.reason(), detail = refusal.detail(), kept, "webhook turned away");
        if let (Refusal::Unverified(_, Unverified::NotLearned), Some(learned)) = (&refusal, route.learned()) {
            not_learned(route, learned);
        }
        refusal.answer()
    }

    /// Keeps the webhook, unless the same failure of it is kept already or its share is used up. Returns the log field
    /// `kept`.
    async fn keep(
        &self,
        route: &Route,
        webhook: &Webhook,
        keys: &Keys,
        refusal: &Refusal<'_>,
        source: Option<SenderAddress>,
    ) -> &'static str {
        let Some(queue) = &self.refused_queue else { return "no" };
        let id = uuid::Uuid::new_v4().to_string();
        let now = self.clock.now();
        let reason = refusal.reason();
        let detail = refusal.detail();
        let seen = Seen {
            route: Some(&route.path),
            plugin: route.mapping.plugin(),
            secret_header: route.tokens_text(),
            // Keys are read only after verification.
            verified: reason != UNVERIFIED && route.verify.as_ref().is_none_or(|verification| verification.at_ingest),
            ..Seen::default()
        };
        let letter = DeadLetter::refused_at_ingest(id, seen, reason, detail, now);
        let mut message = letter.carried_by(keys.group.clone(), webhook.clone().into(), keys.attributes());
        // A stranger's copy of the body must not suppress the real one.
        let proof = route.verify.as_ref().map(|verification| bind(verification, b"", webhook)).unwrap_or_default();
        let parts = [
            route.path.as_bytes(),
            b"\0",
            letter.reason.as_bytes(),
            b"\0",
            letter.detail.as_bytes(),
            b"\0",
            proof.as_bytes(),
            b"\0",
            &webhook.body,
        ];
        let failure = hex::encode(parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize());
        // Deduplicates across processes.
        message.dedup_id = Some(failure.as_str().into());
        if self.budget.is_stale(Instant::now()) {
            let held = queue.holdings().await.unwrap_or_else(|error| {
                warn!(error = %error, "size of the refused queue unreadable, using last known state");
                None
            });
            self.budget.refresh(held);
        }
        let routes = self.routes.iter().filter(|route| route.can_refuse()).count();
        let bytes = message.size() as u64;
        let ask = Ask { route: &route.path, routes, source, failure: &failure, bytes };
        match self.budget.take(ask, Instant::now()) {
            Admission::Folded => return "before",
            Admission::Full => return "no room",
            Admission::Keep => {}
        }
        match queue.send(message).await {
            Ok(_) => "yes",
            Err(error) => {
                warn!(error = %error, "webhook turned away could not be kept");
                self.budget.give_back(ask);
                "failed"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use towpath_types::dead_letter::REASONS;

    use super::*;

    #[test]
    fn every_refusal_has_a_known_dead_letter_reason() {
        let source = include_str!("refused.rs").split("fn reason").nth(1).expect("the reasons");
        let arms = source.split("fn ").next().unwrap_or_default().split("=> \"").skip(1);
        let reasons: Vec<&str> = arms.map(|arm| arm.split('"').next().expect("a reason")).collect();
        assert!(reasons.len() >= 2 && reasons.contains(&Refusal::MissingKey(&[]).reason()), "{reasons:?}");
        assert!(reasons.iter().all(|reason| REASONS.contains(reason)), "{reasons:?}");
    }
}
