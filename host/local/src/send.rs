//! Sending: deduplicates a message, and stores it at the end of its group.

use std::borrow::Cow;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest, Sha256};
use towpath_types::clock::Timestamp;
use towpath_types::queue::{Arrival, DedupId, MessageId, NewMessage, Part, Proof, QueueError, Sent};

use crate::bodies::Content;
use crate::error::failed;
use crate::rows::{NewRow, insert};
use crate::settings::{DedupScope, QueueSettings};
use crate::values::{millis, sequence};
use crate::{former, limits};

/// How long a deduplication id is remembered. Source: `MessageDeduplicationId` in the `SendMessage` API.
const DEDUP: Duration = Duration::from_secs(5 * 60);

/// The content-based deduplication id: the SHA-256 of the body without the attributes. Source: `ContentBasedDeduplication`
/// in the `CreateQueue` API.
pub fn content_dedup_id(body: &str) -> DedupId {
    DedupId::from(hex::encode(Sha256::digest(body.as_bytes())))
}

/// The message, with a content-based deduplication id if it has none and the queue is set to make one.
pub(crate) fn with_dedup_id<'a>(message: &'a NewMessage, settings: &QueueSettings) -> Cow<'a, NewMessage> {
    if message.dedup_id.is_some() || !settings.content_based_dedup {
        return Cow::Borrowed(message);
    }
    let dedup_id = Some(content_dedup_id(&message.body.text()));
    Cow::Owned(NewMessage { dedup_id, ..message.clone() })
}

/// What a client of the SQS endpoint, or ingest, may send with a message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Extras {
    /// How long the message stays invisible; overrides the queue's delay.
    pub delay: Option<Duration>,
    /// The system attribute `AWSTraceHeader`.
    pub trace: Option<String>,
    /// What ingest knows about the message.
    pub arrival: Arrival,
}

/// Stores a message at the end of its group. A duplicate is not stored: the result names the first message.
pub(crate) fn send(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    message: &NewMessage,
    extras: &Extras,
    now: Timestamp,
) -> Result<Sent, QueueError> {
    // A made-up id is neither looked up nor remembered: both would touch a random page of the table, for nothing.
    let is_unique = extras.arrival.is_unique;
    if settings.fifo
        && !is_unique
        && let Some(first) = duplicate_of(connection, queue, settings, message, now).map_err(failed)?
    {
        // A sender may sign each retry again: remember the new proof too.
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
    if !is_unique {
        remember(connection, queue, settings, message, &sent, now).map_err(failed)?;
    }
    if let Some(proof) = &extras.arrival.proof {
        remember_proof(connection, queue, proof, &sent, now).map_err(failed)?;
    }
    Ok(sent)
}

/// Stores the messages of one webhook. An error rolls back all of them.
pub(crate) fn arrive(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    parts: &[Part],
    proof: Option<&Proof>,
    now: Timestamp,
) -> Result<Vec<Sent>, QueueError> {
    if let Some(proof) = proof
        && let Some(first) = proven_by(connection, queue, proof, now).map_err(failed)?
    {
        // Ids are remembered for a shorter time than the proof.
        let known = parts.iter().map(|part| duplicate_of(connection, queue, settings, &part.message, now));
        let known = known.collect::<rusqlite::Result<Option<Vec<Sent>>>>().map_err(failed)?;
        return Ok(known.unwrap_or_else(|| vec![first]));
    }
    let one = |Part { message, former_group }: &Part| {
        let message = with_dedup_id(message, settings);
        limits::check(&message, settings)?;
        let arrival = Arrival { former_group: former_group.clone(), ..Arrival::default() };
        send(connection, queue, settings, &message, &Extras { arrival, ..Extras::default() }, now)
    };
    let sent = parts.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    if let (Some(proof), Some(first)) = (proof, sent.first()) {
        remember_proof(connection, queue, proof, first, now).map_err(failed)?;
    }
    Ok(sent)
}

/// Stores a message without checking for duplicates.
pub(crate) fn store(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    message: &NewMessage,
    extras: &Extras,
    now: Timestamp,
) -> rusqlite::Result<(MessageId, i64)> {
    let id = MessageId::from(uuid::Uuid::new_v4().to_string());
    let attributes = serde_json::to_string(&message.attributes).unwrap_or_default();
    let row = NewRow {
        queue,
        group: message.group.as_str(),
        id: &id,
        dedup_id: stored_dedup_id(message),
        source: None,
        kept_since: now,
        trace: extras.trace.as_deref(),
        attributes: &attributes,
        content: Content::New(&message.body),
    };
    let seq = insert(connection, &row, settings, extras.delay.unwrap_or(settings.delay), now)?;
    Ok((id, seq))
}

/// A message's deduplication id as its column holds it: empty if there is none.
fn stored_dedup_id(message: &NewMessage) -> &str {
    message.dedup_id.as_ref().map_or("", DedupId::as_str)
}

/// The `dedup.scope` of ids that are unique in the whole queue, and that of proofs. No group can have these names.
const WHOLE_QUEUE: &str = "";
const PROOFS: &str = " proofs";

fn scope<'a>(settings: &QueueSettings, message: &'a NewMessage) -> &'a str {
    match settings.dedup_scope {
        DedupScope::Queue => WHOLE_QUEUE,
        DedupScope::MessageGroup => message.group.as_str(),
    }
}

/// The message that this one duplicates. The first one may have been sent under the other `DeduplicationScope`: an id of the
/// same group matches under either scope, one of another group only if the scope is now the whole queue.
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
    let values =
        params![queue, message.group.as_str(), stored_dedup_id(message), millis(now), scope(settings, message)];
    connection.prepare_cached(sql)?.query_row(values, first).optional()
}

/// The message that was stored with this proof.
fn proven_by(connection: &Connection, queue: i64, proof: &Proof, now: Timestamp) -> rusqlite::Result<Option<Sent>> {
    let sql = "SELECT message_id, seq FROM dedup
        WHERE queue = ?1 AND scope = ?2 AND dedup_id = ?3 AND expires_at > ?4";
    connection.prepare_cached(sql)?.query_row(params![queue, PROOFS, proof.id, millis(now)], first).optional()
}

fn first(row: &rusqlite::Row<'_>) -> rusqlite::Result<Sent> {
    let (id, seq): (String, i64) = (row.get(0)?, row.get(1)?);
    Ok(Sent { id: MessageId::from(id), sequence: Some(sequence(seq)) })
}

/// Remembers a proof until it expires.
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

fn remember(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    message: &NewMessage,
    sent: &Sent,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let scope = scope(settings, message);
    // NULL means the group is the scope itself.
    let group = Some(message.group.as_str()).filter(|group| *group != scope);
    let key = Remembered { scope, id: stored_dedup_id(message), group, until: now + DEDUP };
    key.keep(connection, queue, sent, now)
}

/// A key that makes a later send a duplicate of a stored one.
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

/// Deletes up to four expired ids for each id that is added, so that expired ids do not accumulate.
fn forget_some(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let over = "SELECT queue, scope, dedup_id FROM dedup WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 4";
    let mut over = connection.prepare_cached(over)?;
    let over = over.query_map([millis(now)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for key in over.collect::<rusqlite::Result<Vec<(i64, String, String)>>>()? {
        // One DELETE for each key: for a single statement, SQLite would scan every id of the queue.
        let forget = "DELETE FROM dedup WHERE queue = ?1 AND scope = ?2 AND dedup_id = ?3";
        connection.prepare_cached(forget)?.execute(key)?;
    }
    Ok(())
}
