//! The promise, tried with random failures: several workers, many groups, failing and slow targets, lost
//! answers, lost leases, crashes. A run that fails prints its input, which holds the seed.

mod books;
mod fair;
mod faulty;
mod machines;
mod simulated;
mod witness;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use towpath_engine::poll::{self, Options};
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route};
use towpath_types::backoff::Backoff;

use faulty::{Faulty, Leases};
use witness::Witness;

/// How long messages stay invisible without a heartbeat.
const VISIBILITY: Duration = Duration::from_millis(800);

/// What the target makes of one message.
#[derive(Clone, Debug)]
struct Plan {
    group: u8,
    /// How often it answers 503 first.
    failures: usize,
    /// Whether it answers 404 then, and not 200.
    refused: bool,
    /// How long it takes, in milliseconds: sometimes longer than a visibility timeout.
    latency: u64,
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let latency = prop_oneof![8 => 0..20_u64, 1 => 300..1000_u64];
    let plan = (0..5_u8, 0..3_usize, prop::bool::weighted(0.15), latency);
    let plan = plan.prop_map(|(group, failures, refused, latency)| Plan { group, failures, refused, latency });
    prop::collection::vec(plan, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 8, ..ProptestConfig::default() })]

    #[test]
    fn order_is_kept_no_group_is_in_two_hands_and_every_message_is_acked_or_dead(
        plans in plans(), workers in 2..5_usize, crashes in prop::collection::vec(1..12_usize, 0..3), seed in any::<u64>()
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(plans, workers, crashes, seed))?;
    }
}

async fn run(plans: Vec<Plan>, workers: usize, crashes: Vec<usize>, seed: u64) -> TestCaseResult {
    let witness = Witness::start(&plans).await;
    let mut rig = Rig::new().await;
    rig.backoff = Backoff { base: Duration::from_millis(5), cap: Duration::from_millis(20) };
    rig.write("guest", Guest::forward());
    for (number, plan) in plans.iter().enumerate() {
        rig.send(&format!("g/{}", plan.group), &number.to_string()).await;
    }
    let config = one_route(&witness.url).replace("300ms", "10s")
        + "\nretry = { base = \"5ms\", cap = \"20ms\" }\nbreaker = { failures = 4, base = \"10ms\", cap = \"40ms\" }";
    let wait = Duration::from_millis(20);
    let options = Options { wait, visibility: VISIBILITY, concurrency: 3, ..Options::default() };
    let stop = CancellationToken::new();
    let worker = |number: u64| {
        let outage = VISIBILITY * 3 / 2;
        let queue = Arc::new(Faulty::new(rig.events.clone(), seed.wrapping_add(number), outage, Leases::default()));
        let dead =
            Arc::new(Faulty::new(rig.dead_letters.clone(), seed.wrapping_sub(number), outage, Leases::default()));
        poll::run(queue, rig.pipeline_to(&config, dead), options, Arc::default(), stop.clone())
    };
    let mut tasks = JoinSet::new();
    for number in 0..workers {
        tasks.spawn(worker(number as u64));
    }
    for (number, answers) in crashes.into_iter().enumerate() {
        // A worker that dies in the middle of its work: no drain, its messages come back by their visibility.
        let mut victim = JoinSet::new();
        victim.spawn(worker(100 + number as u64));
        let reached = wait_for(|| witness.books.seen().answers.values().sum::<usize>() >= answers.min(plans.len()));
        reached.await;
        victim.shutdown().await;
    }
    let drained = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while rig.events.depth().await.unwrap().messages > 0 {
            ticks.tick().await;
        }
    };
    prop_assert!(tokio::time::timeout(Duration::from_secs(120), drained).await.is_ok(), "messages are stuck");
    stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap().unwrap();
    }

    let mut dead = BTreeMap::new();
    for letter in rig.letters().await {
        *dead.entry(letter.id).or_insert(0) += 1;
    }
    let refused = plans.iter().filter(|plan| plan.refused).count();
    prop_assert_eq!(dead.len(), refused, "every refused message is dead");
    prop_assert!(dead.values().all(|copies| *copies == 1), "and once: {:?}", dead);
    witness.books.judge()
}

async fn wait_for(mut condition: impl FnMut() -> bool) {
    let reached = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while !condition() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.expect("deliveries go on");
}
