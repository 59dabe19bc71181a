//! A move task, from its row.

use rusqlite::Row;
use towpath_types::clock::Timestamp;

use crate::values::timestamp;

/// The most that SQS moves in a second.
pub const MAX_MOVES_PER_SECOND: u32 = 500;

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

/// The columns that [`task`] reads, in its order.
pub(super) const TASK: &str = "id, handle, status, moved, failure, per_second, started_at, to_move, destination_name";

pub(super) fn task(row: &Row<'_>) -> rusqlite::Result<MoveTask> {
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
