//! Posts webhooks to a running ingest, as their senders do.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::{HeaderMap, HeaderName, HeaderValue};
use towpath_types::envelope::Webhook;

/// How long to wait for a connection, and for an answer.
const TO_CONNECT: Duration = Duration::from_secs(5);
const TO_ANSWER: Duration = Duration::from_secs(30);

/// The longest answer that is read.
const LONGEST: usize = 1024 * 1024;

/// A client for posting to an ingest.
pub fn client() -> anyhow::Result<reqwest::Client> {
    built(reqwest::Client::builder())
}

/// A client for posting to an ingest on this machine. What is signed for it must not leave the machine through a proxy of the environment.
pub fn client_here() -> anyhow::Result<reqwest::Client> {
    built(reqwest::Client::builder().no_proxy())
}

fn built(builder: reqwest::ClientBuilder) -> anyhow::Result<reqwest::Client> {
    towpath_runtime::install_crypto();
    let as_answered = reqwest::redirect::Policy::none();
    let builder = builder.redirect(as_answered).connect_timeout(TO_CONNECT).timeout(TO_ANSWER);
    builder.build().context("preparing the HTTP client")
}

/// What an ingest answered.
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// Sends a webhook to a path of an ingest.
pub async fn deliver(client: &reqwest::Client, to: &str, path: &str, webhook: Webhook) -> anyhow::Result<Answered> {
    let url = format!("{}/{path}", to.trim_end_matches('/'));
    let query = if webhook.query.is_empty() { String::new() } else { format!("?{}", webhook.query) };
    let mut request = client.request(webhook.method, format!("{url}{query}")).body(webhook.body);
    for (name, value) in webhook.headers {
        let name: HeaderName = name.parse().with_context(|| format!("{name:?} is not a header name"))?;
        request = request.header(name, HeaderValue::from_bytes(&value).context("a header value is invalid")?);
    }
    let mut response = request
        .send()
        .await
        // A secret can be in the query.
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("posting to {url}: is `towpath serve` or `towpath dev` running there?"))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(reqwest::Error::without_url).context("reading the answer")? {
        ensure!(body.len() + part.len() <= LONGEST, "{url} answered more than 1 MiB: no ingest of Towpath does");
        body.extend_from_slice(&part);
    }
    Ok(Answered { status, headers, body })
}
