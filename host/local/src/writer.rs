//! The one connection that writes, and what is committed on it together.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use tokio::sync::oneshot;
use towpath_types::queue::QueueError;

use crate::error::unavailable;

/// How much an operation promises.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Written before it is answered: it outlives the process, not a power cut.
    Written,
    /// On the disk before it is answered.
    Synced,
}

/// An operation with its caller. It may be run twice, and then the first run has left nothing behind.
pub(crate) trait Job: Send {
    fn durability(&self) -> Durability;

    /// Whether it succeeded.
    fn run(&mut self, connection: &Connection) -> bool;

    /// Tells the caller, once it is known whether the last run was committed, or why it was not.
    fn reply(self: Box<Self>, committed: Result<(), String>);
}

pub(crate) struct Work<T, F> {
    durability: Durability,
    operation: F,
    /// Of the last run; nothing if it panicked, or before the first.
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
            (None, Ok(())) => Err(unavailable("the operation broke off".to_owned())),
        };
        // The caller may have gone away.
        let _ = self.caller.send(result);
    }
}

/// The one connection.
pub(crate) struct Writer {
    connection: Connection,
}

impl Writer {
    /// Commits wait for no sync from now on: that is `disk.rs`.
    pub(crate) fn new(connection: Connection) -> rusqlite::Result<Writer> {
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(Writer { connection })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Runs and commits these. Where one fails the others go on: savepoints cost as much as small operations do, so that
    /// only then all are run again, each in its own.
    pub(crate) fn commit(&self, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
        // One that panicked has left its transaction open.
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

    /// Runs and commits these. False if one of them failed: then none of them left anything behind.
    fn together(&self, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<bool> {
        self.execute("BEGIN IMMEDIATE")?;
        if !jobs.iter_mut().all(|job| job.run(&self.connection)) {
            self.roll_back();
            return Ok(false);
        }
        self.execute("COMMIT").map(|()| true)
    }

    /// Runs and commits these, each in a savepoint of its own: one that fails leaves nothing behind, the others go on.
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

    /// Ends a transaction that is not to be committed. SQLite has ended it where it could not go on.
    fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            // There is nothing else to do about one that fails: the next one says so when it cannot begin.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}
