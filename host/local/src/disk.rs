//! Syncing SQLite's log beside the writer, so that nobody waits for the disk but those who were promised it.
//!
//! The writer commits without a sync (`synchronous=NORMAL`). What `FULL` does besides, a sync of the log behind each commit, is
//! done here, for all that was committed meanwhile, and answered after it. What is committed and not yet synced is seen by
//! everybody: a webhook may be at its target before its sender is answered. A power cut takes the end of the log, never its
//! middle. Source: <https://www.sqlite.org/pragma.html#pragma_synchronous>.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use crate::schema;

/// The disk as far as a store relies on it.
pub(crate) trait Disk: Send {
    /// Syncs all that was written to the log.
    fn sync(&mut self) -> io::Result<()>;

    /// Writes all that is in the log to another place, and syncs that.
    fn rewrite(&mut self) -> io::Result<()>;
}

/// A disk, and whether it can be relied on.
pub(crate) struct Syncer {
    disk: Box<dyn Disk>,
    failed: bool,
}

impl Syncer {
    pub(crate) fn new(disk: impl Disk + 'static) -> Syncer {
        Syncer { disk: Box::new(disk), failed: false }
    }

    /// Sees to it that all that was committed until now is on the disk.
    ///
    /// After a sync that failed Linux may take for written what is not, and later syncs succeed: nothing that was in the
    /// log then can be relied on. Source: <https://wiki.postgresql.org/wiki/Fsync_Errors>.
    pub(crate) fn sync(&mut self) -> Result<(), String> {
        // One that panics has failed too.
        let failed = std::mem::replace(&mut self.failed, true);
        let synced = if failed { self.disk.rewrite() } else { self.disk.sync() };
        self.failed = synced.is_err();
        synced.map_err(|error| format!("{error}: the disk fails, or is full"))
    }
}

/// How long a log that is rewritten waits for others: nobody can write meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// The log of a store, and the file that it is moved to.
pub(crate) struct Log {
    log: File,
    file: PathBuf,
}

impl Log {
    /// The log beside this file, which a connection has open.
    pub(crate) fn of(file: &Path) -> io::Result<Log> {
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        Ok(Log { log: OpenOptions::new().write(true).open(log)?, file: file.to_owned() })
    }
}

impl Disk for Log {
    fn sync(&mut self) -> io::Result<()> {
        self.log.sync_data()
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let connection = Connection::open_with_flags(&self.file, schema::flags()).map_err(io::Error::other)?;
        connection.busy_timeout(PATIENCE).map_err(io::Error::other)?;
        let moved = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        match moved.map_err(io::Error::other)? {
            false => Ok(()),
            true => Err(io::Error::other("a sync failed, and the log cannot be moved while somebody reads for long")),
        }
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
    async fn a_log_that_is_rewritten_is_in_the_file() {
        let folder = TempDir::new().expect("folder");
        let queue = queue(&folder).await;
        queue.send_with(message(1), Extras::default()).await.expect("send");
        let file = folder.path().join("towpath.db");
        Log::of(&file).expect("log").rewrite().expect("rewritten");
        assert_eq!(std::fs::metadata(folder.path().join("towpath.db-wal")).expect("log").len(), 0);
        let alone = TempDir::new().expect("folder");
        std::fs::copy(&file, alone.path().join("towpath.db")).expect("copy");
        assert_eq!(self::queue(&alone).await.depth().await.expect("depth").messages, 1);
        queue.send_with(message(2), Extras::default()).await.expect("the store goes on");

        let reader = Connection::open_with_flags(&file, schema::flags()).expect("file");
        reader.execute_batch("BEGIN; SELECT * FROM messages;").expect("a reader");
        queue.send_with(message(3), Extras::default()).await.expect("send");
        let busy = Log::of(&file).expect("log").rewrite().expect_err("somebody reads");
        assert!(busy.to_string().contains("reads for long"), "{busy}");
    }
}
