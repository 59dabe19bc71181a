//! Fsyncs the WAL on a second thread, so that only operations that promise durability wait for the disk.
//!
//! The writer commits without an fsync (`synchronous = NORMAL`). This thread fsyncs the WAL for everything committed in the
//! meantime, and only then are those operations acknowledged. SQLite's `FULL` has the same order: commit, fsync, acknowledge.
//!
//! A committed message can be received before its fsync, so a webhook may reach its target before its sender gets a
//! response. A power cut removes the end of the WAL, never its middle, so it cannot reorder a group. Source:
//! <https://www.sqlite.org/pragma.html#pragma_synchronous>.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::mem::ManuallyDrop;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};
use towpath_files::private;
use tracing::{debug, error, info, warn};

use crate::connection;
use crate::wal::{self, Index};

/// What a store needs from its disk.
pub(crate) trait Disk: Send {
    /// Fails if the store's files are no longer at their paths, where the next process opens them.
    fn in_place(&self) -> io::Result<()>;

    /// Fsyncs the WAL.
    fn sync(&mut self) -> io::Result<()>;

    /// Repairs the store after a failed fsync: writes every committed frame of the WAL again and fsyncs it, then
    /// checkpoints every frame again and fsyncs the database file.
    fn rewrite(&mut self) -> io::Result<()>;
}

/// Whether the WAL and the database file are *in doubt*. Everything in this process that fsyncs or checkpoints them
/// shares it.
///
/// While they are in doubt, nothing is checkpointed and no send is acknowledged. [`Disk::rewrite`] ends the doubt; it
/// runs before the next send is acknowledged. After a failed fsync Linux may mark pages as written that are not, and
/// later fsyncs succeed. So nothing written to the WAL or checkpointed since the last good fsync is reliable, and a
/// checkpoint could let SQLite restart the WAL over the only good copy. Source:
/// <https://wiki.postgresql.org/wiki/Fsync_Errors>.
///
/// A process that opens a store with a non-empty WAL starts in doubt, because it cannot know whether an earlier fsync
/// failed. Later failures in any process reach it through its own descriptors: Linux reports a failed fsync once to each
/// descriptor that was open at the time. So fsyncs and checkpoints use descriptors that were opened with the store.
/// Source: `fsync(2)`.
#[derive(Clone, Default)]
pub(crate) struct Syncs {
    in_doubt: Arc<AtomicBool>,
    /// Whether the failed fsync was logged; it is logged once until the repair.
    logged: Arc<AtomicBool>,
    /// Held during a checkpoint: the store's folder, which the checkpointing process has locked with `flock`.
    moving: Arc<Mutex<Option<File>>>,
}

impl Syncs {
    /// Sets the folder whose lock keeps other processes from checkpointing while this one does.
    pub(crate) fn alone_in(&self, folder: File) {
        *self.moving.lock() = Some(folder);
    }

    /// Marks WAL and database file as in doubt.
    pub(crate) fn doubt(&self) {
        self.in_doubt.store(true, Ordering::SeqCst);
    }

    /// Records a failed fsync of `what`, or an error that may have been one.
    pub(crate) fn failed(&self, what: &'static str, problem: &(dyn std::error::Error + 'static)) {
        self.doubt();
        if !self.logged.swap(true, Ordering::SeqCst) {
            error!(
                event = "fsync-failed",
                what,
                error = problem,
                "fsync failed, refusing sends until the WAL is rewritten"
            );
        }
    }

    /// The same for an error of SQLite, if it is an I/O error. A full disk does not count: SQLite knows what it could not
    /// write.
    pub(crate) fn failed_if(&self, what: &'static str, problem: &rusqlite::Error) {
        if problem.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
            self.failed(what, problem);
        }
    }

    pub(crate) fn in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::SeqCst)
    }

    /// Runs a checkpoint while this process holds the lock on the folder. Skipped, as `None`, if another process holds
    /// it, or if the files are in doubt. Waits for a checkpoint in this process.
    ///
    /// Only one process may checkpoint at a time. The repair checkpoints from the first frame again; a process that
    /// finished an older checkpoint meanwhile would record lost pages as checkpointed.
    pub(crate) fn moving<T>(&self, work: impl FnOnce() -> Option<T>) -> Option<T> {
        self.unless_in_doubt(self.moving.lock().as_ref(), work)
    }

    /// The same, but also skipped if another thread of this process is checkpointing.
    pub(crate) fn try_moving<T>(&self, work: impl FnOnce() -> Option<T>) -> Option<T> {
        let moving = self.moving.try_lock()?;
        self.unless_in_doubt(moving.as_ref(), work)
    }

    fn unless_in_doubt<T>(&self, folder: Option<&File>, work: impl FnOnce() -> Option<T>) -> Option<T> {
        let alone = Alone::now(folder);
        let _alone = alone
            .inspect_err(|error| {
                warn!(
                    event = "checkpoint-failed",
                    error = error as &dyn std::error::Error,
                    "cannot lock the store's folder, skipping a checkpoint"
                )
            })
            .ok()??;
        if self.in_doubt() { None } else { work() }
    }

    /// Runs the repair while no process checkpoints, and ends the doubt if it succeeds.
    fn again(&self, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let moving = self.moving.lock();
        let _alone = Alone::soon(moving.as_ref())?;
        // Cleared before the repair, so that an fsync that fails during it leaves the files in doubt.
        self.in_doubt.store(false, Ordering::SeqCst);
        let doubt = Doubt(self);
        write()?;
        std::mem::forget(doubt);
        if self.logged.swap(false, Ordering::SeqCst) {
            info!(event = "fsync-repaired", "WAL rewritten after a failed fsync, accepting sends");
        } else {
            debug!("rewrote the WAL that an earlier process left");
        }
        Ok(())
    }

    /// Decides whether closing the last connection checkpoints and removes the WAL. In doubt it does not, so that the
    /// next process finds the whole WAL and repairs it.
    pub(crate) fn before_closing(&self, connection: &Connection) {
        // This fails only on a broken connection, which checkpoints nothing either.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, self.in_doubt());
    }
}

/// Restores the doubt when dropped, also by a panic. It is dropped before the lock on the folder, so no checkpoint comes
/// in between.
struct Doubt<'a>(&'a Syncs);

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        self.0.doubt();
    }
}

/// The lock on a store's folder; `None` where there is nothing to lock.
struct Alone<'a>(Option<&'a File>);

impl<'a> Alone<'a> {
    /// `None` if another process holds the lock.
    fn now(folder: Option<&'a File>) -> io::Result<Option<Alone<'a>>> {
        match folder.map(File::try_lock) {
            None => Ok(Some(Alone(None))),
            Some(Ok(())) => Ok(Some(Alone(folder))),
            Some(Err(fs::TryLockError::WouldBlock)) => Ok(None),
            // On a file system without locks, only one process at a time may use the store.
            Some(Err(fs::TryLockError::Error(error))) if error.kind() == ErrorKind::Unsupported => {
                Ok(Some(Alone(None)))
            }
            Some(Err(fs::TryLockError::Error(error))) => Err(error),
        }
    }

    /// Waits for the lock as long as a writer waits for another one.
    fn soon(folder: Option<&'a File>) -> io::Result<Alone<'a>> {
        let mut tries = 0;
        loop {
            match Alone::now(folder)? {
                Some(alone) => return Ok(alone),
                None if connection::ask_again(tries) => tries += 1,
                None => {
                    return Err(io::Error::new(
                        ErrorKind::WouldBlock,
                        "another process has been checkpointing the WAL for ten seconds or more",
                    ));
                }
            }
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        if let Some(folder) = self.0 {
            // This fails only on a closed descriptor, which holds no lock.
            let _ = folder.unlock();
        }
    }
}

/// Fsyncs a disk, and repairs it first where needed.
pub(crate) struct Syncer {
    disk: Box<dyn Disk>,
    syncs: Syncs,
    /// Whether the last fsync or repair failed or panicked.
    failed: bool,
    /// After a failed repair: no other is tried until then.
    rests_until: Option<Instant>,
    rest: Duration,
}

/// The pause after a failed repair. A repair writes the whole WAL, and without a pause every send would try one.
const REST: Duration = Duration::from_secs(1);

impl Syncer {
    pub(crate) fn new(disk: impl Disk + 'static, syncs: Syncs) -> Syncer {
        Syncer { disk: Box::new(disk), syncs, failed: false, rests_until: None, rest: REST }
    }

    #[cfg(test)]
    pub(crate) fn without_rest(self) -> Syncer {
        Syncer { rest: Duration::ZERO, ..self }
    }

    /// Returns once everything committed so far is on the disk.
    pub(crate) fn sync(&mut self) -> Result<(), String> {
        // Set before the fsync, so that one that panics counts as failed.
        let failed = std::mem::replace(&mut self.failed, true) || self.syncs.in_doubt();
        let synced = if failed { self.rewrite() } else { self.disk.sync() };
        self.failed = synced.is_err();
        synced.map_err(|error| {
            self.syncs.failed("WAL", &error);
            format!("{error}: check that the disk works and has free space")
        })?;
        // Moved files are not in doubt: once they are back, sends succeed again without a repair.
        self.disk.in_place().map_err(|error| error.to_string())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return Err(io::Error::other("an fsync failed, and rewriting the WAL failed less than a second ago"));
        }
        let rewritten = self.syncs.again(|| self.disk.rewrite());
        self.rests_until = rewritten.is_err().then(|| Instant::now() + self.rest);
        rewritten
    }
}

/// The WAL of a store, and the database file that it is checkpointed to.
pub(crate) struct Log {
    log: File,
    file: PathBuf,
    /// The database file, the WAL and its index as they were when they were opened.
    identity: [Identity; 3],
    /// Opened for the first repair.
    behind: Option<Behind>,
}

/// The database file and the WAL index.
struct Behind {
    /// Never closed, for the same reason as the [`Index`].
    file: ManuallyDrop<File>,
    index: Index,
}

impl Log {
    /// The WAL of this database file, which a connection must have open.
    pub(crate) fn of(file: &Path) -> io::Result<Log> {
        let log = private::update(&wal::beside(file, "-wal"))?;
        Ok(Log { log, file: file.to_owned(), identity: identities(file)?, behind: None })
    }

    /// Whether the WAL holds nothing: it was just created or truncated.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.log.metadata()?.len() == 0)
    }
}

/// Identifies a file independent of its name: device and inode.
type Identity = (u64, u64);

/// The identities of the files that are now at the paths of the database file, the WAL and the WAL index.
fn identities(file: &Path) -> io::Result<[Identity; 3]> {
    let of = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    Ok([of(file)?, of(&wal::beside(file, "-wal"))?, of(&wal::beside(file, "-shm"))?])
}

impl Disk for Log {
    fn in_place(&self) -> io::Result<()> {
        // Files that are removed while they are open can be written and synced, and are gone with the process. With
        // another index two processes would write the log without knowing of each other: it has the locks.
        match identities(&self.file) {
            Ok(found) if found == self.identity => Ok(()),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Err(io::Error::other(format!(
                "{}, or a file next to it, was moved, removed or replaced while in use, and the next process would not find what is \
                 written to it: put the folder back, or stop every process that uses the store and start again",
                self.file.display()
            ))),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.log.sync_data()
    }

    fn rewrite(&mut self) -> io::Result<()> {
        self.in_place()?;
        let sqlite = io::Error::other::<rusqlite::Error>;
        let behind = match self.behind.take() {
            Some(behind) => behind,
            None => Behind { index: Index::of(&self.file)?, file: ManuallyDrop::new(File::open(&self.file)?) },
        };
        let Behind { file, index } = self.behind.insert(behind);
        let mut connection = connection::connect(&self.file).map_err(sqlite)?;
        connection.busy_handler(Some(connection::ask_again)).map_err(sqlite)?;
        // The write lock keeps the WAL from growing or restarting during the repair.
        connection.execute_batch("BEGIN IMMEDIATE").map_err(sqlite)?;
        // Discard failures that other descriptors had: Linux reports each once to these too. Everything is written again
        // below.
        let _ = self.log.sync_data();
        let _ = file.sync_data();
        wal::write_again(&self.log, index.committed()?)?;
        self.log.sync_data()?;
        index.forget_moved()?;
        connection.execute_batch("ROLLBACK").map_err(sqlite)?;
        // PASSIVE does not wait for readers. Frames that a long reader still needs stay in the WAL, which is fsynced.
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(sqlite)?;
        file.sync_data()
    }
}

#[cfg(test)]
mod tests;
