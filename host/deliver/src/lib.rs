//! Delivery: from the requests of a verdict to attempts at targets.

mod attempt;
mod gates;
pub mod holds;
mod http;
pub mod places;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use towpath_config::plugin::Grant;
use towpath_config::target::Target as Settings;
use towpath_runtime::install_crypto;
use towpath_runtime::lease::Lease;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::message::Message;
use towpath_types::outcome::{Answer, Fault, FaultKind, Outcome};
use towpath_types::verdict::Request;
use tracing::warn;

pub use http::{AwsCredentials, BadRequest};
pub use towpath_reach::ClientError;

use attempt::{Attempted, Context};
use gates::{Gates, NoLeave, Wanted};
use holds::Watched;
use places::Place;
use target::{Prepared, Target};

/// How long to wait for a turn if the lease may be too short for the calls.
const SHORT_WAIT: Duration = Duration::from_secs(5);

/// Makes requests to the targets of a config and reuses their connections.
#[derive(Debug)]
pub struct Deliverer {
    targets: BTreeMap<String, Target>,
    credentials: Option<AwsCredentials>,
    gates: Gates,
    clock: Clock,
}

impl Deliverer {
    /// A deliverer for these targets, which does not call a target on hold. Fails if a certificate is invalid, or if
    /// there is no TLS trust store.
    pub fn new(
        targets: BTreeMap<String, Settings>,
        holds: Option<Watched>,
        clock: Clock,
    ) -> Result<Deliverer, ClientError> {
        install_crypto();
        let gates = Gates::new(targets.values(), holds, clock);
        let targets = target::open(targets)?;
        Ok(Deliverer { targets, credentials: None, gates, clock })
    }

    /// Whether a target wants AWS signatures. If so, call [`Deliverer::sign_with`] before the first delivery.
    pub fn needs_aws_credentials(&self) -> bool {
        self.targets.values().any(Target::needs_aws_credentials)
    }

    /// Sets the credentials for targets that want AWS signatures.
    #[must_use]
    pub fn sign_with(self, credentials: AwsCredentials) -> Deliverer {
        Deliverer { credentials: Some(credentials), ..self }
    }

    /// The number of targets.
    pub fn targets(&self) -> usize {
        self.targets.len()
    }

    pub fn target(&self, name: &str) -> Option<&Settings> {
        self.targets.get(name).map(Target::settings)
    }

    /// Checks all requests: if one is invalid, none is sent.
    pub fn prepare(&self, requests: Vec<Request>, message: &Message, grant: &Grant<'_>) -> Result<Delivery, Fault> {
        let prepare = |(position, request): (usize, Request)| {
            let target = self.named(&request.target, grant)?;
            target.prepare(position, request, message, grant)
        };
        let fault = |position: usize, error: BadRequest| {
            Fault::new(FaultKind::BadRequest, format!("request {position}: {error}"))
        };
        let prepared =
            requests.into_iter().enumerate().map(|(n, request)| prepare((n, request)).map_err(|e| fault(n, e)));
        Ok(Delivery { requests: prepared.collect::<Result<_, _>>()? })
    }

    /// The target of this name, if the plugin may use it.
    fn named(&self, name: &str, grant: &Grant<'_>) -> Result<&Target, BadRequest> {
        if !grant.targets.iter().any(|target| target == name) {
            return Err(BadRequest::UndescribedTarget(name.to_owned()));
        }
        self.targets.get(name).ok_or_else(|| BadRequest::UnknownTarget(name.to_owned()))
    }

    /// Makes the requests one after another, up to the first that fails. That one decides the outcome.
    ///
    /// No request takes longer than its target's timeout or outlasts the lease, and none begins after the lease. A
    /// request that is answered with 401 is made once more if its secret turns out to have been rotated, or if its
    /// token can be refreshed.
    ///
    /// If one of the targets must not be called now, none is: otherwise the requests before it would be repeated with
    /// every try. `stored_at` is when the queue stored the message. `place` is the group's, which is given up while the
    /// group waits.
    pub async fn deliver(&self, delivery: Delivery, stored_at: Timestamp, lease: &Lease, place: &mut Place) -> Outcome {
        let deadline = lease.deadline();
        let mut wanted = BTreeMap::new();
        for request in &delivery.requests {
            let target = request.settings();
            wanted.entry(target.name.as_str()).or_insert(Wanted { target, requests: 0 }).requests += 1;
        }
        let latest = latest_begin(Instant::now(), deadline, delivery.worst_case());
        let _leave = match self.gates.pass(&wanted, stored_at, latest, place).await {
            Ok(leave) => leave,
            Err(NoLeave::Closed(closed)) => return Outcome::Held(closed),
            Err(NoLeave::Stopped) => return Outcome::Blocked,
        };
        // Only now: the messages of a target on hold wait for its release, and do not expire.
        let mut settings = delivery.requests.iter().map(Prepared::settings);
        if let Some((target, why)) = settings.find_map(|target| Some((&target.name, target.unready.as_ref()?))) {
            return Outcome::Broken(format!("target {target:?} cannot be called yet: {why}"));
        }
        let mut attempts = Vec::with_capacity(delivery.requests.len());
        // A later answer may echo the secrets of earlier requests.
        let mut proven = Vec::new();
        for request in &delivery.requests {
            let target = request.settings();
            let made = self.attempt(request, lease, &mut proven).await;
            let Attempted::Made { mut attempt, mut retry_after, proof } = made else { return lapsed(target) };
            let is_unauthorized = attempt.answer.status() == Some(401);
            if is_unauthorized && timeout_at(deadline, proof.is_outdated()).await.unwrap_or(false) {
                attempts.push(attempt);
                let made = self.attempt(request, lease, &mut proven).await;
                let Attempted::Made { attempt: second, retry_after: after, .. } = made else { return lapsed(target) };
                attempt = second;
                retry_after = after;
            }
            let end = End::of(&attempt.answer, target);
            let is_available = attempt.answer.status().is_some_and(|status| !target.breaker_on.contains(status));
            attempts.push(attempt);
            self.gates.record(&target.name, is_available).await;
            match end {
                End::Delivered => {}
                End::Refused => return Outcome::Refused(attempts),
                End::Unavailable => return Outcome::Unavailable { attempts, retry_after, backoff: target.backoff },
            }
        }
        Outcome::Delivered(attempts)
    }

    /// Makes a request and adds its secrets to `proven`, so that they are masked where a later answer echoes them.
    async fn attempt(&self, request: &Prepared, lease: &Lease, proven: &mut Vec<Arc<str>>) -> Attempted {
        let credentials = self.credentials.as_ref();
        let attempted = request.attempt(&Context { lease, proven, credentials, clock: self.clock }).await;
        if let Attempted::Made { proof, .. } = &attempted {
            proven.extend(proof.values().cloned());
        }
        attempted
    }
}

/// What an answer means for the message.
enum End {
    /// 2xx.
    Delivered,
    /// A status that a retry does not change.
    Refused,
    /// A status that is worth a retry, or no answer.
    Unavailable,
}

impl End {
    fn of(answer: &Answer, target: &Settings) -> End {
        match answer.status() {
            Some(200..=299) => End::Delivered,
            Some(status) if !target.retry_on.contains(status) => End::Refused,
            _ => End::Unavailable,
        }
    }
}

/// How long to wait for a turn: until the rest of the lease is just enough for the calls. If the lease is too short for
/// their worst case anyway, a short wait is still allowed; otherwise these calls could never be made.
fn latest_begin(now: Instant, deadline: Instant, worst_case: Duration) -> Instant {
    let leaves_time = deadline.checked_sub(worst_case).filter(|latest| *latest > now);
    leaves_time.unwrap_or_else(|| deadline.min(now + SHORT_WAIT))
}

/// The target was not called, so nothing was learned about it.
fn lapsed(target: &Settings) -> Outcome {
    warn!(event = "lease-expired", target_name = target.name, "lease expired, request not sent");
    Outcome::Blocked
}

/// Checked requests, ready to be made.
#[derive(Debug)]
pub struct Delivery {
    requests: Vec<Prepared>,
}

impl Delivery {
    /// The total time if every request uses up its target's timeout.
    pub fn worst_case(&self) -> Duration {
        self.requests.iter().map(|request| request.settings().timeout).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_delivery_waits_for_its_turn_even_if_the_lease_is_too_short_for_its_worst_case() {
        let now = Instant::now();
        let seconds = |seconds| now + Duration::from_secs(seconds);
        let latest = |left, worst| latest_begin(now, seconds(left), Duration::from_secs(worst));
        assert_eq!(latest(60, 10), seconds(50));
        assert_eq!(latest(30, 30), seconds(5));
        assert_eq!(latest(30, 90), seconds(5));
        assert_eq!(latest(2, 30), seconds(2), "never past the lease");
    }
}
