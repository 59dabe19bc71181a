//! The rows of messages and of their groups, which every send, receive and delete keeps true to each other.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::{DEAD_LETTER_ATTRIBUTE, DeadLetter};
use towpath_types::queue::MessageId;

use crate::settings::QueueSettings;
use crate::values::{millis, timestamp};

/// A message to insert.
pub(crate) struct Row<'a> {
    pub(crate) queue: i64,
    pub(crate) group: &'a str,
    pub(crate) id: &'a MessageId,
    pub(crate) dedup_id: &'a str,
    pub(crate) source: Option<&'a str>,
    /// Since when it counts as kept.
    pub(crate) kept_since: Timestamp,
    pub(crate) trace: Option<&'a str>,
    pub(crate) attributes: &'a str,
    pub(crate) body: &'a str,
}

/// Inserts a message; the group is made if this is its first.
pub(crate) fn insert(
    connection: &Connection,
    row: &Row<'_>,
    settings: &QueueSettings,
    delay: Duration,
    now: Timestamp,
) -> rusqlite::Result<i64> {
    let at = millis(now);
    let visible_at = millis(now + delay);
    let (name, tag) = if settings.fifo {
        (row.group, None)
    } else {
        (row.id.as_str(), Some(row.group).filter(|group| !group.is_empty()))
    };
    let group = "SELECT id FROM groups WHERE queue = ?1 AND name = ?2";
    let found: Option<i64> =
        connection.prepare_cached(group)?.query_row(params![row.queue, name], |row| row.get(0)).optional()?;
    let group = match found {
        Some(group) => group,
        None => {
            let sql = "INSERT INTO groups (queue, name, head, ready_at) VALUES (?1, ?2, 0, 0)";
            connection.prepare_cached(sql)?.insert(params![row.queue, name])?
        }
    };
    // What its first receive sets has its size already, as a nonce that nobody has and times that are none: SQLite writes a
    // row that keeps its size in place, and one that does not with its whole body.
    let sql = "INSERT INTO messages
        (queue, grp, id, dedup_id, sent_at, retained_from, visible_at, source, group_tag, trace, attributes, body,
        nonce, received_at, first_received_at, route, reason)
        VALUES (?1, ?2, ?3, ?4, ?5, ?15, ?6, ?7, ?8, ?9, ?10, ?11, ?12, -?5, -?5, ?13, ?14)";
    let (route, reason) = letter(row.attributes, row.source).unzip();
    let values = params![
        row.queue,
        group,
        row.id.as_str(),
        row.dedup_id,
        at,
        visible_at,
        row.source,
        tag,
        row.trace,
        row.attributes,
        row.body,
        fastrand::i64(1 << 56..),
        route,
        reason,
        millis(row.kept_since)
    ];
    let seq = connection.prepare_cached(sql)?.insert(values)?;
    if found.is_none() {
        let ready = visible_at.min(millis(row.kept_since + settings.retention));
        connection
            .prepare_cached("UPDATE groups SET head = ?2, ready_at = ?3 WHERE id = ?1")?
            .execute(params![group, seq, ready])?;
    }
    Ok(seq)
}

/// Brings a group's row up to date with its head, or removes it with its last message. Whether there is one left.
pub(crate) fn refresh(connection: &Connection, group: i64, retention: Duration) -> rusqlite::Result<bool> {
    let sql = "SELECT seq, visible_at, retained_from FROM messages WHERE grp = ?1 ORDER BY seq LIMIT 1";
    let head: Option<(i64, i64, i64)> = connection
        .prepare_cached(sql)?
        .query_row([group], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    match head {
        None => connection.prepare_cached("DELETE FROM groups WHERE id = ?1")?.execute([group])?,
        Some((seq, visible_at, retained_from)) => {
            let ready_at = visible_at.min(millis(timestamp(retained_from) + retention));
            let sql = "UPDATE groups SET head = ?2, ready_at = ?3 WHERE id = ?1";
            connection.prepare_cached(sql)?.execute([group, seq, ready_at])?
        }
    };
    Ok(head.is_some())
}

/// Why a message is a dead letter, if it is one: its route and its reason.
fn letter(attributes: &str, source: Option<&str>) -> Option<(String, String)> {
    let read = || {
        let attributes = serde_json::from_str(attributes).ok()?;
        let DeadLetter { route, reason, .. } = DeadLetter::read(&attributes)?;
        Some((route.unwrap_or_default(), reason))
    };
    let told = attributes.contains(DEAD_LETTER_ATTRIBUTE).then(read).flatten();
    told.or_else(|| source.map(|_| (String::new(), "max-receives".to_owned())))
}
