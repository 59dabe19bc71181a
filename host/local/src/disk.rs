//! Syncing SQLite's log beside the writer, so that nobody waits for the disk but those who were promised it.
//!
//! The writer commits without a sync (`synchronous=NORMAL`). What `FULL` does besides, a sync of the log behind each commit, is
//! done here, for all that was committed meanwhile, and answered after it. What is committed and not yet synced is seen by
//! everybody: a webhook may be at its target before its sender is answered. A power cut takes the end of the log, never its
//! middle. Source: <https://www.sqlite.org/pragma.html#pragma_synchronous>.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};
use tracing::{error, info};

use crate::schema;
use crate::store::lock;
use crate::wal::{self, Index};

/// The disk as far as a store relies on it.
pub(crate) trait Disk: Send {
    /// Syncs all that was written to the log.
    fn sync(&mut self) -> io::Result<()>;

    /// Writes all that is in the log again and syncs it, then moves all of that to the file again, and syncs that.
    fn rewrite(&mut self) -> io::Result<()>;
}

/// What all share who move the log of a store to its file, and who sync one of them: whether a sync failed.
///
/// After a sync that failed Linux may take for written what is not, and later syncs succeed: nothing that was in the log
/// or moved to the file since the last sync can be relied on. Until all of it was written again nothing is moved, so that
/// the log does not begin again. Source: <https://wiki.postgresql.org/wiki/Fsync_Errors>.
#[derive(Clone, Default)]
pub(crate) struct Syncs {
    failed: Arc<AtomicBool>,
    /// Held by who moves.
    moving: Arc<Mutex<()>>,
}

impl Syncs {
    /// Takes note of a sync that failed, or of an error that may have been one.
    pub(crate) fn failed(&self, what: &'static str, problem: &(dyn std::error::Error + 'static)) {
        if !self.failed.swap(true, Ordering::SeqCst) {
            error!(what, error = problem, "sync failed, refusing sends until everything is written again");
        }
    }

    /// The same, if that is what SQLite says: what it cannot write for want of room it does not take for written.
    pub(crate) fn failed_if(&self, what: &'static str, problem: &rusqlite::Error) {
        if problem.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
            self.failed(what, problem);
        }
    }

    pub(crate) fn have_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Moves while nobody else does, unless a sync failed.
    pub(crate) fn moving<T>(&self, work: impl FnOnce() -> Option<T>) -> Option<T> {
        let _moving = lock(&self.moving);
        if self.have_failed() { None } else { work() }
    }

    /// The same, or nothing if somebody else moves.
    pub(crate) fn try_moving<T>(&self, work: impl FnOnce() -> Option<T>) -> Option<T> {
        let _moving = match self.moving.try_lock() {
            Ok(moving) => moving,
            Err(TryLockError::Poisoned(moving)) => moving.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        if self.have_failed() { None } else { work() }
    }

    /// Keeps everybody from moving, to write everything again.
    fn begin_again(&self) -> MutexGuard<'_, ()> {
        let moving = lock(&self.moving);
        self.failed.store(false, Ordering::SeqCst);
        moving
    }

    /// Says what the last connection that is closed does with the log: move and remove it, but not after a sync that
    /// failed. Then the next who opens the store finds it whole.
    pub(crate) fn before_closing(&self, connection: &Connection) {
        // It fails only for a connection that is broken: that moves nothing either.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, self.have_failed());
    }
}

/// A disk, and whether it can be relied on.
pub(crate) struct Syncer {
    disk: Box<dyn Disk>,
    syncs: Syncs,
    /// Whether the last one failed, or panicked.
    failed: bool,
    /// Until when nothing is written again, after that failed too.
    rests_until: Option<Instant>,
    rest: Duration,
}

/// How long a disk that cannot be written again is left alone: that is the whole log, and every send would try.
const REST: Duration = Duration::from_secs(1);

impl Syncer {
    pub(crate) fn new(disk: impl Disk + 'static, syncs: Syncs) -> Syncer {
        Syncer { disk: Box::new(disk), syncs, failed: false, rests_until: None, rest: REST }
    }

    #[cfg(test)]
    pub(crate) fn without_rest(self) -> Syncer {
        Syncer { rest: Duration::ZERO, ..self }
    }

    /// Sees to it that all that was committed until now is on the disk.
    pub(crate) fn sync(&mut self) -> Result<(), String> {
        // One that panics has failed too.
        let failed = std::mem::replace(&mut self.failed, true) || self.syncs.have_failed();
        let synced = if failed { self.rewrite() } else { self.disk.sync() };
        self.failed = synced.is_err();
        synced.map_err(|error| {
            self.syncs.failed("log", &error);
            format!("{error}: the disk fails, or is full")
        })
    }

    fn rewrite(&mut self) -> io::Result<()> {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return Err(io::Error::other("a sync failed, and so did writing everything again, a moment ago"));
        }
        let _moving = self.syncs.begin_again();
        let rewritten = self.disk.rewrite();
        self.rests_until = rewritten.is_err().then(|| Instant::now() + self.rest);
        match rewritten {
            Ok(()) => info!("everything is written again after a sync that failed, accepting sends"),
            // Before anybody moves again.
            Err(_) => self.syncs.failed.store(true, Ordering::SeqCst),
        }
        rewritten
    }
}

/// The log of a store, and the file that it is moved to.
pub(crate) struct Log {
    log: File,
    file: PathBuf,
    /// Opened once they are needed.
    behind: Option<Behind>,
}

/// The file that the log is moved to, and the log's index.
struct Behind {
    /// Never closed, as the [`Index`].
    file: ManuallyDrop<File>,
    index: Index,
}

impl Log {
    /// The log beside this file, which a connection has open.
    pub(crate) fn of(file: &Path) -> io::Result<Log> {
        let log = File::options().read(true).write(true).open(wal::beside(file, "-wal"))?;
        Ok(Log { log, file: file.to_owned(), behind: None })
    }
}

impl Disk for Log {
    fn sync(&mut self) -> io::Result<()> {
        self.log.sync_data()
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let sqlite = io::Error::other::<rusqlite::Error>;
        let behind = match self.behind.take() {
            Some(behind) => behind,
            None => Behind { index: Index::of(&self.file)?, file: ManuallyDrop::new(File::open(&self.file)?) },
        };
        let Behind { file, index } = self.behind.insert(behind);
        let mut connection = Connection::open_with_flags(&self.file, schema::flags()).map_err(sqlite)?;
        connection.busy_handler(Some(schema::ask_again)).map_err(sqlite)?;
        // Whoever may write keeps the log as it is.
        connection.execute_batch("BEGIN IMMEDIATE").map_err(sqlite)?;
        wal::write_again(&self.log, index)?;
        self.log.sync_data()?;
        index.forget_moved()?;
        connection.execute_batch("ROLLBACK").map_err(sqlite)?;
        // What somebody who reads for long keeps from being moved stays in the log.
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(sqlite)?;
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, mpsc};

    use tempfile::TempDir;
    use tokio::task::JoinSet;
    use tokio::time::timeout;
    use towpath_core::clock::Clock;
    use towpath_core::queue::{GroupId, NewMessage, Receive};

    use crate::store::lock;
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
        let (folder, image) = (TempDir::new().expect("folder"), Arc::new(TempDir::new().expect("folder")));
        let queue = queue(&folder).await;
        let ((power, never), gone) = (mpsc::channel(), Arc::new(AtomicBool::new(false)));
        let (store, on) = (folder.path().to_owned(), Arc::clone(&image));
        queue.store().on(Cut { store, image: on, syncs_left: 9, gone: Arc::clone(&gone), never });
        let answered = Arc::new(Mutex::new(Vec::new()));
        let mut senders = JoinSet::new();
        for sender in 0..8 {
            let (queue, answered) = (queue.clone(), Arc::clone(&answered));
            senders.spawn(async move {
                for n in (0..100).map(|n| n * 8 + sender) {
                    match queue.send_with(message(n), Extras::default()).await {
                        Ok(_) => lock(&answered).push(n),
                        Err(_) => return,
                    }
                }
            });
        }
        // All goes on beside a sync that never ends, until each sender waits for it.
        let stored = || async { queue.depth().await.expect("depth").messages };
        while !gone.load(Ordering::SeqCst) || stored().await < lock(&answered).len() as u64 + 8 {
            assert!(lock(&answered).len() < 800, "nobody waits for the disk");
            tokio::task::yield_now().await;
        }
        let taken = queue.take(Receive { max: 10, ..Receive::default() }).await.expect("receive");
        assert!(!taken.is_empty());
        drop(power);
        while senders.join_next().await.is_some() {}

        let found = self::queue(&image).await.browse(None, 10_000).await.expect("messages");
        let found: Vec<u32> = found.iter().map(|message| message.body.parse().expect("a number")).collect();
        let answered = lock(&answered).clone();
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
            lock(&self.asked).push(operation);
            if self.ends.next().expect("no more operations") { Ok(()) } else { Err(io::Error::other("bad sector")) }
        }
    }

    impl Disk for Failing {
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
        let (queue, asked) = (queue(&folder).await, Arc::default());
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
        assert_eq!(*lock(&asked), ["sync", "sync", "rewrite", "rewrite", "sync"]);
    }

    /// A disk that panics once.
    struct Panics(Arc<Mutex<Vec<&'static str>>>);

    impl Disk for Panics {
        fn sync(&mut self) -> io::Result<()> {
            lock(&self.0).push("sync");
            panic!("on purpose")
        }

        fn rewrite(&mut self) -> io::Result<()> {
            lock(&self.0).push("rewrite");
            Ok(())
        }
    }

    #[tokio::test]
    async fn after_a_sync_that_panicked_all_is_written_anew_too() {
        let folder = TempDir::new().expect("folder");
        let (queue, asked) = (queue(&folder).await, Arc::default());
        queue.store().on(Panics(Arc::clone(&asked)));
        queue.send_with(message(1), Extras::default()).await.expect_err("its sync panicked");
        let second = timeout(WAIT, queue.send_with(message(2), Extras::default())).await;
        second.expect("somebody is at work").expect("send");
        assert_eq!(*lock(&asked), ["sync", "rewrite"]);
    }

    #[tokio::test]
    async fn a_log_that_is_rewritten_stays_and_is_in_the_file() {
        let folder = TempDir::new().expect("folder");
        let queue = queue(&folder).await;
        queue.send_with(message(1), Extras::default()).await.expect("send");
        let (file, log) = (folder.path().join("towpath.db"), folder.path().join("towpath.db-wal"));
        let before = std::fs::read(&log).expect("log");
        Log::of(&file).expect("log").rewrite().expect("rewritten");
        assert_eq!(std::fs::read(&log).expect("log"), before);
        let alone = TempDir::new().expect("folder");
        std::fs::copy(&file, alone.path().join("towpath.db")).expect("copy");
        assert_eq!(self::queue(&alone).await.depth().await.expect("depth").messages, 1);
        queue.send_with(message(2), Extras::default()).await.expect("the store goes on");

        let reader = Connection::open_with_flags(&file, schema::flags()).expect("file");
        reader.execute_batch("BEGIN; SELECT * FROM messages;").expect("a reader");
        queue.send_with(message(3), Extras::default()).await.expect("send");
        Log::of(&file).expect("log").rewrite().expect("nobody waits for somebody who reads for long");
    }

    #[tokio::test]
    async fn after_a_sync_that_failed_nobody_moves_the_log_until_all_is_written_again() {
        let folder = TempDir::new().expect("folder");
        let queue = queue(&folder).await;
        let (syncs, moved) = (queue.store().syncs(), || Some(()));
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

    #[tokio::test]
    async fn a_store_that_is_closed_after_a_sync_that_failed_leaves_its_log() {
        for failed in [false, true] {
            let folder = TempDir::new().expect("folder");
            let queue = queue(&folder).await;
            queue.send_with(message(1), Extras::default()).await.expect("send");
            if failed {
                queue.store().syncs().failed("file", &io::Error::other("bad sector"));
            }
            let (log, open) = (folder.path().join("towpath.db-wal"), Arc::downgrade(&queue.store().shared));
            drop(queue);
            // It may close on a thread of its own.
            let closed = async {
                while open.strong_count() > 0 || (!failed && log.exists()) {
                    tokio::task::yield_now().await;
                }
            };
            timeout(WAIT, closed).await.expect("it is closed");
            assert_eq!(log.exists(), failed);
            assert_eq!(self::queue(&folder).await.depth().await.expect("depth").messages, 1);
        }
    }
}
