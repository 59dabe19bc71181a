//! Reads messages without receiving them: no receive is counted, and nothing becomes invisible.

use rusqlite::params;
use towpath_types::body::Body;
use towpath_types::clock::Timestamp;
use towpath_types::queue::{Attributes, GroupId, MessageId, QueueError};

use crate::bodies::{JOIN, JOINED, joined};
use crate::queue::LocalQueue;
use crate::values::{sequence, timestamp};

/// A stored message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Browsed {
    pub id: MessageId,
    pub group: GroupId,
    pub sequence: String,
    pub sent_at: Timestamp,
    /// When its retention in this queue started.
    pub kept_since: Timestamp,
    pub receive_count: u32,
    /// The queue that dead-lettered the message into this one.
    pub source: Option<String>,
    pub attributes: Attributes,
    pub body: Body,
}

/// The columns that [`browsed`] reads, in its order, and the tables that have them: `m`, `g` and `b`.
pub(crate) fn select(more: &str) -> String {
    format!(
        "SELECT m.seq, m.id, g.name, m.sent_at, m.receive_count, m.source, m.attributes, m.retained_from, {JOINED}{more}
        FROM messages m JOIN groups g ON g.id = m.grp {JOIN}"
    )
}

pub(crate) fn browsed(row: &rusqlite::Row<'_>) -> rusqlite::Result<Browsed> {
    Ok(Browsed {
        sequence: sequence(row.get(0)?),
        id: MessageId::from(row.get::<_, String>(1)?),
        group: GroupId::from(row.get::<_, String>(2)?),
        sent_at: timestamp(row.get(3)?),
        receive_count: row.get(4)?,
        source: row.get(5)?,
        attributes: serde_json::from_str(&row.get::<_, String>(6)?).unwrap_or_default(),
        kept_since: timestamp(row.get(7)?),
        body: joined(row, 8)?,
    })
}

/// How many messages a queue holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Depth {
    /// Stored messages, in flight or not.
    pub messages: u64,
    /// Messages that are in flight or wait for a retry.
    pub invisible: u64,
    /// Messages that were never received and are still delayed.
    pub delayed: u64,
    /// When the first message was sent.
    pub oldest: Option<Timestamp>,
    /// Groups that have messages.
    pub groups: u64,
}

/// The messages of one group.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct GroupDepth {
    pub group: GroupId,
    pub messages: u64,
    /// When the oldest message was sent.
    pub oldest: Timestamp,
    /// When the first message can next be received.
    pub ready_at: Timestamp,
    /// The highest receive count of its messages.
    pub receive_count: u32,
}

impl LocalQueue {
    /// Up to `max` messages with sequence numbers higher than `after`, in order.
    pub async fn browse(&self, after: Option<&str>, max: usize) -> Result<Vec<Browsed>, QueueError> {
        let after: i64 = after.and_then(|sequence| sequence.parse().ok()).unwrap_or(0);
        let queue = self.id;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let sql = format!("{} WHERE m.queue = ?1 AND m.seq > ?2 ORDER BY m.seq LIMIT ?3", select(""));
        let read = move |connection: &rusqlite::Connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map(params![queue, after, max], browsed)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        self.store.read(read).await
    }

    /// Up to `max` messages of one group with sequence numbers higher than `after`, in order. Reads only that group, by index.
    pub async fn browse_group(
        &self,
        group: &GroupId,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Browsed>, QueueError> {
        let after: i64 = after.and_then(|sequence| sequence.parse().ok()).unwrap_or(0);
        let queue = self.id;
        let group = group.clone();
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let sql = format!("{} WHERE g.queue = ?1 AND g.name = ?2 AND m.seq > ?3 ORDER BY m.seq LIMIT ?4", select(""));
        let read = move |connection: &rusqlite::Connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params![queue, group.as_str(), after, max], browsed)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        self.store.read(read).await
    }

    /// Up to `max` messages whose id begins so, or whose attributes have this text: there are the first ids of letters and of redriven messages. Given a
    /// group it reads that, otherwise the whole queue, without its bodies.
    pub async fn with_id(&self, id: &str, group: Option<&GroupId>, max: usize) -> Result<Vec<Browsed>, QueueError> {
        let queue = self.id;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let (id, group) = (id.to_owned(), group.map(ToString::to_string));
        let among = match &group {
            Some(_) => "m.grp = (SELECT id FROM groups WHERE queue = ?1 AND name = ?4)",
            None => "m.queue = ?1 AND ?4 IS NULL",
        };
        let found = format!(
            "SELECT m.seq FROM messages m WHERE {among}
                AND (substr(m.id, 1, length(?2)) = ?2 OR instr(m.attributes, ?2) > 0) ORDER BY m.seq LIMIT ?3"
        );
        let sql = format!("{} WHERE m.seq IN ({found}) ORDER BY m.seq", select(""));
        let read = move |connection: &rusqlite::Connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params![queue, id, max, group], browsed)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        self.store.read(read).await
    }

    /// The last sequence number that the store gave to a message of any queue. Later ones are higher.
    pub async fn last_sequence(&self) -> Result<String, QueueError> {
        let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0)";
        self.store.read(move |connection| connection.query_row(sql, [], |row| row.get(0).map(sequence))).await
    }

    /// Up to `max` groups, those with the most messages first.
    pub async fn groups(&self, max: usize) -> Result<Vec<GroupDepth>, QueueError> {
        let queue = self.id;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let sql = "SELECT g.name, count(*) AS messages, min(m.sent_at), g.ready_at, max(m.receive_count)
            FROM groups g JOIN messages m ON m.grp = g.id WHERE g.queue = ?1
            GROUP BY g.id ORDER BY messages DESC, g.name LIMIT ?2";
        let read = move |connection: &rusqlite::Connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([queue, max], |row| {
                Ok(GroupDepth {
                    group: GroupId::from(row.get::<_, String>(0)?),
                    messages: row.get(1)?,
                    oldest: timestamp(row.get(2)?),
                    ready_at: timestamp(row.get(3)?),
                    receive_count: row.get(4)?,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        self.store.read(read).await
    }
}
