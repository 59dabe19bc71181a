//! Syncing SQLite's log beside the writer, so that nobody waits for the disk but those who were promised it.
//!
//! The writer commits without a sync (`synchronous=NORMAL`). What `FULL` does besides, a sync of the log behind each commit, is
//! done here, for all that was committed meanwhile, and answered after it. What is committed and not yet synced is seen by
//! everybody: a webhook may be at its target before its sender is answered. A power cut takes the end of the log, never its
//! middle. Source: <https://www.sqlite.org/pragma.html#pragma_synchronous>.

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

/// The disk as far as a store relies on it.
pub(crate) trait Disk: Send {
    /// Fails if the files are no longer at the paths where the next process would open them.
    fn in_place(&self) -> io::Result<()>;

    /// Syncs all that was written to the log.
    fn sync(&mut self) -> io::Result<()>;

    /// Writes all that is in the log again and syncs it, then moves all of that to the file again, and syncs that.
    fn rewrite(&mut self) -> io::Result<()>;
}

/// What all share who move the log of a store to its file, and who sync one of them: whether log and file are in doubt.
///
/// After a sync that failed Linux may take for written what is not, and later syncs succeed: nothing that was in the log
/// or moved to the file since the last sync can be relied on. Until all of it was written again nothing is moved, so that
/// the log does not begin again. Source: <https://wiki.postgresql.org/wiki/Fsync_Errors>.
///
/// A process that opens a store cannot know how the syncs of others ended before: a log that is not empty then is in doubt.
/// Syncs that fail later, in any process, are reported to each descriptor that is open by then. So whoever moves does it with
/// descriptors that were opened with the store. Source: `fsync(2)`.
#[derive(Clone, Default)]
pub(crate) struct Syncs {
    in_doubt: Arc<AtomicBool>,
    /// Whether it was logged that a sync failed.
    logged: Arc<AtomicBool>,
    /// Held by who moves: the folder, which whoever moves in any process has locked.
    moving: Arc<Mutex<Option<File>>>,
}

impl Syncs {
    /// Keeps others with this folder, in other processes too, from moving while somebody here does.
    pub(crate) fn alone_in(&self, folder: File) {
        *self.moving.lock() = Some(folder);
    }

    /// Takes note of a log that somebody else has written.
    pub(crate) fn doubt(&self) {
        self.in_doubt.store(true, Ordering::SeqCst);
    }

    /// Takes note of a sync that failed, or of an error that may have been one.
    pub(crate) fn failed(&self, what: &'static str, problem: &(dyn std::error::Error + 'static)) {
        self.doubt();
        if !self.logged.swap(true, Ordering::SeqCst) {
            error!(what, error = problem, "sync failed, refusing sends until everything is written again");
        }
    }

    /// The same, if that is what SQLite says: what it cannot write for want of room it does not take for written.
    pub(crate) fn failed_if(&self, what: &'static str, problem: &rusqlite::Error) {
        if problem.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
            self.failed(what, problem);
        }
    }

    pub(crate) fn in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::SeqCst)
    }

    /// Moves while nobody else does, or nothing if somebody in another process moves, or if log and file are in doubt.
    pub(crate) fn moving<T>(&self, work: impl FnOnce() -> Option<T>) -> Option<T> {
        self.unless_in_doubt(self.moving.lock().as_ref(), work)
    }

    /// The same, or nothing if anybody else moves.
    pub(crate) fn try_moving<T>(&self, work: impl FnOnce() -> Option<T>) -> Option<T> {
        let moving = self.moving.try_lock()?;
        self.unless_in_doubt(moving.as_ref(), work)
    }

    fn unless_in_doubt<T>(&self, folder: Option<&File>, work: impl FnOnce() -> Option<T>) -> Option<T> {
        let alone = Alone::now(folder);
        let _alone = alone
            .inspect_err(|error| warn!(error = error as &dyn std::error::Error, "cannot lock the folder of the store"))
            .ok()??;
        if self.in_doubt() { None } else { work() }
    }

    /// Writes everything again while nobody moves.
    fn again(&self, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let moving = self.moving.lock();
        let _alone = Alone::soon(moving.as_ref())?;
        // What fails meanwhile counts afterwards.
        self.in_doubt.store(false, Ordering::SeqCst);
        let doubt = Doubt(self);
        write()?;
        std::mem::forget(doubt);
        if self.logged.swap(false, Ordering::SeqCst) {
            info!("everything is written again after a sync that failed, accepting sends");
        } else {
            debug!("what an earlier process has written is written again");
        }
        Ok(())
    }

    /// Says what the last connection that is closed does with the log: move and remove it, but not if it is in doubt. Then
    /// the next who opens the store finds it whole.
    pub(crate) fn before_closing(&self, connection: &Connection) {
        // It fails only for a connection that is broken: that moves nothing either.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, self.in_doubt());
    }
}

/// Dropped while others are still kept from moving, it brings the doubt back, also if something panicked.
struct Doubt<'a>(&'a Syncs);

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        self.0.doubt();
    }
}

/// Has the folder of a store locked.
struct Alone<'a>(Option<&'a File>);

impl<'a> Alone<'a> {
    /// Nothing if somebody else has it locked.
    fn now(folder: Option<&'a File>) -> io::Result<Option<Alone<'a>>> {
        match folder.map(File::try_lock) {
            None => Ok(Some(Alone(None))),
            Some(Ok(())) => Ok(Some(Alone(folder))),
            Some(Err(fs::TryLockError::WouldBlock)) => Ok(None),
            // Not every file system has locks; there one process at a time is safe.
            Some(Err(fs::TryLockError::Error(error))) if error.kind() == ErrorKind::Unsupported => {
                Ok(Some(Alone(None)))
            }
            Some(Err(fs::TryLockError::Error(error))) => Err(error),
        }
    }

    /// Waits as long as somebody who writes does.
    fn soon(folder: Option<&'a File>) -> io::Result<Alone<'a>> {
        let mut tries = 0;
        loop {
            match Alone::now(folder)? {
                Some(alone) => return Ok(alone),
                None if connection::ask_again(tries) => tries += 1,
                None => return Err(io::Error::new(ErrorKind::WouldBlock, "another process moves the log without end")),
            }
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        if let Some(folder) = self.0 {
            // It fails only for a descriptor that is closed, which holds no lock.
            let _ = folder.unlock();
        }
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
        let failed = std::mem::replace(&mut self.failed, true) || self.syncs.in_doubt();
        let synced = if failed { self.rewrite() } else { self.disk.sync() };
        self.failed = synced.is_err();
        synced.map_err(|error| {
            self.syncs.failed("log", &error);
            format!("{error}: the disk fails, or is full")
        })?;
        // Nothing is in doubt for files that were moved: where they come back all goes on.
        self.disk.in_place().map_err(|error| error.to_string())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return Err(io::Error::other("a sync failed, and so did writing everything again, a moment ago"));
        }
        let rewritten = self.syncs.again(|| self.disk.rewrite());
        self.rests_until = rewritten.is_err().then(|| Instant::now() + self.rest);
        rewritten
    }
}

/// The log of a store, and the file that it is moved to.
pub(crate) struct Log {
    log: File,
    file: PathBuf,
    /// Of the file, the log and its index, when they were opened.
    identity: [Identity; 3],
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
        let log = private::update(&wal::beside(file, "-wal"))?;
        Ok(Log { log, file: file.to_owned(), identity: identities(file)?, behind: None })
    }

    /// Whether nothing was ever written to it since it was made, or cut off.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.log.metadata()?.len() == 0)
    }
}

/// What a file is, whatever its name: device and inode.
type Identity = (u64, u64);

/// Of the file of a store, of its log and of the log's index, as their names stand for now.
fn identities(file: &Path) -> io::Result<[Identity; 3]> {
    let of = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    Ok([of(file)?, of(&wal::beside(file, "-wal"))?, of(&wal::beside(file, "-shm"))?])
}

impl Disk for Log {
    fn in_place(&self) -> io::Result<()> {
        // Files that are removed while they are open can be written and synced, and are gone with the process. With another index
        // two processes would write the log without knowing of each other: it has the locks.
        match identities(&self.file) {
            Ok(found) if found == self.identity => Ok(()),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Err(io::Error::other(format!(
                "{}, or a file beside it, was moved, removed or replaced while it is in use, so that nothing that is written to it would \
                 be found again: put the folder back, or stop all that runs on it and start it again",
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
        // Whoever may write keeps the log as it is.
        connection.execute_batch("BEGIN IMMEDIATE").map_err(sqlite)?;
        // A sync that failed by another descriptor is reported by these too, once. That is past: all is written after it.
        let _ = self.log.sync_data();
        let _ = file.sync_data();
        wal::write_again(&self.log, index.committed()?)?;
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
