//! Waiting over a queue that counts receives: for two weeks, and for as long as a queue hides a message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use towpath_aws::{SqsQueue, client};
use towpath_deliver::holds::Watched;
use towpath_engine::pipeline::{Line, Pipeline, Settlement, Turn};
use towpath_engine::poll::{self, Options};
use towpath_local::{DedupScope, LocalQueue, QueueSettings, RedrivePolicy};
use towpath_proof::scale::{AWS, LOAD, Load, simulate};
use towpath_runtime::lease::Lease;
use towpath_runtime::time::wall_clock;
use towpath_tests::endpoint::SqsServer;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route};
use towpath_types::clock::Timestamp;
use towpath_types::holds::{BreakerReport, Change, HoldState, Holds, HoldsError};
use towpath_types::queue::{MAX_VISIBILITY, NewMessage, Queue, QueueLimits, Receive, Received};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Holds that nobody can read.
struct Unreadable;

fn forbidden() -> HoldsError {
    HoldsError { place: "s3://bucket/holds.json".to_owned(), problem: "forbidden".to_owned() }
}

#[async_trait]
impl Holds for Unreadable {
    async fn read(&self) -> Result<HoldState, HoldsError> {
        Err(forbidden())
    }

    async fn change(&self, _: Change) -> Result<HoldState, HoldsError> {
        Err(forbidden())
    }

    async fn report(&self, _: BreakerReport) -> Result<(), HoldsError> {
        Err(forbidden())
    }

    async fn reports(&self, _: &[String]) -> Result<Vec<BreakerReport>, HoldsError> {
        Err(forbidden())
    }
}

/// Takes what comes through a pipeline until nothing waits any more. Returns the most receives of a message, and how long it
/// took.
async fn drain(queue: &LocalQueue, pipeline: &Pipeline) -> (u32, Duration) {
    let began = tokio::time::Instant::now();
    let mut visible = BTreeMap::new();
    let mut receives = 0;
    while queue.depth().await.unwrap().messages > 0 {
        let batch = queue.receive(Receive { visibility: Some(MINUTE), ..Receive::default() }).await.unwrap();
        if batch.is_empty() {
            let (_, next) = visible.iter().min_by_key(|(_, at)| **at).expect("something waits");
            let next: tokio::time::Instant = *next;
            tokio::time::advance(next - tokio::time::Instant::now() + Duration::from_millis(1)).await;
            visible.retain(|_, at| *at > tokio::time::Instant::now());
        }
        for group in poll::by_group(batch) {
            let mut run = pipeline.group(Lease::of(MINUTE));
            let mut give_back = Vec::new();
            for message in &group {
                receives = receives.max(message.receive_count);
                match run.next(message).await {
                    Settlement::Ack | Settlement::Buried => {
                        queue.delete(std::slice::from_ref(&message.handle)).await.remove(0).unwrap();
                        visible.remove(&message.id);
                    }
                    Settlement::Retry(after) => {
                        visible.insert(message.id.clone(), tokio::time::Instant::now() + after);
                        give_back.push((message.handle.clone(), after));
                    }
                }
            }
            give_back.reverse();
            queue.change_visibility(&give_back).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        }
    }
    (receives, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_two_weeks_is_a_dead_letter_with_its_reason_before_the_queue_takes_it_away() {
    for unreadable in [false, true] {
        let rig = Rig::with_clock(towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000))).await;
        let redrive = RedrivePolicy { dead_letter_queue: "events-dead.fifo".to_owned(), max_receive_count: 200 };
        let settings =
            QueueSettings { dedup_scope: DedupScope::MessageGroup, redrive: Some(redrive), ..QueueSettings::default() };
        let queue = rig.store.set_queue("events.fifo", settings).await.unwrap();
        rig.write("guest", Guest::forward());
        let hold = if unreadable { "" } else { "\nhold = true" };
        let holds = Watched::new(
            Arc::new(Unreadable),
            Duration::from_secs(10),
            towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000)),
        );
        let config = one_route("http://127.0.0.1:9") + hold;
        let pipeline = rig.pipeline_with(&config, Arc::new(rig.dead_letters.clone()), unreadable.then_some(holds));
        pipeline.limits.ask_if_due(&queue).await;
        assert_eq!(pipeline.limits.get().max_receives, Some(200));
        for body in ["1", "2"] {
            for group in ["g/a", "g/b"] {
                rig.send(group, body).await;
            }
        }
        let (receives, took) = drain(&queue, &pipeline).await;
        assert!(took > 13 * DAY && took < 14 * DAY, "{took:?}");
        assert!((100..=180).contains(&receives), "{receives}");
        let letters = rig.letters().await;
        assert_eq!(letters.len(), 4);
        assert!(letters.iter().all(|letter| letter.reason == "waited-too-long"), "{letters:?}");
        assert_eq!(letters[0].detail.contains("cannot be read"), unreadable, "{}", letters[0].detail);
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_redrive_policy_is_known_within_a_quarter_of_an_hour() {
    let rig = Rig::with_clock(towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000))).await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&one_route("http://127.0.0.1:9"));
    for max_receive_count in [200, 1000] {
        let redrive = RedrivePolicy { dead_letter_queue: "events-dead.fifo".to_owned(), max_receive_count };
        let settings = QueueSettings { redrive: Some(redrive), ..QueueSettings::default() };
        let queue = rig.store.set_queue("events.fifo", settings).await.unwrap();
        pipeline.limits.ask_if_due(&queue).await;
        assert_eq!(pipeline.limits.get().max_receives, Some(max_receive_count));
        tokio::time::advance(15 * MINUTE).await;
    }
}

#[test]
fn until_the_last_call_the_simulation_of_aws_moves_nothing() {
    fn wait_s(age_s: f64, receives: u32) -> f64 {
        let least = QueueLimits::ASSUMED.least_wait(Duration::from_secs_f64(age_s), receives);
        least.max(MINUTE).as_secs_f64()
    }
    for groups in [1, 3, 40] {
        let per_second = f64::from(groups) / 3600.0;
        let load = Load { groups, per_second, held: 1.0, hold_wait_s: wait_s, ..LOAD };
        let outcome = simulate(&AWS, &load, 13 * 24 * 3600, 7);
        assert_eq!(outcome.moved, 0, "{groups} groups: {} receives", outcome.receives);
        assert!(outcome.receives > 500, "{groups} groups: {} receives", outcome.receives);
    }
}

/// Nothing can be done for twelve hours.
#[derive(Default)]
struct Never {
    asked: Notify,
    answers: Notify,
}

impl Line for Never {
    fn targets(&self) -> usize {
        1
    }

    async fn take(&self, _: &Received, _: &mut Turn) -> Settlement {
        self.asked.notify_one();
        self.answers.notified().await;
        Settlement::Retry(MAX_VISIBILITY)
    }
}

#[tokio::test]
async fn a_wait_of_twelve_hours_is_cut_down_to_what_the_queue_takes() {
    let server = SqsServer::start().await;
    server.store.set_queue("events.fifo", QueueSettings::default()).await.unwrap();
    let url = server.queue_url("events.fifo");
    let queue = Arc::new(SqsQueue::new(client::sqs(&url).await, url));
    for body in ["1", "2"] {
        let message = NewMessage {
            group: "g".into(),
            dedup_id: Some(body.into()),
            body: body.into(),
            attributes: Default::default(),
        };
        queue.send(message).await.unwrap();
    }
    static AHEAD: AtomicU64 = AtomicU64::new(0);
    let stop = CancellationToken::new();
    let clock = wall_clock().shifted(&AHEAD);
    let visibility = Duration::from_secs(3600);
    let options = Options { wait: Duration::ZERO, visibility, clock, ..Options::default() };
    let line = Arc::new(Never::default());
    let mut polling = JoinSet::new();
    polling.spawn(poll::run(queue.clone(), Arc::clone(&line), options, Arc::default(), stop.clone()));
    line.asked.notified().await;
    // It was held for a quarter of an hour before it is given back: less than it takes to the first heartbeat.
    AHEAD.fetch_add(15 * 60 * 1000, Ordering::SeqCst);
    server.pass(Duration::from_secs(15 * 60));
    line.answers.notify_one();
    stop.cancel();
    polling.join_next().await.unwrap().unwrap().unwrap();
    server.pass(Duration::from_secs(11 * 3600 + 30 * 60));
    let received = queue.receive(Receive::default()).await.unwrap();
    assert!(received.is_empty(), "the queue refused the wait, they came back when their visibility ended");
    server.pass(Duration::from_secs(15 * 60));
    assert_eq!(queue.receive(Receive::default()).await.unwrap().len(), 2);
}
