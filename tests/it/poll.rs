//! The poll driver: settling, stopping, heartbeats. Over the local queue and real HTTP.

mod watched;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use towpath_engine::poll::{self, Options};
use towpath_runtime::tasks::Failure;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route};
use towpath_tests::target::{Answer, Target};

use watched::{Trouble, Watched};

/// A poll driver at work over a rig.
struct Driver {
    rig: Rig,
    queue: Arc<Watched>,
    stop: CancellationToken,
    tasks: JoinSet<Result<(), Failure>>,
}

impl Driver {
    async fn start(rig: Rig, target: &Target, options: Options, trouble: Trouble) -> Driver {
        rig.write("guest", Guest::forward());
        let pipeline = rig.pipeline(&one_route(&target.url).replace("300ms", "30s"));
        let queue = Arc::new(Watched::new(rig.events.clone(), trouble));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(poll::run(queue.clone(), pipeline, options, Arc::default(), stop.clone()));
        Driver { rig, queue, stop, tasks }
    }

    async fn deleted(&self, count: usize) {
        patient(self.queue.deleted.subscribe().wait_for(|deleted| deleted.len() >= count)).await.unwrap();
    }

    async fn changed(&self, count: usize) {
        patient(self.queue.changed.subscribe().wait_for(|changed| changed.len() >= count)).await.unwrap();
    }

    async fn stop(&mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }

    async fn left(&self) -> u64 {
        self.rig.events.depth().await.unwrap().messages
    }
}

/// What does not come in time never will.
async fn patient<T>(coming: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), coming).await.expect("it comes in time")
}

fn quick() -> Options {
    Options { wait: Duration::from_millis(100), ..Options::default() }
}

#[tokio::test]
async fn what_is_delivered_is_deleted_in_order() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    for body in ["1", "2", "3"] {
        rig.send("g/a", body).await;
    }
    let mut driver = Driver::start(rig, &target, quick(), Trouble::Nothing).await;
    driver.deleted(3).await;
    driver.stop().await;
    assert_eq!(target.bodies(), ["1", "2", "3"]);
    assert_eq!(driver.left().await, 0);
    let remembered = driver.queue.remembered.load(Ordering::Relaxed);
    assert_eq!(remembered, 0, "no answer of a queue in this process gets lost");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_kill_does_not_shorten_the_wait_before_a_retry() {
    let target = Target::answering(|_| Answer::Header(503, "retry-after", "600".to_owned())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    rig.send("g/a", "1").await;
    let holder = rig.store.hold(Duration::ZERO).await.unwrap().expect("a local file system");
    let events = Arc::new(rig.events.held_by(&holder));
    let pipeline = rig.pipeline(&one_route(&target.url));
    let stop = CancellationToken::new();
    let running = poll::run(events, pipeline, quick(), Arc::default(), stop.clone());
    let called = async {
        target.called(1).await;
        stop.cancel();
    };
    tokio::join!(running, called).0.unwrap();
    drop(holder);
    let released = rig.store.release_gone().await.unwrap();
    assert_eq!((released[0].groups, released[0].messages), (0, 0));
}

#[tokio::test]
async fn a_failing_group_is_given_back_tail_to_head_and_others_go_on() {
    let target = Target::answering(|call| match call.body.as_ref() {
        b"a1" => Answer::Header(503, "retry-after", "600".to_owned()),
        _ => Answer::Status(200, String::new()),
    })
    .await;
    let rig = Rig::new().await;
    for (group, body) in [("g/a", "a1"), ("g/a", "a2"), ("g/a", "a3"), ("g/b", "b1")] {
        rig.send(group, body).await;
    }
    let mut driver = Driver::start(rig, &target, quick(), Trouble::Nothing).await;
    driver.deleted(1).await;
    driver.changed(3).await;
    driver.stop().await;
    assert_eq!(target.bodies().iter().filter(|body| body.starts_with('a')).count(), 1, "mates were not tried");
    let changed = driver.queue.changed.borrow().clone();
    assert!(changed.iter().all(|(_, wait)| *wait == Duration::from_secs(600)), "{changed:?}");
    assert_eq!(driver.queue.changed(), ["3", "2", "1"], "tail to head");
    assert_eq!(driver.left().await, 3);
}

#[tokio::test]
async fn a_stop_finishes_what_runs_and_gives_the_rest_back_at_once() {
    let target = Target::answering(|_| Answer::Wait).await;
    let rig = Rig::new().await;
    for body in ["1", "2", "3"] {
        rig.send("g/a", body).await;
    }
    let mut driver = Driver::start(rig, &target, quick(), Trouble::Nothing).await;
    target.called(1).await;
    driver.stop.cancel();
    target.release();
    driver.stop().await;
    assert_eq!(target.bodies(), ["1"]);
    // Another worker gets the rest at once and in order.
    let rest = driver.rig.receive().await;
    let bodies: Vec<Vec<u8>> = rest.iter().map(|m| m.body.webhook().unwrap().body.clone()).collect();
    assert_eq!(bodies, [b"2".to_vec(), b"3".to_vec()]);
}

#[tokio::test]
async fn heartbeats_keep_every_message_of_a_slow_group() {
    let target = Target::answering(|_| Answer::Wait).await;
    let rig = Rig::new().await;
    for body in ["1", "2"] {
        rig.send("g/a", body).await;
    }
    let visibility = Duration::from_millis(300);
    let mut driver = Driver::start(rig, &target, Options { visibility, ..quick() }, Trouble::Nothing).await;
    target.called(1).await;
    // Two messages, beaten for three visibilities: without heartbeats they would come again.
    driver.changed(2 * 9).await;
    target.release();
    target.called(2).await;
    target.release();
    driver.deleted(2).await;
    driver.stop().await;
    assert_eq!(target.bodies(), ["1", "2"], "each once");
    assert_eq!(driver.left().await, 0);
}

#[tokio::test]
async fn what_is_not_known_to_be_deleted_is_kept_while_the_next_is_delivered() {
    // Of a dead letter the delete is waited for.
    for (first, trouble, kept) in [(200, Trouble::DeletesHang, &["2", "1"][..]), (404, Trouble::Nothing, &["2"])] {
        let target = Target::answering(move |call| match call.body.as_ref() {
            b"1" => Answer::Status(first, String::new()),
            _ => Answer::Wait,
        })
        .await;
        let rig = Rig::new().await;
        for body in ["1", "2"] {
            rig.send("g/a", body).await;
        }
        let visibility = Duration::from_secs(2);
        let driver = Driver::start(rig, &target, Options { visibility, ..quick() }, trouble).await;
        target.called(2).await;
        let before = driver.queue.changed().len();
        driver.changed(before + 1).await;
        assert_eq!(driver.queue.changed()[before..], *kept, "visible again, 1 would come beside 2");
    }
}

#[tokio::test]
async fn the_last_of_a_group_is_kept_until_it_is_known_to_be_deleted() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.send("g/a", "1").await;
    let visibility = Duration::from_secs(2);
    let driver = Driver::start(rig, &target, Options { visibility, ..quick() }, Trouble::DeletesHang).await;
    target.called(1).await;
    driver.changed(2).await;
    assert_eq!(driver.queue.changed()[..2], ["1", "1"], "visible again, it would come a second time");
}

#[tokio::test]
async fn a_lost_lease_breaks_off_the_work_and_leaves_the_rest_of_the_group_alone() {
    let target = Target::answering(|_| Answer::Wait).await;
    let rig = Rig::new().await;
    for body in ["1", "2"] {
        rig.send("g/a", body).await;
    }
    // Long enough that a busy machine has begun before a tenth of it has passed: then nothing has to be confirmed.
    let visibility = Duration::from_secs(3);
    let options = Options { visibility, concurrency: 1, ..quick() };
    let mut driver = Driver::start(rig, &target, options, Trouble::LosesLeases).await;
    // The target never answers: only a worker that lets go of the first call can make the second.
    target.called(2).await;
    driver.stop().await;
    assert_eq!(target.bodies()[..2], ["1", "1"]);
    assert!(target.bodies().iter().all(|body| body == "1"), "nothing of the group was begun after the loss");
    assert_eq!(driver.left().await, 2);
}

#[tokio::test]
async fn what_failed_comes_again_and_goes_through_in_order() {
    let mut failures = 2;
    let target = Target::answering(move |_| {
        failures -= 1;
        if failures >= 0 { Answer::Status(503, String::new()) } else { Answer::Status(200, String::new()) }
    })
    .await;
    let rig = Rig::new().await;
    for body in ["1", "2"] {
        rig.send("g/a", body).await;
    }
    rig.write("guest", Guest::forward());
    let config = one_route(&target.url) + "\nretry = { base = \"20ms\", cap = \"40ms\" }";
    let pipeline = rig.pipeline(&config);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(poll::run(Arc::new(rig.events.clone()), pipeline.clone(), quick(), Arc::default(), stop.clone()));
    target.called(4).await;
    stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap().unwrap();
    }
    assert_eq!(target.bodies(), ["1", "1", "1", "2"]);
    assert_eq!(pipeline.totals().delivered, 2);
}

#[tokio::test]
async fn a_crash_repeats_four_messages_of_a_group_at_most() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    for number in 1..=10 {
        rig.send("g/a", &format!("a{number}")).await;
    }
    let driver = Driver::start(rig, &target, quick(), Trouble::DeletesHang).await;
    target.called(4).await;
    // A fifth would have come before a message of another group that was sent only now.
    driver.rig.send("g/b", "b1").await;
    target.until(|calls| calls.iter().any(|call| call.body.as_ref() == b"b1")).await;
    let bodies: Vec<String> = target.bodies().into_iter().filter(|body| body.starts_with('a')).collect();
    assert_eq!(bodies, ["a1", "a2", "a3", "a4"], "delivered and not known to be deleted");
    assert_eq!(driver.left().await, 11);
}

#[tokio::test]
async fn a_failed_delete_ends_the_work_on_its_group() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    for number in 1..=10 {
        rig.send("g/a", &number.to_string()).await;
    }
    let mut driver = Driver::start(rig, &target, quick(), Trouble::DeletesFail).await;
    driver.changed(6).await;
    driver.stop().await;
    let bodies = target.bodies();
    assert!(bodies.len() <= 4, "{bodies:?}");
    let numbers: Vec<String> = (1..=bodies.len()).map(|number| number.to_string()).collect();
    assert_eq!(bodies, numbers, "each once and in order");
    let given_back = driver.queue.changed();
    let rest: Vec<String> = (bodies.len() + 1..=10).rev().map(|number| number.to_string()).collect();
    assert_eq!(given_back, rest, "what was not delivered, tail to head");
    assert_eq!(driver.left().await, 10);
}

#[tokio::test]
async fn nothing_of_its_group_goes_on_before_a_dead_letter_is_known_to_be_deleted() {
    let target = Target::answering(|call| match call.body.as_ref() {
        b"2" => Answer::Status(404, String::new()),
        _ => Answer::Status(200, String::new()),
    })
    .await;
    for trouble in [Trouble::DeletesHang, Trouble::DeletesFail] {
        let rig = Rig::new().await;
        // Of what is delivered up to four are not known to be deleted: the first one alone keeps nobody.
        for number in 1..=4 {
            rig.send("g/a", &number.to_string()).await;
        }
        let mut driver = Driver::start(rig, &target, quick(), trouble).await;
        patient(async {
            while driver.rig.letters().await.is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        if trouble == Trouble::DeletesFail {
            driver.changed(2).await;
            driver.stop().await;
        }
        // One of another group that was sent later has its turn, and 3 would have had it before.
        driver.rig.send("g/b", "b").await;
        match trouble {
            Trouble::DeletesHang => target.until(|calls| calls.iter().any(|call| call.body.as_ref() == b"b")).await,
            _ => assert_eq!(driver.left().await, 5, "all come again"),
        }
        let bodies: Vec<String> = target.bodies().into_iter().filter(|body| body != "b").collect();
        assert!(bodies.iter().all(|body| body == "1" || body == "2"), "{bodies:?}");
    }
}

#[tokio::test]
async fn a_delete_that_does_not_get_through_is_tried_again() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.send("g/a", "1").await;
    let mut driver = Driver::start(rig, &target, quick(), Trouble::FirstDeleteIsLost).await;
    driver.deleted(1).await;
    driver.stop().await;
    assert_eq!(target.bodies(), ["1"]);
    assert_eq!(driver.left().await, 0);
}

#[tokio::test]
async fn a_receive_whose_answer_was_lost_is_made_again_as_the_same() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.send("g/a", "1").await;
    // As another receive it would get the message in an hour.
    let options = Options { visibility: Duration::from_secs(3600), concurrency: 1, ..quick() };
    let mut driver = Driver::start(rig, &target, options, Trouble::FirstReceiveIsLost).await;
    driver.deleted(1).await;
    driver.stop().await;
    assert_eq!(target.bodies(), ["1"]);
}
