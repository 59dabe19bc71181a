use std::time::Duration;

use towpath_types::backoff::Backoff;
use towpath_types::queue::{GroupId, QueueLimits};

use super::*;
use towpath_types::dead_letter::REASONS;
use towpath_types::outcome::{Answer, Fault, Gate, MisfitKind, OUTCOMES};
use towpath_types::queue::LONGEST_WAIT;
use towpath_types::verdict::Reason;

const MINUTE: Duration = Duration::from_secs(60);
const MAX_AGE: Duration = Duration::from_secs(3600);

fn attempt(status: u16) -> Vec<Attempt> {
    vec![Attempt {
        target: "sss".into(),
        method: "POST".into(),
        path: "/t".into(),
        answer: Answer::Status { status, excerpt: String::new() },
        millis: 1,
    }]
}

fn reason() -> Reason {
    Reason { code: "why".into(), message: "because".into() }
}

fn unavailable(retry_after: Option<u64>) -> Outcome {
    let retry_after = retry_after.map(Duration::from_secs);
    Outcome::Unavailable { attempts: attempt(503), retry_after, backoff: Backoff::default() }
}

fn deferred(after: Option<u64>) -> Outcome {
    Outcome::Deferred { reason: reason(), after: after.map(Duration::from_secs) }
}

fn fault(kind: FaultKind) -> Outcome {
    Outcome::Faulted(Fault::new(kind, "it failed"))
}

fn held(gate: Gate, after: Option<u64>) -> Outcome {
    let after = after.map(Duration::from_secs);
    Outcome::Held(Closed { target: "sss".into(), gate, why: "because".into(), after })
}

fn facts(group: &GroupId, age: Duration, failures: u32) -> Facts<'_> {
    let on_dead_letter = OnDeadLetter::Continue;
    let backoff = Backoff::default();
    let receive_count = 1;
    let limits = QueueLimits::LOCAL;
    Facts { group, age, max_age: MAX_AGE, receive_count, limits, failures, on_dead_letter, backoff }
}

/// An expected decision.
#[derive(Debug, PartialEq)]
enum Is {
    Ack,
    Between(u64, u64),
    Dead(&'static str),
}

fn is(decision: Decision, expected: &Is) -> bool {
    match (decision, expected) {
        (Decision::Ack, Is::Ack) => true,
        (Decision::Retry(after), Is::Between(least, most)) => {
            after >= Duration::from_secs(*least) && after <= Duration::from_secs(*most)
        }
        (Decision::DeadLetter(death), Is::Dead(code)) => {
            death.code == *code && !death.detail.is_empty() && REASONS.contains(code)
        }
        _ => false,
    }
}

#[test]
fn every_outcome_has_its_decision_while_young_and_past_max_age() {
    let misfit = |kind| Outcome::Misfit { kind, detail: "odd".into() };
    // name, outcome, failures in a row, decision while young, decision past max_age
    let rows = [
        ("2xx", Outcome::Delivered(attempt(200)), 1, Is::Ack, Is::Ack),
        ("unavailable", unavailable(None), 1, Is::Between(1, 2), Is::Dead("expired")),
        ("unavailable for long", unavailable(None), 50, Is::Between(450, 900), Is::Dead("expired")),
        ("retry-after", unavailable(Some(30)), 1, Is::Between(30, 30), Is::Dead("expired")),
        ("retry-after at once", unavailable(Some(0)), 1, Is::Between(1, 1), Is::Dead("expired")),
        ("retry-after next year", unavailable(Some(31_000_000)), 1, Is::Between(900, 900), Is::Dead("expired")),
        ("refused", Outcome::Refused(attempt(404)), 1, Is::Dead("refused"), Is::Dead("refused")),
        ("held", held(Gate::Hold, None), 1, Is::Between(1, 2), Is::Between(1, 2)),
        ("held for long", held(Gate::Hold, None), 50, Is::Between(60, 60), Is::Between(60, 60)),
        ("held until tomorrow", held(Gate::Hold, Some(86_400)), 1, Is::Between(60, 60), Is::Between(60, 60)),
        ("holds unreadable", held(Gate::Unknown, None), 50, Is::Between(60, 60), Is::Between(60, 60)),
        ("breaker open", held(Gate::Breaker, Some(7)), 50, Is::Between(7, 7), Is::Between(7, 7)),
        ("drained", held(Gate::Drain, Some(0)), 50, Is::Between(1, 1), Is::Between(1, 1)),
        ("skipped", Outcome::Skipped(reason()), 1, Is::Ack, Is::Ack),
        ("rejected", Outcome::Rejected(reason()), 1, Is::Dead("rejected"), Is::Dead("rejected")),
        ("deferred", deferred(Some(90)), 1, Is::Between(90, 90), Is::Dead("expired")),
        ("deferred without a time", deferred(None), 2, Is::Between(2, 4), Is::Dead("expired")),
        ("deferred for a year", deferred(Some(31_000_000)), 1, Is::Between(900, 900), Is::Dead("expired")),
        ("error", fault(FaultKind::Error), 1, Is::Dead("plugin-error"), Is::Dead("plugin-error")),
        ("trap", fault(FaultKind::Trap), 1, Is::Dead("plugin-trap"), Is::Dead("plugin-trap")),
        ("limit", fault(FaultKind::Limit), 1, Is::Dead("plugin-limit"), Is::Dead("plugin-limit")),
        ("fuel", fault(FaultKind::Fuel), 1, Is::Dead("plugin-fuel"), Is::Dead("plugin-fuel")),
        ("bad request", fault(FaultKind::BadRequest), 1, Is::Dead("bad-request"), Is::Dead("bad-request")),
        ("starved", fault(FaultKind::Timeout), 1, Is::Between(1, 2), Is::Dead("plugin-timeout")),
        ("no route", misfit(MisfitKind::NoRoute), 1, Is::Dead("no-route"), Is::Dead("no-route")),
        ("unreadable", misfit(MisfitKind::Unreadable), 1, Is::Dead("unreadable"), Is::Dead("unreadable")),
        ("unverified", misfit(MisfitKind::Unverified), 1, Is::Dead("unverified"), Is::Dead("unverified")),
        ("blocked", Outcome::Blocked, 1, Is::Between(0, 0), Is::Between(0, 0)),
        ("broken", Outcome::Broken("bug".into()), 1, Is::Between(1, 2), Is::Dead("expired")),
    ];
    let group = GroupId::from("g");
    for (name, outcome, failures, young, old) in rows {
        assert!(OUTCOMES.contains(&outcome.code()), "{name} is not among the outcomes that `tail` knows");
        for (age, expected) in [(MINUTE, young), (MAX_AGE, old)] {
            let facts = facts(&group, age, failures);
            let decision = decide(&outcome, facts);
            assert!(is(decision.clone(), &expected), "{name} at {age:?}: {decision:?}, expected {expected:?}");
            let blocking = decide(&outcome, Facts { on_dead_letter: OnDeadLetter::Block, ..facts });
            match expected {
                Is::Dead(_) => assert!(matches!(blocking, Decision::Retry(_)), "{name} with block: {blocking:?}"),
                _ => assert_eq!(decision, blocking, "{name}"),
            }
            let last_call = facts.limits.last_call();
            let last = decide(&outcome, Facts { on_dead_letter: OnDeadLetter::Block, age: last_call, ..facts });
            if let Is::Dead(_) = expected {
                assert!(matches!(last, Decision::DeadLetter(_)), "{name} at its last call: {last:?}");
            }
        }
    }
}

#[test]
fn an_expired_message_names_its_last_attempt() {
    let group = GroupId::from("g");
    let Decision::DeadLetter(death) = decide(&unavailable(None), facts(&group, MAX_AGE, 9)) else {
        panic!("must be given up")
    };
    assert_eq!(death.detail, "given up after 1h; last attempt: sss: POST /t: 503");
}

fn every_wait() -> Vec<(&'static str, Outcome)> {
    let days = 30 * 86_400;
    let slow = Backoff { base: Duration::from_secs(days), cap: Duration::from_secs(days) };
    let capped = |retry_after| Outcome::Unavailable { attempts: attempt(503), retry_after, backoff: slow };
    vec![
        ("unavailable", unavailable(None)),
        ("a cap of a month", capped(None)),
        ("retry-after a month", capped(Some(Duration::from_secs(days)))),
        ("deferred", deferred(Some(1))),
        ("starved", fault(FaultKind::Timeout)),
        ("broken", Outcome::Broken("bug".into())),
        ("hold", held(Gate::Hold, None)),
        ("unknown", held(Gate::Unknown, None)),
        ("breaker", held(Gate::Breaker, Some(1))),
        ("drain", held(Gate::Drain, Some(1))),
    ]
}

#[test]
fn a_waiting_message_is_dead_lettered_before_its_queue_deletes_or_moves_it() {
    let group = GroupId::from("g");
    let limits = QueueLimits { max_receives: Some(1000), ..QueueLimits::LOCAL };
    let facts = Facts { limits, max_age: limits.retention, ..facts(&group, MINUTE, 1) };
    for (name, outcome) in every_wait() {
        let gate = matches!(outcome, Outcome::Held(_));
        let on_time = decide(&outcome, facts);
        assert!(matches!(on_time, Decision::Retry(wait) if wait <= LONGEST_WAIT), "{name}: {on_time:?}");
        for on_dead_letter in [OnDeadLetter::Continue, OnDeadLetter::Block] {
            let old = Facts { age: limits.last_call(), on_dead_letter, ..facts };
            let expected = match name {
                _ if gate => WAITED_TOO_LONG,
                "starved" => "plugin-timeout",
                _ => "expired",
            };
            assert!(
                is(decide(&outcome, old), &Is::Dead(expected)),
                "{name}, {on_dead_letter:?}: {:?}",
                decide(&outcome, old)
            );
            let often = Facts { receive_count: 1000, on_dead_letter, ..facts };
            assert!(is(decide(&outcome, often), &Is::Dead(OUT_OF_RECEIVES)), "{name}: {:?}", decide(&outcome, often));
        }
        let soon = Facts { age: limits.last_call() - MINUTE, ..facts };
        assert!(
            matches!(decide(&outcome, soon), Decision::Retry(wait) if wait <= MINUTE),
            "{name}: back at the last call"
        );
    }
}

#[test]
fn every_kind_of_wait_grows_with_the_receive_count() {
    let group = GroupId::from("g");
    let limits = QueueLimits { max_receives: Some(1000), ..QueueLimits::LOCAL };
    let day = Duration::from_secs(86_400);
    let often = Facts { limits, max_age: limits.retention, age: day, receive_count: 800, ..facts(&group, day, 1) };
    let least = limits.least_wait(day, 800);
    assert!(least > 15 * MINUTE, "{least:?}");
    for (name, outcome) in every_wait() {
        let decision = decide(&outcome, often);
        assert!(matches!(decision, Decision::Retry(wait) if wait >= least), "{name}: {decision:?}");
    }
    let blocks = Facts { on_dead_letter: OnDeadLetter::Block, ..often };
    let decision = decide(&Outcome::Refused(attempt(404)), blocks);
    assert!(matches!(decision, Decision::Retry(wait) if wait >= least), "block: {decision:?}");
}
