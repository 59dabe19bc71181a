//! `ReceiveRequestAttemptId`: a client that lost the response to a receive repeats the id, and gets the same messages again.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use towpath_types::clock::Timestamp;
use towpath_types::queue::GroupId;

use crate::handle::Receipt;
use crate::rows::refresh;
use crate::settings::QueueSettings;
use crate::taken::{STORED, Taken, stored, taken};
use crate::values::{millis, timestamp};

/// How long a receive attempt id is remembered. Source: `ReceiveRequestAttemptId` in the `ReceiveMessage` API.
const REPLAY: Duration = Duration::from_secs(5 * 60);

/// One message of a remembered receive: its row, and the nonce and visibility that the receive set.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Replay {
    seq: i64,
    nonce: i64,
    visible_at: i64,
}

/// Remembers the messages of a receive under its attempt id.
pub(crate) fn remember(
    connection: &Connection,
    queue: i64,
    attempt: &str,
    messages: &[Taken],
    visible_at: i64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    // Delete up to four expired ids for each one that is added, so that expired ids do not accumulate.
    let over = "SELECT queue, attempt_id FROM attempts WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 4";
    let mut over = connection.prepare_cached(over)?;
    let over = over.query_map([millis(now)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for key in over.collect::<rusqlite::Result<Vec<(i64, String)>>>()? {
        let forget = "DELETE FROM attempts WHERE queue = ?1 AND attempt_id = ?2";
        connection.prepare_cached(forget)?.execute(key)?;
    }
    let receipts = messages.iter().filter_map(|message| Receipt::read(&message.received.handle, queue).ok());
    let replays: Vec<Replay> = receipts.map(|r| Replay { seq: r.seq, nonce: r.nonce, visible_at }).collect();
    let sql = "INSERT OR REPLACE INTO attempts (queue, attempt_id, expires_at, received) VALUES (?1, ?2, ?3, ?4)";
    let values = params![queue, attempt, millis(now + REPLAY), text(&replays)];
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

fn text(replays: &[Replay]) -> String {
    serde_json::to_string(replays).unwrap_or_default()
}

/// The messages of an earlier receive with this attempt id, now invisible until `visible_at`. `None` if the id is unknown or
/// expired, or if any of the messages was since deleted, received again, made visible or given another timeout.
pub(crate) fn replay(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    attempt: &str,
    visible_at: i64,
    now: Timestamp,
) -> rusqlite::Result<Option<Vec<Taken>>> {
    let sql = "SELECT received FROM attempts WHERE queue = ?1 AND attempt_id = ?2 AND expires_at > ?3";
    let found: Option<String> =
        connection.prepare_cached(sql)?.query_row(params![queue, attempt, millis(now)], |row| row.get(0)).optional()?;
    let mut replays: Vec<Replay> = found.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    if replays.is_empty() {
        return Ok(None);
    }
    let sql = format!(
        "SELECT {STORED}, g.name, g.id FROM messages m JOIN groups g ON g.id = m.grp
        WHERE m.seq = ?1 AND m.nonce = ?2 AND m.visible_at = ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut messages = Vec::with_capacity(replays.len());
    let mut groups = Vec::with_capacity(replays.len());
    for Replay { seq, nonce, visible_at } in replays.iter().copied() {
        if visible_at <= millis(now) {
            return Ok(None);
        }
        let found = statement
            .query_row([seq, nonce, visible_at], |row| {
                Ok((stored(row)?, row.get::<_, String>(17)?, row.get::<_, i64>(18)?))
            })
            .optional()?;
        let Some((stored, name, group)) = found else { return Ok(None) };
        let count = stored.receive_count;
        let first = stored.first_received_at.map_or(now, timestamp);
        messages.push(taken(
            connection,
            stored,
            GroupId::from(name),
            count,
            first,
            Receipt { queue, seq, nonce },
            settings.fifo,
        )?);
        groups.push(group);
    }
    for (replay, group) in replays.iter_mut().zip(groups) {
        replay.visible_at = visible_at;
        let sql = "UPDATE messages SET visible_at = ?2 WHERE seq = ?1";
        connection.prepare_cached(sql)?.execute([replay.seq, visible_at])?;
        refresh(connection, group, settings.retention)?;
    }
    // A replay does not extend the five minutes: they count from the first receive.
    let sql = "UPDATE attempts SET received = ?3 WHERE queue = ?1 AND attempt_id = ?2";
    connection.prepare_cached(sql)?.execute(params![queue, attempt, text(&replays)])?;
    Ok(Some(messages))
}
