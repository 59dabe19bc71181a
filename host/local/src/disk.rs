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
mod tests;
