//! One attempt: authenticates the request, sends it and reads the answer.

use std::time::Duration;

use reqwest::{Client, Request, Response};
use tokio::time::{Instant, timeout_at};
use towpath_metrics as metrics;
use towpath_reach::describe;
use towpath_types::outcome::{Answer, Attempt};

use super::answer;
use super::auth::UsedCredentials;
use super::mask::Mask;
use super::request::Prepared;
use super::retry_after;
use crate::attempt::{Attempted, Context};

/// How much of a problem's description is kept. It must be more than is quoted of a token endpoint.
const PROBLEM: usize = 512;

/// Why a request has no answer.
enum Trouble {
    /// The lease expired before the request was sent.
    Lapsed,
    Failed(String),
}

impl Prepared {
    /// Makes the request. It ends at the target's timeout or at the end of the lease, whichever comes first.
    pub(crate) async fn attempt(&self, context: &Context<'_>) -> Attempted {
        // Renewing connections does not count against the target's timeout.
        let client = self.target.clients.target.client();
        let started = Instant::now();
        let limit = context.lease.deadline().min(started + self.target.settings.timeout);
        let mut proof = UsedCredentials::default();
        let sent = timeout_at(limit, self.send(client, context, &mut proof, limit)).await;
        let mask = || Mask::of(context.proven.iter().chain(proof.values()).map(AsRef::as_ref));
        let (answer, retry_after) = match sent {
            Ok(Ok(response)) => {
                let retry_after = retry_after::parse(response.headers(), context.clock.now());
                (read(response, limit, mask).await, retry_after)
            }
            Ok(Err(Trouble::Lapsed)) => return Attempted::Lapsed,
            Ok(Err(Trouble::Failed(problem))) => {
                (Answer::None { problem: answer::shown(&problem, &mask(), PROBLEM) }, None)
            }
            Err(_) => (timed_out(limit - started), None),
        };
        let took = started.elapsed();
        let attempt = Attempt {
            target: self.target.settings.name.clone(),
            method: self.method.to_string(),
            path: self.url.path().to_owned(),
            answer,
            millis: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        metrics::attempted(&attempt, took);
        Attempted::Made { attempt, retry_after, proof }
    }

    async fn send(
        &self,
        client: Client,
        context: &Context<'_>,
        proof: &mut UsedCredentials,
        limit: Instant,
    ) -> Result<Response, Trouble> {
        let headers = self.sealed(context.clock.now(), context.credentials, proof, limit).await;
        let headers = headers.map_err(Trouble::Failed)?;
        let mut request = Request::new(self.method.clone(), self.url.clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(self.body.clone().into());
        // Gates and tokens take time, and a process may be suspended: this is the last moment to check.
        if !context.lease.holds() {
            return Err(Trouble::Lapsed);
        }
        client.execute(request).await.map_err(|error| Trouble::Failed(describe(&error)))
    }
}

async fn read(response: Response, limit: Instant, mask: impl Fn() -> Mask) -> Answer {
    let status = response.status();
    if status.is_success() {
        answer::drain(response, limit).await;
        return Answer::Status { status: status.as_u16(), excerpt: String::new() };
    }
    let excerpt = answer::excerpt(response, limit, &mask()).await;
    Answer::Status { status: status.as_u16(), excerpt }
}

fn timed_out(after: Duration) -> Answer {
    Answer::None { problem: format!("timed out after {} ms", after.as_millis()) }
}
