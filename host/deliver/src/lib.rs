//! Delivery: from the requests of a verdict to attempts at targets.

mod answer;
mod auth;
mod clients;
mod gates;
mod guard;
pub mod holds;
mod mask;
mod path;
pub mod places;
mod pool;
mod request;
mod retry_after;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response};
use tokio::time::{Instant, timeout_at};
use towpath_config::plugin::Grant;
use towpath_config::target::{Auth, Target};
use towpath_metrics as metrics;
use towpath_runtime::install_crypto;
use towpath_runtime::lease::Lease;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::message::Message;
use towpath_types::outcome::{Attempt, Fault, FaultKind, Outcome};
use towpath_types::verdict::Request;
use tracing::warn;

pub use auth::AwsCredentials;
pub use pool::ClientError;
pub use request::BadRequest;

use answer::describe;
use auth::Proof;
use clients::Clients;
use gates::{Gates, NoLeave, Wanted};
use holds::Watched;
use mask::Mask;
use places::Place;
use request::Prepared;

/// How much of what went wrong is kept: more than a token endpoint is quoted with.
const PROBLEM: usize = 512;

/// How long a turn is waited for where the lease may be too short for the calls.
const SHORT_WAIT: Duration = Duration::from_secs(5);

/// Makes requests to the targets of a config. Connections are kept and reused.
#[derive(Debug)]
pub struct Deliverer {
    targets: BTreeMap<String, Arc<Target>>,
    clients: BTreeMap<String, Clients>,
    credentials: Option<AwsCredentials>,
    gates: Gates,
    clock: Clock,
}

impl Deliverer {
    /// A deliverer for these targets, which calls none that is on hold. Fails if a certificate is none, or if there is
    /// no TLS trust store to be found.
    pub fn new(
        targets: BTreeMap<String, Target>,
        holds: Option<Watched>,
        clock: Clock,
    ) -> Result<Deliverer, ClientError> {
        install_crypto();
        let gates = Gates::new(targets.values(), holds, clock);
        let clients = clients::build(targets.values())?;
        let targets = targets.into_iter().map(|(name, target)| (name, Arc::new(target))).collect();
        Ok(Deliverer { targets, clients, credentials: None, gates, clock })
    }

    /// Whether a target wants AWS signatures: then [`Deliverer::sign_with`] is called before the first delivery.
    pub fn needs_aws_credentials(&self) -> bool {
        let mut schemes = self.targets.values().flat_map(|target| &target.auth);
        schemes.any(|auth| matches!(auth, Auth::SigV4(_)))
    }

    /// Signs with these, for targets that want AWS signatures.
    #[must_use]
    pub fn sign_with(self, credentials: AwsCredentials) -> Deliverer {
        Deliverer { credentials: Some(credentials), ..self }
    }

    /// How many targets there are.
    pub fn targets(&self) -> usize {
        self.targets.len()
    }

    /// The target of this name.
    pub fn target(&self, name: &str) -> Option<&Arc<Target>> {
        self.targets.get(name)
    }

    /// Checks all requests, so that a bad one stops them all before the first is sent.
    pub fn prepare(&self, requests: Vec<Request>, message: &Message, grant: &Grant<'_>) -> Result<Delivery, Fault> {
        let prepare = |(position, request)| {
            Prepared::new(&self.targets, position, request, message, grant)
                .map_err(|error| Fault::new(FaultKind::BadRequest, format!("request {position}: {error}")))
        };
        let requests = requests.into_iter().enumerate().map(prepare).collect::<Result<Vec<_>, _>>()?;
        Ok(Delivery { requests })
    }

    /// Makes the requests one after another; the first that fails decides. Nothing is awaited longer
    /// than its target's timeout, nor past the lease, and no request goes out once that is over. One that is answered 401 is made once more if its secret
    /// turns out to have been rotated, or its token can be had anew.
    /// If one of the targets must not be called now none is: what went before it would be sent again at
    /// every try. `stored_at` is when the queue got the message; `place` is its group's, which is given up while it waits.
    pub async fn deliver(&self, delivery: Delivery, stored_at: Timestamp, lease: &Lease, place: &mut Place) -> Outcome {
        let deadline = lease.deadline();
        let mut targets = BTreeMap::new();
        for Prepared { target, .. } in &delivery.requests {
            targets.entry(target.name.as_str()).or_insert(Wanted { target, requests: 0 }).requests += 1;
        }
        let latest = latest_begin(Instant::now(), deadline, delivery.worst_case());
        let passed = self.gates.pass(&targets, stored_at, latest, place).await;
        drop(targets);
        let _leave = match passed {
            Ok(leave) => leave,
            Err(NoLeave::Closed(closed)) => return Outcome::Held(closed),
            Err(NoLeave::Stopped) => return Outcome::Blocked,
        };
        let mut attempts = Vec::with_capacity(delivery.requests.len());
        // What earlier requests proved may come back in a later answer.
        let mut proven = Vec::new();
        for request in delivery.requests {
            let target = Arc::clone(&request.target);
            let Some((mut attempt, mut retry_after, proof)) = self.attempt(&request, lease, &proven).await else {
                return lapsed(&target);
            };
            let again = attempt.status == Some(401) && timeout_at(deadline, proof.is_outdated()).await.unwrap_or(false);
            proven.extend(proof.values().cloned());
            if again {
                attempts.push(attempt);
                let Some(second) = self.attempt(&request, lease, &proven).await else { return lapsed(&target) };
                (attempt, retry_after) = (second.0, second.1);
                proven.extend(second.2.values().cloned());
            }
            let status = attempt.status;
            attempts.push(attempt);
            let available = status.is_some_and(|status| !target.breaker_on.contains(status));
            self.gates.record(&target.name, available).await;
            match status {
                Some(200..=299) => {}
                Some(status) if !target.retry_on.contains(status) => return Outcome::Refused(attempts),
                _ => return Outcome::Unavailable { attempts, retry_after, backoff: target.backoff },
            }
        }
        Outcome::Delivered(attempts)
    }

    /// None if the lease was over before the request went out. `proven` must not be kept, nor what this attempt proves.
    async fn attempt(
        &self,
        request: &Prepared,
        lease: &Lease,
        proven: &[Arc<str>],
    ) -> Option<(Attempt, Option<Duration>, Proof)> {
        // Renewing connections is the host's time, and not the target's.
        let client = self.clients.get(&request.target.name).map(|clients| clients.target.client());
        let started = Instant::now();
        let mut attempt = Attempt {
            target: request.target.name.clone(),
            method: request.method.to_string(),
            path: request.url.path().to_owned(),
            status: None,
            error: None,
            millis: 0,
            excerpt: String::new(),
        };
        let (mut retry_after, mut proof) = (None, Proof::default());
        let limit = lease.deadline().min(started + request.target.timeout);
        let sent = timeout_at(limit, self.send(request, client, lease, &mut proof, limit)).await;
        let mask = || Mask::of(proven.iter().map(Arc::as_ref).chain(proof.values().map(Arc::as_ref)));
        match sent {
            Ok(Ok(response)) => {
                let status = response.status();
                attempt.status = Some(status.as_u16());
                retry_after = retry_after::parse(response.headers(), self.clock.now());
                if status.is_success() {
                    answer::drain(response, limit).await;
                } else {
                    attempt.excerpt = answer::excerpt(response, limit, &mask()).await;
                }
            }
            Ok(Err(Trouble::Failed(problem))) => attempt.error = Some(answer::shown(&problem, &mask(), PROBLEM)),
            Ok(Err(Trouble::Lapsed)) => return None,
            Err(_) => attempt.error = Some(format!("timed out after {} ms", (limit - started).as_millis())),
        }
        let took = started.elapsed();
        attempt.millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        metrics::attempted(&attempt, took);
        Some((attempt, retry_after, proof))
    }

    async fn send(
        &self,
        request: &Prepared,
        client: Option<Client>,
        lease: &Lease,
        proof: &mut Proof,
        limit: Instant,
    ) -> Result<Response, Trouble> {
        let Some((clients, client)) = self.clients.get(&request.target.name).zip(client) else {
            return Err(Trouble::Failed("there is no client for this target".to_owned()));
        };
        let sealed = request.sealed(self.clock.now(), clients, self.credentials.as_ref(), proof, limit).await;
        let headers = sealed.map_err(Trouble::Failed)?;
        let built = client.request(request.method.clone(), request.url.clone());
        let built = built.headers(headers).body(request.body.clone());
        // Gates and tokens take time, and a process may stand still: this is the last moment to find out.
        if !lease.holds() {
            return Err(Trouble::Lapsed);
        }
        built.send().await.map_err(|error| Trouble::Failed(describe(&error)))
    }
}

/// Until when a turn is waited for. What the calls may take is left for them; where the lease is too short for the worst of
/// it in any case, a short wait is allowed all the same, or these calls would wait for ever.
fn latest_begin(now: Instant, deadline: Instant, worst_case: Duration) -> Instant {
    let leaves_time = deadline.checked_sub(worst_case).filter(|latest| *latest > now);
    leaves_time.unwrap_or_else(|| deadline.min(now + SHORT_WAIT))
}

/// Why a request has no whole answer.
enum Trouble {
    /// It was not made: the lease was over.
    Lapsed,
    /// What went wrong.
    Failed(String),
}

/// The target was not called, and nothing is known about it.
fn lapsed(target: &Target) -> Outcome {
    warn!(target_name = target.name, "the lease on the group is over, the request is not made");
    Outcome::Blocked
}

/// Requests that were checked and wait to be made.
#[derive(Debug)]
pub struct Delivery {
    requests: Vec<Prepared>,
}

impl Delivery {
    /// How long it takes if every request uses up its target's timeout.
    pub fn worst_case(&self) -> Duration {
        self.requests.iter().map(|request| request.target.timeout).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_waited_for_even_where_the_lease_is_too_short_for_the_worst_of_the_calls() {
        let now = Instant::now();
        let seconds = |seconds| now + Duration::from_secs(seconds);
        let latest = |left, worst| latest_begin(now, seconds(left), Duration::from_secs(worst));
        assert_eq!(latest(60, 10), seconds(50));
        assert_eq!(latest(30, 30), seconds(5));
        assert_eq!(latest(30, 90), seconds(5));
        assert_eq!(latest(2, 30), seconds(2), "never past the lease");
    }
}
