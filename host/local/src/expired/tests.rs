use std::future::ready;
use std::pin::pin;
use std::time::Duration;

use tempfile::TempDir;
use towpath_types::clock::Timestamp;
use towpath_types::queue::{GroupId, NewMessage, Queue as _, Receive};

use super::STEP;
use crate::settings::{KEPT_FOR_EVER, QueueSettings, RedrivePolicy};
use crate::writer::Durability;
use crate::{LocalQueue, Store};

const MINUTE: Duration = Duration::from_secs(60);

async fn queue(store: &Store, name: &str, retention: Duration) -> LocalQueue {
    let settings = QueueSettings { fifo: name.ends_with(".fifo"), retention, ..QueueSettings::default() };
    store.set_queue(name, settings).await.expect("queue")
}

async fn send(queue: &LocalQueue, count: usize) {
    let message = |n: usize| {
        let group = GroupId::from(format!("g{}", n % 7));
        let id = format!("m{n}");
        (
            NewMessage { group, dedup_id: Some(id.as_str().into()), body: id.into(), attributes: Default::default() },
            Default::default(),
        )
    };
    queue.send_all((0..count).map(message).collect()).await.expect("send");
}

/// How many messages are in the tables, counted or not.
async fn stored(queue: &LocalQueue) -> u64 {
    let id = queue.id;
    let sql = "SELECT count(*) FROM messages WHERE queue = ?1";
    queue.store.read(move |connection| connection.query_row(sql, [id], |row| row.get(0))).await.expect("read")
}

#[tokio::test(start_paused = true)]
async fn expired_messages_are_removed_from_every_queue_without_a_receive() {
    let folder = TempDir::new().expect("folder");
    let store =
        Store::open(folder.path(), towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000))).expect("store");
    let kept = queue(&store, "kept.fifo", KEPT_FOR_EVER).await;
    let short = queue(&store, "short.fifo", MINUTE).await;
    let standard = queue(&store, "standard", MINUTE).await;
    for queue in [&kept, &short, &standard] {
        send(queue, 1100).await;
    }
    assert_eq!(store.tidy().await.expect("tidy"), 0);
    tokio::time::advance(MINUTE / 2).await;
    let young = NewMessage {
        group: "young".into(),
        dedup_id: Some("y".into()),
        body: "y".into(),
        attributes: Default::default(),
    };
    short.send(young).await.expect("send");
    tokio::time::advance(MINUTE / 2).await;
    assert_eq!(short.sweep(100).await.expect("sweep"), 100, "at most the given number");
    assert_eq!(short.depth().await.expect("depth").messages, 1, "expired messages do not count, removed or not");
    assert_eq!(store.tidy().await.expect("tidy"), 2100);
    assert_eq!((stored(&kept).await, stored(&short).await, stored(&standard).await), (1100, 1, 0));
    let left = short.receive(Receive::default()).await.expect("receive");
    assert_eq!(left.iter().map(|message| message.body.as_text().expect("text")).collect::<Vec<_>>(), ["y"]);
    assert_eq!(kept.depth().await.expect("depth").messages, 1100);
}

#[tokio::test(start_paused = true)]
async fn what_is_past_its_retention_is_removed_in_short_transactions() {
    let folder = TempDir::new().expect("folder");
    let store =
        Store::open(folder.path(), towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000))).expect("store");
    let queue = queue(&store, "q.fifo", MINUTE).await;
    send(&queue, 3 * STEP).await;
    tokio::time::advance(MINUTE).await;
    let mut tidy = pin!(store.tidy());
    let mut before = stored(&queue).await;
    let removed = loop {
        // It asks for one transaction, and for the next one only when it is polled again.
        tokio::select! {
            biased;
            removed = &mut tidy => break removed.expect("tidy"),
            () = ready(()) => {}
        }
        queue.run(Durability::Written, |_, _| Ok(())).await.expect("written behind it");
        let after = stored(&queue).await;
        assert!(before - after <= STEP as u64, "{before} messages, then {after}");
        before = after;
    };
    assert_eq!((removed, before), (3 * STEP as u64, 0));
}

#[tokio::test(start_paused = true)]
async fn expired_dead_letters_that_keep_their_age_are_found_behind_younger_messages() {
    let folder = TempDir::new().expect("folder");
    let store =
        Store::open(folder.path(), towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000))).expect("store");
    let dead = queue(&store, "dead", MINUTE * 2).await;
    let redrive = Some(RedrivePolicy { dead_letter_queue: "dead".to_owned(), max_receive_count: 1 });
    let settings = QueueSettings { fifo: false, visibility: Duration::ZERO, redrive, ..QueueSettings::default() };
    let source = store.set_queue("source", settings).await.expect("queue");
    send(&source, 5).await;
    tokio::time::advance(MINUTE).await;
    send(&dead, 3).await;
    source.receive(Receive { max: 10, ..Receive::default() }).await.expect("receive");
    assert!(source.receive(Receive { max: 10, ..Receive::default() }).await.expect("receive").is_empty(), "moved");
    assert_eq!(dead.depth().await.expect("depth").messages, 8);
    tokio::time::advance(MINUTE).await;
    assert_eq!(dead.depth().await.expect("depth").messages, 3);
    assert_eq!((dead.sweep(2).await.expect("sweep"), stored(&dead).await), (2, 6));
    assert_eq!((store.tidy().await.expect("tidy"), stored(&dead).await), (3, 3));
    assert_eq!(dead.depth().await.expect("depth").messages, 3);
}
