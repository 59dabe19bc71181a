//! One step of a move task: one transaction.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_types::clock::Timestamp;
use towpath_types::queue::MessageId;

use super::pace::allowance;
use super::task::{MoveStatus, MoveTask, TASK, task};
use crate::bodies::{self, Content, PLACE, Place};
use crate::former;
use crate::rows::{self, NewRow, refresh};
use crate::seen::settings;
use crate::settings::QueueSettings;
use crate::values::millis;

/// Moves messages, oldest first, so that each group keeps its order. Returns the task and the queues that got messages;
/// `None` if the task no longer exists.
pub(super) fn step(
    connection: &Connection,
    id: i64,
    credit: Duration,
    now: Timestamp,
) -> rusqlite::Result<Option<(MoveTask, Vec<i64>)>> {
    let read = format!("SELECT {TASK} FROM moves WHERE id = ?1");
    let Some(before) = connection.query_row(&read, [id], task).optional()? else { return Ok(None) };
    if before.status != MoveStatus::Running {
        return Ok(Some((before, Vec::new())));
    }
    let sql = "SELECT source, destination, last_seq FROM moves WHERE id = ?1";
    let (from, to, last) = connection.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let room = i64::from(allowance(before.per_second, credit));
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

/// Why a step ended.
enum Ended {
    /// Its allowance is used up.
    Room,
    /// No messages are left to move.
    All,
    /// A message could not be moved. The text is SQS's failure reason.
    Failed(&'static str),
}

struct Mover<'a> {
    connection: &'a Connection,
    from: i64,
    to: Option<i64>,
    now: Timestamp,
    /// Cached destinations: by the source name, or `None` if the task has one destination. The value is `None` if the
    /// queue does not exist.
    queues: HashMap<Option<String>, Option<(i64, QueueSettings)>>,
    moved: u64,
}

/// A message to move.
struct SourceRow {
    seq: i64,
    group_row: i64,
    group: String,
    source: Option<String>,
    trace: Option<String>,
    attributes: String,
    place: Place,
}

impl Mover<'_> {
    /// Moves visible messages up to the sequence number `last`. Stops a group at a message in flight, so that none
    /// overtakes it, and skips expired messages.
    fn run(&mut self, last: i64, room: i64) -> rusqlite::Result<Ended> {
        let Some(kept_there) = settings(self.connection, self.from)? else {
            return Ok(Ended::Failed("AWS.SimpleQueueService.NonExistentQueue"));
        };
        let sql = format!("SELECT m.seq, m.grp, coalesce(m.group_tag, iif(g.name = m.id, '', g.name)), m.source, m.trace, m.attributes, {PLACE}
            FROM messages m JOIN groups g ON g.id = m.grp
            WHERE m.queue = ?1 AND m.seq <= ?2 AND m.visible_at <= ?3 AND m.retained_from > ?5 AND NOT EXISTS
                (SELECT 1 FROM messages b
                WHERE b.grp = m.grp AND b.seq < m.seq AND b.visible_at > ?3 AND b.retained_from > ?5)
            ORDER BY m.seq LIMIT ?4");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let before = millis(self.now - kept_there.retention);
        let rows = statement.query_map(params![self.from, last, millis(self.now), room, before], |row| {
            Ok(SourceRow {
                seq: row.get(0)?,
                group_row: row.get(1)?,
                group: row.get(2)?,
                source: row.get(3)?,
                trace: row.get(4)?,
                attributes: row.get(5)?,
                place: Place::of(row, 6)?,
            })
        })?;
        let letters = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let all = i64::try_from(letters.len()).unwrap_or(i64::MAX) < room;
        for letter in letters {
            if self.to.is_none() && letter.source.is_none() {
                return Ok(Ended::Failed("CouldNotDetermineMessageSource"));
            }
            let Some((to, kept_here)) = self.destination(letter.source.clone())? else {
                return Ok(Ended::Failed("AWS.SimpleQueueService.NonExistentQueue"));
            };
            // A message that came from this queue itself would move to the end of it, behind all others.
            if to == self.from {
                return Ok(Ended::Failed("CouldNotDetermineMessageSource"));
            }
            // As in SQS, a moved message is new: it gets a new id, receive count and retention.
            let id = MessageId::from(uuid::Uuid::new_v4().to_string());
            let row = NewRow {
                queue: to,
                group: &letter.group,
                id: &id,
                dedup_id: id.as_str(),
                source: None,
                kept_since: self.now,
                trace: letter.trace.as_deref(),
                attributes: &letter.attributes,
                content: Content::Moved(&letter.place),
            };
            let seq = rows::insert(self.connection, &row, &kept_here, Duration::ZERO, self.now)?;
            former::renumbered(self.connection, letter.seq, seq)?;
            bodies::give_up(self.connection, letter.seq)?;
            self.connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?.execute([letter.seq])?;
            refresh(self.connection, letter.group_row, kept_there.retention)?;
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
                let sql = "SELECT id FROM queues WHERE name = ?1 AND settings <> ''";
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
