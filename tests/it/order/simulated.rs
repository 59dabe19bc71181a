//! The poll driver in a time of its own: hundreds of runs, hours in seconds. Leases, heartbeats, retries and deletes meet slow
//! targets, slow requests, lost answers and hosts that stand still as they would, and no machine is too busy for it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tempfile::TempDir;
use tokio::runtime::Handle as Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use towpath_deliver::places::Away;
use towpath_engine::pipeline::{Line, Settlement, Turn};
use towpath_engine::poll::{self, Options};
use towpath_local::{LocalQueue, QueueSettings, Store};
use towpath_types::queue::{GroupId, Handle, NewMessage, Queue, QueueError, QueueLimits, Receive, Received, Sent};

use super::Plan;
use super::books::{Answer, Books};
use super::faulty::{Faulty, Leases};
use super::machines::{Fault, Machines, Planned, Start, faults};

const VISIBILITY: Duration = Duration::from_secs(3);

/// How long a request is under way at most, there or back; a few are stalled for longer than a lease.
const UNDER_WAY: Duration = Duration::from_millis(140);
const STALLED: Duration = Duration::from_secs(7);

const WORKERS: u64 = 4;

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
        plans in plans(), workers in 1..WORKERS, concurrency in 1..9_usize, visits in visits(),
        faults in faults(WORKERS, VISIBILITY), seed in any::<u64>()
    ) {
        let mut world = World::new(&plans, faults);
        world.concurrency = concurrency;
        (0..plans.len()).for_each(|number| world.send(number));
        let queue = |world: &World, host| world.faulty(seed.wrapping_add(host));
        for worker in 0..workers {
            world.start(worker, queue(&world, worker));
        }
        for (number, visit) in visits.into_iter().enumerate() {
            let visitor = 100 + number as u64;
            world.start(visitor, queue(&world, visitor));
            world.machines.pass(Duration::from_millis(visit.millis));
            if visit.drains { world.machines.drain(visitor) } else { world.machines.kill(visitor) }
        }
        world.drained(Duration::from_secs(4 * 3600))?;
        world.books.judge()?;
    }
}

/// One message in a queue, and a host that stands still for longer than a lease while its receive is answered; another
/// one has the message meanwhile.
#[test]
fn a_host_that_stood_still_while_its_receive_was_answered_begins_nothing() {
    let length = VISIBILITY * 2;
    for fault in [Fault::Stopped(length), Fault::Suspended(length)] {
        let plans = [Plan { group: 0, failures: 0, refused: false, latency: VISIBILITY.as_millis() as u64 * 4 }];
        let at = Duration::from_millis(500);
        let mut world = World::new(&plans, vec![Planned { at, host: 0, fault }]);
        world.start(0, world.well());
        // Its long poll waits when it stands still, and the message comes then.
        world.machines.pass(at * 2);
        world.send(0);
        world.machines.pass(VISIBILITY);
        world.start(1, world.well());
        world.drained(Duration::from_secs(600)).unwrap();
        world.books.judge().unwrap();
        assert_eq!(world.books.seen().answers[&0], 1, "{fault:?}: once, by the one that did not stand still");
    }
}

#[test]
fn a_drain_waits_for_a_call_that_outlasts_receives_and_visibilities() {
    let plans = [Plan { group: 0, failures: 0, refused: false, latency: 20_000 }];
    let mut world = World::new(&plans, Vec::new());
    world.send(0);
    world.start(0, world.well());
    world.machines.pass(VISIBILITY / 2);
    world.machines.drain(0);
    assert_eq!(world.left(), 0, "it was delivered and deleted");
}

/// A queue and a target, and the hosts between them.
struct World {
    machines: Machines,
    events: LocalQueue,
    books: Books,
    leases: Leases,
    concurrency: usize,
    _folder: TempDir,
}

impl World {
    /// An empty queue, and a target that has these plans.
    fn new(plans: &[Plan], faults: Vec<Planned>) -> World {
        let folder = TempDir::new().unwrap();
        let books = Books::new(plans);
        let machines = Machines::new(faults, books.pauses.clone());
        let store = Store::open(folder.path(), machines.clock()).unwrap();
        let events = machines.at_service(store.queue("events.fifo", QueueSettings::default())).unwrap();
        World { machines, events, books, leases: Leases::default(), concurrency: 1, _folder: folder }
    }

    fn send(&self, number: usize) {
        let body = number.to_string();
        let group = format!("g/{}", self.books.plan(number).group).into();
        let message = NewMessage {
            group,
            dedup_id: Some(body.as_str().into()),
            body: body.into(),
            attributes: Default::default(),
        };
        self.machines.at_service(self.events.send(message)).unwrap();
    }

    /// The queue as a host sees it over a bad network.
    fn faulty(&self, seed: u64) -> Faulty {
        let queue = Faulty::new(self.events.clone(), seed, VISIBILITY * 3 / 2, self.leases.clone());
        queue.slow(UNDER_WAY, STALLED)
    }

    /// The queue as a host sees it over a good one.
    fn well(&self) -> Faulty {
        Faulty::well(self.events.clone(), self.leases.clone())
    }

    fn start(&mut self, host: u64, queue: Faulty) {
        let queue = Arc::new(queue);
        let concurrency = self.concurrency;
        let books = self.books.clone();
        let leases = self.leases.clone();
        self.machines.start(host, |Start { service, clock, stop }| {
            let target = Target { host, service: service.clone(), books, leases };
            let options = Options { wait: Duration::from_secs(1), visibility: VISIBILITY, concurrency, clock };
            let queue = Arc::new(Remote { service, queue });
            let driver = poll::run(queue, Arc::new(target), options, Arc::default(), stop);
            async { driver.await.unwrap() }
        });
    }

    fn left(&self) -> u64 {
        self.machines.at_service(self.events.depth()).unwrap().messages
    }

    /// Waits until the queue is empty.
    fn drained(&mut self, patience: Duration) -> TestCaseResult {
        let mut waited = Duration::ZERO;
        while self.left() > 0 {
            prop_assert!(waited < patience, "messages are stuck");
            self.machines.pass(Duration::from_secs(1));
            waited += Duration::from_secs(1);
        }
        Ok(())
    }
}

/// The pipeline of a host, and the target behind it, which does not stand still with it.
struct Target {
    host: u64,
    service: Runtime,
    books: Books,
    leases: Leases,
}

impl Line for Target {
    fn targets(&self) -> usize {
        2
    }

    async fn take(&self, received: &Received, turn: &mut Turn) -> Settlement {
        let lease = &turn.lease;
        let place = &mut turn.place;
        let number: usize = received.body.text().parse().unwrap();
        // Some wait for a gate before they may go to one of two targets, without a place and kept by heartbeats.
        let target = ["even", "odd"][number % 2];
        let opens_after = Duration::from_millis(number as u64 % 5 * 1500);
        let gate = async {
            if !opens_after.is_zero() {
                sleep(opens_after).await;
            }
            Ok::<_, Settlement>(())
        };
        let _entered = match place.enter(&[target], Instant::now() + Duration::from_secs(3600), gate).await {
            Ok(entered) => entered,
            Err(Away::Crowded(after)) => return Settlement::Retry(after),
            Err(Away::Late | Away::Closed) => return Settlement::Retry(Duration::ZERO),
        };
        // Plugins, gates and tokens take their time.
        sleep(Duration::from_millis(number as u64 * 37 % 300)).await;
        if !lease.holds() {
            return Settlement::Retry(Duration::ZERO);
        }
        let (books, leases, host, handle) =
            (self.books.clone(), self.leases.clone(), self.host, received.handle.clone());
        let call = async move {
            if !leases.hold(&handle) {
                books.wrong(format!("host {host} called with message {number}, which was not its own"));
            }
            books.call(number, Some(host)).await
        };
        // A client that goes away breaks off its call.
        let mut calls = JoinSet::new();
        calls.spawn_on(call, &self.service);
        match calls.join_next().await.unwrap().unwrap() {
            Answer::Taken => Settlement::Ack,
            Answer::Refused => Settlement::Buried,
            Answer::NotNow => Settlement::Retry(Duration::from_millis(number as u64 % 7 * 300)),
        }
    }
}

/// A queue on another machine: what was asked for is done, whether or not whoever asked stands still or is gone.
struct Remote {
    service: Runtime,
    queue: Arc<Faulty>,
}

impl Remote {
    async fn ask<T, F>(&self, ask: impl FnOnce(Arc<Faulty>) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.service.spawn(ask(Arc::clone(&self.queue))).await.unwrap()
    }
}

#[async_trait]
impl Queue for Remote {
    fn name(&self) -> &str {
        self.queue.name()
    }

    async fn send(&self, message: NewMessage) -> Result<Sent, QueueError> {
        self.ask(|queue| async move { queue.send(message).await }).await
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError> {
        self.ask(|queue| async move { queue.receive(request).await }).await
    }

    async fn delete(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let handles = handles.to_vec();
        self.ask(|queue| async move { queue.delete(&handles).await }).await
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        let changes = changes.to_vec();
        self.ask(|queue| async move { queue.change_visibility(&changes).await }).await
    }

    async fn limits(&self) -> Result<QueueLimits, QueueError> {
        self.ask(|queue| async move { queue.limits().await }).await
    }

    async fn has_group(&self, group: &GroupId) -> Result<Option<bool>, QueueError> {
        let group = group.clone();
        self.ask(|queue| async move { queue.has_group(&group).await }).await
    }
}
