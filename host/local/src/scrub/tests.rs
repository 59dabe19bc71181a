use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use towpath_types::clock::Clock;
use towpath_types::queue::{NewMessage, Queue as _, Receive};

use super::*;
use crate::{LocalQueue, QueueSettings, Wanted};

const MOST: u64 = 1 << 30;

async fn queue(store: &Store) -> LocalQueue {
    store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue")
}

async fn send(queue: &LocalQueue, group: &str, n: usize, body: String) {
    let message = NewMessage {
        group: group.into(),
        dedup_id: Some(format!("{group}-dedup-{n}").as_str().into()),
        body: body.into(),
        attributes: Default::default(),
    };
    queue.send(message).await.expect("sent");
}

/// The files of a store that have these bytes.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).expect("listed").map(|entry| entry.expect("an entry").path());
    let has = |path: &PathBuf| {
        let bytes = std::fs::read(path).expect("read");
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    files.filter(has).collect()
}

async fn erase_group(store: &Store, group: &str) {
    let wanted = Wanted { groups: vec![group.to_owned()], is_one: Arc::new(|_| true) };
    let mut after = None;
    loop {
        let searched = store.search(&wanted, after.as_deref()).await.expect("searched");
        let sequences: Vec<String> = searched.found.into_iter().map(|found| found.message.sequence).collect();
        assert!(store.erase(&sequences).await.expect("erased").is_empty());
        after = searched.next;
        if after.is_none() {
            break;
        }
    }
    store.forget(vec![group.to_owned()], Arc::default()).await.expect("forgotten");
}

#[tokio::test]
async fn no_byte_is_left_in_a_store_that_another_process_keeps_using() {
    let folder = TempDir::new().expect("folder");
    let host = Store::open(folder.path(), Clock::wall()).expect("store");
    let hosts = queue(&host).await;
    // Rows of all sizes, of two groups in turn, so that pages are shared, split and merged.
    for n in 0..300 {
        let size = [10, 1_500, 3_000, 250_000][n % 4];
        for group in ["person", "other"] {
            send(&hosts, group, n, format!("{group}-body ").repeat(size / 10)).await;
        }
    }
    // Some are delivered, and leave their bytes in free pages.
    for _ in 0..10 {
        let received = hosts.receive(Receive { max: 10, ..Receive::default() }).await.expect("received");
        let handles: Vec<_> = received.into_iter().map(|message| message.handle).collect();
        hosts.delete(&handles).await.into_iter().for_each(|deleted| deleted.expect("deleted"));
    }
    let store = Store::open(folder.path(), Clock::wall()).expect("store");
    erase_group(&store, "person").await;
    assert!(!files_with(folder.path(), "person").is_empty(), "SQLite only forgets");
    assert_eq!(store.scrub(MOST).await.expect("scrubbed"), Scrubbed::Done);
    assert_eq!(files_with(folder.path(), "person"), Vec::<PathBuf>::new());
    assert!(!files_with(folder.path(), "other-body").is_empty());
    assert_eq!(std::fs::metadata(folder.path().join("towpath.db-wal")).expect("a WAL").len(), 0);
    // The host continues with the pages as they are now.
    let before = hosts.depth().await.expect("depth").messages;
    for n in 300..400 {
        send(&hosts, "other", n, "other-body".to_owned()).await;
    }
    assert_eq!(hosts.depth().await.expect("depth").messages, before + 100);
    let sound: String = host
        .read(|connection| connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
        .await
        .expect("checked");
    assert_eq!(sound, "ok");
    assert_eq!(files_with(folder.path(), "person"), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_store_that_is_larger_than_allowed_is_not_rewritten() {
    let folder = TempDir::new().expect("folder");
    let store = Store::open(folder.path(), Clock::wall()).expect("store");
    let queue = queue(&store).await;
    send(&queue, "g", 1, "x".repeat(1_000_000)).await;
    let Scrubbed::TooLarge { bytes } = store.scrub(1_000_000).await.expect("looked") else { panic!("rewritten") };
    assert!((1_000_000..2_000_000).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn a_wal_in_doubt_is_repaired_before_it_is_emptied() {
    let folder = TempDir::new().expect("folder");
    let host = Store::open(folder.path(), Clock::wall()).expect("store");
    send(&queue(&host).await, "g", 1, "{}".to_owned()).await;
    let store = Store::open(folder.path(), Clock::wall()).expect("store");
    assert!(store.syncs().in_doubt(), "another process left a WAL");
    assert_eq!(store.scrub(MOST).await.expect("scrubbed"), Scrubbed::Done);
    assert!(!store.syncs().in_doubt());
}

#[tokio::test]
async fn hosts_write_while_a_reader_keeps_the_wal_from_being_emptied() {
    let folder = TempDir::new().expect("folder");
    let store = Store::open(folder.path(), Clock::wall()).expect("store");
    send(&queue(&store).await, "g", 1, "{}".to_owned()).await;
    store.settle().await.expect("no doubt");
    let reader = open(store.file()).expect("opened");
    reader.execute_batch("BEGIN; SELECT count(*) FROM messages").expect("it reads");
    let mut emptying = open(store.file()).expect("opened");
    let emptied = std::thread::scope(|scope| {
        let shared = store.clone();
        let emptied = scope.spawn(move || empty_log(&shared, &mut emptying));
        let host = open(store.file()).expect("opened");
        host.busy_timeout(Duration::from_secs(5)).expect("set");
        for n in 0..200 {
            host.pragma_update(None, "application_id", n).expect("a host writes");
        }
        reader.execute_batch("COMMIT").expect("it has read");
        emptied.join().expect("no panic")
    });
    emptied.expect("emptied");
    assert_eq!(std::fs::metadata(folder.path().join("towpath.db-wal")).expect("a WAL").len(), 0);
}
