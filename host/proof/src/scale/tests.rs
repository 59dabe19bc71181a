use super::*;

/// Within a tenth.
fn about(simulated: f64, expected: f64) -> bool {
    (simulated / expected - 1.0).abs() < 0.1
}

fn rate(outcome: &Outcome, from: usize, to: usize) -> f64 {
    outcome.delivered[from..to].iter().map(|count| f64::from(*count)).sum::<f64>() / (to - from) as f64
}

#[test]
fn a_hundred_thousand_groups_saturate_a_thousand_functions_between_the_bounds() {
    let alone = AWS.by_single_messages(&LOAD);
    let quiet = simulate(&AWS, &Load { per_second: alone * 0.8, ..LOAD }, 4, 1);
    assert!(about(rate(&quiet, 1, 4), alone * 0.8) && quiet.functions < AWS.functions, "one message each: {quiet:?}");
    let below = simulate(&AWS, &Load { per_second: 20_000.0, ..LOAD }, 4, 1);
    assert!(about(rate(&below, 1, 4), 20_000.0), "batches grow: {below:?}");
    assert_eq!(below.functions, AWS.functions);
    // Above the limit: the longer the backlog of a group, the more of its messages are in a batch, one after another.
    let most = AWS.by_functions(&LOAD);
    let least = AWS.by_groups(&LOAD);
    let beyond = simulate(&AWS, &Load { per_second: 80_000.0, ..LOAD }, 30, 1);
    let first = rate(&beyond, 1, 3);
    let last = rate(&beyond, 25, 30);
    assert!(first < most && first > 2.0 * least, "{least}–{most}: {beyond:?}");
    assert!(about(last, least), "{least}: {beyond:?}");
    assert_eq!(beyond.in_flight, AWS.functions * AWS.batch, "far from the cap");
}

#[test]
fn few_groups_with_many_messages_saturate_by_their_order() {
    for groups in [1, 100] {
        let load = Load { groups, per_second: 2_000.0, ..LOAD };
        let outcome = simulate(&AWS, &load, 20, 2);
        assert!(about(rate(&outcome, 5, 20), AWS.by_groups(&load)), "{}: {outcome:?}", AWS.by_groups(&load));
        assert_eq!(outcome.functions, groups, "one group is in one invocation");
    }
}

#[test]
fn a_long_hold_fills_the_window_when_the_formula_says_and_then_nothing_is_received() {
    // A tenth of the real window, so that it takes a tenth of the time.
    let limits = Limits { window: 12_000, ..AWS };
    let load = Load { per_second: 1_000.0, held: 0.1, ..LOAD };
    let full = limits.longest_hold(&load);
    assert_eq!(full, 120.0);
    let outcome = simulate(&limits, &load, 150, 3);
    assert!(about(rate(&outcome, 5, 100), 900.0), "what is not held flows: {outcome:?}");
    assert!(rate(&outcome, 135, 150) < 90.0, "nothing behind the window is found: {outcome:?}");
    let without = simulate(&limits, &Load { held: 0.0, ..load }, 150, 3);
    assert!(about(rate(&without, 135, 150), 1_000.0), "{without:?}");
}

#[test]
fn held_groups_wait_in_flight_and_the_cap_ends_them() {
    let limits = Limits { in_flight: 2_000, ..AWS };
    let load = Load { per_second: 1_000.0, held: 0.5, ..LOAD };
    let outcome = simulate(&limits, &load, 20, 4);
    assert_eq!(outcome.in_flight, limits.in_flight);
    assert!(rate(&outcome, 15, 20) < 50.0, "nothing can be received any more: {outcome:?}");
    assert!(AWS.most_held_groups(&load) >= f64::from(AWS.in_flight / AWS.batch));
}

/// Two weeks, with a message for each of three groups every hour; all are on hold.
const TWO_WEEKS: (Load, u32) = (Load { groups: 3, per_second: 3.0 / 3600.0, held: 1.0, ..LOAD }, 14 * 24 * 3600);

#[test]
fn a_receive_each_minute_uses_up_the_receives_within_a_day_and_the_queue_moves_the_messages() {
    let (load, seconds) = TWO_WEEKS;
    let outcome = simulate(&AWS, &Load { hold_wait_s: each_minute, ..load }, seconds, 5);
    let first = outcome.first_moved_s.expect("it is moved");
    assert!(about(first, 1000.0 * 60.0 + 3600.0), "after {first} s");
    assert!(outcome.moved > 500, "{}", outcome.moved);
}

#[test]
fn waits_that_grow_with_the_age_keep_messages_in_the_queue_for_two_weeks() {
    let (load, seconds) = TWO_WEEKS;
    let outcome = simulate(&AWS, &load, seconds, 5);
    assert_eq!(outcome.moved, 0, "{} receives", outcome.receives);
    assert!((500..950).contains(&outcome.receives), "{}", outcome.receives);
}

#[test]
fn the_costs_match_the_table() {
    let parts = cost(&LOAD, 10.0);
    let of = |name: &str| parts.iter().find(|(part, _)| part.starts_with(name)).unwrap().1;
    assert_eq!(of("HTTP API"), 1.0);
    assert!((of("SQS") - 0.6).abs() < 1e-9, "one send and two tenths: 1.2 × 0.50");
    // 100,000 invocations of 210 ms with a quarter of a GB.
    assert!((of("host") - (0.02 + 1e5 * 0.256 * 0.21 * 0.000_013_333_4)).abs() < 1e-9);
    assert!((archive_cost() - 4.768 * (0.029 + 0.023 / 3.0)).abs() < 1e-4, "4.77 GB");
    let text = markdown();
    assert!(text.contains("47,619") && text.contains("= 1200 s"), "{text}");
}
