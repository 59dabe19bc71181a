//! The one connection that writes, and the group commit on it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use tokio::sync::oneshot;
use towpath_types::queue::QueueError;

use crate::connection;
use crate::error::unavailable;

/// What an operation guarantees when it returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Committed: it survives a crash of the process, but a power cut may undo it.
    Written,
    /// Committed and fsynced: it also survives a power cut.
    Synced,
}

/// How long a transaction waits for another process that is writing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all: the commit fails with `DatabaseBusy`, and no job has run.
    None,
    Usual,
}

/// An operation and its waiting caller. It may run twice; the first run is rolled back before the second.
pub(crate) trait Job: Send {
    fn durability(&self) -> Durability;

    /// Returns whether it succeeded.
    fn run(&mut self, connection: &Connection) -> bool;

    /// Sends the result of the last run to the caller, or the reason why it was not committed.
    fn reply(self: Box<Self>, committed: Result<(), String>);
}

pub(crate) struct Work<T, F> {
    durability: Durability,
    operation: F,
    /// The result of the last run; `None` before the first, and if it panicked.
    result: Option<Result<T, QueueError>>,
    caller: oneshot::Sender<Result<T, QueueError>>,
}

impl<T, F> Work<T, F> {
    pub(crate) fn new(durability: Durability, operation: F, caller: oneshot::Sender<Result<T, QueueError>>) -> Self {
        Work { durability, operation, result: None, caller }
    }
}

impl<T, F> Job for Work<T, F>
where
    T: Send,
    F: Fn(&Connection) -> Result<T, QueueError> + Send,
{
    fn durability(&self) -> Durability {
        self.durability
    }

    fn run(&mut self, connection: &Connection) -> bool {
        self.result = catch_unwind(AssertUnwindSafe(|| (self.operation)(connection))).ok();
        matches!(self.result, Some(Ok(_)))
    }

    fn reply(self: Box<Self>, committed: Result<(), String>) {
        let result = match (self.result, committed) {
            (_, Err(problem)) => Err(unavailable(problem)),
            (Some(result), Ok(())) => result,
            (None, Ok(())) => Err(unavailable("the operation panicked".to_owned())),
        };
        // Sending fails if the caller stopped waiting. The operation is committed anyway.
        let _ = self.caller.send(result);
    }
}

pub(crate) struct Writer {
    connection: Connection,
}

impl Writer {
    /// Sets `synchronous = NORMAL`: commits no longer wait for an fsync, which `disk.rs` does on another thread.
    pub(crate) fn new(connection: Connection) -> rusqlite::Result<Writer> {
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(Writer { connection })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Runs and commits jobs in one transaction. A job that fails does not affect the others: all are then run again,
    /// each in a savepoint. Savepoints cost as much as small operations, so the first run has none.
    pub(crate) fn commit(&mut self, jobs: &mut [Box<dyn Job>], patience: Patience) -> rusqlite::Result<()> {
        if patience == Patience::Usual {
            return self.commit_with_handler(jobs);
        }
        self.connection.busy_handler(None::<fn(i32) -> bool>)?;
        let committed = self.commit_with_handler(jobs);
        self.connection.busy_handler(Some(connection::ask_again))?;
        committed
    }

    fn commit_with_handler(&self, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
        // A panic in an earlier commit may have left its transaction open.
        self.roll_back();
        let committed = match self.together(jobs) {
            Ok(false) if jobs.len() > 1 => self.one_by_one(jobs),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if committed.is_err() {
            // A failed commit may leave the transaction open.
            self.roll_back();
        }
        committed
    }

    /// Runs and commits jobs without savepoints. Returns false if one failed; then the whole transaction was rolled back.
    fn together(&self, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<bool> {
        self.execute("BEGIN IMMEDIATE")?;
        if !jobs.iter_mut().all(|job| job.run(&self.connection)) {
            self.roll_back();
            return Ok(false);
        }
        self.execute("COMMIT").map(|()| true)
    }

    /// Runs and commits jobs, each in its own savepoint. A job that fails is rolled back alone.
    fn one_by_one(&self, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
        self.execute("BEGIN IMMEDIATE")?;
        for job in jobs {
            self.execute("SAVEPOINT job")?;
            if !job.run(&self.connection) {
                self.execute("ROLLBACK TO job")?;
            }
            self.execute("RELEASE job")?;
        }
        self.execute("COMMIT")
    }

    /// Rolls back an open transaction. After some errors SQLite has already done that.
    fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            // If this fails, the next BEGIN fails and reports it.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}
