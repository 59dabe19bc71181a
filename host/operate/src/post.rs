//! Posts webhooks to a running ingest, as their senders do.

use anyhow::Context as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use towpath_types::envelope::Webhook;

/// A client for posting to a local ingest.
pub fn client() -> anyhow::Result<reqwest::Client> {
    towpath_runtime::install_crypto();
    let as_answered = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(as_answered).build().context("preparing the HTTP client")
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
    let response = request
        .send()
        .await
        // A secret can be in the query.
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("posting to {url}: is `towpath serve` or `towpath dev` running there?"))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.unwrap_or_default().to_vec();
    Ok(Answered { status, headers, body })
}
