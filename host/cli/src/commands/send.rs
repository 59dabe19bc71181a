//! `send`: posts recorded events.

mod signer;

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Serialize;
use towpath_operate::event::{self, Event};
use towpath_operate::post::{client, deliver};

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
