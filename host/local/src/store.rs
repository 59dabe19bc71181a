//! One SQLite file, one writer at a time. Operations that wait while another commits are committed together, and those that
//! wait while the disk is synced share the next sync.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;
use towpath_core::clock::Clock;
use towpath_core::queue::QueueError;

use crate::disk::{Log, Syncer, Syncs};
use crate::lane::Lane;
use crate::queues::Known;
use crate::waker::Waker;
use crate::writer::{Durability, Job, Work, Writer};
use crate::{checkpoint, folder, schema};

/// The file of a store in its folder.
pub(crate) const FILE: &str = "towpath.db";

/// A file with queues in it. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
}

pub(crate) struct Shared {
    file: PathBuf,
    writer: Mutex<Writer>,
    /// What is to be committed.
    pending: Lane<Box<dyn Job>>,
    syncer: Mutex<Syncer>,
    syncs: Syncs,
    /// What is committed, and answered once it is on the disk.
    committed: Lane<Box<dyn Job>>,
    wakers: Mutex<HashMap<i64, Arc<Waker>>>,
    pub(crate) queues: Known,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made.
    #[error("cannot create {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be opened, or is no store.
    #[error("cannot open the store {}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why.
        source: Trouble,
    },
    /// Its folder cannot be synced: a power cut could take a new store whole.
    #[error("cannot sync the folder {}: does the disk fail?", folder.display())]
    Sync {
        /// The folder, or one above it.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its log cannot be opened.
    #[error("cannot open the log of the store {}", file.display())]
    Log {
        /// The file of the store.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is one already.
    #[error("there is a store already: {}", file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// Another version wrote it.
    #[error("the store {} has version {found}, this towpath reads version {expected}", file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        expected: i64,
    },
    /// An operation failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl StoreError {
    pub(crate) fn open(file: PathBuf, source: rusqlite::Error) -> StoreError {
        StoreError::Open { file, source: Trouble(source) }
    }
}

/// What SQLite says, and what to do about it.
#[derive(Debug)]
pub struct Trouble(rusqlite::Error);

impl std::error::Error for Trouble {}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cure = match self.0.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => ": make room on the disk; what was answered is safe",
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                ": may this user write to the store and its folder?"
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                ": the store is damaged; stop what runs on it, and `towpath store recover` saves what can be read"
            }
            Some(ErrorCode::SystemIoFailure) => ": the disk fails, or is full",
            _ => "",
        };
        write!(f, "{}{cure}", self.0)
    }
}

impl Store {
    /// Opens the store in this folder, or makes it.
    pub fn open(folder: &Path, clock: Clock) -> Result<Store, StoreError> {
        Store::open_with_log(folder, clock, checkpoint::LONG)
    }

    /// The same, with a log that is moved to the file from so many pages of 4 KiB on: 64 MiB are usual.
    pub fn open_with_log(folder: &Path, clock: Clock, pages: u32) -> Result<Store, StoreError> {
        folder::make(folder).map_err(|source| StoreError::Folder { folder: folder.to_owned(), source })?;
        let file = folder.join(FILE);
        let failed = |source| StoreError::open(file.clone(), source);
        let mut connection = Connection::open_with_flags(&file, schema::flags()).map_err(failed)?;
        let found = schema::prepare(&mut connection).map_err(failed)?;
        if found != schema::VERSION {
            return Err(StoreError::Version { file, found, expected: schema::VERSION });
        }
        let syncs = Syncs::default();
        checkpoint::beside(&mut connection, &file, pages, &syncs).map_err(failed)?;
        let writer = Writer::new(connection).map_err(failed)?;
        let log = Log::of(&file).map_err(|source| StoreError::Log { file: file.clone(), source })?;
        folder::sync(folder).map_err(|source| StoreError::Sync { folder: folder.to_owned(), source })?;
        let shared = Shared {
            file,
            writer: Mutex::new(writer),
            pending: Lane::default(),
            syncer: Mutex::new(Syncer::new(log, syncs.clone())),
            syncs,
            committed: Lane::default(),
            wakers: Mutex::default(),
            queues: Known::default(),
        };
        Ok(Store { shared: Arc::new(shared), clock })
    }

    #[cfg(test)]
    pub(crate) fn on(&self, disk: impl crate::disk::Disk + 'static) {
        *lock(&self.shared.syncer) = Syncer::new(disk, self.shared.syncs.clone());
    }

    #[cfg(test)]
    pub(crate) fn syncs(&self) -> Syncs {
        self.shared.syncs.clone()
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.shared.file
    }

    /// Limits the file to so many pages of 4 KiB; a send that does not fit fails, and nothing is lost.
    pub async fn limit_pages(&self, pages: u32) -> Result<(), QueueError> {
        let limit = move |connection: &Connection| {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).map_err(failed)
        };
        self.run(Durability::Written, limit).await
    }

    pub(crate) fn waker(&self, queue: i64) -> Arc<Waker> {
        Arc::clone(lock(&self.shared.wakers).entry(queue).or_default())
    }

    /// Wakes the long polls of a queue.
    pub(crate) fn wake(&self, queue: i64) {
        self.waker(queue).changes.send_modify(|count| *count += 1);
    }

    /// Runs an operation in a transaction and answers when that is committed, and on the disk where that is promised. An
    /// operation that fails leaves nothing behind; those that are committed with it go on, and may be run a second time for
    /// it. It runs to its end even if the caller goes away.
    pub(crate) async fn run<T, F>(&self, durability: Durability, operation: F) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, QueueError> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Work::new(durability, operation, caller));
        if self.shared.pending.put([job]) {
            let shared = Arc::clone(&self.shared);
            tokio::task::spawn_blocking(move || shared.write());
        }
        answer.await.unwrap_or_else(|_| Err(unavailable("the operation broke off".into())))
    }
}

impl Shared {
    /// Commits until nothing is pending.
    fn write(self: &Arc<Self>) {
        while let Some(mut jobs) = self.pending.take() {
            let committed = unbroken(|| {
                let committed = lock(&self.writer).commit(&mut jobs);
                committed
                    .inspect_err(|error| self.syncs.failed_if("log", error))
                    .map_err(|error| Trouble(error).to_string())
            });
            let to_sync = |job: &mut Box<dyn Job>| committed.is_ok() && job.durability() == Durability::Synced;
            if self.committed.put(jobs.extract_if(.., to_sync)) {
                let shared = Arc::clone(self);
                tokio::task::spawn_blocking(move || shared.sync());
            }
            jobs.into_iter().for_each(|job| job.reply(committed.clone()));
        }
    }

    /// Syncs until all that is committed is answered.
    fn sync(&self) {
        while let Some(jobs) = self.committed.take() {
            let synced = unbroken(|| lock(&self.syncer).sync());
            jobs.into_iter().for_each(|job| job.reply(synced.clone()));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.syncs.before_closing(lock(&self.writer).connection());
    }
}

/// What comes of this, a panic too: whoever unwound here would leave a lane that nobody works on any more.
fn unbroken(work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the store broke off".to_owned()))
}

/// What SQLite says, as the queue's error.
pub(crate) fn failed(error: rusqlite::Error) -> QueueError {
    QueueError::Unavailable { queue: "local".to_owned(), source: Box::new(Trouble(error)) }
}

pub(crate) fn unavailable(problem: String) -> QueueError {
    QueueError::Unavailable { queue: "local".to_owned(), source: problem.into() }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn execute(connection: &Connection, sql: &str) -> Result<(), QueueError> {
        connection.execute_batch(sql).map_err(failed)
    }

    #[tokio::test]
    async fn a_commit_that_fails_fails_every_operation_in_it_and_the_next_one_works() {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path(), Clock::wall()).unwrap();
        let tables = "CREATE TABLE p (id INTEGER PRIMARY KEY);
            CREATE TABLE c (p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED);";
        store.run(Durability::Synced, move |connection| execute(connection, tables)).await.unwrap();
        // A deferred foreign key is checked at the commit: each operation by itself succeeds.
        let run = |sql: &'static str| store.run(Durability::Synced, move |connection| execute(connection, sql));
        let (bad, beside) = tokio::join!(run("INSERT INTO c VALUES (7)"), run("INSERT INTO p VALUES (1)"));
        assert!(bad.is_err(), "the commit failed");
        let count = |connection: &Connection| {
            let sql = "SELECT (SELECT count(*) FROM p) + (SELECT count(*) FROM c)";
            connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed)
        };
        let stored = store.run(Durability::Written, count).await.unwrap();
        assert_eq!(stored, i64::from(beside.is_ok()), "what was answered is what is stored");
    }

    /// A job that does not catch what it breaks.
    struct Panics;

    impl Job for Panics {
        fn durability(&self) -> Durability {
            Durability::Synced
        }

        fn run(&mut self, connection: &Connection) -> bool {
            execute(connection, "INSERT INTO t VALUES (1)").expect("inserted");
            panic!("on purpose")
        }

        fn reply(self: Box<Self>, committed: Result<(), String>) {
            committed.expect_err("it broke off");
        }
    }

    #[tokio::test]
    async fn a_commit_that_panics_fails_every_operation_in_it_and_the_next_one_works() {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path(), Clock::wall()).unwrap();
        let run = |sql: &'static str| store.run(Durability::Synced, move |connection| execute(connection, sql));
        run("CREATE TABLE t (x)").await.unwrap();
        assert!(store.shared.pending.put([Box::new(Panics) as Box<dyn Job>]), "nobody is at work");
        let (beside, ()) = tokio::join!(run("INSERT INTO t VALUES (2)"), async { store.shared.write() });
        assert!(beside.is_err());
        run("INSERT INTO t VALUES (3)").await.unwrap();
        let values = |connection: &Connection| {
            connection.query_row("SELECT group_concat(x) FROM t", [], |row| row.get::<_, String>(0)).map_err(failed)
        };
        assert_eq!(store.run(Durability::Written, values).await.unwrap(), "3");
    }

    #[tokio::test]
    async fn a_full_disk_is_told_with_what_to_do() {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path(), Clock::wall()).unwrap();
        store.limit_pages(40).await.unwrap();
        let fill = |connection: &Connection| execute(connection, "CREATE TABLE t AS SELECT randomblob(1000000)");
        let error = store.run(Durability::Synced, fill).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("make room on the disk"), "{cause}");
    }

    #[tokio::test]
    async fn an_operation_that_fails_or_panics_leaves_nothing_and_disturbs_no_other() {
        let folder = TempDir::new().unwrap();
        let store = Store::open(folder.path(), Clock::wall()).unwrap();
        let table = "CREATE TABLE t (x)";
        store.run(Durability::Synced, move |connection| execute(connection, table)).await.unwrap();
        let panics = store.run(Durability::Synced, |connection| -> Result<(), QueueError> {
            execute(connection, "INSERT INTO t VALUES (1)")?;
            panic!("on purpose")
        });
        let fails = store.run(Durability::Synced, |connection| {
            execute(connection, "INSERT INTO t VALUES (2)")?;
            Err::<(), _>(QueueError::HandleInvalid)
        });
        let works = store.run(Durability::Synced, |connection| execute(connection, "INSERT INTO t VALUES (3)"));
        let (panics, fails, works) = tokio::join!(panics, fails, works);
        assert!(panics.is_err() && fails.is_err() && works.is_ok());
        let values = |connection: &Connection| {
            connection.query_row("SELECT group_concat(x) FROM t", [], |row| row.get::<_, String>(0)).map_err(failed)
        };
        assert_eq!(store.run(Durability::Written, values).await.unwrap(), "3");
    }
}
