//! Move tasks, as `StartMessageMoveTask` of SQS: from a dead-letter queue to another queue, or back to where
//! each message came from.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_core::clock::Timestamp;
use towpath_core::queue::{MessageId, QueueError};

use crate::queue::LocalQueue;
use crate::send::{self, Row, millis, timestamp};
use crate::settings::QueueSettings;
use crate::store::{Store, failed};
use crate::writer::Durability;

/// The most that SQS moves in a second.
pub const MAX_MOVES_PER_SECOND: u32 = 500;

/// How many tasks of a queue are kept: as many as a client can ask for. Source: the `ListMessageMoveTasks` API.
const KEPT: i64 = 10;

/// How often a running task makes a step. A step is one transaction.
const PACE: Duration = Duration::from_millis(100);

/// A move task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MoveTask {
    /// Its number in the store.
    pub id: i64,
    /// How clients name it: a UUID.
    pub handle: String,
    /// How far it is.
    pub status: MoveStatus,
    /// The name of the queue that it moves to, which may be gone since; `None` for each message's own source.
    pub destination: Option<String>,
    /// How many messages it moves in a second at most, if that was asked for.
    pub per_second: Option<u32>,
    /// When it was started.
    pub started_at: Timestamp,
    /// How many messages there were to move.
    pub to_move: u64,
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

impl MoveStatus {
    const ALL: [MoveStatus; 4] =
        [MoveStatus::Running, MoveStatus::Completed, MoveStatus::Cancelled, MoveStatus::Failed];

    /// The word that SQS has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            MoveStatus::Running => "RUNNING",
            MoveStatus::Completed => "COMPLETED",
            MoveStatus::Cancelled => "CANCELLED",
            MoveStatus::Failed => "FAILED",
        }
    }
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
    /// A queue is not moved onto itself.
    #[error("the source queue {0} cannot be its own destination")]
    OntoItself(String),
    /// Messages of standard queues have no place in FIFO queues, nor the other way round.
    #[error("the destination {0} must be of the same type as the source queue")]
    OtherType(String),
    /// Nothing to cancel.
    #[error("only active move tasks can be cancelled")]
    NotActive,
    /// There is no such task.
    #[error("there is no such move task")]
    NoSuchTask,
    /// The store failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Store {
    /// Begins to move what is in `source` now to `destination`, or to where each message came from, at most so many a
    /// second. [`Store::run_move`] does the moving.
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
        let (from, to) = (source.clone(), destination.cloned());
        let (clock, per_second) = (self.clock, per_second.map(|rate| rate.clamp(1, MAX_MOVES_PER_SECOND)));
        let begin = move |connection: &Connection, _: &QueueSettings| {
            begin(connection, &from, to.as_ref(), per_second, clock.now()).map_err(failed)
        };
        let started = source.run(Durability::Synced, begin).await?;
        started.map_err(|refused| match refused {
            Refused::Running => MoveError::Running(source.name.clone()),
            Refused::NotDeadLetterQueue => MoveError::NotDeadLetterQueue(source.name.clone()),
        })
    }

    /// Moves until the task has ended. Every step is one transaction: no message is ever in both queues or
    /// in none. A task goes with its source queue.
    pub async fn run_move(&self, id: i64) -> Result<MoveTask, MoveError> {
        let started = tokio::time::Instant::now();
        let mut asked = 0;
        loop {
            let (store, clock) = (self.clone(), self.clock);
            let elapsed = started.elapsed() + PACE;
            let step = move |connection: &Connection| step(connection, id, elapsed, asked, clock.now());
            let step = self.run(Durability::Synced, move |connection| step(connection).map_err(failed)).await?;
            let (task, destinations) = step.ok_or(MoveError::NoSuchTask)?;
            destinations.into_iter().for_each(|queue| store.wake(queue));
            if task.status != MoveStatus::Running {
                return Ok(task);
            }
            asked = allowance(task.per_second, elapsed);
            tokio::time::sleep(PACE).await;
        }
    }

    /// Stops a task of this queue; what it moved stays moved. Returns how many that were.
    pub async fn cancel_move(&self, source: &LocalQueue, handle: &str) -> Result<u64, MoveError> {
        let (source, handle) = (source.id, handle.to_owned());
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

    /// The last tasks that move from this queue, newest first.
    pub async fn moves(&self, source: &LocalQueue, max: usize) -> Result<Vec<MoveTask>, QueueError> {
        let (source, max) = (source.id, i64::try_from(max).unwrap_or(i64::MAX));
        let read = move |connection: &Connection| {
            let sql = format!("SELECT {TASK} FROM moves WHERE source = ?1 ORDER BY id DESC LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map([source, max], task)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        self.run(Durability::Written, move |connection| read(connection).map_err(failed)).await
    }

    /// The tasks that were running when the process that ran them ended.
    pub async fn unfinished_moves(&self) -> Result<Vec<i64>, QueueError> {
        let read = |connection: &Connection| {
            let mut statement = connection.prepare_cached("SELECT id FROM moves WHERE status = 'RUNNING'")?;
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()
        };
        self.run(Durability::Written, move |connection| read(connection).map_err(failed)).await
    }
}

/// How many messages a task may have moved after so long.
fn allowance(per_second: Option<u32>, elapsed: Duration) -> u64 {
    let per_second = u64::from(per_second.unwrap_or(MAX_MOVES_PER_SECOND));
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).saturating_mul(per_second) / 1000
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
    now: Timestamp,
) -> rusqlite::Result<Result<MoveTask, Refused>> {
    let running = "SELECT 1 FROM moves WHERE source = ?1 AND status = 'RUNNING'";
    if connection.query_row(running, [from.id], |_| Ok(())).optional()?.is_some() {
        return Ok(Err(Refused::Running));
    }
    let mut statement = connection.prepare_cached("SELECT settings FROM queues")?;
    let settings = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let names_it = |text: &String| {
        let settings: QueueSettings = serde_json::from_str(text).unwrap_or_default();
        settings.redrive.is_some_and(|policy| policy.dead_letter_queue == from.name)
    };
    if !settings.iter().any(names_it) {
        return Ok(Err(Refused::NotDeadLetterQueue));
    }
    // Nobody can ask for older ones.
    let old = "DELETE FROM moves WHERE source = ?1 AND id NOT IN
        (SELECT id FROM moves WHERE source = ?1 ORDER BY id DESC LIMIT ?2)";
    connection.execute(old, [from.id, KEPT - 1])?;
    let sql = "INSERT INTO moves
            (handle, source, destination, destination_name, per_second, status, started_at, to_move, moved, last_seq)
        SELECT ?2, ?1, ?3, ?4, ?5, 'RUNNING', ?6, count(*), 0, coalesce(max(seq), 0) FROM messages WHERE queue = ?1";
    let handle = uuid::Uuid::new_v4().to_string();
    let (to, name) = (to.map(|queue| queue.id), to.map(|queue| queue.name.as_str()));
    connection.execute(sql, params![from.id, handle, to, name, per_second, millis(now)])?;
    let sql = format!("SELECT {TASK} FROM moves WHERE id = ?1");
    Ok(Ok(connection.query_row(&sql, [connection.last_insert_rowid()], task)?))
}

/// Moves some messages: oldest first, so that each group keeps its order. Nothing if the task is gone.
fn step(
    connection: &Connection,
    id: i64,
    elapsed: Duration,
    asked: u64,
    now: Timestamp,
) -> rusqlite::Result<Option<(MoveTask, Vec<i64>)>> {
    let read = format!("SELECT {TASK} FROM moves WHERE id = ?1");
    let Some(before) = connection.query_row(&read, [id], task).optional()? else { return Ok(None) };
    if before.status != MoveStatus::Running {
        return Ok(Some((before, Vec::new())));
    }
    let sql = "SELECT source, destination, last_seq FROM moves WHERE id = ?1";
    let (from, to, last) = connection.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let room = i64::try_from(allowance(before.per_second, elapsed).saturating_sub(asked)).unwrap_or(i64::MAX);
    let mut mover = Mover { connection, from, to, now, queues: HashMap::new(), moved: 0 };
    let ended = mover.run(last, room)?;
    let (status, failure) = match ended {
        Ended::Room => (MoveStatus::Running, None),
        Ended::All => (MoveStatus::Completed, None),
        Ended::Failed(failure) => (MoveStatus::Failed, Some(failure)),
    };
    let sql = "UPDATE moves SET moved = moved + ?2, status = ?3, failure = ?4 WHERE id = ?1";
    connection.execute(sql, params![id, mover.moved, status.as_str(), failure])?;
    let touched = mover.queues.into_values().flatten().map(|(queue, _)| queue).collect();
    Ok(Some((connection.query_row(&read, [id], task)?, touched)))
}

/// How a step ended.
enum Ended {
    /// There was no room for more.
    Room,
    /// There were no more.
    All,
    /// One could not be moved.
    Failed(&'static str),
}

struct Mover<'a> {
    connection: &'a Connection,
    from: i64,
    to: Option<i64>,
    now: Timestamp,
    /// Destinations by name (or by nothing, where there is one for all), if they are there.
    queues: HashMap<Option<String>, Option<(i64, QueueSettings)>>,
    moved: u64,
}

/// A message to move.
struct Letter {
    seq: i64,
    group_row: i64,
    group: String,
    source: Option<String>,
    trace: Option<String>,
    attributes: String,
    body: String,
}

impl Mover<'_> {
    /// Moves what can be received: nothing overtakes a message of its group that somebody holds.
    fn run(&mut self, last: i64, room: i64) -> rusqlite::Result<Ended> {
        let sql = "SELECT m.seq, m.grp, coalesce(m.group_tag, iif(g.name = m.id, '', g.name)), m.source, m.trace, m.attributes, m.body
            FROM messages m JOIN groups g ON g.id = m.grp
            WHERE m.queue = ?1 AND m.seq <= ?2 AND m.visible_at <= ?3 AND NOT EXISTS
                (SELECT 1 FROM messages b WHERE b.grp = m.grp AND b.seq < m.seq AND b.visible_at > ?3)
            ORDER BY m.seq LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![self.from, last, millis(self.now), room], |row| {
            Ok(Letter {
                seq: row.get(0)?,
                group_row: row.get(1)?,
                group: row.get(2)?,
                source: row.get(3)?,
                trace: row.get(4)?,
                attributes: row.get(5)?,
                body: row.get(6)?,
            })
        })?;
        let letters = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let all = i64::try_from(letters.len()).unwrap_or(i64::MAX) < room;
        let Some(kept_there) = settings(self.connection, self.from)? else {
            return Ok(Ended::Failed("AWS.SimpleQueueService.NonExistentQueue"));
        };
        for letter in letters {
            if self.to.is_none() && letter.source.is_none() {
                return Ok(Ended::Failed("CouldNotDetermineMessageSource"));
            }
            let Some((to, kept_here)) = self.destination(letter.source.clone())? else {
                return Ok(Ended::Failed("AWS.SimpleQueueService.NonExistentQueue"));
            };
            // As its own source a queue would get its messages back, each behind all others.
            if to == self.from {
                return Ok(Ended::Failed("CouldNotDetermineMessageSource"));
            }
            // A moved message is a new one: new id, new count, new retention.
            let id = MessageId(uuid::Uuid::new_v4().to_string());
            let row = Row {
                queue: to,
                group: &letter.group,
                id: &id,
                dedup_id: id.as_str(),
                source: None,
                trace: letter.trace.as_deref(),
                attributes: &letter.attributes,
                body: &letter.body,
            };
            send::insert(self.connection, &row, &kept_here, Duration::ZERO, self.now)?;
            self.connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?.execute([letter.seq])?;
            crate::receive::refresh(self.connection, letter.group_row, kept_there.retention)?;
            self.moved += 1;
        }
        Ok(if all { Ended::All } else { Ended::Room })
    }

    fn destination(&mut self, source: Option<String>) -> rusqlite::Result<Option<(i64, QueueSettings)>> {
        let key = if self.to.is_some() { None } else { source };
        if let Some(known) = self.queues.get(&key) {
            return Ok(known.clone());
        }
        let id = match (self.to, &key) {
            (Some(to), _) => Some(to),
            (None, Some(name)) => {
                let sql = "SELECT id FROM queues WHERE name = ?1";
                self.connection.query_row(sql, [name], |row| row.get(0)).optional()?
            }
            (None, None) => None,
        };
        let found = match id {
            Some(id) => settings(self.connection, id)?.map(|settings| (id, settings)),
            None => None,
        };
        self.queues.insert(key, found.clone());
        Ok(found)
    }
}

fn settings(connection: &Connection, queue: i64) -> rusqlite::Result<Option<QueueSettings>> {
    let sql = "SELECT settings FROM queues WHERE id = ?1";
    let text: Option<String> = connection.query_row(sql, [queue], |row| row.get(0)).optional()?;
    Ok(text.map(|text| serde_json::from_str(&text).unwrap_or_default()))
}

/// The columns that [`task`] reads, in its order.
const TASK: &str = "id, handle, status, moved, failure, per_second, started_at, to_move, destination_name";

fn task(row: &rusqlite::Row<'_>) -> rusqlite::Result<MoveTask> {
    let status: String = row.get(2)?;
    let status = MoveStatus::ALL.into_iter().find(|known| known.as_str() == status);
    Ok(MoveTask {
        id: row.get(0)?,
        handle: row.get(1)?,
        status: status.unwrap_or(MoveStatus::Failed),
        moved: row.get(3)?,
        failure: row.get(4)?,
        per_second: row.get(5)?,
        started_at: timestamp(row.get(6)?),
        to_move: row.get(7)?,
        destination: row.get(8)?,
    })
}
