//! Move tasks, as `StartMessageMoveTask` of SQS: from a dead-letter queue to another queue, or back to the queue that
//! each message came from.

mod pace;
mod step;
mod task;

use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use tokio::time::{Instant, sleep};
use towpath_types::clock::Timestamp;
use towpath_types::queue::QueueError;
use tracing::{error, warn};

use crate::counts;
use crate::error::Trouble;
use crate::error::failed;
use crate::expired::Expired;
use crate::queue::LocalQueue;
use crate::seen::SETTINGS_OF_ALL;
use crate::settings::QueueSettings;
use crate::store::Store;
use crate::values::millis;
use crate::writer::Durability;
use pace::{PACE, Pace, allowance};
use step::step;
pub use task::{MAX_MOVES_PER_SECOND, MoveStatus, MoveTask};
use task::{TASK, task};

/// How many tasks of a queue are kept: as many as a client can list. Source: the `ListMessageMoveTasks` API.
const KEPT: i64 = 10;

/// How long a task waits before it retries a step that failed.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a move task cannot be started or cancelled.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("there is already a task running on the queue {0}: only one active task is allowed at a time")]
    Running(String),
    #[error("the source queue {0} must be configured as a dead-letter queue of some queue")]
    NotDeadLetterQueue(String),
    #[error("the source queue {0} cannot be its own destination")]
    OntoItself(String),
    /// A message of a standard queue has no place in the order of a FIFO queue, and vice versa.
    #[error("the destination {0} must be of the same type as the source queue")]
    OtherType(String),
    #[error("only active move tasks can be cancelled")]
    NotActive,
    #[error("there is no such move task")]
    NoSuchTask,
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Store {
    /// Creates a task that moves the messages now in `source` to `destination`, or to the queue that each came from, at most
    /// `per_second`. [`Store::run_move`] runs it.
    pub async fn start_move(
        &self,
        source: &LocalQueue,
        destination: Option<&LocalQueue>,
        per_second: Option<u32>,
    ) -> Result<MoveTask, MoveError> {
        if let Some(to) = destination {
            if to.id == source.id {
                return Err(MoveError::OntoItself(source.name.clone()));
            }
            if to.current_settings().await?.fifo != source.current_settings().await?.fifo {
                return Err(MoveError::OtherType(to.name.clone()));
            }
        }
        let from = source.clone();
        let to = destination.cloned();
        let clock = self.clock;
        let per_second = per_second.map(|rate| rate.clamp(1, MAX_MOVES_PER_SECOND));
        let begin = move |connection: &Connection, settings: &QueueSettings| {
            let now = clock.now();
            let expired = Expired::of(connection, from.id, now - settings.retention).map_err(failed)?;
            begin(connection, &from, to.as_ref(), per_second, expired, now).map_err(failed)
        };
        let started = source.run(Durability::Synced, begin).await?;
        started.map_err(|refused| match refused {
            Refused::Running => MoveError::Running(source.name.clone()),
            Refused::NotDeadLetterQueue => MoveError::NotDeadLetterQueue(source.name.clone()),
        })
    }

    /// Runs a task to its end. Every step is one transaction, so a message is always in exactly one queue. A task is
    /// deleted with its source queue. While the disk is full or fails, it retries; on an error that would happen again,
    /// it fails.
    pub async fn run_move(&self, id: i64) -> Result<MoveTask, MoveError> {
        let mut pace = Pace::new(Instant::now());
        loop {
            let credit = pace.credit(Instant::now());
            let clock = self.clock;
            let step = move |connection: &Connection| step(connection, id, credit, clock.now()).map_err(failed);
            match self.run(Durability::Synced, step).await {
                Ok(None) => return Err(MoveError::NoSuchTask),
                Ok(Some((task, destinations))) => {
                    destinations.into_iter().for_each(|queue| self.wake(queue));
                    if task.status != MoveStatus::Running {
                        return Ok(task);
                    }
                    pace.spend(allowance(task.per_second, credit), task.per_second);
                    sleep(PACE).await;
                }
                Err(error) => {
                    if !may_pass(&error) && self.end_move(id, &error).await.is_ok() {
                        error!(
                            event = "move-failed",
                            task = id,
                            error = &error as &dyn std::error::Error,
                            "move task failed"
                        );
                        return Err(error.into());
                    }
                    warn!(
                        event = "move-retried",
                        task = id,
                        error = &error as &dyn std::error::Error,
                        "move task cannot use the store, retrying"
                    );
                    sleep(AGAIN).await;
                }
            }
        }
    }

    /// Marks a task as failed.
    async fn end_move(&self, id: i64, problem: &QueueError) -> Result<(), QueueError> {
        let cause = std::error::Error::source(problem).map(|cause| format!(": {cause}")).unwrap_or_default();
        let failure = format!("{problem}{cause}");
        let end = move |connection: &Connection| {
            let sql = "UPDATE moves SET status = 'FAILED', failure = ?2 WHERE id = ?1 AND status = 'RUNNING'";
            connection.execute(sql, params![id, failure]).map(drop).map_err(failed)
        };
        self.run(Durability::Synced, end).await
    }

    /// Cancels a task of this queue. Messages that it moved stay moved; returns their number.
    pub async fn cancel_move(&self, source: &LocalQueue, handle: &str) -> Result<u64, MoveError> {
        let source = source.id;
        let handle = handle.to_owned();
        let find = "SELECT id FROM moves WHERE source = ?1 AND handle = ?2";
        let stop = "UPDATE moves SET status = 'CANCELLED' WHERE id = ?1 AND status = 'RUNNING' RETURNING moved";
        let cancel = move |connection: &Connection| {
            let id: Option<i64> = connection.query_row(find, params![source, handle], |row| row.get(0)).optional()?;
            let Some(id) = id else { return Ok(Err(MoveError::NoSuchTask)) };
            let moved = connection.query_row(stop, [id], |row| row.get(0)).optional()?;
            Ok(moved.ok_or(MoveError::NotActive))
        };
        self.run(Durability::Synced, move |connection| cancel(connection).map_err(failed)).await?
    }

    /// The latest tasks that move from this queue, newest first.
    pub async fn moves(&self, source: &LocalQueue, max: usize) -> Result<Vec<MoveTask>, QueueError> {
        let source = source.id;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let read = move |connection: &Connection| {
            let sql = format!("SELECT {TASK} FROM moves WHERE source = ?1 ORDER BY id DESC LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map([source, max], task)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        self.run(Durability::Written, move |connection| read(connection).map_err(failed)).await
    }

    /// The running tasks. At startup, those were interrupted when an earlier process ended.
    pub async fn unfinished_moves(&self) -> Result<Vec<i64>, QueueError> {
        let read = |connection: &Connection| {
            let mut statement = connection.prepare_cached("SELECT id FROM moves WHERE status = 'RUNNING'")?;
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()
        };
        self.run(Durability::Written, move |connection| read(connection).map_err(failed)).await
    }
}

/// Whether a step that failed with this error can succeed later, for example when the disk has space again or a lock is
/// released.
fn may_pass(error: &QueueError) -> bool {
    let QueueError::Unavailable { source, .. } = error else { return false };
    match source.downcast_ref::<Trouble>().map(|Trouble(error)| error.sqlite_error_code()) {
        // Not an error of the operation: the commit or the fsync failed.
        None => true,
        Some(code) => matches!(
            code,
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::PermissionDenied
                    | ErrorCode::OutOfMemory
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::SchemaChanged
                    | ErrorCode::OperationInterrupted
                    | ErrorCode::FileLockingProtocolFailed
            )
        ),
    }
}

enum Refused {
    Running,
    NotDeadLetterQueue,
}

fn begin(
    connection: &Connection,
    from: &LocalQueue,
    to: Option<&LocalQueue>,
    per_second: Option<u32>,
    expired: Expired,
    now: Timestamp,
) -> rusqlite::Result<Result<MoveTask, Refused>> {
    let running = "SELECT 1 FROM moves WHERE source = ?1 AND status = 'RUNNING'";
    if connection.query_row(running, [from.id], |_| Ok(())).optional()?.is_some() {
        return Ok(Err(Refused::Running));
    }
    let mut statement = connection.prepare_cached(SETTINGS_OF_ALL)?;
    let settings = statement.query_map([], |row| row.get::<_, String>(2))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let names_it = |text: &String| {
        let settings: QueueSettings = serde_json::from_str(text).unwrap_or_default();
        settings.redrive.is_some_and(|policy| policy.dead_letter_queue == from.name)
    };
    if !settings.iter().any(names_it) {
        return Ok(Err(Refused::NotDeadLetterQueue));
    }
    // Clients cannot list older tasks.
    let old = "DELETE FROM moves WHERE source = ?1 AND id NOT IN
        (SELECT id FROM moves WHERE source = ?1 ORDER BY id DESC LIMIT ?2)";
    connection.execute(old, [from.id, KEPT - 1])?;
    let sql = "INSERT INTO moves
            (handle, source, destination, destination_name, per_second, status, started_at, to_move, moved, last_seq)
        SELECT ?2, ?1, ?3, ?4, ?5, 'RUNNING', ?6, ?7, 0, coalesce(max(seq), 0) FROM messages WHERE queue = ?1";
    let handle = uuid::Uuid::new_v4().to_string();
    let name = to.map(|queue| queue.name.as_str());
    let to = to.map(|queue| queue.id);
    let to_move = counts::messages(connection, from.id)?.saturating_sub(expired.count(connection)?);
    connection.execute(sql, params![from.id, handle, to, name, per_second, millis(now), to_move])?;
    let sql = format!("SELECT {TASK} FROM moves WHERE id = ?1");
    Ok(Ok(connection.query_row(&sql, [connection.last_insert_rowid()], task)?))
}
