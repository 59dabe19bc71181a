//! Targets beside each other, in a time of their own: one that is slow or wanted by many does not make the others wait.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use towpath_deliver::places::Away;
use towpath_engine::pipeline::{Line, Settlement, Turn};
use towpath_engine::poll::{self, Options};
use towpath_local::{LocalQueue, QueueSettings, Store};
use towpath_runtime::tasks::Failure;
use towpath_types::clock::Timestamp;
use towpath_types::queue::{NewMessage, Queue as _, Received};

/// How long a message's plugin takes.
const PLUGIN: Duration = Duration::from_millis(1);

/// Targets with the names that bodies begin with: `slow` takes 4 s, `shut` never opens its gate, all others take 5 ms.
#[derive(Default)]
struct Targets {
    /// Every body that was taken, and when.
    taken: Mutex<Vec<(String, Instant)>>,
    /// Messages that wait or are with their target, now and at most.
    inside: Mutex<(usize, usize)>,
    /// How often a message was sent away without a call.
    sent_away: Mutex<u32>,
    news: Notify,
}

impl Line for Targets {
    fn targets(&self) -> usize {
        3
    }

    async fn take(&self, received: &Received, turn: &mut Turn) -> Settlement {
        let place = &mut turn.place;
        let _inside = Inside::of(self);
        sleep(PLUGIN).await;
        let target = received.body.as_text().unwrap().split('/').next().unwrap();
        let gate = async {
            if target == "shut" {
                std::future::pending::<()>().await;
            }
            Ok::<_, Settlement>(())
        };
        let _entered = match place.enter(&[target], Instant::now() + Duration::from_secs(3600), gate).await {
            Ok(entered) => entered,
            Err(away) => {
                *self.sent_away.lock().unwrap() += 1;
                return Settlement::Retry(match away {
                    Away::Crowded(after) => after,
                    Away::Late | Away::Closed => Duration::ZERO,
                });
            }
        };
        sleep(Duration::from_millis(if target == "slow" { 4000 } else { 5 })).await;
        self.taken.lock().unwrap().push((received.body.text().into_owned(), Instant::now()));
        self.news.notify_waiters();
        Settlement::Ack
    }
}

/// A message that is inside until this is dropped.
struct Inside<'a>(&'a Targets);

impl Inside<'_> {
    fn of(targets: &Targets) -> Inside<'_> {
        let mut inside = targets.inside.lock().unwrap();
        inside.0 += 1;
        inside.1 = inside.1.max(inside.0);
        Inside(targets)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.lock().unwrap().0 -= 1;
    }
}

impl Targets {
    /// Waits until so many bodies that begin like this were taken, and when the last of them was.
    async fn taken(&self, target: &str, times: usize) -> Instant {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let of_target = |taken: &&(String, Instant)| taken.0.starts_with(target);
            let last = self.taken.lock().unwrap().iter().filter(of_target).nth(times - 1).map(|(_, at)| *at);
            match last {
                Some(at) => return at,
                None => news.await,
            }
        }
    }
}

struct World {
    _folder: TempDir,
    events: LocalQueue,
    targets: Arc<Targets>,
    stop: CancellationToken,
    driver: JoinSet<Result<(), Failure>>,
}

impl World {
    async fn start(concurrency: usize) -> World {
        let folder = TempDir::new().unwrap();
        let clock = towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000));
        let store = Store::open(folder.path(), clock).unwrap();
        let events = store.queue("events.fifo", QueueSettings::default()).await.unwrap();
        let targets = Arc::<Targets>::default();
        let stop = CancellationToken::new();
        let mut driver = JoinSet::new();
        let options = Options { concurrency, clock, ..Options::default() };
        driver.spawn(poll::run(Arc::new(events.clone()), Arc::clone(&targets), options, Arc::default(), stop.clone()));
        World { _folder: folder, events, targets, stop, driver }
    }

    /// Sends a message of a group of its own.
    async fn send(&self, body: String) {
        let message = NewMessage {
            group: body.as_str().into(),
            dedup_id: Some(body.as_str().into()),
            body: body.into(),
            attributes: Default::default(),
        };
        self.events.send(message).await.unwrap();
    }

    async fn end(mut self) -> u32 {
        self.stop.cancel();
        while let Some(ended) = self.driver.join_next().await {
            ended.unwrap().unwrap();
        }
        *self.targets.sent_away.lock().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_groups_of_a_slow_target_do_not_delay_an_event_for_another() {
    for (concurrency, slow) in [(16, 100), (16, 600), (4, 100), (2, 40)] {
        let world = World::start(concurrency).await;
        for number in 0..slow {
            world.send(format!("slow/{number}")).await;
        }
        sleep(Duration::from_secs(2)).await;
        let sent = Instant::now();
        world.send("quick".to_owned()).await;
        let waited = world.targets.taken("quick", 1).await - sent;
        assert!(waited < Duration::from_secs(2), "{concurrency} places, {slow} slow groups: {waited:?}");
        world.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_steady_stream_to_a_quick_target_is_not_slowed_down_by_a_slow_one() {
    let world = World::start(16).await;
    for number in 0..100 {
        world.send(format!("slow/{number}")).await;
    }
    sleep(Duration::from_secs(2)).await;
    for number in 0..200 {
        let sent = Instant::now();
        world.send(format!("quick/{number}")).await;
        let waited = world.targets.taken("quick", number + 1).await - sent;
        assert!(waited < Duration::from_millis(50), "quick {number}: {waited:?}");
    }
    world.targets.taken("slow", 100).await;
    assert_eq!(world.end().await, 0, "nothing was looked at twice: they waited in their place in line");
}

#[tokio::test(start_paused = true)]
async fn groups_that_wait_for_a_gate_hold_no_place_and_are_given_back_at_a_stop() {
    let world = World::start(4).await;
    for number in 0..30 {
        world.send(format!("shut/{number}")).await;
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        *world.targets.sent_away.lock().unwrap(),
        0,
        "they wait, kept by heartbeats, for longer than a visibility"
    );
    for number in 0..20 {
        world.send(format!("quick/{number}")).await;
    }
    let sent = Instant::now();
    assert!(world.targets.taken("quick", 20).await - sent < Duration::from_secs(1));
    let events = world.events.clone();
    let stopped = Instant::now();
    assert_eq!(world.end().await, 30);
    assert!(stopped.elapsed() <= Duration::from_secs(1), "a stop is felt within one receive");
    let again = events.receive(Default::default()).await.unwrap();
    assert_eq!(again.len(), 10, "what was given back is there for others at once");
}

#[tokio::test(start_paused = true)]
async fn a_queue_full_of_slow_groups_is_not_held_as_a_whole_and_every_one_has_its_turn() {
    let world = World::start(4).await;
    for number in 0..300 {
        world.send(format!("slow/{number}")).await;
    }
    let begun = Instant::now();
    world.targets.taken("slow", 300).await;
    // Three at a time.
    assert!(begun.elapsed() < Duration::from_secs(300 / 3 * 4 * 3 / 2), "{:?}", begun.elapsed());
    let most = world.targets.inside.lock().unwrap().1;
    assert!(most <= 4 + 4 * 16, "{most} messages at a time");
    world.end().await;
}
