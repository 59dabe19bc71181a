//! Received messages, as read from their rows.

use rusqlite::{Connection, Row};
use towpath_types::clock::Timestamp;
use towpath_types::queue::{GroupId, MessageId, Received};

use crate::bodies::Place;
use crate::handle::Receipt;
use crate::values::{sequence, timestamp};

/// A received message, with the fields that only a client of the SQS endpoint needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    pub received: Received,
    pub first_received_at: Timestamp,
    /// The group id that the message was sent with. In a standard queue it is optional and has no effect on the order.
    pub group_tag: Option<GroupId>,
    /// The queue that dead-lettered the message into this one.
    pub source: Option<String>,
    /// The system attribute `AWSTraceHeader`.
    pub trace: Option<String>,
}

/// A row of `messages`.
pub(crate) struct StoredMessage {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) dedup_id: String,
    pub(crate) sent_at: i64,
    pub(crate) retained_from: i64,
    pub(crate) visible_at: i64,
    pub(crate) receive_count: u32,
    /// How many of the receives happened in earlier queues; `maxReceiveCount` does not count those.
    pub(crate) received_before: u32,
    pub(crate) first_received_at: Option<i64>,
    pub(crate) source: Option<String>,
    pub(crate) group_tag: Option<String>,
    pub(crate) trace: Option<String>,
    pub(crate) attributes: String,
    pub(crate) place: Place,
}

/// The columns that [`stored`] reads, in its order, of the table `m`.
pub(crate) const STORED: &str = "m.seq, m.id, m.dedup_id, m.sent_at, m.retained_from, m.visible_at, m.receive_count,
    m.received_before, m.first_received_at, m.source, m.group_tag, m.trace, m.attributes, m.content, m.head, m.bytes,
    m.text";

pub(crate) fn stored(row: &Row<'_>) -> rusqlite::Result<StoredMessage> {
    Ok(StoredMessage {
        seq: row.get(0)?,
        id: row.get(1)?,
        dedup_id: row.get(2)?,
        sent_at: row.get(3)?,
        retained_from: row.get(4)?,
        visible_at: row.get(5)?,
        receive_count: row.get(6)?,
        received_before: row.get(7)?,
        first_received_at: row.get::<_, Option<i64>>(8)?.filter(|at| *at > 0),
        source: row.get(9)?,
        group_tag: row.get(10)?,
        trace: row.get(11)?,
        attributes: row.get(12)?,
        place: Place::of(row, 13)?,
    })
}

/// Reads the body of a message that is handed out.
pub(crate) fn taken(
    connection: &Connection,
    stored: StoredMessage,
    group: GroupId,
    receive_count: u32,
    first_received_at: Timestamp,
    receipt: Receipt,
    fifo: bool,
) -> rusqlite::Result<Taken> {
    let group_tag = if fifo { Some(group.clone()) } else { stored.group_tag.map(GroupId::from) };
    let received = Received {
        id: MessageId::from(stored.id),
        group: group_tag.clone().unwrap_or(group),
        dedup_id: fifo.then(|| stored.dedup_id.into()),
        sequence: fifo.then(|| sequence(stored.seq)),
        receive_count,
        // Never later than the start of its retention.
        sent_at: timestamp(stored.sent_at.min(stored.retained_from)),
        body: stored.place.read(connection)?,
        attributes: serde_json::from_str(&stored.attributes).unwrap_or_default(),
        trace: stored.trace.clone(),
        handle: receipt.write(),
    };
    Ok(Taken { received, first_received_at, group_tag, source: stored.source, trace: stored.trace })
}
