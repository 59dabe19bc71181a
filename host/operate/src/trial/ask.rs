//! Tries a route on a running ingest, and compares each answer with the one that the config asks for.

use std::path::Path;

use anyhow::bail;
use serde::Serialize;
use towpath_config::route::Matched;
use towpath_config::secrets::variable;
use towpath_types::clock::Clock;
use towpath_types::envelope::Webhook;
use towpath_verify::sign::PrivateKey;

use super::{ANOTHER_IS_SET, ARMED, Brings, Kind, Skipped, Trial, Trials, made_up};
use crate::event::Event;
use crate::post::{Answered, client_here, deliver};
use crate::routed::Routed;

/// The most of an answer's body that is shown.
const SHOWN: usize = 200;

/// What became of a trial.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TriedRequest))]
pub struct Row {
    /// The path below the prefix of the ingest.
    pub path: String,
    /// What was tried.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub request: Kind,
    /// Whether the answer is as expected.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub result: Verdict,
    /// The method; absent if nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What the config asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Said>,
    /// What the ingest answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<Said>,
    /// Why it was skipped, how the answer differs, or what it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// An answer, or what it should be.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TriedAnswer))]
pub struct Said {
    /// The status.
    pub status: u16,
    /// The body, or its beginning; absent if any will do, or if it is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// Whether an answer is as expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is.
    Ok,
    /// It is not.
    Failed,
    /// Nothing was sent.
    Skipped,
}

impl Verdict {
    /// Its name in a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Failed => "FAILED",
            Verdict::Skipped => "skipped",
        }
    }
}

/// What the routes of a provider answered.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TestedProvider))]
pub struct Tested {
    /// The URL of the ingest.
    pub ingest: String,
    /// The requests, in order.
    pub requests: Vec<Row>,
}

/// Tries the routes of a provider, or the one with this path, on the ingest that a config describes, on this machine. Secrets are those of this
/// process's environment.
pub async fn test_provider(config: &Path, provider: &str, path: Option<&str>, signed: bool) -> anyhow::Result<Tested> {
    let routed = Routed::load(config).await?;
    let of_provider: Vec<String> = routed.paths_of(provider).into_iter().map(str::to_owned).collect();
    if of_provider.is_empty() {
        bail!("no route in {} has the provider {provider:?}", config.display());
    }
    let paths = match path {
        Some(path) => {
            let path = path.trim_matches('/');
            if !of_provider.contains(&routed.route(path)?.route.path) {
                bail!(
                    "the route of {path:?} does not have the provider {provider:?}; those that do: {}",
                    of_provider.join(", ")
                );
            }
            vec![path.to_owned()]
        }
        None => of_provider,
    };
    if let Some(pattern) = paths.iter().find(|path| path.contains(['{', '*'])) {
        bail!("the route {pattern:?} takes many paths: name one of them");
    }
    let ingest = routed.front_door();
    if !routed.is_here() {
        bail!(
            "the ingest of {} is {ingest}, which is not on this machine: run `towpath provider test` there",
            config.display()
        );
    }
    if let Some(path) = paths.iter().find(|path| !is_kept(&ingest, path)) {
        bail!("a URL has the path {path:?} in another form: give it as a sender would write it");
    }
    let client = client_here()?;
    let mut requests = Vec::new();
    for path in paths {
        let matched = routed.route(&path)?;
        requests.extend(ask(&client, &ingest, &path, &matched, None, signed, None).await?);
    }
    Ok(Tested { ingest, requests })
}

/// Whether an ingest is asked for this path, and not for one to which steps such as `..` lead.
fn is_kept(ingest: &str, path: &str) -> bool {
    let wanted = format!("{ingest}/{path}");
    reqwest::Url::parse(&wanted)
        .is_ok_and(|url| url.as_str() == wanted && url.query().is_none() && url.fragment().is_none())
}

/// Tries what changes nothing, and with `signed` an event as its sender signs it, which is stored and delivered: the recorded one, or one that is made up.
pub async fn ask(
    client: &reqwest::Client,
    to: &str,
    path: &str,
    matched: &Matched<'_>,
    recorded: Option<&Event>,
    signed: bool,
    key: Option<&PrivateKey>,
) -> anyhow::Result<Vec<Row>> {
    let segments = matched.segments.clone();
    let event = match recorded {
        Some(event) => Webhook { path: segments, ..event.webhook()? },
        None => made_up(matched.route, segments)?,
    };
    let trials = Trials { route: matched.route, now: Clock::wall().now(), key };
    let mut tried = trials.harmless(&event);
    if signed {
        tried.push(trials.signed(&event));
    }
    let mut rows = Vec::new();
    let mut is_armed = false;
    for trial in tried {
        rows.push(match trial {
            Ok(Trial { kind, brings: Some(_), .. }) if is_armed => {
                Row::skipped(path, Skipped { kind, why: ARMED.to_owned() })
            }
            Ok(trial) => {
                let answered = deliver(client, to, path, trial.webhook.clone()).await?;
                is_armed |= trial.brings.is_some() && answered.status == 400;
                Row::of(path, &trial, &answered)
            }
            Err(skipped) => Row::skipped(path, skipped),
        });
    }
    Ok(rows)
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
    pub fn is_stored(&self) -> bool {
        self.request == Kind::Signed && self.result == Verdict::Ok
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

fn shortened(body: &str) -> String {
    if body.chars().count() > SHOWN { body.chars().take(SHOWN).chain(['…']).collect() } else { body.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_a_url_would_change_is_not_asked_for() {
        for kept in ["gh", "gh/acme", "gh/a%20b", "a.b/..c"] {
            assert!(is_kept("http://127.0.0.1:8080/hooks", kept), "{kept}");
        }
        for changed in
            ["gh/../open", "gh/%2e%2E/open", "gh/./x", "gh/x?y", "gh/x#y", "gh\\..\\open", "gh/a b", "gh/\n", "../../x"]
        {
            assert!(!is_kept("http://127.0.0.1:8080/hooks", changed), "{changed}");
        }
    }
}
