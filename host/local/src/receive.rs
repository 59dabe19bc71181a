//! Receiving: from every ready group its longest prefix of visible messages.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use towpath_core::clock::Timestamp;
use towpath_core::queue::{GroupId, MessageId, QueueError, Receive, Received};

use crate::handle::Receipt;
use crate::send::{self, Row, millis, sequence, timestamp};
use crate::settings::QueueSettings;
use crate::store::failed;

/// How long a receive attempt id is remembered. Source: `ReceiveRequestAttemptId` of SQS.
const REPLAY: Duration = Duration::from_secs(5 * 60);

/// What a receive found.
pub(crate) struct Batch {
    pub(crate) messages: Vec<Received>,
    /// When the next group can be received, if nothing could be now.
    pub(crate) next_ready: Option<Timestamp>,
    /// Dead-letter queues that got messages.
    pub(crate) touched: Vec<i64>,
}

/// One receive as it is remembered under its attempt id.
#[derive(Serialize, Deserialize)]
struct Replay {
    seq: i64,
    nonce: i64,
    visible_at: i64,
}

/// Receives, in one transaction.
pub(crate) fn receive(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    request: &Receive,
    now: Timestamp,
) -> Result<Batch, QueueError> {
    if let Some(attempt) = &request.attempt_id
        && let Some(messages) = replay(connection, queue, attempt, now).map_err(failed)?
    {
        return Ok(Batch { messages, next_ready: None, touched: Vec::new() });
    }
    let visible_at = millis(now + request.visibility.unwrap_or(settings.visibility));
    let mut taker = Taker { connection, queue, settings, now, visible_at, messages: Vec::new(), touched: Vec::new() };
    // A group that gave nothing had only messages past their retention, and is no longer ready.
    while taker.messages.len() < request.max {
        let ready = ready_groups(connection, queue, request.max - taker.messages.len(), now).map_err(failed)?;
        if ready.is_empty() {
            break;
        }
        for (group, name) in ready {
            if taker.messages.len() < request.max {
                taker.take(group, &GroupId(name), request.max).map_err(failed)?;
            }
        }
    }
    let Taker { messages, touched, .. } = taker;
    if let Some(attempt) = &request.attempt_id {
        remember(connection, queue, attempt, &messages, visible_at, now).map_err(failed)?;
    }
    let next_ready = match messages.is_empty() {
        true => next_ready(connection, queue).map_err(failed)?,
        false => None,
    };
    Ok(Batch { messages, next_ready, touched })
}

/// The groups whose heads can be received, those that waited longest first.
fn ready_groups(
    connection: &Connection,
    queue: i64,
    max: usize,
    now: Timestamp,
) -> rusqlite::Result<Vec<(i64, String)>> {
    let sql = "SELECT id, name FROM groups WHERE queue = ?1 AND ready_at <= ?2 ORDER BY ready_at, head LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![queue, millis(now), max as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn next_ready(connection: &Connection, queue: i64) -> rusqlite::Result<Option<Timestamp>> {
    let sql = "SELECT ready_at FROM groups WHERE queue = ?1 ORDER BY ready_at LIMIT 1";
    connection.prepare_cached(sql)?.query_row([queue], |row| row.get(0).map(timestamp)).optional()
}

struct Taker<'a> {
    connection: &'a Connection,
    queue: i64,
    settings: &'a QueueSettings,
    now: Timestamp,
    visible_at: i64,
    messages: Vec<Received>,
    touched: Vec<i64>,
}

/// A message as it stands in its table.
struct Stored {
    seq: i64,
    id: String,
    dedup_id: String,
    sent_at: i64,
    retained_from: i64,
    visible_at: i64,
    receive_count: u32,
    source: Option<String>,
    attributes: String,
    body: String,
}

impl Taker<'_> {
    /// Takes the group's longest prefix of visible messages, as far as there is room.
    fn take(&mut self, group: i64, name: &GroupId, max: usize) -> rusqlite::Result<()> {
        let mut after = 0;
        while self.messages.len() < max {
            let Some(stored) = self.next(group, after)? else { break };
            after = stored.seq;
            let expires = timestamp(stored.retained_from) + self.settings.retention;
            if expires <= self.now {
                self.remove(stored.seq)?;
            } else if stored.visible_at > millis(self.now) {
                break;
            } else if !self.move_to_dead_letters(&stored, name)? {
                self.hand_out(stored, name)?;
            }
        }
        refresh(self.connection, group, self.settings.retention)
    }

    fn next(&self, group: i64, after: i64) -> rusqlite::Result<Option<Stored>> {
        let sql =
            "SELECT seq, id, dedup_id, sent_at, retained_from, visible_at, receive_count, source, attributes, body
            FROM messages WHERE grp = ?1 AND seq > ?2 ORDER BY seq LIMIT 1";
        self.connection.prepare_cached(sql)?.query_row([group, after], stored).optional()
    }

    fn remove(&self, seq: i64) -> rusqlite::Result<()> {
        self.connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?.execute([seq]).map(drop)
    }

    /// Moves a message that was received too often, as SQS does on the receive after the last allowed.
    fn move_to_dead_letters(&mut self, stored: &Stored, group: &GroupId) -> rusqlite::Result<bool> {
        let Some(policy) = &self.settings.redrive else { return Ok(false) };
        if stored.receive_count < policy.max_receive_count {
            return Ok(false);
        }
        let sql = "SELECT id, settings FROM queues WHERE name = ?1";
        let found: Option<(i64, String)> = self
            .connection
            .prepare_cached(sql)?
            .query_row([&policy.dead_letter_queue], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        // Without its dead-letter queue the message stays: nothing is lost.
        let Some((dead, settings)) = found else { return Ok(false) };
        let retention = serde_json::from_str::<QueueSettings>(&settings).unwrap_or_default().retention;
        let source: String =
            self.connection.query_row("SELECT name FROM queues WHERE id = ?1", [self.queue], |row| row.get(0))?;
        let id = MessageId(stored.id.clone());
        let row = Row {
            queue: dead,
            group,
            id: &id,
            dedup_id: id.as_str(),
            source: Some(stored.source.as_deref().unwrap_or(&source)),
            attributes: &stored.attributes,
            body: &stored.body,
        };
        let seq = send::insert(self.connection, &row, retention, self.now)?;
        let sql = "UPDATE messages SET receive_count = ?2, sent_at = ?3 WHERE seq = ?1";
        self.connection.prepare_cached(sql)?.execute(params![seq, stored.receive_count, stored.sent_at])?;
        self.remove(stored.seq)?;
        self.touched.push(dead);
        Ok(true)
    }

    fn hand_out(&mut self, stored: Stored, group: &GroupId) -> rusqlite::Result<()> {
        let nonce = fastrand::i64(0..);
        let sql = "UPDATE messages SET receive_count = receive_count + 1, visible_at = ?2, nonce = ?3, received_at = ?4
            WHERE seq = ?1";
        let values = params![stored.seq, self.visible_at, nonce, millis(self.now)];
        self.connection.prepare_cached(sql)?.execute(values)?;
        let count = stored.receive_count.saturating_add(1);
        let handle = Receipt { queue: self.queue, seq: stored.seq, nonce };
        self.messages.push(received(stored, group.clone(), count, handle));
        Ok(())
    }
}

fn stored(row: &rusqlite::Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        seq: row.get(0)?,
        id: row.get(1)?,
        dedup_id: row.get(2)?,
        sent_at: row.get(3)?,
        retained_from: row.get(4)?,
        visible_at: row.get(5)?,
        receive_count: row.get(6)?,
        source: row.get(7)?,
        attributes: row.get(8)?,
        body: row.get(9)?,
    })
}

fn received(stored: Stored, group: GroupId, receive_count: u32, receipt: Receipt) -> Received {
    Received {
        id: MessageId(stored.id),
        group,
        dedup_id: Some(stored.dedup_id),
        sequence: Some(sequence(stored.seq)),
        receive_count,
        sent_at: timestamp(stored.sent_at),
        body: stored.body,
        attributes: serde_json::from_str(&stored.attributes).unwrap_or_default(),
        handle: receipt.write(),
    }
}

/// Brings a group's row up to date with its head, or removes it with its last message.
pub(crate) fn refresh(connection: &Connection, group: i64, retention: Duration) -> rusqlite::Result<()> {
    let sql = "SELECT seq, visible_at, retained_from FROM messages WHERE grp = ?1 ORDER BY seq LIMIT 1";
    let head: Option<(i64, i64, i64)> = connection
        .prepare_cached(sql)?
        .query_row([group], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    match head {
        None => connection.prepare_cached("DELETE FROM groups WHERE id = ?1")?.execute([group]).map(drop),
        Some((seq, visible_at, retained_from)) => {
            let ready_at = visible_at.min(millis(timestamp(retained_from) + retention));
            let sql = "UPDATE groups SET head = ?2, ready_at = ?3 WHERE id = ?1";
            connection.prepare_cached(sql)?.execute([group, seq, ready_at]).map(drop)
        }
    }
}

fn remember(
    connection: &Connection,
    queue: i64,
    attempt: &str,
    messages: &[Received],
    visible_at: i64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM attempts WHERE expires_at <= ?1")?.execute([millis(now)])?;
    let receipts = messages.iter().filter_map(|message| Receipt::read(&message.handle, queue).ok());
    let replays: Vec<Replay> = receipts.map(|r| Replay { seq: r.seq, nonce: r.nonce, visible_at }).collect();
    let text = serde_json::to_string(&replays).unwrap_or_default();
    let sql = "INSERT OR REPLACE INTO attempts (queue, attempt_id, expires_at, received) VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute(params![queue, attempt, millis(now + REPLAY), text]).map(drop)
}

/// The answer of an earlier receive, if it had one and nothing of it was deleted or changed since.
fn replay(
    connection: &Connection,
    queue: i64,
    attempt: &str,
    now: Timestamp,
) -> rusqlite::Result<Option<Vec<Received>>> {
    let sql = "SELECT received FROM attempts WHERE queue = ?1 AND attempt_id = ?2 AND expires_at > ?3";
    let found: Option<String> =
        connection.prepare_cached(sql)?.query_row(params![queue, attempt, millis(now)], |row| row.get(0)).optional()?;
    let replays: Vec<Replay> = found.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    if replays.is_empty() {
        return Ok(None);
    }
    let sql = "SELECT m.seq, m.id, m.dedup_id, m.sent_at, m.retained_from, m.visible_at, m.receive_count, m.source,
            m.attributes, m.body, g.name
        FROM messages m JOIN groups g ON g.id = m.grp WHERE m.seq = ?1 AND m.nonce = ?2 AND m.visible_at = ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let mut messages = Vec::with_capacity(replays.len());
    for Replay { seq, nonce, visible_at } in replays {
        if visible_at <= millis(now) {
            return Ok(None);
        }
        let found = statement
            .query_row([seq, nonce, visible_at], |row| Ok((stored(row)?, row.get::<_, String>(10)?)))
            .optional()?;
        let Some((stored, group)) = found else { return Ok(None) };
        let count = stored.receive_count;
        messages.push(received(stored, GroupId(group), count, Receipt { queue, seq, nonce }));
    }
    Ok(Some(messages))
}
