//! Queues that are removed while in use, and dead-letter queues in a ring.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;
use towpath_types::clock::Timestamp;
use towpath_types::queue::{GroupId, NewMessage, Queue as _, QueueError, Receive};

use crate::moves::MoveStatus;
use crate::settings::{QueueSettings, RedrivePolicy};
use crate::writer::Durability;
use crate::{LocalQueue, Store};

const WAIT: Duration = Duration::from_secs(20);

fn store(folder: &TempDir) -> Store {
    Store::open(folder.path(), towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000))).expect("store")
}

/// A queue whose messages are visible again at once after a receive.
async fn queue(store: &Store, name: &str, dead_letters: Option<&str>) -> LocalQueue {
    let redrive = dead_letters.map(|name| RedrivePolicy { dead_letter_queue: name.to_owned(), max_receive_count: 1 });
    let settings = QueueSettings { visibility: Duration::ZERO, redrive, ..QueueSettings::default() };
    store.set_queue(name, settings).await.expect("queue")
}

fn message(body: &str) -> NewMessage {
    let group = GroupId::from(body[..1].to_owned());
    let dedup_id = Some(body.into());
    NewMessage { group, dedup_id, body: body.into(), attributes: Default::default() }
}

async fn received(queue: &LocalQueue) -> Vec<String> {
    let receive = Receive { max: 10, ..Receive::default() };
    queue.receive(receive).await.expect("receive").into_iter().map(|received| received.body.into_text()).collect()
}

async fn stored(queue: &LocalQueue) -> Vec<String> {
    queue.browse(None, 100).await.expect("browse").into_iter().map(|message| message.body.into_text()).collect()
}

fn is_gone<T: std::fmt::Debug>(result: Result<T, QueueError>) {
    let error = result.expect_err("the queue was removed");
    assert!(matches!(error, QueueError::NoSuchQueue { .. }), "{error}");
}

#[tokio::test]
async fn a_new_queue_with_the_name_of_a_removed_one_is_another_queue() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    let old = queue(&store, "q.fifo", None).await;
    old.send(message("A1")).await.expect("send");
    let handle = old.receive(Receive::default()).await.expect("receive").remove(0).handle;
    store.remove(old.clone()).await.expect("remove");
    let new = queue(&store, "q.fifo", None).await;
    assert!(new.id > old.id, "{} after {}", new.id, old.id);
    is_gone(old.send(message("A2")).await);
    is_gone(old.receive(Receive::default()).await);
    is_gone(old.delete(std::slice::from_ref(&handle)).await.remove(0));
    is_gone(old.change_visibility(&[(handle.clone(), WAIT)]).await.remove(0));
    is_gone(store.remove(old).await);
    assert!(stored(&new).await.is_empty());
    new.send(message("A3")).await.expect("send");
    let error = new.delete(&[handle]).await.remove(0).expect_err("a handle of the old queue");
    assert!(matches!(error, QueueError::HandleInvalid), "{error}");
    assert_eq!(stored(&new).await, ["A3"]);
}

/// Signals when a lookup can continue.
#[derive(Default)]
struct Ready(tokio::sync::Notify);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Lets a lookup read the store, but not continue after that.
async fn only_read<T>(store: &Store, find: &mut Pin<&mut impl Future<Output = T>>) {
    let ready = Arc::new(Ready::default());
    let waker = Waker::from(Arc::clone(&ready));
    let kept_waiting = store.shared.readers.keep_waiting();
    assert!(find.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "it reads");
    drop(kept_waiting);
    ready.0.notified().await;
}

#[tokio::test]
async fn a_queue_removed_during_a_lookup_is_not_cached() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    let old = queue(&store, "q.fifo", None).await;
    store.shared.queues.forget("q.fifo", old.id);
    let mut find = pin!(store.find("q.fifo"));
    only_read(&store, &mut find).await;
    store.remove(old).await.expect("remove");
    let found = find.await.expect("read").expect("it was there when it was read");
    is_gone(found.send(message("A1")).await);
    assert!(store.find("q.fifo").await.expect("read").is_none(), "it is no longer cached");
}

#[tokio::test]
async fn a_late_lookup_does_not_replace_the_next_queue_in_the_cache() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    let old = queue(&store, "q.fifo", None).await;
    store.shared.queues.forget("q.fifo", old.id);
    let mut find = pin!(store.find("q.fifo"));
    only_read(&store, &mut find).await;
    store.remove(old).await.expect("remove");
    let new = queue(&store, "q.fifo", None).await;
    let late = find.await.expect("read").expect("it was there when it was read");
    // Before anything is sent to the old queue, which would remove it from the cache.
    let found = store.find("q.fifo").await.expect("read").expect("the new queue");
    assert_eq!(found.id, new.id);
    is_gone(late.send(message("A1")).await);
    found.send(message("A2")).await.expect("send");
}

#[tokio::test]
async fn a_late_lookup_does_not_restore_old_settings() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    let queue = queue(&store, "q.fifo", None).await;
    store.shared.queues.forget("q.fifo", queue.id);
    let mut find = pin!(store.find("q.fifo"));
    only_read(&store, &mut find).await;
    let settings = QueueSettings { max_message_bytes: 1, ..QueueSettings::default() };
    let set = store.set_queue("q.fifo", settings).await.expect("set");
    let late = find.await.expect("read").expect("queue");
    assert_eq!(late.settings().max_message_bytes, 1);
    for queue in [queue, set, late] {
        assert!(queue.send(message("A1")).await.is_err(), "it is longer than the queue takes");
    }
}

#[tokio::test]
async fn a_change_to_a_removed_queue_does_not_recreate_it() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    let queue = queue(&store, "q.fifo", None).await;
    store.remove(queue.clone()).await.expect("remove");
    let delay = |settings: &mut QueueSettings| {
        settings.delay = WAIT;
        Ok::<(), ()>(())
    };
    is_gone(queue.change(delay).await.map(|changed| changed.is_ok()));
    assert!(store.queue_names().await.expect("names").is_empty());
}

#[tokio::test]
async fn concurrent_changes_are_all_applied() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    let queue = queue(&store, "q.fifo", None).await;
    let tag = |key: &'static str| {
        queue.change(move |settings| {
            settings.tags.insert(key.to_owned(), String::new());
            Ok::<(), ()>(())
        })
    };
    let (a, b) = tokio::join!(tag("a"), tag("b"));
    assert!(a.is_ok_and(|changed| changed.is_ok()) && b.is_ok_and(|changed| changed.is_ok()));
    assert_eq!(queue.settings().tags.keys().collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn the_next_operation_uses_what_another_process_changed() {
    let folder = TempDir::new().expect("folder");
    let here = store(&folder);
    let there = store(&folder);
    let queue = queue(&here, "q.fifo", None).await;
    let settings = QueueSettings { content_based_dedup: true, ..QueueSettings::default() };
    there.set_queue("q.fifo", settings).await.expect("set");
    let unnamed = NewMessage { dedup_id: None, ..message("A1") };
    queue.send(unnamed).await.expect("its id comes from its body");
    let there = there.find("q.fifo").await.expect("read").expect("queue");
    there.store().remove(there.clone()).await.expect("remove");
    is_gone(queue.send(message("A2")).await);
    assert!(here.find("q.fifo").await.expect("read").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_ends_with_its_queue_and_takes_nothing_of_the_next_one() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    let old = queue(&store, "q.fifo", None).await;
    let mut waiters: JoinSet<_> = (0..3)
        .map(|_| {
            let old = old.clone();
            async move { old.take(Receive { wait: WAIT, ..Receive::default() }).await }
        })
        .collect();
    // Time is paused, so the receives find nothing and stay in their long poll.
    for _ in 0..20 {
        old.run(Durability::Written, |_, _| Ok(())).await.expect("it is there");
    }
    let began = Instant::now();
    store.remove(old).await.expect("remove");
    let new = queue(&store, "q.fifo", None).await;
    new.send(message("A1")).await.expect("send");
    while let Some(waiter) = waiters.join_next().await {
        is_gone(waiter.expect("task"));
    }
    assert!(began.elapsed() < WAIT / 2, "they waited until the end");
    assert_eq!(received(&new).await, ["A1"]);
}

#[tokio::test(start_paused = true)]
async fn a_move_into_a_removed_queue_fails_even_if_its_name_is_used_again() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    let dead = queue(&store, "dead.fifo", None).await;
    queue(&store, "source.fifo", Some("dead.fifo")).await;
    let to = queue(&store, "to.fifo", None).await;
    dead.send(message("A1")).await.expect("send");
    let task = store.start_move(&dead, Some(&to), None).await.expect("start");
    store.remove(to).await.expect("remove");
    let next = queue(&store, "to.fifo", None).await;
    queue(&store, "other.fifo", None).await;
    let ended = store.run_move(task.id).await.expect("run");
    assert_eq!((ended.status, ended.moved), (MoveStatus::Failed, 0));
    assert_eq!(ended.failure.as_deref(), Some("AWS.SimpleQueueService.NonExistentQueue"));
    assert_eq!(ended.destination.as_deref(), Some("to.fifo"), "it still names its destination");
    assert_eq!((stored(&dead).await, stored(&next).await), (vec!["A1".to_owned()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_new_queue_does_not_inherit_move_tasks_of_a_removed_one() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    queue(&store, "source.fifo", Some("dead.fifo")).await;
    let dead = queue(&store, "dead.fifo", None).await;
    let to = queue(&store, "to.fifo", None).await;
    dead.send(message("A1")).await.expect("send");
    let task = store.start_move(&dead, Some(&to), Some(1)).await.expect("start");
    store.remove(dead).await.expect("remove");
    let dead = queue(&store, "dead.fifo", None).await;
    assert!(store.moves(&dead, 10).await.expect("tasks").is_empty());
    assert!(matches!(store.run_move(task.id).await, Err(crate::MoveError::NoSuchTask)));
    let next = store.start_move(&dead, Some(&to), Some(1)).await.expect("start");
    assert!(next.id > task.id && next.handle != task.handle);
    assert!(matches!(store.cancel_move(&dead, &task.handle).await, Err(crate::MoveError::NoSuchTask)));
}

#[tokio::test(start_paused = true)]
async fn no_message_is_moved_past_one_of_its_group_that_is_in_flight() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    queue(&store, "source.fifo", Some("dead.fifo")).await;
    let dead = queue(&store, "dead.fifo", None).await;
    let to = queue(&store, "to.fifo", None).await;
    for body in ["A1", "B1", "A2"] {
        dead.send(message(body)).await.expect("send");
    }
    let held = Receive { max: 1, visibility: Some(WAIT), ..Receive::default() };
    assert_eq!(dead.receive(held).await.expect("receive").len(), 1);
    let task = store.start_move(&dead, Some(&to), None).await.expect("start");
    store.run_move(task.id).await.expect("run");
    assert_eq!(
        (stored(&dead).await, stored(&to).await),
        (vec!["A1".to_owned(), "A2".to_owned()], vec!["B1".to_owned()])
    );
}

/// The endpoint rejects this now, but an older store may have such a queue.
#[tokio::test]
async fn a_queue_that_is_its_own_dead_letter_queue_hands_out_in_order_and_moves_nothing() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    let queue = queue(&store, "q.fifo", Some("q.fifo")).await;
    for body in ["A1", "A2", "B1"] {
        queue.send(message(body)).await.expect("send");
    }
    for _ in 0..3 {
        assert_eq!(received(&queue).await, ["A1", "A2", "B1"]);
    }
    assert_eq!(stored(&queue).await, ["A1", "A2", "B1"]);
    // What was received too often is not moved behind what comes later.
    queue.send(message("A3")).await.expect("send");
    assert_eq!(received(&queue).await, ["A1", "A2", "A3", "B1"]);
    assert_eq!(stored(&queue).await, ["A1", "A2", "B1", "A3"]);
    assert!(matches!(store.start_move(&queue, Some(&queue), None).await, Err(crate::MoveError::OntoItself(_))));
}

#[tokio::test]
async fn in_a_ring_of_dead_letter_queues_every_receive_ends_and_nothing_is_lost() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    let a = queue(&store, "a.fifo", Some("b.fifo")).await;
    let b = queue(&store, "b.fifo", Some("c.fifo")).await;
    let c = queue(&store, "c.fifo", Some("a.fifo")).await;
    for body in ["A1", "A2"] {
        a.send(message(body)).await.expect("send");
    }
    for queue in [&a, &b, &c, &a, &b, &c] {
        assert_eq!(received(queue).await, ["A1", "A2"], "{} hands them out", queue.name);
        assert!(received(queue).await.is_empty(), "{} moves them on", queue.name);
    }
    assert_eq!(stored(&a).await, ["A1", "A2"]);
    let counts = a.browse(None, 10).await.expect("browse").into_iter().map(|message| message.receive_count);
    assert_eq!(counts.collect::<Vec<_>>(), [6, 6], "the receive count continues from queue to queue");
}

#[tokio::test(start_paused = true)]
async fn one_receive_moves_a_bounded_number_and_a_long_poll_continues_until_it_finds_a_message() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    let dead = queue(&store, "dead.fifo", None).await;
    let queue = queue(&store, "q.fifo", Some("dead.fifo")).await;
    let messages = (0..2500).map(|n| (message(&format!("A{n}")), Default::default()));
    queue.send_all(messages.collect()).await.expect("send");
    let received_once = |connection: &rusqlite::Connection, _: &QueueSettings| {
        let sql = "UPDATE messages SET receive_count = 1 WHERE seq <= 2400";
        connection.execute(sql, []).map_err(crate::error::failed)
    };
    assert_eq!(queue.run(Durability::Written, received_once).await.expect("update"), 2400);
    assert!(received(&queue).await.is_empty());
    assert_eq!(dead.depth().await.expect("depth").messages, 500);
    let first = queue.receive(Receive { wait: WAIT, max: 1, ..Receive::default() }).await.expect("receive");
    assert_eq!(first.first().map(|first| first.body.as_text().expect("text")), Some("A2400"));
    assert_eq!(dead.depth().await.expect("depth").messages, 2400);
    assert_eq!(stored(&dead).await.last().map(String::as_str), Some("A99"), "in the order in which they were sent");
}

#[tokio::test(start_paused = true)]
async fn one_receive_removes_a_bounded_number_of_expired_messages() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&store(&folder), "q.fifo", None).await;
    let messages = (0..2500).map(|n| (message(&format!("A{n}")), Default::default()));
    queue.send_all(messages.collect()).await.expect("send");
    let expired = |connection: &rusqlite::Connection, _: &QueueSettings| {
        let sql = "UPDATE messages SET retained_from = 1 WHERE seq <= 2400";
        connection.execute(sql, []).map_err(crate::error::failed)
    };
    assert_eq!(queue.run(Durability::Written, expired).await.expect("update"), 2400);
    assert!(received(&queue).await.is_empty());
    let left = queue.browse(None, 2500).await.expect("browse").len();
    assert_eq!(left, 2000, "the writer is free for other operations in between");
    let first = queue.receive(Receive { wait: WAIT, max: 1, ..Receive::default() }).await.expect("receive");
    assert_eq!(first.first().map(|first| first.body.as_text().expect("text")), Some("A2400"));
}

#[tokio::test(start_paused = true)]
async fn a_move_that_can_never_succeed_fails_and_says_why() {
    let folder = TempDir::new().expect("folder");
    let store = store(&folder);
    queue(&store, "source.fifo", Some("dead.fifo")).await;
    let dead = queue(&store, "dead.fifo", None).await;
    let to = queue(&store, "to.fifo", None).await;
    dead.send(message("A1")).await.expect("send");
    let task = store.start_move(&dead, Some(&to), None).await.expect("start");
    let break_it = |connection: &rusqlite::Connection| {
        let sql = "CREATE TRIGGER broken BEFORE INSERT ON messages BEGIN SELECT raise(ABORT, 'on purpose'); END";
        connection.execute_batch(sql).map_err(crate::error::failed)
    };
    store.run(Durability::Written, break_it).await.expect("broken");
    store.run_move(task.id).await.expect_err("it cannot succeed");
    let ended = store.moves(&dead, 1).await.expect("tasks").remove(0);
    assert_eq!(ended.status, MoveStatus::Failed);
    assert!(ended.failure.as_ref().is_some_and(|failure| failure.contains("on purpose")), "{:?}", ended.failure);
    assert_eq!(stored(&dead).await, ["A1"]);
}
