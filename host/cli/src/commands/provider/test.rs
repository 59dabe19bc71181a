//! `provider test`: tries a provider's handshakes and proofs on a running ingest.

use anyhow::bail;
use serde::Serialize;
use towpath_config::provider::Provider;
use towpath_operate::event::Event;
use towpath_operate::routed::Routed;
use towpath_operate::trial::{Kind, Skipped, Trial, Trials, made_up};
use towpath_types::clock::Clock;
use towpath_types::envelope::Webhook;

use crate::args::ProviderTest;
use crate::commands::send::{Answered, client, deliver, private_key};
use crate::output::{Exit, Output};

/// The most of an answer's body that is shown.
const SHOWN: usize = 200;

/// What became of a trial.
#[derive(Serialize)]
struct Row {
    path: String,
    request: Kind,
    result: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<Said>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<Said>,
    /// Why it was skipped, or how the answer differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

#[derive(Serialize)]
struct Said {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Failed,
    Skipped,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Failed => "FAILED",
            Verdict::Skipped => "skipped",
        }
    }
}

pub(super) async fn run(args: ProviderTest, output: &Output) -> anyhow::Result<Exit> {
    let routed = Routed::load(&args.config.file()).await?;
    let to = args.to.clone().unwrap_or_else(|| routed.front_door());
    let key = private_key(args.signature.private_key.as_deref())?;
    let recorded = args.event.as_deref().map(Event::read).transpose()?;
    let client = client()?;
    let mut rows = Vec::new();
    for path in paths(&args, &routed)? {
        let matched = routed.route(&path)?;
        let event = match &recorded {
            Some(event) => Webhook { path: matched.segments, ..event.webhook()? },
            None => made_up(matched.route, matched.segments)?,
        };
        let trials = Trials { route: matched.route, now: Clock::wall().now(), key: key.as_ref() };
        let mut tried = trials.harmless(&event);
        if args.send || recorded.is_some() {
            tried.push(trials.signed(&event));
        }
        for trial in tried {
            rows.push(match trial {
                Ok(trial) => {
                    let answered = deliver(&client, &to, &path, trial.webhook.clone()).await?;
                    Row::of(&path, &trial, &answered)
                }
                Err(skipped) => Row::skipped(&path, skipped),
            });
        }
    }
    Ok(tell(&rows, &to, &args, output))
}

/// The paths to test.
fn paths(args: &ProviderTest, routed: &Routed) -> anyhow::Result<Vec<String>> {
    if let Some(path) = &args.path {
        return Ok(vec![path.trim_matches('/').to_owned()]);
    }
    let name = args.name.as_deref().unwrap_or_default();
    if Provider::find(name).is_none() {
        bail!("there is no provider {name:?}: {}", Provider::hint(name));
    }
    let found: Vec<String> = routed.paths_of(name).into_iter().map(str::to_owned).collect();
    let file = args.config.file().display().to_string();
    if found.is_empty() {
        bail!(
            "no route in {file} has provider {name:?}: `towpath provider show {name}` prints one; --path tests a route without a provider"
        );
    }
    if let Some(pattern) = found.iter().find(|path| path.contains(['{', '*'])) {
        bail!("the route {pattern:?} takes many paths: give --path with one of them");
    }
    Ok(found)
}

impl Row {
    fn of(path: &str, trial: &Trial, answered: &Answered) -> Row {
        let body = String::from_utf8_lossy(&answered.body).into_owned();
        let has = |(name, value): &&(String, String)| {
            answered.headers.get(name.as_str()).is_some_and(|own| own.as_bytes() == value.as_bytes())
        };
        let other_header = trial.headers.iter().find(|header| !has(header));
        let detail = if answered.status != trial.status {
            Some(match (&trial.brings, answered.status) {
                (Some(secret), 403) => not_armed(secret, &body),
                _ => differs(answered.status, &body),
            })
        } else if trial.body.as_ref().is_some_and(|expected| *expected != body) {
            Some("the body differs".to_owned())
        } else {
            other_header.map(|(name, value)| format!("the header {name:?} must be {value:?}"))
        };
        Row {
            path: path.to_owned(),
            request: trial.kind,
            result: if detail.is_none() { Verdict::Ok } else { Verdict::Failed },
            method: Some(trial.webhook.method.to_string()),
            expected: Some(Said { status: trial.status, body: trial.body.clone() }),
            answered: Some(Said {
                status: answered.status,
                body: Some(shortened(&body)).filter(|body| !body.is_empty()),
            }),
            detail,
        }
    }

    fn skipped(path: &str, Skipped { kind, why }: Skipped) -> Row {
        let result = Verdict::Skipped;
        Row {
            path: path.to_owned(),
            request: kind,
            result,
            method: None,
            expected: None,
            answered: None,
            detail: Some(why),
        }
    }

    fn cells(&self) -> Vec<String> {
        // A body is of interest where one is expected.
        let has_body = self.expected.as_ref().is_some_and(|expected| expected.body.is_some());
        let said = |said: &Option<Said>| match said {
            Some(Said { status, body: Some(body) }) if has_body => format!("{status} {}", body.trim_end()),
            Some(Said { status, .. }) => status.to_string(),
            None => "-".to_owned(),
        };
        let method = self.method.clone().unwrap_or_else(|| "-".to_owned());
        let request = self.request.as_str().to_owned();
        vec![
            self.path.clone(),
            request,
            method,
            said(&self.expected),
            said(&self.answered),
            self.result.as_str().to_owned(),
        ]
    }
}

/// What another status than the expected one probably means.
fn differs(status: u16, body: &str) -> String {
    let meaning = match status {
        401 => "refused: the ingest has another secret, or another config than this one",
        403 => "refused: the ingest has another token, or does not allow this sender's address or host name",
        404 => "the ingest has no such route: is it running with this config?",
        405 => "the ingest does not take this method here: is it running with this config?",
        202 => "stored as an event, which it is not: is the ingest running with this config?",
        _ => "another status than the config asks for",
    };
    let said = shortened(body.trim());
    if said.is_empty() { meaning.to_owned() } else { format!("{meaning}; it said {said}") }
}

/// Why a handshake that brings a secret was refused.
fn not_armed(secret: &str, body: &str) -> String {
    format!(
        "the ingest learns a secret only while its route is open: run `towpath secret arm {secret}` and test again. The test brings a \
         secret of its own, so arm again before you create the webhook. It said {}",
        shortened(body.trim())
    )
}

fn shortened(body: &str) -> String {
    if body.chars().count() > SHOWN { body.chars().take(SHOWN).chain(['…']).collect() } else { body.to_owned() }
}

fn tell(rows: &[Row], to: &str, args: &ProviderTest, output: &Output) -> Exit {
    let failed = rows.iter().filter(|row| row.result == Verdict::Failed).count();
    if output.is_json() {
        output.json(&rows);
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
        output.table(&["PATH", "REQUEST", "METHOD", "EXPECTED", "ANSWERED", "RESULT"], &cells);
        for row in rows {
            if let Some(detail) = &row.detail {
                output.line(format!("{} {}: {detail}", row.path, row.request.as_str()));
            }
        }
        let count = |verdict| rows.iter().filter(|row| row.result == verdict).count();
        output.line(format!(
            "{to}: {} as expected, {failed} not, {} skipped",
            count(Verdict::Ok),
            count(Verdict::Skipped)
        ));
    }
    if rows.iter().any(|row| row.request == Kind::Signed && row.result == Verdict::Ok) {
        output.note("the signed event is stored and goes through the plugin like any other: `towpath tail` shows what becomes of it");
    } else if !args.send && args.event.is_none() {
        output.note("no signed event was sent: --send sends one, which is stored and delivered");
    }
    if failed == 0 { Exit::Done } else { Exit::Findings }
}
