//! The poll driver in a time of its own: hundreds of runs, hours in seconds. Leases, heartbeats, retries and deletes meet slow
//! targets, slow requests and lost answers as they would, and no machine is too busy for it.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use towpath_core::clock::{Clock, Timestamp};
use towpath_core::pipeline::{Lease, Line, Settlement};
use towpath_core::poll::{self, Options};
use towpath_core::queue::{NewMessage, Queue as _, Received};
use towpath_local::{LocalQueue, QueueSettings, Store};

use super::Plan;
use super::books::{Answer, Books};
use super::faulty::Faulty;

const VISIBILITY: Duration = Duration::from_secs(3);

/// How long a request is under way at most, there or back: less than the part of a lease that is not used up.
const UNDER_WAY: Duration = Duration::from_millis(140);

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let latency = prop_oneof![6 => 0..50_u64, 2 => 500..3000_u64, 1 => 3000..9000_u64];
    let plan = (0..4_u8, 0..2_usize, prop::bool::weighted(0.15), latency);
    let plan = plan.prop_map(|(group, failures, refused, latency)| Plan { group, failures, refused, latency });
    prop::collection::vec(plan, 1..30)
}

/// A worker that comes, and goes after so many milliseconds: with a drain, or dead in the middle of its work.
#[derive(Clone, Debug)]
struct Visit {
    millis: u64,
    drains: bool,
}

fn visits() -> impl Strategy<Value = Vec<Visit>> {
    let visit = (1..12_000_u64, any::<bool>()).prop_map(|(millis, drains)| Visit { millis, drains });
    prop::collection::vec(visit, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn order_is_kept_and_no_group_is_in_two_hands_in_any_time(
        plans in plans(), workers in 1..4_u64, concurrency in 1..9_usize, visits in visits(), seed in any::<u64>()
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(run(&plans, workers, concurrency, visits, seed))?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_a_call_that_outlasts_receives_and_visibilities() {
    let plans = [Plan { group: 0, failures: 0, refused: false, latency: 20_000 }];
    let (_folder, events) = queue(&plans).await;
    let books = Arc::new(Books::new(&plans));
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let options = Options { wait: Duration::from_secs(1), visibility: VISIBILITY, concurrency: 1 };
    tasks.spawn(poll::run(Arc::new(events.clone()), books, options, Arc::default(), stop.clone()));
    sleep(VISIBILITY / 2).await;
    stop.cancel();
    while tasks.join_next().await.is_some() {}
    assert_eq!(events.depth().await.unwrap().messages, 0, "it was delivered and deleted");
}

impl Line for Books {
    async fn take(&self, received: &Received, _: Lease, _: bool) -> Settlement {
        let number: usize = received.body.parse().unwrap();
        match self.call(number).await {
            Answer::Taken => Settlement::Ack,
            Answer::Refused => Settlement::Buried,
            Answer::NotNow => Settlement::Retry(Duration::from_millis(number as u64 % 7 * 300)),
        }
    }
}

/// A queue that these messages were sent to.
async fn queue(plans: &[Plan]) -> (TempDir, LocalQueue) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), Clock::tokio(Timestamp(1_700_000_000_000))).unwrap();
    let events = store.queue("events.fifo", QueueSettings::default()).await.unwrap();
    for (number, plan) in plans.iter().enumerate() {
        let (body, group) = (number.to_string(), format!("g/{}", plan.group).into());
        let message = NewMessage { group, dedup_id: body.clone(), body, attributes: Default::default() };
        events.send(message).await.unwrap();
    }
    (folder, events)
}

async fn run(plans: &[Plan], workers: u64, concurrency: usize, visits: Vec<Visit>, seed: u64) -> TestCaseResult {
    let (_folder, events) = queue(plans).await;
    let books = Arc::new(Books::new(plans));
    let options = Options { wait: Duration::from_secs(1), visibility: VISIBILITY, concurrency };
    let worker = |number: u64, stop: &CancellationToken| {
        let queue = Faulty::new(events.clone(), seed.wrapping_add(number), VISIBILITY * 3 / 2).slow(UNDER_WAY);
        poll::run(Arc::new(queue), Arc::clone(&books), options, Arc::default(), stop.clone())
    };
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    for number in 0..workers {
        tasks.spawn(worker(number, &stop));
    }
    for (number, visit) in visits.into_iter().enumerate() {
        let (leave, mut visitor) = (CancellationToken::new(), JoinSet::new());
        visitor.spawn(worker(100 + number as u64, &leave));
        sleep(Duration::from_millis(visit.millis)).await;
        match visit.drains {
            true => leave.cancel(),
            false => visitor.abort_all(),
        }
        while visitor.join_next().await.is_some() {}
    }
    let drained = async {
        while events.depth().await.unwrap().messages > 0 {
            sleep(Duration::from_secs(1)).await;
        }
    };
    prop_assert!(timeout(Duration::from_secs(4 * 3600), drained).await.is_ok(), "messages are stuck");
    stop.cancel();
    while tasks.join_next().await.is_some() {}
    books.judge()
}
