//! The promise, tried with random failures: several workers, many groups, failing targets, crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use towpath_core::poll::{self, Options};
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route};
use towpath_tests::target::{Answer, Target};

/// What the target answers to the attempts at one message, in order; then 200.
#[derive(Clone, Debug)]
struct Plan {
    group: u8,
    answers: Vec<u16>,
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let answer = prop_oneof![4 => Just(200), 3 => Just(503), 1 => Just(404)];
    let plan = (0..4_u8, prop::collection::vec(answer, 0..3)).prop_map(|(group, answers)| Plan { group, answers });
    prop::collection::vec(plan, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn each_group_is_first_delivered_in_send_order_and_every_message_is_acked_or_dead(
        plans in plans(), workers in 1..4_usize, crash_after in prop::option::of(1..10_usize)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(plans, workers, crash_after))?;
    }
}

/// What happened at the target.
#[derive(Default)]
struct Log {
    attempts: BTreeMap<usize, usize>,
    succeeded: Vec<usize>,
}

async fn run(plans: Vec<Plan>, workers: usize, crash_after: Option<usize>) -> TestCaseResult {
    let log = Arc::new(Mutex::new(Log::default()));
    let (seen, script) = (Arc::clone(&log), plans.clone());
    let target = Target::answering(move |call| {
        let number: usize = std::str::from_utf8(&call.body).unwrap().parse().unwrap();
        let mut log = seen.lock().unwrap();
        let attempt = log.attempts.entry(number).or_default();
        let status = script[number].answers.get(*attempt).copied().unwrap_or(200);
        *attempt += 1;
        if status == 200 && !log.succeeded.contains(&number) {
            log.succeeded.push(number);
        }
        Answer::Status(status, String::new())
    })
    .await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    for (number, plan) in plans.iter().enumerate() {
        rig.send(&format!("g/{}", plan.group), &number.to_string()).await;
    }
    let config = one_route(&target.url).replace("300ms", "10s")
        + "\nretry = { base = \"5ms\", cap = \"20ms\" }\nbreaker = { failures = 4, base = \"10ms\", cap = \"40ms\" }";
    let options = Options { wait: Duration::from_millis(20), visibility: Duration::from_millis(400), concurrency: 3 };
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        let queue = Arc::new(rig.events.clone());
        tasks.spawn(poll::run(queue, rig.pipeline(&config), options, Arc::default(), stop.clone()));
    }
    if let Some(calls) = crash_after {
        // A worker dies in the middle of its work: no drain, its messages come back by their visibility.
        let mut victim = JoinSet::new();
        victim.spawn(poll::run(
            Arc::new(rig.events.clone()),
            rig.pipeline(&config),
            options,
            Arc::default(),
            stop.clone(),
        ));
        let reached = target.called(calls.min(plans.len()));
        tokio::time::timeout(Duration::from_secs(20), reached).await.expect("deliveries go on");
        victim.shutdown().await;
    }
    let drained = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while rig.events.depth().await.unwrap().messages > 0 {
            ticks.tick().await;
        }
    };
    prop_assert!(tokio::time::timeout(Duration::from_secs(30), drained).await.is_ok(), "messages are stuck");
    stop.cancel();
    while tasks.join_next().await.is_some() {}
    let dead: BTreeSet<String> = rig.letters().await.into_iter().map(|letter| letter.id).collect();
    let log = log.lock().unwrap();
    let refused = plans.iter().filter(|plan| plan.answers.iter().find(|answer| **answer != 503) == Some(&404)).count();
    prop_assert_eq!(dead.len(), refused, "dead letters");
    prop_assert_eq!(log.succeeded.len() + refused, plans.len(), "every message is acked or dead");
    for group in 0..4 {
        let of_group: Vec<_> = log.succeeded.iter().filter(|number| plans[**number].group == group).collect();
        prop_assert!(of_group.is_sorted(), "group {} out of order: {:?}", group, of_group);
    }
    Ok(())
}
