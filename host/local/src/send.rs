//! Sending: deduplication, and the place at the end of the group.

use std::borrow::Cow;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest, Sha256};
use towpath_types::clock::Timestamp;
use towpath_types::queue::{Arrival, MessageId, NewMessage, Proof, QueueError, Sent};

use crate::error::failed;
use crate::former;
use crate::rows::{Row, insert};
use crate::settings::{DedupScope, QueueSettings};
use crate::values::{millis, sequence};

/// How long a deduplication id is remembered. Source: `MessageDeduplicationId` of SQS.
const DEDUP: Duration = Duration::from_secs(5 * 60);

/// The deduplication id of a body: its SHA-256, attributes left out. Source: `ContentBasedDeduplication`.
pub fn content_dedup_id(body: &str) -> String {
    hex::encode(Sha256::digest(body.as_bytes()))
}

/// A message with its deduplication id, where that follows from its body.
pub(crate) fn with_dedup_id<'a>(message: &'a NewMessage, settings: &QueueSettings) -> Cow<'a, NewMessage> {
    if !message.dedup_id.is_empty() || !settings.content_based_dedup {
        return Cow::Borrowed(message);
    }
    let dedup_id = content_dedup_id(&message.body);
    Cow::Owned(NewMessage { dedup_id, ..message.clone() })
}

/// What a client of SQS may say beside the message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Extras {
    /// How long it stays invisible, instead of the queue's delay.
    pub delay: Option<Duration>,
    /// The system attribute `AWSTraceHeader`.
    pub trace: Option<String>,
    /// What the front door knows of it.
    pub arrival: Arrival,
}

/// Stores a message behind the others of its group.
pub(crate) fn send(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    message: &NewMessage,
    extras: &Extras,
    now: Timestamp,
) -> Result<Sent, QueueError> {
    if settings.fifo
        && let Some(first) = duplicate_of(connection, queue, settings, message, now).map_err(failed)?
    {
        // The sender may have signed it anew.
        if let Some(proof) = &extras.arrival.proof {
            remember_proof(connection, queue, proof, &first, now).map_err(failed)?;
        }
        return Ok(first);
    }
    if let Some(proof) = &extras.arrival.proof
        && let Some(first) = proven_by(connection, queue, proof, now).map_err(failed)?
    {
        return Ok(first);
    }
    let behind = match &extras.arrival.former_group {
        Some(former) => former::goes_on(connection, queue, &message.group, former).map_err(failed)?.then_some(former),
        None => None,
    };
    let stored = match behind {
        Some(former) => Cow::Owned(NewMessage { group: former.clone(), ..message.clone() }),
        None => Cow::Borrowed(message),
    };
    let (id, seq) = store(connection, queue, settings, &stored, extras, now).map_err(failed)?;
    if behind.is_some() {
        former::extend(connection, seq).map_err(failed)?;
    }
    if !settings.fifo {
        return Ok(Sent { id, sequence: None });
    }
    let sent = Sent { id, sequence: Some(sequence(seq)) };
    remember(connection, queue, settings, message, &sent, now).map_err(failed)?;
    if let Some(proof) = &extras.arrival.proof {
        remember_proof(connection, queue, proof, &sent, now).map_err(failed)?;
    }
    Ok(sent)
}

/// Stores a message whatever its deduplication id.
pub(crate) fn store(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    message: &NewMessage,
    extras: &Extras,
    now: Timestamp,
) -> rusqlite::Result<(MessageId, i64)> {
    let id = MessageId(uuid::Uuid::new_v4().to_string());
    let attributes = serde_json::to_string(&message.attributes).unwrap_or_default();
    let row = Row {
        queue,
        group: message.group.as_str(),
        id: &id,
        dedup_id: &message.dedup_id,
        source: None,
        kept_since: now,
        trace: extras.trace.as_deref(),
        attributes: &attributes,
        body: &message.body,
    };
    let seq = insert(connection, &row, settings, extras.delay.unwrap_or(settings.delay), now)?;
    Ok((id, seq))
}

/// The scope of ids that count in the whole queue, and of proofs. No group has these names.
const WHOLE_QUEUE: &str = "";
const PROOFS: &str = " proofs";

fn scope<'a>(settings: &QueueSettings, message: &'a NewMessage) -> &'a str {
    match settings.dedup_scope {
        DedupScope::Queue => WHOLE_QUEUE,
        DedupScope::MessageGroup => message.group.as_str(),
    }
}

/// The message that this one repeats. It may have been sent when the queue had the other scope: an id of this group counts,
/// however it was remembered; one of another group counts in the whole queue only.
fn duplicate_of(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    message: &NewMessage,
    now: Timestamp,
) -> rusqlite::Result<Option<Sent>> {
    let sql = "SELECT message_id, seq FROM dedup
        WHERE queue = ?1 AND scope IN ('', ?2) AND dedup_id = ?3 AND expires_at > ?4
            AND (scope = ?2 OR ?5 = '' OR coalesce(sent_group, ?2) = ?2) LIMIT 1";
    let values = params![queue, message.group.as_str(), message.dedup_id, millis(now), scope(settings, message)];
    connection.prepare_cached(sql)?.query_row(values, first).optional()
}

/// The message that came with this proof before.
fn proven_by(connection: &Connection, queue: i64, proof: &Proof, now: Timestamp) -> rusqlite::Result<Option<Sent>> {
    let sql = "SELECT message_id, seq FROM dedup
        WHERE queue = ?1 AND scope = ?2 AND dedup_id = ?3 AND expires_at > ?4";
    connection.prepare_cached(sql)?.query_row(params![queue, PROOFS, proof.id, millis(now)], first).optional()
}

/// The message that was stored under an id first.
fn first(row: &rusqlite::Row<'_>) -> rusqlite::Result<Sent> {
    let (id, seq): (String, i64) = (row.get(0)?, row.get(1)?);
    Ok(Sent { id: MessageId(id), sequence: Some(sequence(seq)) })
}

/// Remembers a proof until it proves nothing any more.
fn remember_proof(
    connection: &Connection,
    queue: i64,
    proof: &Proof,
    sent: &Sent,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let key = Remembered { scope: PROOFS, id: &proof.id, group: None, until: proof.until };
    key.keep(connection, queue, sent, now)
}

/// Remembers a deduplication id.
fn remember(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    message: &NewMessage,
    sent: &Sent,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let scope = scope(settings, message);
    // A group that is the scope need not be written twice.
    let group = Some(message.group.as_str()).filter(|group| *group != scope);
    let key = Remembered { scope, id: &message.dedup_id, group, until: now + DEDUP };
    key.keep(connection, queue, sent, now)
}

/// What makes a later send the same as one that was stored.
struct Remembered<'a> {
    scope: &'a str,
    id: &'a str,
    group: Option<&'a str>,
    until: Timestamp,
}

impl Remembered<'_> {
    fn keep(&self, connection: &Connection, queue: i64, sent: &Sent, now: Timestamp) -> rusqlite::Result<()> {
        forget_some(connection, now)?;
        let sql = "INSERT OR REPLACE INTO dedup (queue, scope, dedup_id, expires_at, message_id, seq, sent_group)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let Remembered { scope, id, group, until } = self;
        let seq: i64 = sent.sequence.as_deref().and_then(|sequence| sequence.parse().ok()).unwrap_or_default();
        let values = params![queue, scope, id, millis(*until), sent.id.as_str(), seq, group];
        connection.prepare_cached(sql)?.execute(values).map(drop)
    }
}

/// Forgets a few ids that are over: more than come, so none pile up.
fn forget_some(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let over = "SELECT queue, scope, dedup_id FROM dedup WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 4";
    let mut over = connection.prepare_cached(over)?;
    let over = over.query_map([millis(now)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for key in over.collect::<rusqlite::Result<Vec<(i64, String, String)>>>()? {
        // One by one, each by its key: as one statement SQLite would look at every id of the queue.
        let forget = "DELETE FROM dedup WHERE queue = ?1 AND scope = ?2 AND dedup_id = ?3";
        connection.prepare_cached(forget)?.execute(key)?;
    }
    Ok(())
}
