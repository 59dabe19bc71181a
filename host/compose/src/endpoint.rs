//! The SQS endpoint of a host: what listens, and who may use it.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use axum::http::HeaderMap;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use towpath_config::{Form, Secret, Secrets};
use towpath_operate::queues::{DEAD_LETTERS, EVENTS, Queues, REFUSED};
use towpath_sqs::Endpoint;
use tracing::info;

use crate::server::{self, Guard};
use crate::supervisor::Supervisor;

/// The action of SQS that is only for the client that asks.
const RECEIVE: &str = "AmazonSQS.ReceiveMessage";

/// The secret that clients of the SQS endpoint show: their access key id.
const TOKEN: &str = "sqs-endpoint";

/// The variable that it is in.
pub const VARIABLE: &str = "TOWPATH_SECRET_SQS_ENDPOINT";

/// The token of the SQS endpoint, if there is one. Beyond this machine there must be.
pub fn token(at: SocketAddr, secrets: &Secrets) -> anyhow::Result<Option<Secret>> {
    if !secrets.is_set(TOKEN) {
        if !at.ip().is_loopback() {
            bail!(
                "others can reach {at}: set TOWPATH_SECRET_SQS_ENDPOINT to a token, which clients then use as their access key id"
            );
        }
        return Ok(None);
    }
    let fits = |token: &Secret| {
        let token = token.expose();
        (16..=128).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    // One that is set and cannot be used must not open the endpoint to everybody.
    let token = secrets.get(TOKEN, Form::Header).ok().filter(fits);
    let Some(token) = token else {
        bail!("TOWPATH_SECRET_SQS_ENDPOINT must have 16–128 letters, digits and _: it is used as an access key id");
    };
    Ok(Some(token))
}

/// Offers the queues of a store to clients of SQS until the host stops. Returns the address.
pub(crate) async fn start(
    queues: &Queues,
    guard: Guard,
    at: SocketAddr,
    token: Option<Secret>,
    host: &mut Supervisor,
) -> anyhow::Result<SocketAddr> {
    let guard = if token.is_some() { guard.for_any_host() } else { guard };
    let in_use = vec![EVENTS.to_owned(), DEAD_LETTERS.to_owned(), REFUSED.to_owned()];
    let endpoint = Endpoint::new(queues.events.store().clone(), in_use, token).await?;
    let listener = TcpListener::bind(at).await;
    let listener = listener.with_context(|| format!("listening on {at} for SQS: --sqs takes another address"))?;
    let address = listener.local_addr().context("listening for SQS")?;
    let stop = host.stop.clone();
    host.tasks.spawn("SQS endpoint", async move {
        // Clients that wait for messages are broken off: they ask again elsewhere.
        // A message that is received for a client that has gone is not there for the others.
        let takes = |headers: &HeaderMap| headers.get("x-amz-target").is_some_and(|action| action == RECEIVE);
        let router = towpath_sqs::router(endpoint);
        let serve = server::serve_unless(listener, router, guard, CancellationToken::new(), takes);
        stop.run_until_cancelled(serve).await;
    });
    info!(address = %address, "SQS endpoint");
    Ok(address)
}
