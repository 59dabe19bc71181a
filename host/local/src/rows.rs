//! The rows of messages and groups. Invariant: `groups.head` and `groups.ready_at` describe the first message of the
//! group, and an empty group has no row. Receives find messages only through these columns, so whatever changes a group's
//! first message calls [`refresh`] in the same transaction.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::{DEAD_LETTER_ATTRIBUTE, DeadLetter};
use towpath_types::queue::MessageId;

use crate::bodies::{self, Columns, Content};
use crate::settings::QueueSettings;
use crate::values::{millis, timestamp};

pub(crate) struct NewRow<'a> {
    pub(crate) queue: i64,
    pub(crate) group: &'a str,
    pub(crate) id: &'a MessageId,
    pub(crate) dedup_id: &'a str,
    pub(crate) source: Option<&'a str>,
    /// When the retention starts.
    pub(crate) kept_since: Timestamp,
    pub(crate) trace: Option<&'a str>,
    pub(crate) attributes: &'a str,
    pub(crate) content: Content<'a>,
}

/// Inserts a message at the end of its group, and returns its sequence number. Creates the group for its first message.
pub(crate) fn insert(
    connection: &Connection,
    row: &NewRow<'_>,
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
    // The columns that the first receive sets are inserted with placeholders of the same size: a random nonce that no handle
    // has, and negative times. SQLite updates a row in place if it keeps its size.
    let sql = "INSERT INTO messages
        (queue, grp, id, dedup_id, sent_at, retained_from, visible_at, source, group_tag, trace, attributes, text,
        nonce, received_at, first_received_at, route, reason, content, head, bytes)
        VALUES (?1, ?2, ?3, ?4, ?5, ?15, ?6, ?7, ?8, ?9, ?10, ?11, ?12, -?5, -?5, ?13, ?14, ?16, ?17, ?18)";
    let Columns { content, head, bytes, text } = bodies::columns(connection, row.content)?;
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
        text,
        fastrand::i64(1 << 56..),
        route,
        reason,
        millis(row.kept_since),
        content,
        head,
        bytes
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

/// Updates a group's row from its first message, or removes the row of an empty group. Returns whether a message is left.
pub(crate) fn refresh(connection: &Connection, group: i64, retention: Duration) -> rusqlite::Result<bool> {
    refresh_leased(connection, group, retention, None)
}

/// The receive of a host from a group.
#[derive(Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) holder: i64,
    /// The nonce of the messages that were received.
    pub(crate) nonce: i64,
}

/// Like [`refresh`], and notes a lease.
pub(crate) fn refresh_leased(
    connection: &Connection,
    group: i64,
    retention: Duration,
    lease: Option<Lease>,
) -> rusqlite::Result<bool> {
    let sql = "SELECT seq, visible_at, retained_from FROM messages WHERE grp = ?1 ORDER BY seq LIMIT 1";
    let head: Option<(i64, i64, i64)> = connection
        .prepare_cached(sql)?
        .query_row([group], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    match head {
        None => connection.prepare_cached("DELETE FROM groups WHERE id = ?1")?.execute([group])?,
        Some((seq, visible_at, retained_from)) => {
            let ready_at = visible_at.min(millis(timestamp(retained_from) + retention));
            match lease {
                None => {
                    let sql = "UPDATE groups SET head = ?2, ready_at = ?3 WHERE id = ?1";
                    connection.prepare_cached(sql)?.execute([group, seq, ready_at])?
                }
                Some(Lease { holder, nonce }) => {
                    let sql = "UPDATE groups SET head = ?2, ready_at = ?3, holder = ?4, lease = ?5 WHERE id = ?1";
                    connection.prepare_cached(sql)?.execute([group, seq, ready_at, holder, nonce])?
                }
            }
        }
    };
    Ok(head.is_some())
}

/// Ends the lease of a group, if its messages have this nonce.
pub(crate) fn end_lease(connection: &Connection, group: i64, nonce: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE groups SET holder = NULL, lease = NULL WHERE id = ?1 AND lease = ?2";
    connection.prepare_cached(sql)?.execute([group, nonce]).map(drop)
}

/// The route and reason of a dead letter. `None` for any other message.
fn letter(attributes: &str, source: Option<&str>) -> Option<(String, String)> {
    let read = || {
        let attributes = serde_json::from_str(attributes).ok()?;
        let DeadLetter { route, reason, .. } = DeadLetter::read(&attributes)?;
        Some((route.unwrap_or_default(), reason))
    };
    let told = attributes.contains(DEAD_LETTER_ATTRIBUTE).then(read).flatten();
    told.or_else(|| source.map(|_| (String::new(), "max-receives".to_owned())))
}
