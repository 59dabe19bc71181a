//! Operations on dead letters: redrive, edit, drop. Each is one transaction, so a dead letter is always in exactly one queue.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_types::body::Body;
use towpath_types::queue::{Attributes, GroupId, NewMessage, QueueError};

use crate::as_read::{AsRead, Still, still};
use crate::bodies;
use crate::browse::{Browsed, browsed, select};
use crate::error::failed;
use crate::former;
use crate::queue::LocalQueue;
use crate::rows::refresh;
use crate::send::{self, Extras};
use crate::settings::QueueSettings;
use crate::store::Store;
use crate::values::millis;
use crate::writer::Durability;

/// The result of a redrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SentBack {
    /// The number of moved dead letters. Those that no longer existed are not counted.
    Moved(usize),
    /// Nothing was moved: a dead letter, or a message of its group in the other queue, is in flight.
    Busy,
    /// Nothing was moved: a dead letter is no longer as it was read.
    Changed,
}

impl LocalQueue {
    /// Moves dead letters of this queue, given as they were read, to the end of another queue. Each becomes the message
    /// it is paired with. All are compared with what is stored before the first is moved.
    pub async fn send_back(&self, to: &LocalQueue, letters: Vec<(AsRead, NewMessage)>) -> Result<SentBack, QueueError> {
        let mover = LetterMover::new(self, to);
        let work = move |connection: &Connection, here: &QueueSettings| {
            let now = millis(mover.store.clock.now());
            for (read, _) in &letters {
                match still(connection, mover.from, read, now).map_err(failed)? {
                    Still::Same | Still::Gone => {}
                    Still::Held => return Ok(SentBack::Busy),
                    Still::Changed => return Ok(SentBack::Changed),
                }
            }
            let mut moved = 0;
            let there = mover.to.read(connection)?;
            for (read, message) in &letters {
                moved += mover.one(connection, (here, &there), &read.sequence, message)?;
            }
            Ok(SentBack::Moved(moved))
        };
        self.run(Durability::Synced, work).await
    }

    /// Moves all dead letters of a group to another queue, before the messages of the group that wait there. The group
    /// then continues where it stopped, in the original order. `message` converts each dead letter; those it returns
    /// `None` for stay. If a message of the group is in flight in either queue, nothing is moved and the result is
    /// [`SentBack::Busy`].
    pub async fn send_group_back(
        &self,
        to: &LocalQueue,
        group: &GroupId,
        message: impl Fn(Browsed) -> Option<NewMessage> + Send + 'static,
    ) -> Result<SentBack, QueueError> {
        let mover = LetterMover::new(self, to);
        let group = group.clone();
        let work = move |connection: &Connection, here: &QueueSettings| {
            if in_flight(connection, mover.to.id, &group, millis(mover.store.clock.now())).map_err(failed)? {
                return Err(busy());
            }
            let mut moved = 0;
            let there = mover.to.read(connection)?;
            for letter in of_group(connection, mover.from, &group).map_err(failed)? {
                let sequence = letter.sequence.clone();
                let Some(message) = message(letter) else { continue };
                moved += mover.one(connection, (here, &there), &sequence, &message)?;
            }
            put_behind(connection, mover.to.id, &group, there.retention, moved).map_err(failed)?;
            Ok(moved)
        };
        sent_back(self.run(Durability::Synced, work).await)
    }

    /// Replaces the body, attributes and group of a message, in flight or not, which keeps its sequence number. Returns
    /// false if the message no longer exists.
    pub async fn edit(
        &self,
        sequence: &str,
        group: &GroupId,
        body: Body,
        attributes: &Attributes,
    ) -> Result<bool, QueueError> {
        let attributes = serde_json::to_string(attributes).unwrap_or_default();
        let place = (self.id, sequence.parse().unwrap_or_default());
        let group = group.clone();
        let edit = move |connection: &Connection, retention| {
            edited(connection, place, (&group, &body, &attributes), retention).map_err(failed)
        };
        self.run(Durability::Synced, move |connection, now| edit(connection, now.retention)).await
    }

    /// Makes messages invisible for `period`, so that none can be received or redriven meanwhile. Skips messages that no
    /// longer exist or are in flight. Returns the hidden ones, which the caller can archive and then delete with
    /// [`LocalQueue::discard_hidden`].
    pub async fn hide(&self, sequences: Vec<String>, period: Duration) -> Result<Hidden, QueueError> {
        let queue = self.id;
        let clock = self.store.clock;
        let hide = move |connection: &Connection, retention: Duration| {
            let now = clock.now();
            let until = millis(now + period);
            let sql = format!("{} WHERE m.queue = ?1 AND m.seq = ?2 AND m.visible_at <= ?3", select(", m.grp AS grp"));
            let mut messages = Vec::new();
            for sequence in &sequences {
                let seq: i64 = sequence.parse().unwrap_or_default();
                let row = |row: &rusqlite::Row<'_>| Ok((browsed(row)?, row.get("grp")?));
                let free =
                    connection.prepare_cached(&sql)?.query_row(params![queue, seq, millis(now)], row).optional()?;
                let Some((message, group)) = free else { continue };
                let sql = "UPDATE messages SET visible_at = ?2 WHERE seq = ?1";
                connection.prepare_cached(sql)?.execute([seq, until])?;
                refresh(connection, group, retention)?;
                messages.push(message);
            }
            Ok(Hidden { messages, until })
        };
        self.run(Durability::Written, move |connection, now| hide(connection, now.retention).map_err(failed)).await
    }

    /// Deletes hidden messages. Skips those that changed since, and returns the deleted ones.
    pub async fn discard_hidden(&self, hidden: Hidden) -> Result<Vec<Browsed>, QueueError> {
        let queue = self.id;
        let Hidden { messages, until } = hidden;
        let discard = move |connection: &Connection, retention: Duration| {
            let mut removed = Vec::new();
            for message in &messages {
                let sql =
                    format!("{} WHERE m.queue = ?1 AND m.seq = ?2 AND m.visible_at = ?3", select(", m.grp AS grp"));
                let seq: i64 = message.sequence.parse().unwrap_or_default();
                let row = |row: &rusqlite::Row<'_>| Ok((browsed(row)?, row.get("grp")?));
                let found = connection.prepare_cached(&sql)?.query_row([queue, seq, until], row).optional()?;
                let Some((found, group)) = found else { continue };
                if found.body != message.body {
                    continue;
                }
                connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?.execute([seq])?;
                refresh(connection, group, retention)?;
                removed.push(message.clone());
            }
            Ok(removed)
        };
        self.run(Durability::Synced, move |connection, now| discard(connection, now.retention).map_err(failed)).await
    }

    /// Deletes one message. Returns false if it no longer exists or is in flight.
    pub async fn discard(&self, sequence: &str) -> Result<bool, QueueError> {
        let queue = self.id;
        let clock = self.store.clock;
        let sequence = sequence.to_owned();
        let discard = move |connection: &Connection, retention: Duration| {
            let now = millis(clock.now());
            let Claim::Taken { group } = take(connection, queue, &sequence, now)? else { return Ok(false) };
            refresh(connection, group, retention).map(|_| true)
        };
        self.run(Durability::Synced, move |connection, now| discard(connection, now.retention).map_err(failed)).await
    }
}

/// Messages that [`LocalQueue::hide`] made invisible.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hidden {
    pub messages: Vec<Browsed>,
    /// When they become visible again, in milliseconds. A message that still has this time was not received or hidden by
    /// anyone else.
    until: i64,
}

struct LetterMover {
    store: Store,
    from: i64,
    to: LocalQueue,
}

impl LetterMover {
    fn new(from: &LocalQueue, to: &LocalQueue) -> LetterMover {
        LetterMover { store: from.store.clone(), from: from.id, to: to.clone() }
    }

    /// Moves one dead letter between queues with these settings. Returns 1, or 0 if it no longer exists.
    fn one(
        &self,
        connection: &Connection,
        (here, there): (&QueueSettings, &QueueSettings),
        sequence: &str,
        message: &NewMessage,
    ) -> Result<usize, QueueError> {
        let now = self.store.clock.now();
        match take(connection, self.from, sequence, millis(now)).map_err(failed)? {
            Claim::Gone => return Ok(0),
            // The error rolls back the letters moved before it.
            Claim::Held => return Err(busy()),
            Claim::Taken { group } => drop(refresh(connection, group, here.retention).map_err(failed)?),
        }
        // Stored without deduplication: the transaction moves it exactly once, and deduplication could only drop it.
        let stored = send::store(connection, self.to.id, there, message, &Extras::default(), now);
        let (_, seq) = stored.map_err(failed)?;
        former::renumbered(connection, sequence.parse().unwrap_or(i64::MAX), seq).map_err(failed)?;
        self.store.wake(self.to.id);
        Ok(1)
    }
}

/// Replaces the group, body and attributes of the message with this queue and number. False if there is none.
pub(crate) fn edited(
    connection: &Connection,
    (queue, sequence): (i64, i64),
    (group, body, attributes): (&GroupId, &Body, &str),
    retention: Duration,
) -> rusqlite::Result<bool> {
    let before = "SELECT grp FROM messages WHERE queue = ?1 AND seq = ?2";
    let before: Option<i64> = connection.query_row(before, [queue, sequence], |row| row.get(0)).optional()?;
    let Some(before) = before else { return Ok(false) };
    let group = group_row(connection, queue, group)?;
    let edit = "UPDATE messages SET grp = ?2, attributes = ?3 WHERE seq = ?1";
    connection.execute(edit, params![sequence, group, attributes])?;
    bodies::replace(connection, sequence, body)?;
    if group != before {
        refresh(connection, before, retention)?;
        refresh(connection, group, retention)?;
    }
    Ok(true)
}

/// The row of a group, which is created if there is none. The caller must [`refresh`] it after adding a message.
fn group_row(connection: &Connection, queue: i64, group: &GroupId) -> rusqlite::Result<i64> {
    let find = "SELECT id FROM groups WHERE queue = ?1 AND name = ?2";
    let found = connection.query_row(find, params![queue, group.as_str()], |row| row.get(0)).optional()?;
    match found {
        Some(id) => Ok(id),
        None => {
            let make = "INSERT INTO groups (queue, name, head, ready_at) VALUES (?1, ?2, 0, 0)";
            connection.prepare_cached(make)?.insert(params![queue, group.as_str()])
        }
    }
}

fn of_group(connection: &Connection, queue: i64, group: &GroupId) -> rusqlite::Result<Vec<Browsed>> {
    let sql = format!("{} WHERE g.queue = ?1 AND g.name = ?2 ORDER BY m.seq", select(""));
    connection.prepare_cached(&sql)?.query_map(params![queue, group.as_str()], browsed)?.collect()
}

fn sent_back(result: Result<usize, QueueError>) -> Result<SentBack, QueueError> {
    match result {
        Ok(moved) => Ok(SentBack::Moved(moved)),
        Err(QueueError::NotInFlight) => Ok(SentBack::Busy),
        Err(error) => Err(error),
    }
}

/// An error that rolls the transaction back, and that [`sent_back`] turns into [`SentBack::Busy`].
fn busy() -> QueueError {
    QueueError::NotInFlight
}

pub(crate) enum Claim {
    Gone,
    Held,
    Taken { group: i64 },
}

/// Deletes a message from its queue, unless it is in flight. The caller must [`refresh`] its group.
pub(crate) fn take(connection: &Connection, queue: i64, sequence: &str, now: i64) -> rusqlite::Result<Claim> {
    let sequence: i64 = sequence.parse().unwrap_or_default();
    let sql = "SELECT grp, visible_at FROM messages WHERE queue = ?1 AND seq = ?2";
    let found: Option<(i64, i64)> = connection
        .prepare_cached(sql)?
        .query_row([queue, sequence], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        None => Ok(Claim::Gone),
        Some((_, visible_at)) if visible_at > now => Ok(Claim::Held),
        Some((group, _)) => {
            connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?.execute([sequence])?;
            Ok(Claim::Taken { group })
        }
    }
}

fn in_flight(connection: &Connection, queue: i64, group: &GroupId, now: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM messages m JOIN groups g ON g.id = m.grp
        WHERE g.queue = ?1 AND g.name = ?2 AND m.visible_at > ?3";
    connection.prepare_cached(sql)?.exists(params![queue, group.as_str(), now])
}

/// Moves the messages of a group that came before its last `moved` ones behind those: each is copied under a new sequence
/// number, and the original is deleted. The copies have no nonce, so handles from before do not match them.
fn put_behind(
    connection: &Connection,
    queue: i64,
    group: &GroupId,
    retention: Duration,
    moved: usize,
) -> rusqlite::Result<()> {
    let sql = "SELECT m.seq, m.grp FROM messages m JOIN groups g ON g.id = m.grp
        WHERE g.queue = ?1 AND g.name = ?2 ORDER BY m.seq";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![queue, group.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows = rows.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    let waiting = rows.len().saturating_sub(moved);
    for (seq, grp) in rows.into_iter().take(waiting) {
        let copy = "INSERT INTO messages (queue, grp, id, dedup_id, sent_at, retained_from, visible_at, receive_count,
                received_before, route, reason,
                first_received_at, source, group_tag, trace, attributes, text, content, head, bytes)
            SELECT queue, grp, id, dedup_id, sent_at, retained_from, visible_at, receive_count,
                received_before, route, reason,
                first_received_at, source, group_tag, trace, attributes, text, content, head, bytes FROM messages WHERE seq = ?1";
        let copied = connection.prepare_cached(copy)?.insert([seq])?;
        former::renumbered(connection, seq, copied)?;
        bodies::give_up(connection, seq)?;
        connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?.execute([seq])?;
        refresh(connection, grp, retention)?;
    }
    Ok(())
}
