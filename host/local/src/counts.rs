//! Counts of messages, and of dead letters by route and reason. Triggers maintain them, so reading them scans no messages.

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_types::clock::Timestamp;
use towpath_types::queue::{Held, Holdings, QueueError};

use crate::browse::Depth;
use crate::error::failed;
use crate::expired::Expired;
use crate::queue::LocalQueue;
use crate::values::{millis, timestamp};

/// The most pairs of route and reason that are reported; the rest is reported as one, with the reason `other`.
const MOST: usize = 200;

/// The number of dead letters with one route and reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LetterCount {
    /// The route's path; empty if there was none.
    pub route: String,
    /// Such as `refused`.
    pub reason: String,
    pub messages: u64,
}

/// What a queue holds, from the counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueCounts {
    /// Messages, in flight or not. Expired ones count until they are removed.
    pub messages: u64,
    /// When the first message was sent.
    pub oldest: Option<Timestamp>,
    /// Dead letters, the most frequent route and reason first.
    pub letters: Vec<LetterCount>,
}

/// About how many bytes a row takes besides its body and attributes: numbers, ids and index entries.
const ROW: u64 = 512;

/// Messages and bytes in a queue, by the route of its dead letters.
pub(crate) fn holdings(connection: &Connection, queue: i64) -> rusqlite::Result<Holdings> {
    // In bytes as SQS counts them, where the body of a webhook is base64: a sender counts the same. `octet_length` reads only the header of a
    // row, so the overflow pages of a body are not read.
    let sql = "SELECT coalesce(m.route, ''), count(*), coalesce(sum(octet_length(m.text) + octet_length(m.attributes)
            + coalesce(octet_length(m.head) + octet_length(m.bytes) * 4 / 3, 0)
            + coalesce(octet_length(b.head) + octet_length(b.body) * 4 / 3, octet_length(b.body), 0)), 0)
        FROM messages m LEFT JOIN bodies b ON b.id = m.content WHERE m.queue = ?1 GROUP BY 1";
    let mut held = Holdings::default();
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([queue])?;
    while let Some(row) = rows.next()? {
        let (route, messages, bytes): (String, u64, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        held.messages += messages;
        held.routes.insert(route, Held { messages, bytes: bytes + messages * ROW });
    }
    Ok(held)
}

impl LocalQueue {
    /// What the queue holds. It takes the same short time for any backlog, and is not `async`, because metrics callbacks
    /// call it.
    pub fn standing(&self) -> Result<QueueCounts, QueueError> {
        let queue = self.id;
        self.store.read_now(|connection| standing(connection, queue)).map_err(failed)
    }

    /// Counts the messages of the queue, without expired ones. Reads only messages that are expired, were received, or
    /// cannot be received now.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        let queue = self.id;
        let clock = self.store.clock;
        let settings = self.settings();
        self.store
            .read(move |connection| {
                let now = clock.now();
                let expired = Expired::of(connection, queue, now - settings.retention)?;
                let counted = Counted { connection, queue, now: millis(now), expired };
                let groups = "SELECT count(*) FROM groups WHERE queue = ?1";
                let groups = connection.prepare_cached(groups)?.query_row([queue], |row| row.get(0))?;
                let messages = messages(connection, queue)?.saturating_sub(expired.count(connection)?);
                let oldest = first_since(connection, queue, expired.first_kept)?;
                let (mut invisible, mut delayed) = counted.hidden()?;
                if settings.fifo {
                    invisible = counted.in_flight()?;
                    if !settings.delay.is_zero() {
                        delayed = counted.delayed_behind()?;
                    }
                }
                Ok(Depth { messages, invisible, delayed, oldest, groups })
            })
            .await
    }
}

/// How many messages a queue holds, including expired ones.
pub(crate) fn messages(connection: &Connection, queue: i64) -> rusqlite::Result<u64> {
    let sql = "SELECT coalesce(sum(messages), 0) FROM counts WHERE queue = ?1";
    connection.prepare_cached(sql)?.query_row([queue], |row| row.get(0))
}

/// When the first message with this sequence number or a later one was sent.
fn first_since(connection: &Connection, queue: i64, seq: i64) -> rusqlite::Result<Option<Timestamp>> {
    let sql = "SELECT sent_at FROM messages WHERE queue = ?1 AND seq >= ?2 ORDER BY seq LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row([queue, seq], |row| row.get(0)).optional()?.map(timestamp))
}

fn standing(connection: &Connection, queue: i64) -> rusqlite::Result<QueueCounts> {
    let sql = "SELECT route, reason, messages FROM counts WHERE queue = ?1 AND messages > 0 ORDER BY messages DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement
        .query_map([queue], |row| Ok(LetterCount { route: row.get(0)?, reason: row.get(1)?, messages: row.get(2)? }))?;
    let counts = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let messages = counts.iter().map(|count| count.messages).sum();
    let mut letters: Vec<_> = counts.into_iter().filter(|count| !count.reason.is_empty()).collect();
    let others = letters.split_off(letters.len().min(MOST)).iter().map(|count| count.messages).sum();
    if others > 0 {
        letters.push(LetterCount { route: String::new(), reason: "other".to_owned(), messages: others });
    }
    let oldest = first_since(connection, queue, 0)?;
    Ok(QueueCounts { messages, oldest, letters })
}

/// Counts of messages that are not expired.
struct Counted<'a> {
    connection: &'a Connection,
    queue: i64,
    now: i64,
    expired: Expired,
}

impl Counted<'_> {
    /// The invisible messages at the front of groups: how many were received before, and how many were not.
    fn hidden(&self) -> rusqlite::Result<(u64, u64)> {
        let sql = "SELECT count(*) FILTER (WHERE m.receive_count > 0), count(*) FILTER (WHERE m.receive_count = 0)
            FROM groups g CROSS JOIN messages m ON m.grp = g.id
            WHERE g.queue = ?1 AND g.ready_at > ?2 AND m.retained_from > ?3 AND m.seq < coalesce(
                (SELECT v.seq FROM messages v WHERE v.grp = g.id AND v.visible_at <= ?2 ORDER BY v.seq LIMIT 1),
                9223372036854775807)";
        let values = params![self.queue, self.now, self.expired.before];
        self.connection.prepare_cached(sql)?.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Messages of a FIFO queue that were received and are still invisible, anywhere in their groups: if the head of a
    /// group was released, others of the group may still be in flight. Received messages always come before those that
    /// were not.
    fn in_flight(&self) -> rusqlite::Result<u64> {
        let sql = "SELECT count(*) FROM groups g CROSS JOIN messages m ON m.grp = g.id
            WHERE g.queue = ?1 AND m.visible_at > ?2 AND m.retained_from > ?3 AND m.seq < coalesce(
                (SELECT n.seq FROM messages n WHERE n.grp = g.id AND n.receive_count = 0 ORDER BY n.seq LIMIT 1),
                9223372036854775807)";
        let values = params![self.queue, self.now, self.expired.before];
        self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))
    }

    /// Messages at the end of a queue that are still delayed.
    fn delayed_behind(&self) -> rusqlite::Result<u64> {
        let sql = "SELECT count(*) FROM messages WHERE queue = ?1 AND retained_from > ?3 AND seq > coalesce(
            (SELECT seq FROM messages WHERE queue = ?1 AND (visible_at <= ?2 OR receive_count > 0)
            ORDER BY seq DESC LIMIT 1), 0)";
        let values = params![self.queue, self.now, self.expired.before];
        self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))
    }
}
