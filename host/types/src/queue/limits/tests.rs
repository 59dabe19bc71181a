use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn limits(max_receives: u32) -> QueueLimits {
    QueueLimits { max_receives: Some(max_receives), ..QueueLimits::LOCAL }
}

/// A waiting message, by receives.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    age: Duration,
    receives: u32,
    longest: Duration,
}

/// Lets a message wait until the last call or its last receive. `wanted` is its own wait.
fn wait(limits: QueueLimits, age: Duration, receives: u32, mut wanted: impl FnMut() -> Duration) -> Waiting {
    let mut waiting = Waiting { age, receives, longest: Duration::ZERO };
    while waiting.age < limits.last_call() && !limits.is_last_receive(waiting.receives) {
        let least = limits.least_wait(waiting.age, waiting.receives);
        let wait = wanted().max(least).min(limits.longest_wait(waiting.age));
        waiting.age += Duration::from_secs(wait.as_millis().div_ceil(1000) as u64);
        waiting.receives += 1;
        waiting.longest = waiting.longest.max(wait);
    }
    waiting
}

proptest! {
    #[test]
    fn receives_last_until_the_last_call_wherever_they_can(
        most in 3..=1000_u32, retention in 1..=14_u32, age in 0..13 * 24 * 3600_u64, spent in 0.0..1.0_f64,
        wanted in prop::collection::vec(1..=3600_u64, 1..50),
    ) {
        let limits = QueueLimits { retention: retention * DAY, ..limits(most) };
        let age = Duration::from_secs(age).min(limits.last_call());
        let receives = 1 + (f64::from(most - 1) * spent) as u32;
        let mut wanted = wanted.into_iter().cycle().map(Duration::from_secs);
        let waited = wait(limits, age, receives, || wanted.next().unwrap_or_default());
        prop_assert!(waited.longest <= LONGEST_WAIT);
        prop_assert!(waited.receives <= most, "the queue would move it: {:?}", waited);
        // As many waits as receives are left after the spare ones, each as long as allowed.
        let planned = (most - most / SPARE).saturating_sub(receives);
        if limits.last_call() - age <= LONGEST_WAIT * planned {
            prop_assert!(waited.age >= limits.last_call(), "{:?} of {}", waited, most);
            prop_assert!(waited.receives <= receives.max(most - most / SPARE), "the spare ones were not needed: {:?}", waited);
        }
        prop_assert!(waited.age < limits.retention, "the queue would delete it: {:?}", waited);
    }

    #[test]
    fn with_enough_receives_a_fresh_message_can_wait_until_the_last_call(
        retention in 1..=14_u32, more in 0..1000_u32, wanted in 1..=60_u64
    ) {
        let fewest = QueueLimits { retention: retention * DAY, max_receives: None }.fewest_receives();
        let limits = QueueLimits { retention: retention * DAY, max_receives: Some((fewest + more).min(1000)) };
        let waited = wait(limits, Duration::ZERO, 1, || Duration::from_secs(wanted));
        prop_assert!(waited.age >= limits.last_call(), "{:?}", waited);
    }
}

#[test]
fn with_a_thousand_receives_the_next_check_is_within_a_hundredth_of_the_age() {
    for (after, within) in [(HOUR, MINUTE), (8 * HOUR, 5 * MINUTE), (DAY, 13 * MINUTE), (3 * DAY, 40 * MINUTE)] {
        let longest = limits(1000).look_within(after, MINUTE);
        assert!(longest <= within, "{longest:?} after {after:?}");
        // The bound covers the longest wait of a message that has waited this long.
        let mut receives = 1;
        let mut age = Duration::ZERO;
        while age < after {
            let wait = (MINUTE / 2).max(limits(1000).least_wait(age, receives));
            assert!(wait <= longest, "{wait:?} at {age:?}");
            (age, receives) = (age + wait, receives + 1);
        }
    }
    assert_eq!(QueueLimits::LOCAL.look_within(9 * DAY, MINUTE), MINUTE, "no receives are counted there");
}

#[test]
fn the_bound_for_the_next_check_is_fast_to_compute_at_any_age() {
    let ages = 1000 * 365 * DAY;
    let for_ever = QueueLimits { retention: ages, max_receives: None };
    assert_eq!(for_ever.look_within(for_ever.last_call(), MINUTE), MINUTE);
    assert_eq!(for_ever.look_within(Duration::MAX, MINUTE), MINUTE);
    for most in [1, 64, 1000] {
        let counts = QueueLimits { retention: ages, ..limits(most) };
        assert!(
            counts.look_within(counts.last_call(), MINUTE) <= LONGEST_WAIT,
            "{most} receives are all that can be looked"
        );
        let known = limits(most).look_within(limits(most).retention, MINUTE);
        assert_eq!(limits(most).look_within(Duration::MAX, MINUTE), known, "{most}: nothing waits past the retention");
    }
}

#[test]
fn a_queue_that_counts_no_receives_needs_no_wait() {
    for age in [Duration::ZERO, DAY, 13 * DAY, 20 * DAY] {
        assert_eq!(QueueLimits::LOCAL.least_wait(age, 1_000_000), Duration::ZERO);
    }
    assert!(!QueueLimits::LOCAL.is_last_receive(u32::MAX));
}

#[test]
fn a_dead_letter_that_cannot_be_stored_has_receives_until_the_queue_deletes_it() {
    let limits = limits(1000);
    let mut age = limits.last_call();
    let mut receives = 900;
    while age < limits.retention - HOUR {
        age += MINUTE.max(limits.least_wait(age, receives)).min(limits.longest_wait(age));
        receives += 1;
    }
    assert!(receives <= 1000 && age < limits.retention, "{receives} receives, {age:?}");
}

#[test]
fn a_message_is_hidden_for_twelve_hours_from_its_receive_at_most() {
    assert!(LONGEST_WAIT < hidden_at_most(HOUR));
    assert_eq!(hidden_at_most(11 * HOUR), HOUR - MARGIN);
    assert_eq!(hidden_at_most(13 * HOUR), Duration::ZERO);
}

#[test]
fn too_few_receives_are_a_problem_with_a_fix() {
    assert_eq!(limits(1000).problem(), None);
    assert_eq!(QueueLimits::LOCAL.problem(), None);
    assert_eq!(limits(1000).fewest_receives(), 64, "13 days in waits of 10 hours, twice");
    for (receives, says) in [(499, "late"), (64, "late"), (63, "dead-letter"), (3, "dead-letter")] {
        let problem = limits(receives).problem().expect("a problem");
        assert!(problem.contains(says) && problem.contains("set 1000"), "{problem}");
    }
    let four_days = QueueLimits { retention: 4 * DAY, ..limits(20) };
    assert!(four_days.problem().expect("a problem").contains("late"));
}
