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

/// Longer than any answer takes.
const WAIT: Duration = Duration::from_secs(20);

async fn queue(folder: &TempDir) -> LocalQueue {
    let store = Store::open(folder.path(), Clock::wall()).expect("store");
    store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue")
}

fn message(n: u32) -> NewMessage {
    NewMessage {
        group: GroupId(format!("g{}", n % 7)),
        dedup_id: n.to_string(),
        body: n.to_string(),
        attributes: Default::default(),
    }
}

/// What a disk has after a power cut: what it had at its last sync.
struct Cut {
    store: PathBuf,
    image: Arc<TempDir>,
    syncs_left: u32,
    gone: Arc<AtomicBool>,
    /// Nobody answers once the power is gone.
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
        // The log first: what is moved from it meanwhile is in it.
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
async fn what_was_answered_before_a_power_cut_is_there_after_it() {
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
    // All goes on beside a sync that never ends, until each sender waits for it.
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
    let found: Vec<u32> = found.iter().map(|message| message.body.parse().expect("a number")).collect();
    let answered = answered.lock().clone();
    assert!(answered.len() >= 9, "there were as many syncs");
    assert!(answered.iter().all(|n| found.contains(n)), "answered {answered:?}, found {found:?}");
}

/// A disk whose operations end like this, one after another, and what was asked of it.
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
async fn after_a_sync_that_failed_nothing_is_promised_until_all_is_written_anew() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    let asked = Arc::default();
    let ends = vec![true, false, false, true, true].into_iter();
    queue.store().on(Failing { ends, asked: Arc::clone(&asked) });
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push(queue.send_with(message(n), Extras::default()).await.map_err(|error| {
            let cause = std::error::Error::source(&error).expect("a cause").to_string();
            assert_eq!(cause, "bad sector: the disk fails, or is full");
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
async fn after_a_sync_that_panicked_all_is_written_anew_too() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    let asked = Arc::default();
    queue.store().on(Panics(Arc::clone(&asked)));
    queue.send_with(message(1), Extras::default()).await.expect_err("its sync panicked");
    let second = timeout(WAIT, queue.send_with(message(2), Extras::default())).await;
    second.expect("somebody is at work").expect("send");
    assert_eq!(*asked.lock(), ["sync", "rewrite"]);
}

#[tokio::test]
async fn a_log_that_is_rewritten_stays_and_is_in_the_file() {
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
    queue.send_with(message(2), Extras::default()).await.expect("the store goes on");

    let reader = Connection::open_with_flags(&file, connection::flags()).expect("file");
    reader.execute_batch("BEGIN; SELECT * FROM messages;").expect("a reader");
    queue.send_with(message(3), Extras::default()).await.expect("send");
    Log::of(&file).expect("log").rewrite().expect("nobody waits for somebody who reads for long");
}

#[tokio::test]
async fn after_a_sync_that_failed_nobody_moves_the_log_until_all_is_written_again() {
    let folder = TempDir::new().expect("folder");
    let queue = queue(&folder).await;
    let syncs = queue.store().syncs();
    let moved = || Some(());
    assert_eq!(syncs.moving(moved), Some(()));
    syncs.failed("file", &io::Error::other("bad sector"));
    assert_eq!((syncs.moving(moved), syncs.try_moving(moved)), (None, None));
    queue.send_with(message(1), Extras::default()).await.expect("all is written again before it");
    assert_eq!((syncs.moving(moved), syncs.try_moving(moved)), (Some(()), Some(())));

    let ends = vec![false].into_iter();
    queue.store().on(Failing { ends, asked: Arc::default() });
    syncs.failed("file", &io::Error::other("bad sector"));
    queue.send_with(message(2), Extras::default()).await.expect_err("nothing is promised");
    assert_eq!(syncs.moving(moved), None);
}

/// A store whose log somebody has left: a sync failed, or the process was killed.
async fn left(folder: &TempDir) {
    let queue = queue(folder).await;
    queue.send_with(message(1), Extras::default()).await.expect("send");
    queue.store().syncs().failed("log", &io::Error::other("bad sector"));
    closed(queue).await;
    assert!(folder.path().join("towpath.db-wal").exists());
}

async fn closed(queue: LocalQueue) {
    let open = Arc::downgrade(&queue.store().shared);
    drop(queue);
    // The last who works on it may close it.
    let closed = async {
        while open.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(WAIT, closed).await.expect("it is closed");
}

#[tokio::test]
async fn what_another_process_left_in_the_log_is_written_again_before_anything_is_promised_or_moved() {
    for log in [true, false] {
        let folder = TempDir::new().expect("folder");
        let asked = Arc::default();
        if log {
            left(&folder).await
        } else {
            closed(queue(&folder).await).await
        }
        // Without a log everything is in the file, and on the disk.
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
async fn a_log_that_another_process_left_is_left_again_by_who_promises_nothing() {
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
async fn a_log_in_doubt_that_gets_long_is_written_again_though_nobody_sends() {
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
    timeout(WAIT, written_again).await.expect("it is written again");
}

#[tokio::test]
async fn two_processes_do_not_move_a_log_at_the_same_time() {
    let folder = TempDir::new().expect("folder");
    let one = queue(&folder).await;
    let other = Store::open(folder.path(), Clock::wall()).expect("store");
    // What it found in the log is in doubt.
    other.set_queue("r.fifo", QueueSettings::default()).await.expect("queue");
    let one = one.store().syncs();
    let other = other.syncs();
    let moved = || Some(());
    assert_eq!(one.moving(|| Some((other.moving(moved), other.try_moving(moved)))), Some((None, None)));
    assert_eq!((other.moving(moved), other.try_moving(moved)), (Some(()), Some(())));
}

#[tokio::test]
async fn writing_everything_again_waits_for_another_process_that_moves() {
    let folder = TempDir::new().expect("folder");
    let one = queue(&folder).await.store().syncs();
    let other = queue(&folder).await.store().syncs();
    let order = Mutex::new(Vec::new());
    let waits = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            one.moving(|| {
                waits.wait();
                order.lock().push("moved");
                Some(())
            })
        });
        waits.wait();
        let written = other.again(|| {
            order.lock().push("written again");
            Ok(())
        });
        written.expect("written");
    });
    assert_eq!(*order.lock(), ["moved", "written again"]);
}

#[tokio::test]
async fn a_store_that_is_closed_after_a_sync_that_failed_leaves_its_log() {
    for failed in [false, true] {
        let folder = TempDir::new().expect("folder");
        let queue = queue(&folder).await;
        queue.send_with(message(1), Extras::default()).await.expect("send");
        if failed {
            queue.store().syncs().failed("file", &io::Error::other("bad sector"));
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
async fn nothing_is_answered_whose_files_are_not_where_the_next_process_looks() {
    let folder = TempDir::new().expect("folder");
    let here = folder.path().join("store");
    let away = folder.path().join("away");
    let store = Store::open(&here, Clock::wall()).expect("store");
    let queue = store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue");
    let refused = async |n| {
        let error = queue.send_with(message(n), Extras::default()).await.expect_err("nobody would find it");
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(cause.contains("moved, removed or replaced") && cause.contains("put the folder back"), "{cause}");
    };
    fs::rename(&here, &away).expect("moved");
    refused(1).await;
    refused(2).await;
    fs::rename(&away, &here).expect("moved back");
    queue.send_with(message(3), Extras::default()).await.expect("all is where it was");

    for name in ["towpath.db", "towpath.db-wal", "towpath.db-shm"] {
        let name = here.join(name);
        fs::rename(&name, &away).expect("moved");
        refused(4).await;
        fs::copy(&away, &name).expect("another file with the same bytes");
        refused(5).await;
        fs::rename(&away, &name).expect("moved back");
        queue.send_with(message(6), Extras::default()).await.expect("all is where it was");
    }
    fs::remove_dir_all(&here).expect("removed");
    refused(7).await;
}
