//! `send`: posts recorded events.

mod signer;

use std::path::Path;

use anyhow::{Context as _, bail};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use towpath_operate::event::{self, Event};
use towpath_types::envelope::Webhook;

use crate::args::Send;
use crate::output::{Exit, Output};

pub(super) use signer::{Signer, private_key};

/// The answer to one event.
#[derive(Serialize)]
pub(super) struct Posted {
    file: String,
    /// The path below the ingest's prefix.
    path: String,
    pub(super) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
}

pub(super) async fn run(args: Send, output: &Output) -> anyhow::Result<Exit> {
    let files = event::find(&args.files)?;
    let signer = Signer::of(&args).await?;
    let client = client()?;
    let total = files.len() as u64 * u64::from(args.times);
    let bar = output.progress(total, "sending");
    let mut posted = Vec::new();
    for _ in 0..args.times {
        for file in &files {
            let event = Event::read(file)?;
            posted.push(post(&client, &args.to, args.path.as_deref(), file, &event, &signer).await?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    if output.is_json() {
        output.json(&posted);
    }
    let refused = posted.iter().filter(|posted| !(200..300).contains(&posted.status)).collect::<Vec<_>>();
    for posted in &refused {
        output.note(format!("{}: ingest answered {}", posted.file, posted.status));
    }
    output.say(format!("{} sent, {} accepted, {} refused", posted.len(), posted.len() - refused.len(), refused.len()));
    if let Some(posted) = refused.iter().find(|posted| posted.status == 404) {
        bail!("{} has no route {:?}: its config lists the paths under [[route]]", args.to, posted.path);
    }
    Ok(if refused.is_empty() { Exit::Done } else { Exit::Findings })
}

/// A client for posting to a local ingest.
pub(super) fn client() -> anyhow::Result<reqwest::Client> {
    towpath_runtime::install_crypto();
    let as_answered = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(as_answered).build().context("preparing the HTTP client")
}

/// Posts one event.
pub(super) async fn post(
    client: &reqwest::Client,
    to: &str,
    path: Option<&str>,
    file: &Path,
    event: &Event,
    signer: &Signer,
) -> anyhow::Result<Posted> {
    let Some(path) = path.or(event.path.as_deref()) else {
        bail!("{} has no path: give --path", file.display());
    };
    let path = path.trim_matches('/');
    let webhook = event.webhook().with_context(|| file.display().to_string())?;
    let webhook = signer.sign(path, webhook).with_context(|| format!("signing {}", file.display()))?;
    let answer = deliver(client, to, path, webhook).await.with_context(|| format!("sending {}", file.display()))?;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |key: &str| body.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    let (file, path) = (file.display().to_string(), path.to_owned());
    Ok(Posted { file, path, status: answer.status, message_id: text("id"), group: text("group") })
}

/// What an ingest answered.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Sends a webhook to a path of an ingest.
pub(super) async fn deliver(
    client: &reqwest::Client,
    to: &str,
    path: &str,
    webhook: Webhook,
) -> anyhow::Result<Answered> {
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
