//! Move tasks, as read from their rows.

use rusqlite::Row;
use towpath_types::clock::Timestamp;

use crate::values::timestamp;

/// The most messages that SQS moves in a second. Source: the `StartMessageMoveTask` API.
pub const MAX_MOVES_PER_SECOND: u32 = 500;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MoveTask {
    pub id: i64,
    /// The UUID by which clients name the task.
    pub handle: String,
    pub status: MoveStatus,
    /// The name of the destination, which may have been removed since. `None` if each message moves to the queue it came
    /// from.
    pub destination: Option<String>,
    /// The requested limit, if any.
    pub per_second: Option<u32>,
    pub started_at: Timestamp,
    /// How many messages there were to move at the start.
    pub to_move: u64,
    pub moved: u64,
    pub failure: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MoveStatus {
    Running,
    /// Every message that was there at the start was moved.
    Completed,
    /// Cancelled by a client. Messages that were moved stay moved.
    Cancelled,
    /// The task stopped at an error. Messages that were not moved stay in the source queue.
    Failed,
}

impl MoveStatus {
    const ALL: [MoveStatus; 4] =
        [MoveStatus::Running, MoveStatus::Completed, MoveStatus::Cancelled, MoveStatus::Failed];

    /// SQS's name of the status.
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
