//! Policy: from what came of a message to what is done with it. One pure function, one table test.

use std::time::Duration;

use towpath_config::route::OnDeadLetter;
use towpath_types::backoff::Backoff;
use towpath_types::dead_letter::Death;
use towpath_types::outcome::Closed;
use towpath_types::outcome::{Attempt, FaultKind, Outcome};
use towpath_types::queue::{GroupId, QueueLimits};

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

/// What a route and its message bring to the decision.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The message's group.
    pub group: &'a GroupId,
    /// How long ago the message was stored.
    pub age: Duration,
    /// How long it may be tried.
    pub max_age: Duration,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// What its queue allows a message that waits.
    pub limits: QueueLimits,
    /// How often in a row the group's head failed, this time included.
    pub failures: u32,
    /// What happens instead of dead-lettering.
    pub on_dead_letter: OnDeadLetter,
    /// The wait before another try where no target has one of its own.
    pub backoff: Backoff,
}

/// The longest a held message waits before it is looked at again, where its queue does not count looks: a resume is felt
/// within a minute.
pub const HELD_CAP: Duration = Duration::from_secs(60);

/// The reason of a message that its queue would move at the next receive.
pub const OUT_OF_RECEIVES: &str = "max-receives";

/// The reason of a message that only ever waited for a gate, until its queue would have deleted it.
pub const WAITED_TOO_LONG: &str = "waited-too-long";

/// The shortest wait before another try, whatever a target or plugin asks for.
pub const MIN_RETRY: Duration = Duration::from_secs(1);

/// Decides. Waiting dead-letters nothing: a message that was not tried in this pass is given up only when its queue would
/// take it away otherwise.
pub fn decide(outcome: &Outcome, facts: Facts<'_>) -> Decision {
    let wait = || facts.backoff.after(facts.failures, facts.group);
    match outcome {
        Outcome::Delivered(_) | Outcome::Skipped(_) => Decision::Ack,
        Outcome::Unavailable { attempts, retry_after, backoff } => {
            let asked = retry_after.map(|after| after.clamp(MIN_RETRY, backoff.cap.max(MIN_RETRY)));
            let wait = asked.unwrap_or_else(|| backoff.after(facts.failures, facts.group));
            retry_or(facts, wait, "expired", || last_attempt(attempts))
        }
        Outcome::Held(closed) => wait_for_gate(facts, closed),
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

fn wait_for_gate(facts: Facts<'_>, closed: &Closed) -> Decision {
    let wait =
        closed.after.map_or_else(|| facts.backoff.after(facts.failures, facts.group), |after| after.max(MIN_RETRY));
    let Closed { target, why, .. } = closed;
    let age = facts.age();
    if facts.age >= facts.limits.last_call() {
        let detail =
            format!("given up after {age}, before the queue deletes it; target {target} was not called: {why}");
        return Decision::DeadLetter(Death { code: WAITED_TOO_LONG, detail });
    }
    retry(facts, wait.min(HELD_CAP), || format!("target {target} was not called: {why}"))
}

fn retry_or(facts: Facts<'_>, wait: Duration, code: &'static str, detail: impl FnOnce() -> String) -> Decision {
    if facts.age < facts.max_age.min(facts.limits.last_call()) {
        return retry(facts, wait, detail);
    }
    let age = facts.age();
    give_up(facts, code, format!("given up after {age}; the last try: {}", detail()))
}

/// Another try, if the queue hands the message out once more.
fn retry(facts: Facts<'_>, wait: Duration, detail: impl FnOnce() -> String) -> Decision {
    if facts.limits.is_last_receive(facts.receive_count) {
        let receives = facts.receive_count;
        let detail = format!(
            "given up after {}: it was received {receives} times, and the queue's maxReceiveCount allows no more; {}",
            facts.age(),
            detail()
        );
        return Decision::DeadLetter(Death { code: OUT_OF_RECEIVES, detail });
    }
    Decision::Retry(facts.wait(wait))
}

fn give_up(facts: Facts<'_>, code: &'static str, detail: String) -> Decision {
    let blocks = facts.on_dead_letter == OnDeadLetter::Block && facts.age < facts.limits.last_call();
    if blocks && !facts.limits.is_last_receive(facts.receive_count) {
        return Decision::Retry(facts.wait(facts.backoff.after(facts.failures, facts.group)));
    }
    Decision::DeadLetter(Death { code, detail })
}

impl Facts<'_> {
    /// A wait that the queue can bear: neither so short that the receives run out, nor so long that it outlasts the queue.
    pub fn wait(&self, wanted: Duration) -> Duration {
        let least = self.limits.least_wait(self.age, self.receive_count);
        wanted.max(least).min(self.limits.longest_wait(self.age))
    }

    /// The age in words.
    fn age(&self) -> humantime::FormattedDuration {
        humantime::format_duration(Duration::from_secs(self.age.as_secs()))
    }
}

fn last_attempt(attempts: &[Attempt]) -> String {
    attempts.last().map_or_else(String::new, Attempt::to_string)
}

#[cfg(test)]
#[path = "decide/tests.rs"]
mod tests;

#[cfg(test)]
mod reasons;
