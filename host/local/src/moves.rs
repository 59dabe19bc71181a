//! Move tasks, as `StartMessageMoveTask` of SQS: from a dead-letter queue to another queue.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_core::clock::Timestamp;
use towpath_core::queue::{GroupId, MessageId, QueueError};

use crate::queue::LocalQueue;
use crate::send::{self, Row};
use crate::settings::QueueSettings;
use crate::store::{Durability, Store, failed};

/// How many messages one step moves. A step is one transaction.
const STEP: i64 = 50;

/// The pace: 500 messages a second, the most that SQS does.
const PACE: Duration = Duration::from_millis(100);

/// A move task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MoveTask {
    /// Its number.
    pub id: i64,
    /// How far it is.
    pub status: MoveStatus,
    /// How many messages it moved.
    pub moved: u64,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// How far a move task is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MoveStatus {
    /// It moves messages.
    Running,
    /// It moved all that were there when it began.
    Completed,
    /// It was cancelled; what it moved stays moved.
    Cancelled,
    /// It could not go on; what it did not move is where it was.
    Failed,
}

/// Why a move task does not start or cannot be cancelled.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// One at a time.
    #[error("there is already a task running on the queue {0}: only one active task is allowed at a time")]
    Running(String),
    /// Only dead-letter queues are moved from.
    #[error("the source queue {0} must be configured as a dead-letter queue of some queue")]
    NotDeadLetterQueue(String),
    /// Nothing to cancel.
    #[error("only active move tasks can be cancelled")]
    NotActive,
    /// The store failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Store {
    /// Begins to move what is in `source` now to `destination`. [`Store::run_move`] does the moving.
    pub async fn start_move(&self, source: &LocalQueue, destination: &LocalQueue) -> Result<i64, MoveError> {
        let (from, to, name) = (source.id, destination.id, source.name.clone());
        let started =
            self.run(Durability::Synced, move |connection| begin(connection, from, to, &name).map_err(failed)).await?;
        started.map_err(|refused| match refused {
            Refused::Running => MoveError::Running(source.name.clone()),
            Refused::NotDeadLetterQueue => MoveError::NotDeadLetterQueue(source.name.clone()),
        })
    }

    /// Moves until the task has ended, 500 messages a second. Every step is one transaction: no message
    /// is ever in both queues or in none.
    pub async fn run_move(&self, id: i64) -> Result<MoveTask, MoveError> {
        loop {
            let now = self.clock.now();
            let store = self.clone();
            let task = self
                .run(Durability::Synced, move |connection| {
                    let (task, destination) = step(connection, id, now).map_err(failed)?;
                    store.wake(destination);
                    Ok(task)
                })
                .await?;
            if task.status != MoveStatus::Running {
                return Ok(task);
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Stops a task; what it moved stays moved.
    pub async fn cancel_move(&self, id: i64) -> Result<(), MoveError> {
        let sql = "UPDATE moves SET status = 'cancelled' WHERE id = ?1 AND status = 'running'";
        let cancel = move |connection: &Connection| connection.execute(sql, [id]);
        let changed = self.run(Durability::Synced, move |connection| cancel(connection).map_err(failed)).await?;
        if changed == 1 { Ok(()) } else { Err(MoveError::NotActive) }
    }

    /// Removes a queue and all that is in it.
    pub async fn remove(&self, queue: LocalQueue) -> Result<(), QueueError> {
        queue.purge().await?;
        let id = queue.id;
        let remove = move |connection: &Connection| connection.execute("DELETE FROM queues WHERE id = ?1", [id]);
        self.run(Durability::Synced, move |connection| remove(connection).map(drop).map_err(failed)).await
    }
}

enum Refused {
    Running,
    NotDeadLetterQueue,
}

fn begin(connection: &Connection, from: i64, to: i64, name: &str) -> rusqlite::Result<Result<i64, Refused>> {
    let running = "SELECT 1 FROM moves WHERE source = ?1 AND status = 'running'";
    if connection.query_row(running, [from], |_| Ok(())).optional()?.is_some() {
        return Ok(Err(Refused::Running));
    }
    let mut statement = connection.prepare_cached("SELECT settings FROM queues")?;
    let settings = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let names_it = |text: &String| {
        let settings: QueueSettings = serde_json::from_str(text).unwrap_or_default();
        settings.redrive.is_some_and(|policy| policy.dead_letter_queue == name)
    };
    if !settings.iter().any(names_it) {
        return Ok(Err(Refused::NotDeadLetterQueue));
    }
    let sql = "INSERT INTO moves (source, destination, status, moved, last_seq)
        VALUES (?1, ?2, 'running', 0, (SELECT coalesce(max(seq), 0) FROM messages WHERE queue = ?1))";
    connection.execute(sql, [from, to])?;
    Ok(Ok(connection.last_insert_rowid()))
}

/// Moves some messages: oldest first, so that each group keeps its order.
fn step(connection: &Connection, id: i64, now: Timestamp) -> rusqlite::Result<(MoveTask, i64)> {
    let sql = "SELECT source, destination, last_seq FROM moves WHERE id = ?1";
    let (from, to, last): (i64, i64, i64) =
        connection.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    if task(connection, id)?.status == MoveStatus::Running {
        let settings = |queue: i64| {
            let sql = "SELECT settings FROM queues WHERE id = ?1";
            let text: Option<String> = connection.query_row(sql, [queue], |row| row.get(0)).optional()?;
            Ok::<_, rusqlite::Error>(text.map(|text| serde_json::from_str::<QueueSettings>(&text).unwrap_or_default()))
        };
        match (settings(from)?, settings(to)?) {
            (Some(source), Some(destination)) => {
                let retentions = (source.retention, destination.retention);
                let moved = move_some(connection, from, to, last, retentions, now)?;
                let status = if moved < STEP { "completed" } else { "running" };
                let sql = "UPDATE moves SET moved = moved + ?2, status = ?3 WHERE id = ?1";
                connection.execute(sql, params![id, moved, status])?;
            }
            _ => {
                let sql = "UPDATE moves SET status = 'failed', failure = 'the queue does not exist' WHERE id = ?1";
                connection.execute(sql, [id])?;
            }
        }
    }
    Ok((task(connection, id)?, to))
}

fn move_some(
    connection: &Connection,
    from: i64,
    to: i64,
    last: i64,
    (kept_there, kept_here): (Duration, Duration),
    now: Timestamp,
) -> rusqlite::Result<i64> {
    let sql = "SELECT m.seq, m.grp, g.name, m.attributes, m.body FROM messages m JOIN groups g ON g.id = m.grp
        WHERE m.queue = ?1 AND m.seq <= ?2 AND m.visible_at <= ?3 ORDER BY m.seq LIMIT ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![from, last, send::millis(now), STEP], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?, row.get(3)?, row.get(4)?))
    })?;
    let mut moved = 0;
    for row in rows.collect::<rusqlite::Result<Vec<(i64, i64, String, String, String)>>>()? {
        let (seq, group, name, attributes, body) = row;
        // A moved message is a new one: new id, new count, new retention.
        let id = MessageId(uuid::Uuid::new_v4().to_string());
        let group_name = GroupId(name);
        let row = Row {
            queue: to,
            group: &group_name,
            id: &id,
            dedup_id: id.as_str(),
            source: None,
            attributes: &attributes,
            body: &body,
        };
        send::insert(connection, &row, kept_here, now)?;
        connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?.execute([seq])?;
        crate::receive::refresh(connection, group, kept_there)?;
        moved += 1;
    }
    Ok(moved)
}

fn task(connection: &Connection, id: i64) -> rusqlite::Result<MoveTask> {
    let sql = "SELECT status, moved, failure FROM moves WHERE id = ?1";
    connection.query_row(sql, [id], |row| {
        let status = match row.get::<_, String>(0)?.as_str() {
            "running" => MoveStatus::Running,
            "completed" => MoveStatus::Completed,
            "cancelled" => MoveStatus::Cancelled,
            _ => MoveStatus::Failed,
        };
        Ok(MoveTask { id, status, moved: row.get(1)?, failure: row.get(2)? })
    })
}
