//! What happened to an event, one step after another.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;
use towpath_types::archive::{Archived, Ending};
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::DeadLetter;

use crate::audit::AuditEntry;
use crate::story::{Entry, each_with};

/// How many lines of the audit about one event are read, the last ones.
const MOST_AUDITED: usize = 100;

/// One step.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// When it ended.
    pub at: Timestamp,
    /// How long it took; zero if it took no time, or nobody noted it.
    pub took: Duration,
    /// `stored`, the outcome of a pass, the level of a log line, or what an operator did.
    pub what: String,
    /// What to know of it, in words.
    pub detail: String,
    /// Whether it reports a failure.
    pub is_failure: bool,
    /// The operator, if one did it.
    pub by: Option<String>,
    /// The plugin of a pass, and the beginning of its build's digest.
    pub plugin: Option<(String, String)>,
    /// The requests of a pass, in order.
    pub attempts: Vec<Attempt>,
}

/// One request to a target.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Attempt {
    /// The target.
    pub target: String,
    /// The method.
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// The status of the answer.
    #[serde(default)]
    pub status: Option<u16>,
    /// Why there is no answer, or no whole one.
    #[serde(default)]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(rename = "ms")]
    pub millis: u64,
    /// The beginning of a failed answer. Only dead letters keep it, of their last pass.
    #[serde(default)]
    pub excerpt: String,
}

impl Attempt {
    /// Whether the target accepted the request.
    pub fn is_success(&self) -> bool {
        self.error.is_none() && self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

impl Step {
    /// When it began.
    pub fn began(&self) -> Timestamp {
        self.at - self.took
    }

    /// Whether the event was delivered or skipped by it.
    pub(super) fn is_end(&self) -> bool {
        matches!(self.what.as_str(), "delivered" | "skipped")
    }
}

/// The steps that the story tells. A line without a time is at the time of the line before.
pub(super) fn of_story(entries: &[Entry]) -> Vec<Step> {
    let mut last = Timestamp(0);
    let step = |entry: &Entry| {
        last = time(&entry.at).unwrap_or(last);
        let took = if entry.is_pass() { entry.took() } else { Duration::ZERO };
        let plugin = Some((entry.field("plugin").to_owned(), entry.field("digest").to_owned()));
        Step {
            at: last,
            took,
            what: entry.what(),
            detail: entry.detail(),
            is_failure: entry.is_failure(),
            by: None,
            plugin: plugin.filter(|(name, _)| entry.is_pass() && !name.is_empty()),
            attempts: serde_json::from_str(entry.field("attempts")).unwrap_or_default(),
        }
    };
    entries.iter().map(step).collect()
}

/// Reads the time of a log line.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let since = humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp(u64::try_from(since.as_millis()).ok()?))
}

/// What operators did to it, and who looked at its body.
pub(super) async fn of_audit(file: PathBuf, ids: &[String]) -> anyhow::Result<Vec<Step>> {
    let ids = ids.to_vec();
    let read = move || {
        let mut steps: Vec<Step> = Vec::new();
        let texts: Vec<&str> = ids.iter().map(String::as_str).collect();
        each_with(&file, &texts, |line| {
            steps.extend(audited(line, &ids));
            steps.len() < MOST_AUDITED
        })?;
        // Lines of the same millisecond stay in the order in which they were written.
        steps.reverse();
        Ok::<_, std::io::Error>(steps)
    };
    tokio::task::spawn_blocking(read).await.context("reading the audit")?.context("reading the audit")
}

fn audited(line: &str, ids: &[String]) -> Option<Step> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let entry = serde_json::from_str::<AuditEntry>(line).ok();
    let own = entry.as_ref().map_or("", |entry| entry.letter.id.as_str());
    if !ids.iter().any(|id| text("id").starts_with(id) || own.starts_with(id)) {
        return None;
    }
    let outcome = text("outcome");
    Some(Step {
        at: serde_json::from_value(value.get("at")?.clone()).ok()?,
        took: Duration::ZERO,
        what: text("action").to_owned(),
        detail: if outcome.is_empty() { text("note") } else { outcome }.to_owned(),
        is_failure: matches!(outcome, "refused" | "failed"),
        by: Some(text("by").to_owned()),
        plugin: None,
        attempts: Vec::new(),
    })
}

/// The end that the archive tells, for a story that no longer has it.
pub(super) fn of_archived(event: &Archived) -> Step {
    let attempt = |attempt: &towpath_types::outcome::Attempt| Attempt {
        target: attempt.target.clone(),
        method: attempt.method.clone(),
        path: attempt.path.clone(),
        status: attempt.answer.status(),
        error: attempt.answer.problem().map(str::to_owned),
        millis: attempt.millis,
        excerpt: attempt.answer.excerpt().to_owned(),
    };
    let attempts: Vec<Attempt> = event.attempts.iter().map(attempt).collect();
    let what = match event.ending {
        Ending::Delivered => "delivered",
        Ending::Skipped => "skipped",
    };
    Step {
        at: event.ended_at,
        took: Duration::from_millis(attempts.iter().map(|attempt| attempt.millis).sum()),
        what: what.to_owned(),
        detail: event.reason.as_ref().map(|reason| format!("{}: {}", reason.code, reason.message)).unwrap_or_default(),
        is_failure: false,
        by: None,
        plugin: event.plugin.clone().zip(event.digest.clone()),
        attempts,
    }
}

/// Adds what the targets answered to the last pass, which only the letter keeps.
pub(super) fn know_excerpts(steps: &mut [Step], death: &DeadLetter) {
    let last = steps.iter_mut().rev().find(|step| !step.attempts.is_empty());
    for (attempt, kept) in last.into_iter().flat_map(|step| &mut step.attempts).zip(&death.attempts) {
        if attempt.target == kept.target && attempt.status == kept.answer.status() {
            kept.answer.excerpt().clone_into(&mut attempt.excerpt);
        }
    }
}

/// By time. The line `stored` may be written after the first pass, and stays first.
pub(super) fn sort(steps: &mut [Step]) {
    steps.sort_by_key(|step| (step.what != "stored", step.at));
    let first = steps.iter().filter(|step| step.what == "stored").count().min(1);
    if let Some(rest) = steps.get_mut(first..) {
        rest.sort_by_key(|step| step.at);
    }
}
