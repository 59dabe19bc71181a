//! The policy: from the outcome of a pass to a decision. One pure function, one table test.

use std::time::Duration;

use crate::facts::Facts;
use crate::next_try::{Wait, next_try};
use towpath_config::route::OnDeadLetter;
use towpath_types::dead_letter::Death;
use towpath_types::outcome::Closed;
use towpath_types::outcome::{Attempt, FaultKind, Outcome};

/// What happens to a message after a pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It is finished.
    Ack,
    /// It is retried after this long.
    Retry(Duration),
    /// It goes to the dead-letter queue.
    DeadLetter(Death),
}

/// The reason of a message that its queue would dead-letter at the next receive.
pub const OUT_OF_RECEIVES: &str = "max-receives";

/// The reason of a message that waited for a gate until its queue would have deleted it.
pub const WAITED_TOO_LONG: &str = "waited-too-long";

/// Waiting for a gate does not dead-letter a message, unless its queue would otherwise delete or dead-letter it.
pub fn decide(outcome: &Outcome, facts: Facts<'_>) -> Decision {
    let own = || next_try(facts, Wait::Failed { asked: None, backoff: facts.backoff });
    match outcome {
        Outcome::Delivered(_) | Outcome::Skipped(_) => Decision::Ack,
        Outcome::Unavailable { attempts, retry_after, backoff } => {
            let wait = Wait::Failed { asked: *retry_after, backoff: *backoff };
            retry_or(facts, next_try(facts, wait), "expired", || last_attempt(attempts))
        }
        Outcome::Held(closed) => wait_for_gate(facts, closed),
        Outcome::Deferred { reason, after } => {
            let wait = Wait::Failed { asked: *after, backoff: facts.backoff };
            let detail = || format!("the plugin asked for a retry: {}: {}", reason.code, reason.message);
            retry_or(facts, next_try(facts, wait), "expired", detail)
        }
        Outcome::Faulted(fault) if fault.kind == FaultKind::Timeout => {
            retry_or(facts, own(), fault.kind.code(), || fault.message.clone())
        }
        Outcome::Refused(attempts) => give_up(facts, "refused", last_attempt(attempts)),
        Outcome::Rejected(reason) => give_up(facts, "rejected", format!("{}: {}", reason.code, reason.message)),
        Outcome::Faulted(fault) => give_up(facts, fault.kind.code(), fault.message.clone()),
        Outcome::Misfit { kind, detail } => give_up(facts, kind.code(), detail.clone()),
        Outcome::Blocked => Decision::Retry(Duration::ZERO),
        Outcome::Broken(problem) => retry_or(facts, own(), "expired", || problem.clone()),
    }
}

fn wait_for_gate(facts: Facts<'_>, closed: &Closed) -> Decision {
    let Closed { target, why, .. } = closed;
    let age = facts.age_in_words();
    if facts.age >= facts.limits.last_call() {
        let detail =
            format!("given up after {age}, before the queue deletes it; target {target} was not called: {why}");
        return Decision::DeadLetter(Death { code: WAITED_TOO_LONG, detail });
    }
    retry(facts, next_try(facts, Wait::Held(closed.after)), || format!("target {target} was not called: {why}"))
}

fn retry_or(facts: Facts<'_>, wait: Duration, code: &'static str, detail: impl FnOnce() -> String) -> Decision {
    if facts.age < facts.max_age.min(facts.limits.last_call()) {
        return retry(facts, wait, detail);
    }
    let age = facts.age_in_words();
    give_up(facts, code, format!("given up after {age}; last attempt: {}", detail()))
}

/// A retry, if the queue delivers the message once more.
fn retry(facts: Facts<'_>, wait: Duration, detail: impl FnOnce() -> String) -> Decision {
    if facts.limits.is_last_receive(facts.receive_count) {
        let receives = facts.receive_count;
        let detail = format!(
            "given up after {}: received {receives} times, and the queue's maxReceiveCount allows no more; {}",
            facts.age_in_words(),
            detail()
        );
        return Decision::DeadLetter(Death { code: OUT_OF_RECEIVES, detail });
    }
    Decision::Retry(wait)
}

fn give_up(facts: Facts<'_>, code: &'static str, detail: String) -> Decision {
    let blocks = facts.on_dead_letter == OnDeadLetter::Block && facts.age < facts.limits.last_call();
    if blocks && !facts.limits.is_last_receive(facts.receive_count) {
        return Decision::Retry(next_try(facts, Wait::Failed { asked: None, backoff: facts.backoff }));
    }
    Decision::DeadLetter(Death { code, detail })
}

fn last_attempt(attempts: &[Attempt]) -> String {
    attempts.last().map_or_else(String::new, Attempt::to_string)
}

#[cfg(test)]
#[path = "decide/tests.rs"]
mod tests;

#[cfg(test)]
mod reasons;
