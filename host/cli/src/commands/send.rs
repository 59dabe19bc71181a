//! `send`: posts recorded events.

use std::path::Path;

use anyhow::{Context as _, bail};
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use towpath_operate::event::{self, Event};

use crate::args::Send;
use crate::output::{Exit, Output};

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
    let client = client()?;
    let total = files.len() as u64 * u64::from(args.times);
    let bar = output.progress(total, "sending");
    let mut posted = Vec::new();
    for _ in 0..args.times {
        for file in &files {
            let event = Event::read(file)?;
            posted.push(post(&client, &args.to, args.path.as_deref(), file, &event).await?);
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
) -> anyhow::Result<Posted> {
    let Some(path) = path.or(event.path.as_deref()) else {
        bail!("{} has no path: give --path", file.display());
    };
    let url = format!("{}/{}", to.trim_end_matches('/'), path.trim_matches('/'));
    let webhook = event.webhook().with_context(|| file.display().to_string())?;
    let query = if webhook.query.is_empty() { String::new() } else { format!("?{}", webhook.query) };
    let mut request = client.request(webhook.method, format!("{url}{query}")).body(webhook.body);
    for (name, value) in webhook.headers {
        let name: HeaderName =
            name.parse().with_context(|| format!("{}: {name:?} is not a header name", file.display()))?;
        let value = HeaderValue::from_bytes(&value);
        request =
            request.header(name, value.with_context(|| format!("{}: a header value is invalid", file.display()))?);
    }
    let response = request
        .send()
        .await
        .with_context(|| format!("posting to {url}: is `towpath serve` or `towpath dev` running there?"))?;
    let status = response.status().as_u16();
    let answer: serde_json::Value =
        serde_json::from_slice(&response.bytes().await.unwrap_or_default()).unwrap_or_default();
    let text = |key: &str| answer.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    let path = path.trim_matches('/').to_owned();
    Ok(Posted { file: file.display().to_string(), path, status, message_id: text("id"), group: text("group") })
}
