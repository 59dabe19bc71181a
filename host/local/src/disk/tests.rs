use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::timeout;
use towpath_types::clock::Clock;
use towpath_types::queue::{GroupId, NewMessage, Receive};

use crate::error::failed;
use crate::writer::Durability;
use crate::{Extras, LocalQueue, QueueSettings, Store};

use super::*;

/// Longer than any operation takes.
const WAIT: Duration = Duration::from_secs(20);

async fn queue(folder: &TempDir) -> LocalQueue {
    let store = Store::open(folder.path(), Clock::wall()).expect("store");
    store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue")
}

fn message(n: u32) -> NewMessage {
    NewMessage {
        group: GroupId::from(format!("g{}", n % 7)),
        dedup_id: Some(n.to_string().into()),
        body: n.to_string().into(),
        attributes: Default::default(),
    }
}

/// A disk that loses power: afterwards it holds what it had at its last fsync.
struct Cut {
    store: PathBuf,
    image: Arc<TempDir>,
    syncs_left: u32,
    gone: Arc<AtomicBool>,
    /// Blocks the fsync that never returns.
    never: mpsc::Receiver<()>,
}

impl Disk for Cut {
    fn in_place(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.syncs_left == 0 {
            self.gone.store(true, Ordering::SeqCst);
            let _ = self.never.recv();
            return Err(io::Error::other("no power"));
        }
        self.syncs_left -= 1;
        // The WAL first: pages that are checkpointed between the two copies are in it.
        for name in ["towpath.db-wal", "towpath.db"] {
            std::fs::copy(self.store.join(name), self.image.path().join(name))?;
        }
        Ok(())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        Err(io::Error::other("no power"))
    }
}

#[tokio::test]
async fn acknowledged_messages_survive_a_power_cut() {
    let folder = TempDir::new().expect("folder");
    let image = Arc::new(TempDir::new().expect("folder"));
    let queue = queue(&folder).await;
    let (power, never) = mpsc::channel();
    let gone = Arc::new(AtomicBool::new(false));
    let store = folder.path().to_owned();
    let on = Arc::clone(&image);
    queue.store().on(Cut { store, image: on, syncs_left: 9, gone: Arc::clone(&gone), never });
    let answered = Arc::new(Mutex::new(Vec::new()));
    let mut senders = JoinSet::new();
    for sender in 0..8 {
        let queue = queue.clone();
        let answered = Arc::clone(&answered);
        senders.spawn(async move {
            for n in (0..100).map(|n| n * 8 + sender) {
                match queue.send_with(message(n), Extras::default()).await {
                    Ok(_) => answered.lock().push(n),
                    Err(_) => return,
                }
            }
        });
    }
    // Commits continue during an fsync that never returns, until every sender waits for it.
    let stored = || async { queue.depth().await.expect("depth").messages };
    while !gone.load(Ordering::SeqCst) || stored().await < answered.lock().len() as u64 + 8 {
        assert!(answered.lock().len() < 800, "nobody waits for the disk");
        tokio::task::yield_now().await;
    }
    let taken = queue.take(Receive { max: 10, ..Receive::default() }).await.expect("receive");
    assert!(!taken.is_empty());
    drop(power);
    while senders.join_next().await.is_some() {}

    let found = self::queue(&image).await.browse(None, 10_000).await.expect("messages");
    let found: Vec<u32> = found.iter().map(|message| message.body.text().parse().expect("a number")).collect();
    let answered = answered.lock().clone();
    assert!(answered.len() >= 9, "there were nine fsyncs");
    assert!(answered.iter().all(|n| found.contains(n)), "answered {answered:?}, found {found:?}");
}

/// A disk whose operations succeed or fail in this sequence, and the operations that were called.
struct Failing {
    ends: std::vec::IntoIter<bool>,
    asked: Arc<Mutex<Vec<&'static str>>>,
}

impl Failing {
    fn next(&mut self, operation: &'static str) -> io::Result<()> {
        self.asked.lock().push(operation);
        if self.ends.next().expect("no more operations") { Ok(()) } else { Err(io::Error::other("bad sector")) }
    }
}

impl Disk for Failing {
    fn in_place(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.next("sync")
    }

    fn rewrite(&mut self) -> io::Result<()> {
        self.next("rewrite")
    }
}

#[tokio::test]
async fn after_a_failed_fsync_sends_fail_until_the_wal_is_rewritten() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    let asked = Arc::default();
    let ends = vec![true, false, false, true, true].into_iter();
    queue.store().on(Failing { ends, asked: Arc::clone(&asked) });
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push(queue.send_with(message(n), Extras::default()).await.map_err(|error| {
            let cause = std::error::Error::source(&error).expect("a cause").to_string();
            assert_eq!(cause, "bad sector: check that the disk works and has free space");
        }));
    }
    let kept: Vec<bool> = sent.iter().map(Result::is_ok).collect();
    assert_eq!(kept, [true, false, false, true, true]);
    assert_eq!(*asked.lock(), ["sync", "sync", "rewrite", "rewrite", "sync"]);
}

/// A disk that panics once.
struct Panics(Arc<Mutex<Vec<&'static str>>>);

impl Disk for Panics {
    fn in_place(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.lock().push("sync");
        panic!("on purpose")
    }

    fn rewrite(&mut self) -> io::Result<()> {
        self.0.lock().push("rewrite");
        Ok(())
    }
}

#[tokio::test]
async fn after_an_fsync_that_panicked_the_wal_is_rewritten_too() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    let asked = Arc::default();
    queue.store().on(Panics(Arc::clone(&asked)));
    queue.send_with(message(1), Extras::default()).await.expect_err("its fsync panicked");
    let second = timeout(WAIT, queue.send_with(message(2), Extras::default())).await;
    second.expect("a worker is running").expect("send");
    assert_eq!(*asked.lock(), ["sync", "rewrite"]);
}

#[tokio::test]
async fn a_rewritten_wal_stays_and_is_checkpointed() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    queue.send_with(message(1), Extras::default()).await.expect("send");
    let file = folder.path().join("towpath.db");
    let log = folder.path().join("towpath.db-wal");
    let before = std::fs::read(&log).expect("log");
    Log::of(&file).expect("log").rewrite().expect("rewritten");
    assert_eq!(std::fs::read(&log).expect("log"), before);
    let alone = TempDir::new().expect("folder");
    std::fs::copy(&file, alone.path().join("towpath.db")).expect("copy");
    assert_eq!(self::queue(&alone).await.depth().await.expect("depth").messages, 1);
    queue.send_with(message(2), Extras::default()).await.expect("the store still works");

    let reader = Connection::open_with_flags(&file, connection::flags()).expect("file");
    reader.execute_batch("BEGIN; SELECT * FROM messages;").expect("a reader");
    queue.send_with(message(3), Extras::default()).await.expect("send");
    Log::of(&file).expect("log").rewrite().expect("it does not wait for a long reader");
}

#[tokio::test]
async fn what_was_moved_to_a_file_that_could_not_be_synced_is_moved_again() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    queue.send_with(message(1), Extras::default()).await.expect("send");
    let path = folder.path().join("towpath.db");
    let connection = Connection::open_with_flags(&path, connection::flags()).expect("file");
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).expect("moved");
    // Closing it would lose SQLite's locks.
    let file = File::options().read(true).write(true).open(&path).expect("file");
    let file = ManuallyDrop::new(file);
    let whole = std::fs::read(&path).expect("file");
    let last = whole.len() as u64 - 4096;
    file.write_all_at(&[0xAA; 4096], last).expect("what a failed sync may leave");
    Log::of(&path).expect("log").rewrite().expect("rewritten");
    let mut page = vec![0; 4096];
    file.read_exact_at(&mut page, last).expect("a page");
    assert!(page == whole[whole.len() - 4096..], "the page is as it was");
}

#[tokio::test]
async fn after_a_failed_fsync_nothing_is_checkpointed_until_the_wal_is_rewritten() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    let syncs = queue.store().syncs();
    let moved = || Some(());
    assert_eq!(syncs.moving(moved), Some(()));
    syncs.failed("database file", &io::Error::other("bad sector"));
    assert_eq!((syncs.moving(moved), syncs.try_moving(moved)), (None, None));
    queue.send_with(message(1), Extras::default()).await.expect("the WAL is rewritten before it");
    assert_eq!((syncs.moving(moved), syncs.try_moving(moved)), (Some(()), Some(())));

    let ends = vec![false].into_iter();
    queue.store().on(Failing { ends, asked: Arc::default() });
    syncs.failed("database file", &io::Error::other("bad sector"));
    queue.send_with(message(2), Extras::default()).await.expect_err("the WAL is in doubt");
    assert_eq!(syncs.moving(moved), None);
}

/// A store whose WAL a process left: its fsync failed, or it was killed.
async fn left(folder: &TempDir) {
    let queue = queue(folder).await;
    queue.send_with(message(1), Extras::default()).await.expect("send");
    queue.store().syncs().failed("WAL", &io::Error::other("bad sector"));
    closed(queue).await;
    assert!(folder.path().join("towpath.db-wal").exists());
}

async fn closed(queue: LocalQueue) {
    let open = Arc::downgrade(&queue.store().shared);
    drop(queue);
    // A worker may still hold the store.
    let closed = async {
        while open.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(WAIT, closed).await.expect("it is closed");
}

#[tokio::test]
async fn a_wal_left_by_another_process_is_rewritten_before_anything_is_acknowledged_or_checkpointed() {
    for log in [true, false] {
        let folder = TempDir::new().expect("folder");
        let asked = Arc::default();
        if log {
            left(&folder).await
        } else {
            closed(queue(&folder).await).await
        }
        // Without a WAL everything is in the database file, and on the disk.
        while !log && folder.path().join("towpath.db-wal").exists() {
            tokio::task::yield_now().await;
        }
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        let ends = vec![true, true].into_iter();
        store.on(Failing { ends, asked: Arc::clone(&asked) });
        let syncs = store.syncs();
        let moved = || Some(());
        assert_eq!(syncs.moving(moved), (!log).then_some(()));
        let queue = store.find("q.fifo").await.expect("read").expect("its queue");
        for n in 2..4 {
            queue.send_with(message(n), Extras::default()).await.expect("send");
        }
        assert_eq!(syncs.moving(moved), Some(()));
        assert_eq!(*asked.lock(), [if log { "rewrite" } else { "sync" }, "sync"]);
    }
}

#[tokio::test]
async fn a_process_that_fsyncs_nothing_leaves_the_wal_that_it_found() {
    let folder = TempDir::new().expect("folder");
    left(&folder).await;
    let store = Store::open(folder.path(), Clock::wall()).expect("store");
    let queue = store.find("q.fifo").await.expect("read").expect("its queue");
    assert_eq!(queue.take(Receive { max: 1, ..Receive::default() }).await.expect("receive").len(), 1);
    drop(store);
    closed(queue).await;
    assert!(folder.path().join("towpath.db-wal").exists());
    assert_eq!(self::queue(&folder).await.depth().await.expect("depth").messages, 1);
}

#[tokio::test]
async fn a_long_wal_in_doubt_is_rewritten_even_without_a_send() {
    let folder = TempDir::new().expect("folder");
    left(&folder).await;
    let store = Store::open_with_log(folder.path(), Clock::wall(), 8).expect("store");
    let syncs = store.syncs();
    let grow = |connection: &Connection| {
        connection
            .execute_batch("CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (randomblob(9000))")
            .map_err(failed)
    };
    let written_again = async {
        while syncs.in_doubt() {
            store.run(Durability::Written, grow).await.expect("written");
        }
    };
    timeout(WAIT, written_again).await.expect("it is rewritten");
}

#[tokio::test]
async fn two_processes_never_checkpoint_at_the_same_time() {
    let folder = TempDir::new().expect("folder");
    let one = queue(&folder).await;
    let other = Store::open(folder.path(), Clock::wall()).expect("store");
    // It found a WAL, so it starts in doubt; this write has the WAL rewritten.
    other.set_queue("r.fifo", QueueSettings::default()).await.expect("queue");
    let one = one.store().syncs();
    let other = other.syncs();
    let moved = || Some(());
    assert_eq!(one.moving(|| Some((other.moving(moved), other.try_moving(moved)))), Some((None, None)));
    assert_eq!((other.moving(moved), other.try_moving(moved)), (Some(()), Some(())));
}

#[tokio::test]
async fn a_rewrite_waits_for_another_process_that_checkpoints() {
    let folder = TempDir::new().expect("folder");
    let one = queue(&folder).await.store().syncs();
    let other = queue(&folder).await.store().syncs();
    let order = Mutex::new(Vec::new());
    let waits = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            one.moving(|| {
                waits.wait();
                order.lock().push("checkpointed");
                Some(())
            })
        });
        waits.wait();
        let written = other.again(|| {
            order.lock().push("rewritten");
            Ok(())
        });
        written.expect("written");
    });
    assert_eq!(*order.lock(), ["checkpointed", "rewritten"]);
}

#[tokio::test]
async fn a_store_that_is_closed_after_a_failed_fsync_leaves_its_wal() {
    for failed in [false, true] {
        let folder = TempDir::new().expect("folder");
        let queue = queue(&folder).await;
        queue.send_with(message(1), Extras::default()).await.expect("send");
        if failed {
            queue.store().syncs().failed("database file", &io::Error::other("bad sector"));
        }
        closed(queue).await;
        let log = folder.path().join("towpath.db-wal");
        while !failed && log.exists() {
            tokio::task::yield_now().await;
        }
        assert_eq!(log.exists(), failed);
        assert_eq!(self::queue(&folder).await.depth().await.expect("depth").messages, 1);
    }
}

#[tokio::test]
async fn sends_fail_while_the_stores_files_are_not_at_their_paths() {
    let folder = TempDir::new().expect("folder");
    let here = folder.path().join("store");
    let away = folder.path().join("away");
    let store = Store::open(&here, Clock::wall()).expect("store");
    let queue = store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue");
    let refused = async |n| {
        let error =
            queue.send_with(message(n), Extras::default()).await.expect_err("the next process would not find it");
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(cause.contains("moved, removed or replaced") && cause.contains("put the folder back"), "{cause}");
    };
    fs::rename(&here, &away).expect("moved");
    refused(1).await;
    refused(2).await;
    fs::rename(&away, &here).expect("moved back");
    queue.send_with(message(3), Extras::default()).await.expect("the files are back");

    for name in ["towpath.db", "towpath.db-wal", "towpath.db-shm"] {
        let name = here.join(name);
        fs::rename(&name, &away).expect("moved");
        refused(4).await;
        fs::copy(&away, &name).expect("another file with the same bytes");
        refused(5).await;
        fs::rename(&away, &name).expect("moved back");
        queue.send_with(message(6), Extras::default()).await.expect("the files are back");
    }
    fs::remove_dir_all(&here).expect("removed");
    refused(7).await;
}
