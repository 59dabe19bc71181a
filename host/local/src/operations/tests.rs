use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use towpath_types::clock::{Clock, Timestamp};

use super::*;
use crate::Store;

const WAIT: Duration = Duration::from_secs(20);

async fn queue(folder: &TempDir) -> LocalQueue {
    let store = Store::open(folder.path(), Clock::wall()).expect("store");
    store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue")
}

fn message(group: &str, n: u32) -> (NewMessage, Extras) {
    let body = format!("{group}{n}");
    let group = GroupId::from(group);
    let message =
        NewMessage { group, dedup_id: Some(body.as_str().into()), body: body.into(), attributes: Default::default() };
    (message, Extras::default())
}

fn waiting(max: usize) -> Receive {
    Receive { max, wait: WAIT, ..Receive::default() }
}

/// Lets all other tasks run until they wait. Time is paused, so no wait ends.
async fn settled(queue: &LocalQueue) {
    for _ in 0..20 {
        queue.depth().await.expect("depth");
    }
}

#[tokio::test]
async fn a_first_receive_does_not_rewrite_the_body_and_its_time_is_kept() {
    static AHEAD: AtomicU64 = AtomicU64::new(0);
    let folder = TempDir::new().expect("folder");
    let store = Store::open(folder.path(), Clock::wall().shifted(&AHEAD)).expect("store");
    let queue = store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue");
    let (mut large, extras) = message("A", 1);
    large.body = "x".repeat(200_000).into();
    queue.send_all(vec![(large, extras)]).await.expect("send");
    let log = || std::fs::metadata(folder.path().join("towpath.db-wal")).expect("log").len();
    let before = log();
    let first = queue.take(Receive::default()).await.expect("receive").remove(0);
    let written = log() - before;
    assert!(written > 0 && written < 100_000, "{written} bytes");
    assert!(first.first_received_at.0 > 0);
    let mut handle = first.received.handle;
    for count in 2..=3 {
        queue.change_visibility(&[(handle, Duration::ZERO)]).await.remove(0).expect("released");
        AHEAD.fetch_add(1000, Ordering::Relaxed);
        let again = queue.take(Receive::default()).await.expect("receive").remove(0);
        assert_eq!((again.first_received_at, again.received.receive_count), (first.first_received_at, count));
        handle = again.received.handle;
    }
}

/// Runs an operation that waits 20 s for the writer.
async fn in_line<T>(store: &Store, ahead: &AtomicU64, operation: impl Future<Output = T>) -> T {
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = parking_lot::Mutex::new(released);
    // The operation blocks its thread, which must not be that of the test.
    store.shared.pace.crowd();
    let slow = store.run(Durability::Written, move |_| {
        let _ = begun.send(());
        let _ = released.lock().recv();
        Ok(())
    });
    let behind_it = async {
        let begun = tokio::task::spawn_blocking(move || has_begun.recv());
        begun.await.expect("not cancelled").expect("the writer is busy");
        let mut operation = std::pin::pin!(operation);
        tokio::select! {
            biased;
            _ = &mut operation => panic!("the writer is busy"),
            () = std::future::ready(()) => {}
        }
        ahead.fetch_add(20_000, Ordering::SeqCst);
        release.send(()).expect("the writer waits");
        operation.await
    };
    let (busy, done) = tokio::join!(slow, behind_it);
    busy.expect("written");
    done
}

#[tokio::test]
async fn an_operation_uses_the_time_when_it_is_written_not_when_it_was_queued() {
    static AHEAD: AtomicU64 = AtomicU64::new(0);
    let folder = TempDir::new().expect("folder");
    let store = Store::open(folder.path(), Clock::wall().shifted(&AHEAD)).expect("store");
    let queue = store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue");
    queue.send_all(vec![message("A", 1)]).await.expect("send");
    let thirty = Duration::from_secs(30);
    let receive = || queue.take(Receive { visibility: Some(thirty), ..Receive::default() });
    let taken = in_line(&store, &AHEAD, receive()).await.expect("receive").remove(0);
    AHEAD.fetch_add(15_000, Ordering::SeqCst);
    assert!(receive().await.expect("receive").is_empty(), "it was received 15 s ago, and requested 35 s ago");
    let held = [(taken.received.handle, thirty)];
    in_line(&store, &AHEAD, queue.change_visibility(&held)).await.remove(0).expect_err("it had 15 s left, 20 passed");
    let again = receive().await.expect("receive").remove(0);
    let held = [(again.received.handle.clone(), thirty)];
    in_line(&store, &AHEAD, queue.change_visibility(&held)).await.remove(0).expect("it had 30 s left");
    AHEAD.fetch_add(15_000, Ordering::SeqCst);
    assert!(receive().await.expect("receive").is_empty(), "it was kept 15 s ago");
    let deleted = in_line(&store, &AHEAD, queue.delete(&[again.received.handle])).await.remove(0);
    assert!(matches!(deleted, Err(QueueError::HandleExpired)), "it had 15 s left, 20 passed: {deleted:?}");
    let asked = store.clock.now();
    in_line(&store, &AHEAD, queue.send_all(vec![message("B", 1)])).await.expect("send");
    let sent =
        queue.browse(None, 10).await.expect("browse").into_iter().find(|message| message.body.as_text() == Some("B1"));
    assert!(
        sent.expect("it is there").sent_at.since(asked) >= Duration::from_secs(20),
        "it was sent when it was written"
    );
}

#[tokio::test(start_paused = true)]
async fn a_delete_wakes_a_long_poll_for_the_next_message_of_the_group() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    queue.send_all(vec![message("A", 1), message("A", 2)]).await.expect("send");
    let first = queue.take(waiting(1)).await.expect("receive").remove(0);
    let mut waiter = tokio::task::JoinSet::new();
    let clone = queue.clone();
    waiter.spawn(async move { clone.take(waiting(10)).await.expect("receive") });
    settled(&queue).await;
    let began = Instant::now();
    queue.delete(&[first.received.handle]).await.remove(0).expect("delete");
    let woken = waiter.join_next().await.expect("a waiter").expect("task");
    assert_eq!(woken.first().map(|taken| taken.received.body.as_text().expect("text")), Some("A2"));
    assert!(began.elapsed() < WAIT / 2, "it came at the end of the wait");
}

#[tokio::test(start_paused = true)]
async fn the_next_of_several_long_polls_takes_at_once_what_the_first_one_left() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    let mut waiters: tokio::task::JoinSet<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            async move { queue.take(waiting(1)).await.expect("receive") }
        })
        .collect();
    settled(&queue).await;
    let began = Instant::now();
    queue.send_all(vec![message("A", 1), message("B", 1)]).await.expect("send");
    for _ in 0..2 {
        let taken = waiters.join_next().await.expect("a waiter").expect("task");
        assert_eq!(taken.len(), 1);
    }
    assert!(began.elapsed() < WAIT / 2, "one came at the end of its wait");
    let empty = waiters.join_next().await.expect("a waiter").expect("task");
    assert!(empty.is_empty() && began.elapsed() >= WAIT - Duration::from_secs(1), "there is nothing for the third");
}

type Waiters = tokio::task::JoinSet<Result<Vec<Taken>, QueueError>>;

/// Long polls, begun one after another.
async fn waiters<const N: usize>(queue: &LocalQueue, waits: [Duration; N]) -> Waiters {
    let mut waiters = Waiters::new();
    for wait in waits {
        let queue = queue.clone();
        waiters.spawn(async move { queue.take(Receive { wait, ..waiting(1) }).await });
        tokio::task::yield_now().await;
    }
    settled(&queue.clone()).await;
    waiters
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_behind_another_ends_when_its_own_wait_is_over() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    let began = Instant::now();
    let mut waiters = waiters(&queue, [WAIT, Duration::from_secs(3)]).await;
    let second = waiters.join_next().await.expect("a waiter").expect("task");
    assert!(second.expect("receive").is_empty() && began.elapsed() < Duration::from_secs(4));
    queue.send_all(vec![message("A", 1)]).await.expect("send");
    let first = waiters.join_next().await.expect("a waiter").expect("task");
    assert_eq!(first.expect("receive").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_takes_over_from_one_that_was_given_up() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    let first = waiters(&queue, [WAIT]).await;
    let mut second = waiters(&queue, [WAIT]).await;
    let began = Instant::now();
    let other = Store::open(folder.path(), Clock::wall()).expect("store").find("q.fifo").await.expect("read");
    other.expect("its queue").send_all(vec![message("A", 1)]).await.expect("send");
    // The first one is woken, and dropped before it runs.
    queue.store().wake(queue.id);
    drop(first);
    let second = second.join_next().await.expect("a waiter").expect("task");
    assert_eq!(second.expect("receive").len(), 1);
    assert!(began.elapsed() < WAIT / 2, "it came at the end of the wait");
}

#[tokio::test(start_paused = true)]
async fn a_removed_queue_ends_every_long_poll() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    let mut waiters = waiters(&queue, [WAIT, WAIT, WAIT]).await;
    let began = Instant::now();
    queue.store().clone().remove(queue).await.expect("removed");
    while let Some(ended) = waiters.join_next().await {
        assert!(matches!(ended.expect("task"), Err(QueueError::NoSuchQueue { .. })));
    }
    assert!(began.elapsed() < WAIT / 2, "one ended at the end of its wait");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_given_back_is_found_when_its_wait_is_over() {
    let folder = TempDir::new().expect("folder");
    let paused = Clock::starting_at(Timestamp(1_700_000_000_000), || Instant::now().into_std());
    let store = Store::open(folder.path(), paused).expect("store");
    let queue = store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue");
    let mut waiters = waiters(&queue, [WAIT, WAIT]).await;
    queue.send_all(vec![message("A", 1)]).await.expect("send");
    let taken = waiters.join_next().await.expect("a waiter").expect("task").expect("receive").remove(0);
    queue.release(&[(taken.received.handle, Duration::from_secs(2))]).await.remove(0).expect("released");
    assert_eq!(waiters.join_next().await.expect("a waiter").expect("task").expect("receive").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_another_process_stored_is_found_soon_and_not_only_at_the_end_of_the_wait() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    let mut waiters = waiters(&queue, [WAIT, WAIT]).await;
    let began = Instant::now();
    let other = Store::open(folder.path(), Clock::wall()).expect("store").find("q.fifo").await.expect("read");
    other.expect("its queue").send_all(vec![message("A", 1)]).await.expect("send");
    assert_eq!(waiters.join_next().await.expect("a waiter").expect("task").expect("receive").len(), 1);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_receive_that_is_repeated_gets_its_messages_again_at_once() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    let attempt = || Receive { attempt_id: Some("a".to_owned()), ..waiting(10) };
    // Two at once, and one after them: the first of them is answered by the message.
    let mut waiters = Waiters::new();
    for _ in 0..2 {
        let queue = queue.clone();
        waiters.spawn(async move { queue.take(attempt()).await });
    }
    settled(&queue).await;
    let began = Instant::now();
    queue.send_all(vec![message("A", 1)]).await.expect("send");
    for _ in 0..2 {
        assert_eq!(waiters.join_next().await.expect("a waiter").expect("task").expect("receive").len(), 1);
    }
    let _watching = self::waiters(&queue, [WAIT]).await;
    assert_eq!(queue.take(attempt()).await.expect("receive").len(), 1);
    assert!(began.elapsed() < WAIT / 2, "one came at the end of its wait");
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_finds_what_is_due_at_its_very_end() {
    let folder = TempDir::new().expect("folder");
    let paused = Clock::starting_at(Timestamp(1_700_000_000_000), || Instant::now().into_std());
    let store = Store::open(folder.path(), paused).expect("store");
    let queue = store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue");
    let second = Duration::from_secs(1);
    let delayed = Extras { delay: Some(second), ..Extras::default() };
    queue.send_all(vec![(message("A", 1).0, delayed)]).await.expect("send");
    assert_eq!(queue.take(Receive { wait: second, ..waiting(1) }).await.expect("receive").len(), 1);
}

#[tokio::test]
async fn a_made_up_deduplication_id_is_not_remembered() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    for (n, is_unique, remembered) in [(1, true, 0), (2, false, 1)] {
        let arrival = Arrival { is_unique, ..Arrival::default() };
        queue.arrive(message("A", n).0, arrival).await.expect("stored");
        let count = |connection: &rusqlite::Connection| {
            connection.query_row("SELECT count(*) FROM dedup", [], |row| row.get(0))
        };
        let known: i64 = queue.store.read(count).await.expect("a count");
        assert_eq!(known, remembered, "unique: {is_unique}");
    }
}
