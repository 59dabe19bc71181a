//! `provider test`: tries a provider's handshakes and proofs on a running ingest.

use std::collections::BTreeSet;

use anyhow::bail;
use serde::Serialize;
use towpath_config::provider::Provider;
use towpath_config::route::Route;
use towpath_config::secrets::variable;
use towpath_operate::event::Event;
use towpath_operate::routed::Routed;
use towpath_operate::trial::{ANOTHER_IS_SET, ARMED, Brings, Kind, Skipped, Trial, Trials, made_up};
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
    /// Why it was skipped, how the answer differs, or what it shows.
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
    let mut notes = BTreeSet::new();
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
        let mut is_armed = false;
        for trial in tried {
            rows.push(match trial {
                Ok(Trial { kind, brings: Some(_), .. }) if is_armed => {
                    Row::skipped(&path, Skipped { kind, why: ARMED.to_owned() })
                }
                Ok(trial) => {
                    let answered = deliver(&client, &to, &path, trial.webhook.clone()).await?;
                    is_armed |= trial.brings.is_some() && answered.status == 400;
                    Row::of(&path, &trial, &answered)
                }
                Err(skipped) => Row::skipped(&path, skipped),
            });
        }
        notes.extend(rows.iter().any(|row| row.path == path && row.is_stored()).then(|| stored(matched.route)));
    }
    let exit = tell(&rows, &to, output);
    let mut statuses = rows.iter().filter_map(|row| Some(row.answered.as_ref()?.status)).peekable();
    if statuses.peek().is_some() && statuses.all(|status| status == 404) {
        let own = routed.front_door();
        notes.insert(format!("every answer is 404: is the prefix missing in {to}? By the config the ingest is {own}"));
    }
    if !args.send && args.event.is_none() {
        notes.insert("no signed event was sent: --send sends one, which is stored and delivered".to_owned());
    }
    notes.into_iter().for_each(|note| output.note(note));
    Ok(exit)
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
        let detail = if let Some(problem) =
            trial.brings.as_ref().and_then(|brings| not_kept(brings, trial, answered.status, &body))
        {
            Some(problem)
        } else if answered.status != trial.status {
            Some(differs(answered.status, &body))
        } else if trial.body.as_ref().is_some_and(|expected| *expected != body) {
            Some("the body differs".to_owned())
        } else {
            other_header.map(|(name, value)| format!("the header {name:?} must be {value:?}"))
        };
        Row {
            path: path.to_owned(),
            request: trial.kind,
            result: if detail.is_none() { Verdict::Ok } else { Verdict::Failed },
            detail: detail.or(trial.shows.map(str::to_owned)),
            method: Some(trial.webhook.method.to_string()),
            expected: Some(Said { status: trial.status, body: trial.body.clone() }),
            answered: Some(Said {
                status: answered.status,
                body: Some(shortened(&body)).filter(|body| !body.is_empty()),
            }),
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

    /// Whether it is an event that the ingest took.
    fn is_stored(&self) -> bool {
        self.request == Kind::Signed && self.result == Verdict::Ok
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

/// Why the ingest keeps another secret than this command knows, or would take one; `None` if the answer does not say so.
fn not_kept(brings: &Brings, trial: &Trial, status: u16, body: &str) -> Option<String> {
    let Brings { secret, is_given } = brings;
    let said = shortened(body.trim());
    if status == 403 && !is_given && body.contains(ANOTHER_IS_SET) {
        let variable = variable(secret);
        return Some(format!(
            "{variable} is set where the host runs, so no handshake brings the secret: unset it there and restart the host, or set \
             it here too. It said {said}"
        ));
    }
    match (trial.status, status) {
        (403, 400) => Some(format!(
            "the route of this ingest is armed, and in the store of this config it is not: is it running with this config and \
             store? Nothing was learned. It said {said}"
        )),
        (200, 403) => Some(format!(
            "the ingest has another secret {secret:?} than this command: is it running with this config and store? It said {said}"
        )),
        _ => None,
    }
}

/// Where an event goes that was stored.
fn stored(route: &Route) -> String {
    match route.mapping.forward() {
        Some(forward) => {
            format!("the signed event is stored, and delivered to the target {} like any other: `towpath tail` shows it", forward.target)
        }
        None => "the signed event is stored and goes through the plugin like any other: `towpath tail` shows what becomes of it".to_owned(),
    }
}

fn shortened(body: &str) -> String {
    if body.chars().count() > SHOWN { body.chars().take(SHOWN).chain(['…']).collect() } else { body.to_owned() }
}

fn tell(rows: &[Row], to: &str, output: &Output) -> Exit {
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
    if failed == 0 { Exit::Done } else { Exit::Findings }
}
