//! `REASONS` lists every reason of a dead letter, and no other.

use std::time::Duration;

use towpath_config::route::OnDeadLetter;
use towpath_types::backoff::Backoff;
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::{DeadLetter, OPERATOR, REASONS};
use towpath_types::outcome::{Closed, Fault, FaultKind, Gate, MisfitKind, Outcome};
use towpath_types::queue::{GroupId, MAX_RETENTION, QueueLimits};
use towpath_types::verdict::Reason;

use super::{Decision, Facts, decide};

/// One outcome of every kind. This does not compile until a new kind is added.
fn outcomes() -> Vec<Outcome> {
    let reason = || Reason { code: "later".to_owned(), message: String::new() };
    let closed = Closed { target: "sss".to_owned(), gate: Gate::Hold, why: String::new(), after: None };
    let mut all = vec![
        Outcome::Delivered(Vec::new()),
        Outcome::Unavailable { attempts: Vec::new(), retry_after: None, backoff: Backoff::default() },
        Outcome::Refused(Vec::new()),
        Outcome::Held(closed),
        Outcome::Skipped(reason()),
        Outcome::Rejected(reason()),
        Outcome::Deferred { reason: reason(), after: None },
        Outcome::Blocked,
        Outcome::Broken(String::new()),
    ];
    use FaultKind::{BadRequest, Error, Fuel, Limit, Timeout, Trap};
    let faults = [Error, Trap, Limit, Fuel, Timeout, BadRequest];
    all.extend(faults.map(|kind| Outcome::Faulted(Fault::new(kind, ""))));
    use MisfitKind::{NoRoute, Parked, Unreadable, Unverified};
    let misfits = [NoRoute, Parked, Unreadable, Unverified];
    all.extend(misfits.map(|kind| Outcome::Misfit { kind, detail: String::new() }));
    for outcome in &all {
        match outcome {
            Outcome::Delivered(_) | Outcome::Unavailable { .. } | Outcome::Refused(_) | Outcome::Held(_) => {}
            Outcome::Skipped(_) | Outcome::Rejected(_) | Outcome::Deferred { .. } => {}
            Outcome::Blocked | Outcome::Broken(_) => {}
            Outcome::Misfit { kind, .. } => match kind {
                NoRoute | Parked | Unreadable | Unverified => {}
            },
            Outcome::Faulted(fault) => match fault.kind {
                Error | Trap | Limit | Fuel | Timeout | BadRequest => {}
            },
        }
    }
    all
}

#[test]
fn every_reason_that_can_dead_letter_a_message_is_listed_and_no_other() {
    let group = GroupId::from("g");
    let facts = |age, max_receives| Facts {
        group: &group,
        age,
        max_age: MAX_RETENTION,
        receive_count: 1,
        limits: QueueLimits { max_receives, ..QueueLimits::LOCAL },
        failures: 1,
        on_dead_letter: OnDeadLetter::Continue,
        backoff: Backoff::default(),
    };
    let mut reasons = Vec::new();
    for outcome in outcomes() {
        // One message past its age, one at its last receive.
        for facts in [facts(MAX_RETENTION, None), facts(Duration::ZERO, Some(1))] {
            if let Decision::DeadLetter(death) = decide(&outcome, facts) {
                reasons.push(death.code);
            }
        }
    }
    let moved = DeadLetter::moved_by_the_queue("m".into(), 1, String::new(), Timestamp(0));
    reasons.push(REASONS.iter().find(|reason| **reason == moved.reason).expect("listed"));
    // Only ingest uses this one, and tests it.
    reasons.push("missing-key");
    // Only operators give this one.
    reasons.push(OPERATOR);
    reasons.sort_unstable();
    reasons.dedup();
    assert_eq!(reasons, REASONS);
}
