//! Reports a pass when it is over: to the log, to the story that `tail` and `trace` read, and to the metrics.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::routing::Routing;
use crate::decide::Decision;
use crate::facts::Facts;
use towpath_metrics::{self as metrics, Labels};
use towpath_plugin::Plugin;
use towpath_types::outcome::{Attempt, Fault, Outcome};

pub(super) struct Story<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) decision: &'a Decision,
    pub(super) facts: Facts<'a>,
    pub(super) began: Instant,
}

impl Story<'_> {
    pub(super) fn tell(&self, routing: &Routing<'_>) {
        let Story { outcome, decision, facts, began } = self;
        log(outcome, decision, *facts);
        let took = began.elapsed();
        let (decided, after) = match decision {
            Decision::Ack => ("ack", Duration::ZERO),
            Decision::Retry(after) => ("retry", *after),
            Decision::DeadLetter(_) => ("dead-letter", Duration::ZERO),
        };
        metrics::passed(labels(routing), outcome.code(), decided, code(outcome), took);
        if **outcome == Outcome::Blocked {
            return;
        }
        info!(
            target: metrics::STORY,
            event = "pass-ended",
            outcome = outcome.code(),
            decision = decided,
            reason = code(outcome),
            detail = detail(outcome),
            attempts = %Attempts(outcome.attempts()),
            retry_after_s = after.as_secs_f64(),
            failures = facts.failures,
            age_s = facts.age.as_secs_f64(),
            took_ms = took.as_secs_f64() * 1e3,
            "pass"
        );
    }
}

/// Attempts as JSON; formatted only if the line is logged.
struct Attempts<'a>(&'a [Attempt]);

impl Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<Shown<'_>> = self.0.iter().map(Shown::of).collect();
        f.write_str(&serde_json::to_string(&shown).map_err(|_| fmt::Error)?)
    }
}

/// An attempt without the target's response body, which may hold personal data.
#[derive(Serialize)]
struct Shown<'a> {
    error: Option<&'a str>,
    method: &'a str,
    ms: u64,
    path: &'a str,
    status: Option<u16>,
    target: &'a str,
}

impl Shown<'_> {
    fn of(attempt: &Attempt) -> Shown<'_> {
        let Attempt { target, method, path, answer, millis } = attempt;
        Shown { error: answer.problem(), method, ms: *millis, path, status: answer.status(), target }
    }
}

pub(super) fn labels<'a>(routing: &'a Routing<'_>) -> Labels<'a> {
    Labels {
        route: routing.route.map_or("", |route| route.path.as_str()),
        plugin: routing.name().unwrap_or_default(),
        digest: routing.plugin().map_or("", Plugin::short_digest),
    }
}

/// The reason code from the plugin; empty if it gave none.
fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Skipped(reason) | Outcome::Rejected(reason) | Outcome::Deferred { reason, .. } => &reason.code,
        _ => "",
    }
}

fn log(outcome: &Outcome, decision: &Decision, facts: Facts<'_>) {
    let code = outcome.code();
    match (outcome, decision) {
        (Outcome::Skipped(reason), _) => {
            info!(event = "message-skipped", reason = reason.code, detail = reason.message, "message skipped");
        }
        (_, Decision::Ack) => debug!(event = "message-delivered", outcome = code, "message delivered"),
        (Outcome::Held(closed), Decision::Retry(after)) => {
            // Whatever closed the gate is logged once, when it closes.
            debug!(
                event = "message-held",
                target_name = closed.target,
                why = closed.why,
                retry_after_s = after.as_secs_f64(),
                "message held"
            );
        }
        (Outcome::Blocked, _) => debug!("too little time left, releasing the message untried"),
        (_, Decision::Retry(after)) if facts.age >= facts.max_age => {
            // Only a route with `on_dead_letter = "block"` gets here. The group may need an operator to continue.
            let age_s = facts.age.as_secs();
            let seconds = after.as_secs_f64();
            let detail = detail(outcome);
            error!(
                event = "group-blocked",
                outcome = code,
                detail,
                age_s,
                retry_after_s = seconds,
                "message blocks its group past max_age"
            );
        }
        (_, Decision::Retry(after)) => {
            let seconds = after.as_secs_f64();
            let detail = detail(outcome);
            warn!(
                event = "message-retried",
                outcome = code,
                detail,
                retry_after_s = seconds,
                "message will be retried"
            );
        }
        (Outcome::Faulted(fault), _) => {
            warn!(event = "plugin-failed", fault = %Fault::to_string(fault), "plugin failed")
        }
        (_, Decision::DeadLetter(_)) => {}
    }
}

fn detail(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Held(closed) => format!("target {}: {}", closed.target, closed.why),
        Outcome::Deferred { reason, .. } => format!("{}: {}", reason.code, reason.message),
        Outcome::Faulted(fault) => fault.message.clone(),
        Outcome::Broken(problem) => problem.clone(),
        Outcome::Misfit { detail, .. } => detail.clone(),
        other => other.attempts().last().map(ToString::to_string).unwrap_or_default(),
    }
}
