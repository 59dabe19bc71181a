//! A store is one SQLite file with one writer. Operations that arrive during a commit share the next transaction, and
//! those that arrive during an fsync share the next fsync.

use std::collections::HashMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;
use towpath_files::private;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::queue::QueueError;

use crate::checkpoint::Checkpointer;
use crate::disk::{Log, Syncer, Syncs};
use crate::error::{StoreError, Trouble, failed, unavailable};
use crate::folder::FILE;
use crate::lane::Lane;
use crate::pace::Pace;
use crate::reader::Readers;
use crate::seen::KnownQueues;
use crate::waker::Waker;
use crate::writer::{Durability, Job, Patience, Work, Writer};
use crate::{checkpoint, connection, folder, schema};

/// A store with its queues. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
}

pub(crate) struct Shared {
    file: PathBuf,
    /// The WAL is checkpointed once it has this many pages.
    log_pages: u32,
    pub(crate) readers: Readers,
    /// Opened with the store, or by the first write to one that was opened with [`Store::look`].
    writing: OnceLock<Writing>,
    opening: Mutex<()>,
    /// Jobs that wait for the next transaction.
    pending: Lane<Box<dyn Job>>,
    /// Committed jobs that wait for the next fsync before they are acknowledged.
    committed: Lane<Box<dyn Job>>,
    syncs: Syncs,
    pub(crate) pace: Pace,
    wakers: Mutex<HashMap<i64, Arc<Waker>>>,
    pub(crate) queues: KnownQueues,
}

/// The connections and threads that write.
struct Writing {
    /// Declared first, so that it is dropped first. The writer is then the last connection to close, and decides what
    /// happens to the WAL.
    mover: Checkpointer,
    writer: Mutex<Writer>,
    syncer: Arc<Mutex<Syncer>>,
}

impl Store {
    /// Opens the store in this folder, or creates it. Upgrades a store of an older version.
    pub fn open(folder: &Path, clock: Clock) -> Result<Store, StoreError> {
        Store::open_with_log(folder, clock, checkpoint::LONG)
    }

    /// The same, but checkpoints the WAL at this many pages of 4 KiB. The default is 64 MiB.
    pub fn open_with_log(folder: &Path, clock: Clock, pages: u32) -> Result<Store, StoreError> {
        let store = Store::new(folder, clock, pages);
        store.shared.writing()?;
        Ok(store)
    }

    /// Opens the store in this folder for reading. The database file and the WAL do not change until the first write.
    pub fn look(folder: &Path, clock: Clock) -> Result<Store, StoreError> {
        let store = Store::new(folder, clock, checkpoint::LONG);
        let file = &store.shared.file;
        folder::refuse_links(folder).map_err(|source| StoreError::Folder { folder: folder.to_owned(), source })?;
        if !file.is_file() {
            return Err(StoreError::Missing { folder: folder.to_owned() });
        }
        let version = store.shared.readers.read(connection::version);
        schema::check(file, version.map_err(|source| StoreError::open(file.clone(), source))?)?;
        Ok(store)
    }

    fn new(folder: &Path, clock: Clock, log_pages: u32) -> Store {
        let file = folder.join(FILE);
        let shared = Shared {
            readers: Readers::of(&file),
            file,
            log_pages,
            writing: OnceLock::new(),
            opening: Mutex::default(),
            pending: Lane::default(),
            committed: Lane::default(),
            syncs: Syncs::default(),
            pace: Pace::default(),
            wakers: Mutex::default(),
            queues: KnownQueues::default(),
        };
        Store { shared: Arc::new(shared), clock }
    }

    #[cfg(test)]
    pub(crate) fn on(&self, disk: impl crate::disk::Disk + 'static) {
        let writing = self.shared.writing().expect("it is open");
        *writing.syncer.lock() = Syncer::new(disk, self.shared.syncs.clone()).without_rest();
    }

    pub(crate) fn syncs(&self) -> Syncs {
        self.shared.syncs.clone()
    }

    /// The database file.
    pub fn file(&self) -> &Path {
        &self.shared.file
    }

    /// Limits the database file to this many pages of 4 KiB. A send that does not fit fails, and loses nothing.
    pub async fn limit_pages(&self, pages: u32) -> Result<(), QueueError> {
        let limit = move |connection: &Connection| {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).map_err(failed)
        };
        self.run(Durability::Written, limit).await
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Requests a checkpoint.
    pub(crate) fn move_log(&self) {
        if let Some(writing) = self.shared.writing.get() {
            writing.mover.ask();
        }
    }

    pub(crate) fn waker(&self, queue: i64) -> Arc<Waker> {
        Arc::clone(self.shared.wakers.lock().entry(queue).or_default())
    }

    /// Wakes the long polls of a queue.
    pub(crate) fn wake(&self, queue: i64) {
        let waker = self.shared.wakers.lock().get(&queue).cloned();
        if let Some(waker) = waker {
            waker.changes.send_modify(|count| *count += 1);
        }
    }

    /// Drops the waker of a removed queue.
    pub(crate) fn let_sleep(&self, queue: i64) {
        self.shared.wakers.lock().remove(&queue);
    }

    /// Runs an operation in a transaction. Resolves after the commit; for [`Durability::Synced`], after the fsync.
    ///
    /// An operation that fails changes nothing, and does not affect the others in its transaction. Operations may run
    /// twice: if one fails, the transaction is rolled back and the others run again. An operation runs to its end even if
    /// the caller stops waiting.
    pub(crate) async fn run<T, F>(&self, durability: Durability, operation: F) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, QueueError> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Work::new(durability, operation, caller));
        if self.shared.pending.put([job]) {
            self.shared.begin();
        }
        answer.await.unwrap_or_else(|_| Err(unavailable("the operation was aborted".into())))
    }

    /// Reads without waiting for the writer. Sees at least everything committed before the call.
    pub(crate) async fn read<T, F>(&self, look: F) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let store = self.clone();
        let looked = tokio::task::spawn_blocking(move || store.read_now(look)).await;
        looked.map_err(|_| unavailable("the read was aborted".to_owned()))?.map_err(failed)
    }

    /// The same, on the calling thread.
    pub(crate) fn read_now<T>(&self, look: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        self.shared.readers.read(look)
    }
}

impl Shared {
    /// Opens the store for writing, if it is not yet.
    fn writing(&self) -> Result<&Writing, StoreError> {
        let _opening = self.opening.lock();
        match self.writing.get() {
            Some(writing) => Ok(writing),
            None => {
                let opened = Writing::open(&self.file, self.log_pages, &self.syncs)?;
                Ok(self.writing.get_or_init(|| opened))
            }
        }
    }

    /// Starts the worker of the lane. Its first transaction runs on this thread if it is likely to be quick.
    fn begin(self: &Arc<Self>) {
        let mut jobs = self.pending.take();
        if self.pace.is_calm(Instant::now()) {
            jobs = jobs.and_then(|jobs| self.commit(jobs, Patience::None)).or_else(|| self.pending.take());
        }
        if let Some(jobs) = jobs {
            let shared = Arc::clone(self);
            tokio::task::spawn_blocking(move || shared.write(jobs));
        }
    }

    /// Commits until no job is pending.
    fn write(self: &Arc<Self>, jobs: Vec<Box<dyn Job>>) {
        let mut jobs = Some(jobs);
        while let Some(next) = jobs {
            self.commit(next, Patience::Usual);
            jobs = self.pending.take();
        }
    }

    /// Commits jobs. Without patience, returns them if another process is writing.
    fn commit(self: &Arc<Self>, mut jobs: Vec<Box<dyn Job>>, patience: Patience) -> Option<Vec<Box<dyn Job>>> {
        let began = Instant::now();
        let mut locked = false;
        let committed = unbroken(|| {
            let writing = self.writing().map_err(|error| chain(&error))?;
            let committed = writing.writer.lock().commit(&mut jobs, patience);
            locked = matches!(&committed, Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy));
            committed
                .inspect_err(|error| self.syncs.failed_if("WAL", error))
                .map_err(|error| Trouble(error).to_string())
        });
        if locked && patience == Patience::None {
            return Some(jobs);
        }
        self.pace.note(jobs.len(), began, Instant::now());
        let to_sync = |job: &mut Box<dyn Job>| committed.is_ok() && job.durability() == Durability::Synced;
        if self.committed.put(jobs.extract_if(.., to_sync)) {
            let shared = Arc::clone(self);
            tokio::task::spawn_blocking(move || shared.sync());
        }
        jobs.into_iter().for_each(|job| job.reply(committed.clone()));
        None
    }

    /// Fsyncs until every committed job is acknowledged.
    fn sync(&self) {
        while let Some(jobs) = self.committed.take() {
            let synced = unbroken(|| {
                let writing = self.writing().map_err(|error| chain(&error))?;
                writing.syncer.lock().sync()
            });
            jobs.into_iter().for_each(|job| job.reply(synced.clone()));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(writing) = self.writing.get() {
            self.syncs.before_closing(writing.writer.lock().connection());
        }
    }
}

impl Writing {
    fn open(file: &Path, log_pages: u32, syncs: &Syncs) -> Result<Writing, StoreError> {
        let folder = file.parent().unwrap_or(Path::new(""));
        folder::make(folder).map_err(|source| StoreError::Folder { folder: folder.to_owned(), source })?;
        let failed = |source| StoreError::open(file.to_owned(), source);
        let mut connection = connection::connect(file).map_err(failed)?;
        connection::set(&mut connection).map_err(failed)?;
        let cannot_open = |source| StoreError::Log { file: file.to_owned(), source };
        let movers = checkpoint::connect(file).map_err(failed)?;
        let log = Log::of(file).map_err(cannot_open)?;
        // Checked only now that all descriptors are open. Linux reports a failed fsync to each descriptor that is open at
        // the time, so every failure from here on is seen, and every earlier one may be in the WAL. Source: `fsync(2)`.
        if !log.is_empty().map_err(cannot_open)? {
            syncs.doubt();
        }
        syncs.alone_in(File::open(folder).map_err(cannot_open)?);
        let syncer = Arc::new(Mutex::new(Syncer::new(log, syncs.clone())));
        let again = Arc::clone(&syncer);
        // An error here is logged or returned to the next sender, and the checkpointer tries again later.
        let again = move || drop(again.lock().sync());
        let mover = Checkpointer::beside(&mut connection, movers, log_pages, syncs, again).map_err(failed)?;
        private::sync_path(folder).map_err(|source| StoreError::Sync { folder: folder.to_owned(), source })?;
        let version = schema::make(&mut connection).map_err(failed)?;
        schema::check(file, version)?;
        let writer = Writer::new(connection).map_err(failed)?;
        Ok(Writing { mover, writer: Mutex::new(writer), syncer })
    }
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Runs `work` and turns a panic into an error. Unwinding past here would leave the lane marked as having a worker, so no
/// job would ever run again.
fn unbroken(work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the store panicked".to_owned()))
}

#[cfg(test)]
mod tests;
