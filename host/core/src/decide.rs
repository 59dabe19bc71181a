//! Policy: from what came of a message to what is done with it. One pure function, one table test.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::deliver::{Closed, Gate};
use crate::outcome::{Attempt, FaultKind, Outcome};
use crate::queue::{GroupId, MAX_RETENTION, MAX_VISIBILITY};

/// What is done with a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It is done with.
    Ack,
    /// It comes back after so long.
    Retry(Duration),
    /// It goes to the dead-letter queue.
    DeadLetter(Death),
}

/// Why a message is given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Death {
    /// A constant such as `refused`: a metric label and what `dlq list` filters by.
    pub code: &'static str,
    /// What happened, for the operator.
    pub detail: String,
}

/// What a route says about giving up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnDeadLetter {
    /// Dead-letter the message and go on with its group.
    #[default]
    Continue,
    /// Keep the message, and its group waiting behind it, until [`LAST_CALL`].
    Block,
    /// Dead-letter the message, and what comes behind it in its group too, until they are sent back together.
    Park,
}

/// What a route and its message bring to the decision.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The message's group.
    pub group: &'a GroupId,
    /// How long ago the message was stored.
    pub age: Duration,
    /// How old it may grow.
    pub max_age: Duration,
    /// How often in a row the group's head failed, this time included.
    pub failures: u32,
    /// What happens instead of dead-lettering.
    pub on_dead_letter: OnDeadLetter,
    /// The wait before another try where no target has one of its own.
    pub backoff: Backoff,
}

/// The longest a held message waits before it is looked at again: a resume is felt within a minute.
pub const HELD_CAP: Duration = Duration::from_secs(60);

/// A day before a queue forgets a message, `block` blocks no more: a dead letter is better than nothing.
pub const LAST_CALL: Duration = MAX_RETENTION.saturating_sub(Duration::from_secs(24 * 60 * 60));

/// The shortest wait before another try, whatever a target or plugin asks for.
pub const MIN_RETRY: Duration = Duration::from_secs(1);

/// Decides. A message that was never tried is never dead-lettered.
pub fn decide(outcome: &Outcome, facts: Facts<'_>) -> Decision {
    let wait = || facts.backoff.after(facts.failures, facts.group);
    match outcome {
        Outcome::Delivered(_) | Outcome::Skipped(_) => Decision::Ack,
        Outcome::Unavailable { attempts, retry_after, backoff } => {
            let asked = retry_after.map(|after| after.clamp(MIN_RETRY, backoff.cap.max(MIN_RETRY)));
            let wait = asked.unwrap_or_else(|| backoff.after(facts.failures, facts.group));
            retry_or(facts, wait, "expired", || last_attempt(attempts))
        }
        Outcome::Held(Closed { target, gate, why, after }) => {
            let wait = after.map_or_else(wait, |after| after.max(MIN_RETRY)).min(HELD_CAP);
            // An operator's hold may outlast a message. A gate that opens by itself lets every message be
            // tried first.
            let max_age = if *gate == Gate::Hold { facts.max_age } else { facts.max_age.max(LAST_CALL) };
            let facts = Facts { max_age, ..facts };
            retry_or(facts, wait, "expired", || format!("target {target} was not called: {why}"))
        }
        Outcome::Deferred { reason, after } => {
            let asked = after.map(|after| after.clamp(MIN_RETRY, facts.backoff.cap.max(MIN_RETRY)));
            let detail = || format!("the plugin asked for a retry: {}: {}", reason.code, reason.message);
            retry_or(facts, asked.unwrap_or_else(wait), "expired", detail)
        }
        Outcome::Faulted(fault) if fault.kind == FaultKind::Timeout => {
            retry_or(facts, wait(), fault.kind.code(), || fault.message.clone())
        }
        Outcome::Refused(attempts) => give_up(facts, "refused", last_attempt(attempts)),
        Outcome::Rejected(reason) => give_up(facts, "rejected", format!("{}: {}", reason.code, reason.message)),
        Outcome::Faulted(fault) => give_up(facts, fault.kind.code(), fault.message.clone()),
        Outcome::Misfit { code, detail } => give_up(facts, code, detail.clone()),
        Outcome::Blocked => Decision::Retry(Duration::ZERO),
        Outcome::Broken(problem) => retry_or(facts, wait(), "expired", || problem.clone()),
    }
}

fn retry_or(facts: Facts<'_>, wait: Duration, code: &'static str, detail: impl FnOnce() -> String) -> Decision {
    if facts.age < facts.max_age {
        return Decision::Retry(wait.min(MAX_VISIBILITY));
    }
    let age = humantime::format_duration(Duration::from_secs(facts.age.as_secs()));
    give_up(facts, code, format!("given up after {age}; the last try: {}", detail()))
}

fn give_up(facts: Facts<'_>, code: &'static str, detail: String) -> Decision {
    match facts.on_dead_letter {
        OnDeadLetter::Block if facts.age < LAST_CALL => {
            Decision::Retry(facts.backoff.after(facts.failures, facts.group))
        }
        _ => Decision::DeadLetter(Death { code, detail }),
    }
}

fn last_attempt(attempts: &[Attempt]) -> String {
    attempts.last().map_or_else(String::new, Attempt::to_string)
}

#[cfg(test)]
#[path = "decide/tests.rs"]
mod tests;
