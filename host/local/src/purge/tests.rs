use rusqlite::Connection;
use tempfile::TempDir;
use towpath_types::clock::Clock;
use towpath_types::queue::{GroupId, NewMessage, Queue as _, QueueError, Receive};

use super::{STEP, remove_messages};
use crate::error::failed;
use crate::settings::QueueSettings;
use crate::writer::Durability;
use crate::{LocalQueue, Store};

async fn queue(folder: &TempDir) -> LocalQueue {
    let store = Store::open(folder.path(), Clock::wall()).expect("store");
    store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue")
}

fn message(n: i64) -> NewMessage {
    let group = GroupId::from(format!("g{}", n % 7));
    let id = format!("m{n}");
    NewMessage { group, dedup_id: Some(id.as_str().into()), body: id.into(), attributes: Default::default() }
}

async fn send(queue: &LocalQueue, count: i64) {
    let messages = (0..count).map(|n| (message(n), Default::default())).collect();
    queue.send_all(messages).await.expect("send");
}

/// How many rows the queue has in all tables.
async fn rows(store: &Store, queue: i64) -> u64 {
    let tables = ["messages", "groups", "dedup", "attempts", "counts", "purges"];
    let counts = tables.map(|table| format!("(SELECT count(*) FROM {table} WHERE queue = ?1)")).join(" + ");
    let sql = format!("SELECT {counts} + (SELECT count(*) FROM queues WHERE id = ?1)");
    store.read(move |connection| connection.query_row(&sql, [queue], |row| row.get(0))).await.expect("read")
}

#[tokio::test]
async fn a_purge_runs_in_short_transactions_and_keeps_what_is_sent_after_its_start() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    send(&queue, 2 * STEP + 1).await;
    let receive = Receive { attempt_id: Some("a".to_owned()), ..Receive::default() };
    let handle = queue.receive(receive).await.expect("receive").remove(0).handle;
    assert!(queue.begin_purge(None).await.expect("begun"));
    // The process that started the purge ends here, and another one finishes it.
    let late = NewMessage { dedup_id: Some("late".into()), body: "late".into(), ..message(0) };
    queue.send(late).await.expect("send");
    let id = queue.id;
    let last = 2 * STEP + 1;
    let step = move |connection: &Connection| remove_messages(connection, id, last, true).map_err(failed);
    assert!(queue.store.run(Durability::Written, step).await.expect("a step"));
    let step = u64::try_from(STEP).expect("a number");
    assert_eq!(queue.depth().await.expect("depth").messages, step + 2, "one step of messages is gone");
    queue.store.tidy().await.expect("finished");
    let left = queue.receive(Receive::default()).await.expect("receive");
    assert_eq!(left.iter().map(|left| left.body.as_text().expect("text")).collect::<Vec<_>>(), ["late"]);
    queue.delete(&[handle]).await.remove(0).expect("it is gone");
    queue.send(message(5)).await.expect("its id is forgotten");
    assert_eq!(queue.depth().await.expect("depth").messages, 2);
    queue.purge().await.expect("again");
    assert_eq!(rows(&queue.store, queue.id).await, 2, "the queue, and that it was purged");
}

#[tokio::test]
async fn a_removed_queue_cannot_be_reached_before_it_is_empty() {
    let folder = TempDir::new().expect("folder");
    let old = queue(&folder).await;
    let store = old.store.clone();
    send(&old, STEP + 1).await;
    store.take_away(old.clone()).await.expect("removed");
    assert!(store.find("q.fifo").await.expect("read").is_none());
    assert!(store.queue_names().await.expect("names").is_empty());
    let gone = old.send(message(0)).await.expect_err("it is gone");
    assert!(matches!(gone, QueueError::NoSuchQueue { .. }), "{gone}");
    let new = store.set_queue("q.fifo", QueueSettings::default()).await.expect("a new one");
    new.send(message(1)).await.expect("send");
    assert!(rows(&store, old.id).await > 500, "it is not empty yet");
    store.tidy().await.expect("finished");
    assert_eq!(rows(&store, old.id).await, 0);
    assert_eq!(new.depth().await.expect("depth").messages, 1);
}

#[tokio::test]
async fn a_count_of_zero_is_deleted() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    send(&queue, 3).await;
    let received = queue.receive(Receive::default()).await.expect("receive");
    let handles: Vec<_> = received.into_iter().map(|message| message.handle).collect();
    queue.delete(&handles).await.into_iter().for_each(|deleted| deleted.expect("delete"));
    let sql = "SELECT count(*) FROM counts";
    let counts = queue.store.read(move |connection| connection.query_row(sql, [], |row| row.get::<_, u64>(0)));
    assert_eq!(counts.await.expect("read"), 0);
}
