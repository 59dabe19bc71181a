//! Delivery: from the requests of a verdict to attempts at targets.

mod auth;
mod gates;
pub mod guard;
mod request;
mod retry_after;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response};
use tokio::time::{Instant, timeout_at};

pub use auth::Auth;
pub use gates::{BreakerPolicy, Closed, Gate};
pub use request::{BadRequest, Grant};
pub use target::{Statuses, Target};

use crate::clock::{Clock, Timestamp};
use crate::holds::Watched;
use crate::message::Message;
use crate::outcome::{Attempt, Fault, FaultKind, Outcome};
use crate::verdict::Request;
use gates::Gates;
use request::Prepared;

/// The most that is read of an answer's body. The rest is left, and the connection with it.
pub const MAX_RESPONSE: usize = 64 * 1024;

/// How much of an answer's body is kept with a failed attempt.
const EXCERPT: usize = 1024;

/// Makes requests to the targets of a config. Connections are kept and reused.
#[derive(Debug)]
pub struct Deliverer {
    targets: BTreeMap<String, Arc<Target>>,
    open: Client,
    guarded: Client,
    gates: Gates,
    clock: Clock,
}

impl Deliverer {
    /// A deliverer for these targets, which calls none that is on hold. Fails if there is no TLS trust store
    /// to be found.
    pub fn new(
        targets: BTreeMap<String, Target>,
        holds: Option<Watched>,
        clock: Clock,
    ) -> Result<Deliverer, reqwest::Error> {
        install_crypto();
        let client = || {
            Client::builder()
                .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .pool_idle_timeout(Duration::from_secs(30))
                .tcp_nodelay(true)
        };
        let gates = Gates::new(targets.values(), holds, clock);
        Ok(Deliverer {
            gates,
            targets: targets.into_iter().map(|(name, target)| (name, Arc::new(target))).collect(),
            open: client().build()?,
            guarded: client().dns_resolver(Arc::new(guard::PublicOnly)).build()?,
            clock,
        })
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
    /// than its target's timeout, nor past `deadline`. One that is answered 401 is made once more if its secret
    /// turns out to have been rotated.
    /// If one of the targets must not be called now none is: what went before it would be sent again at
    /// every try. `stored_at` is when the queue got the message.
    pub async fn deliver(&self, delivery: Delivery, stored_at: Timestamp, deadline: Instant) -> Outcome {
        let mut targets: Vec<&Target> = delivery.requests.iter().map(|request| &*request.target).collect();
        targets.sort_by(|one, other| one.name.cmp(&other.name));
        targets.dedup_by(|one, other| one.name == other.name);
        // What a call may take is not spent on waiting for a turn.
        let latest = deadline.checked_sub(delivery.worst_case()).unwrap_or(deadline);
        let _leave = match self.gates.pass(&targets, stored_at, latest).await {
            Ok(leave) => leave,
            Err(closed) => return Outcome::Held(closed),
        };
        let mut attempts = Vec::with_capacity(delivery.requests.len());
        for mut request in delivery.requests {
            let target = Arc::clone(&request.target);
            let (mut attempt, mut retry_after) = self.attempt(&request, deadline).await;
            if attempt.status == Some(401) && timeout_at(deadline, request.renew()).await.unwrap_or(false) {
                attempts.push(attempt);
                (attempt, retry_after) = self.attempt(&request, deadline).await;
            }
            let status = attempt.status.filter(|_| attempt.error.is_none());
            attempts.push(attempt);
            let available = status.is_some_and(|status| status < 300 || !target.retry_on.contains(status));
            self.gates.record(&target.name, available).await;
            match status {
                Some(200..=299) => {}
                Some(_) if available => return Outcome::Refused(attempts),
                _ => return Outcome::Unavailable { attempts, retry_after, backoff: target.backoff },
            }
        }
        Outcome::Delivered(attempts)
    }

    async fn attempt(&self, request: &Prepared, deadline: Instant) -> (Attempt, Option<Duration>) {
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
        let mut retry_after = None;
        let limit = deadline.min(started + request.target.timeout);
        let exchange = async {
            let response = self.send(request).await?;
            attempt.status = Some(response.status().as_u16());
            retry_after = retry_after::parse(response.headers(), self.clock.now());
            let failed = !response.status().is_success();
            let body = read_body(response).await?;
            if failed {
                attempt.excerpt = excerpt(&body);
            }
            Ok::<(), reqwest::Error>(())
        };
        attempt.error = match timeout_at(limit, exchange).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(describe(&error)),
            Err(_) => Some(format!("timed out after {} ms", (limit - started).as_millis())),
        };
        attempt.millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        (attempt, retry_after)
    }

    async fn send(&self, request: &Prepared) -> Result<Response, reqwest::Error> {
        let client = if request.target.allow_private { &self.open } else { &self.guarded };
        let timestamp = http::HeaderValue::from(self.clock.now().0 / 1000);
        client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .header("webhook-timestamp", timestamp)
            .body(request.body.clone())
            .send()
            .await
    }
}

/// Makes ring the process's cryptography for TLS. Once is enough, more is no harm.
pub fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
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

async fn read_body(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_RESPONSE - body.len();
        body.extend(chunk.iter().take(room));
        if body.len() == MAX_RESPONSE {
            break;
        }
    }
    Ok(body)
}

/// The beginning of a body as one line of text.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..EXCERPT).unwrap_or(body)).into_owned();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// An error with its causes, without the URL: its query may hold personal data.
fn describe(error: &reqwest::Error) -> String {
    let intro = match error {
        error if error.is_connect() => "cannot connect",
        error if error.is_body() || error.is_decode() => "the answer broke off",
        _ => "the exchange failed",
    };
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    match causes.last() {
        Some(cause) => format!("{intro}: {cause}"),
        None => intro.to_owned(),
    }
}
