//! The SQS endpoint of a host, and who may use it.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use axum::http::{HeaderMap, Method};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use towpath_config::{Form, Secret, Secrets};
use towpath_operate::queues::{DEAD_LETTERS, EVENTS, Queues, REFUSED};
use towpath_sqs::Endpoint;
use tracing::info;

use crate::listen::ListenError;
use crate::server::{self, Guard};
use crate::supervisor::Supervisor;

/// The SQS action whose result is useless to anyone but the client that asked.
const RECEIVE: &str = "AmazonSQS.ReceiveMessage";

/// The secret that clients present as their access key id.
const TOKEN: &str = "sqs-endpoint";

/// The environment variable of that secret.
pub const VARIABLE: &str = "TOWPATH_SECRET_SQS_ENDPOINT";

/// The token of the SQS endpoint, if one is set. Required if the address is reachable from other machines.
pub fn token(at: SocketAddr, secrets: &Secrets) -> anyhow::Result<Option<Secret>> {
    if !secrets.is_set(TOKEN) {
        if !at.ip().is_loopback() {
            bail!(
                "{at} is reachable from other machines: set TOWPATH_SECRET_SQS_ENDPOINT to a token, which clients then present as their access key id"
            );
        }
        return Ok(None);
    }
    let fits = |token: &Secret| {
        let token = token.expose();
        (16..=128).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    // An unusable token must not open the endpoint to everyone.
    let token = secrets.get(TOKEN, Form::Header).ok().filter(fits);
    let Some(token) = token else {
        bail!("TOWPATH_SECRET_SQS_ENDPOINT must be 16–128 letters, digits and _: clients present it as access key id");
    };
    Ok(Some(token))
}

/// Starts the SQS endpoint over the queues of a store. Returns its address.
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
    let listener = listener.context(ListenError::Sqs(at))?;
    let address = listener.local_addr().context("listening for SQS")?;
    let stop = host.stop.clone();
    host.tasks.spawn("SQS endpoint", async move {
        // Long polls are cut off at the stop: clients ask again elsewhere.
        // A receive must not outlive its client: its messages would be invisible to the others.
        let takes =
            |_: &Method, headers: &HeaderMap| headers.get("x-amz-target").is_some_and(|action| action == RECEIVE);
        let router = towpath_sqs::router(endpoint);
        let serve = server::serve_unless(listener, router, guard, CancellationToken::new(), takes);
        stop.run_until_cancelled(serve).await;
    });
    info!(address = %address, "SQS endpoint listening");
    Ok(address)
}
