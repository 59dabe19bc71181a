//! Receiving: takes the longest visible prefix of every ready group.

use std::collections::HashSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_types::clock::Timestamp;
use towpath_types::queue::{GroupId, MessageId, QueueError, Receive};

use crate::bodies::{self, Content};
use crate::error::failed;
use crate::handle::Receipt;
use crate::replay::{remember, replay};
use crate::rows::{self, Lease, NewRow, refresh_leased};
use crate::settings::QueueSettings;
use crate::taken::{STORED, StoredMessage, Taken, stored, taken};
use crate::values::{millis, timestamp};

/// One transaction removes or dead-letters at most this many messages. The store has one writer, so a longer transaction
/// would delay every other operation.
const MAX_PUT_AWAY: usize = 500;

pub(crate) struct Batch {
    pub(crate) messages: Vec<Taken>,
    /// When the next group becomes ready, if nothing changes until then: in the past if this receive left some.
    pub(crate) next_ready: Option<Timestamp>,
    /// The dead-letter queues that messages were moved to; their long polls must be woken.
    pub(crate) touched: Vec<i64>,
}

/// Receives up to `request.max` messages, in the caller's transaction. `holder` is the host that they are leased to.
pub(crate) fn receive(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    holder: Option<i64>,
    request: &Receive,
    now: Timestamp,
) -> Result<Batch, QueueError> {
    let visible_at = millis(now + request.visibility.unwrap_or(settings.visibility));
    let attempt = request.attempt_id.as_ref().filter(|_| settings.fifo);
    if let Some(attempt) = attempt
        && let Some(messages) = replay(connection, queue, settings, attempt, visible_at, now).map_err(failed)?
    {
        let next_ready = next_ready(connection, queue).map_err(failed)?;
        return Ok(Batch { messages, next_ready, touched: Vec::new() });
    }
    let (messages, touched) = (Vec::new(), Vec::new());
    let mut taker = Taker { connection, queue, settings, holder, now, visible_at, messages, touched, put_away: 0 };
    // Each group is taken once in a batch. With a visibility timeout of 0 it is ready again at once, and would otherwise hand
    // out the same messages twice. A group that only had expired messages is gone or no longer ready.
    let mut seen = HashSet::new();
    while taker.has_room(request.max) {
        let most = request.max - taker.messages.len() + seen.len();
        let mut ready = ready_groups(connection, queue, most, now).map_err(failed)?;
        ready.retain(|(group, _)| seen.insert(*group));
        if ready.is_empty() {
            break;
        }
        for (group, name) in ready {
            if taker.has_room(request.max) {
                taker.take(group, &GroupId::from(name), request.max).map_err(failed)?;
            }
        }
    }
    let Taker { messages, touched, .. } = taker;
    // An empty result has nothing to replay.
    if let Some(attempt) = attempt.filter(|_| !messages.is_empty()) {
        remember(connection, queue, attempt, &messages, visible_at, now).map_err(failed)?;
    }
    let next_ready = next_ready(connection, queue).map_err(failed)?;
    Ok(Batch { messages, next_ready, touched })
}

/// The groups whose heads can be received, longest-waiting first.
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
    holder: Option<i64>,
    now: Timestamp,
    visible_at: i64,
    messages: Vec<Taken>,
    touched: Vec<i64>,
    /// How many messages were removed as expired, or moved to a dead-letter queue.
    put_away: usize,
}

impl Taker<'_> {
    /// Whether this transaction may take more. A group that it stops in stays ready, so the next receive continues there.
    fn has_room(&self, max: usize) -> bool {
        self.messages.len() < max && self.put_away < MAX_PUT_AWAY
    }

    /// Takes the group's longest visible prefix, as far as there is room. It stops at the first invisible message, so
    /// that no message overtakes one of its group that is in flight. Source: "FIFO queue delivery logic" in the developer
    /// guide of SQS.
    fn take(&mut self, group: i64, name: &GroupId, max: usize) -> rusqlite::Result<()> {
        // The messages share a nonce, so that the group's row can name them.
        let nonce = fastrand::i64(1 << 56..);
        let before = self.messages.len();
        let mut after = 0;
        while self.has_room(max) {
            let Some(stored) = self.next(group, after)? else { break };
            after = stored.seq;
            let expires = timestamp(stored.retained_from) + self.settings.retention;
            if expires <= self.now {
                self.remove(stored.seq)?;
                self.put_away += 1;
            } else if stored.visible_at > millis(self.now) {
                break;
            } else if !self.move_to_dead_letters(&stored, name)? {
                self.hand_out(stored, name, nonce)?;
            }
        }
        let holder = self.holder.filter(|_| self.messages.len() > before);
        let lease = holder.map(|holder| Lease { holder, nonce });
        refresh_leased(self.connection, group, self.settings.retention, lease).map(drop)
    }

    fn next(&self, group: i64, after: i64) -> rusqlite::Result<Option<StoredMessage>> {
        let sql = format!("SELECT {STORED} FROM messages m WHERE m.grp = ?1 AND m.seq > ?2 ORDER BY m.seq LIMIT 1");
        self.connection.prepare_cached(&sql)?.query_row([group, after], stored).optional()
    }

    fn remove(&self, seq: i64) -> rusqlite::Result<()> {
        self.connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?.execute([seq]).map(drop)
    }

    /// Moves a message that reached `maxReceiveCount` to the dead-letter queue, at the receive after the last allowed one, as
    /// SQS does. Only receives from this queue count, so each queue in a chain or ring hands the message out at least once.
    fn move_to_dead_letters(&mut self, stored: &StoredMessage, group: &GroupId) -> rusqlite::Result<bool> {
        let Some(policy) = &self.settings.redrive else { return Ok(false) };
        if stored.receive_count.saturating_sub(stored.received_before) < policy.max_receive_count {
            return Ok(false);
        }
        let sql = "SELECT id, settings FROM queues WHERE name = ?1";
        let found: Option<(i64, String)> = self
            .connection
            .prepare_cached(sql)?
            .query_row([&policy.dead_letter_queue], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        // The message stays if the dead-letter queue does not exist, or is this queue: moving it to the end of its own group
        // would let later messages overtake it.
        let Some((dead, settings)) = found.filter(|(dead, _)| *dead != self.queue) else { return Ok(false) };
        let settings: QueueSettings = serde_json::from_str(&settings).unwrap_or_default();
        let source: String =
            self.connection.query_row("SELECT name FROM queues WHERE id = ?1", [self.queue], |row| row.get(0))?;
        let id = MessageId::from(stored.id.clone());
        let row = NewRow {
            queue: dead,
            group: stored.group_tag.as_deref().unwrap_or(if self.settings.fifo { group.as_str() } else { "" }),
            id: &id,
            dedup_id: id.as_str(),
            source: Some(stored.source.as_deref().unwrap_or(&source)),
            // In a FIFO queue the retention of a dead letter starts again; in a standard queue it continues from the first
            // send. Source: "Setting up dead-letter queues" in the developer guide of SQS.
            kept_since: if settings.fifo { self.now } else { timestamp(stored.retained_from) },
            trace: stored.trace.as_deref(),
            attributes: &stored.attributes,
            content: Content::Moved(&stored.place),
        };
        let seq = rows::insert(self.connection, &row, &settings, Duration::ZERO, self.now)?;
        let sql = "UPDATE messages SET receive_count = ?2, received_before = ?2, sent_at = ?3 WHERE seq = ?1";
        self.connection.prepare_cached(sql)?.execute(params![seq, stored.receive_count, stored.sent_at])?;
        bodies::give_up(self.connection, stored.seq)?;
        self.remove(stored.seq)?;
        self.put_away += 1;
        if !self.touched.contains(&dead) {
            self.touched.push(dead);
        }
        Ok(true)
    }

    fn hand_out(&mut self, stored: StoredMessage, group: &GroupId, nonce: i64) -> rusqlite::Result<()> {
        let sql =
            "UPDATE messages SET receive_count = receive_count + 1, visible_at = ?2, nonce = ?3, received_at = ?4,
                first_received_at = iif(first_received_at > 0, first_received_at, ?4)
            WHERE seq = ?1";
        let values = params![stored.seq, self.visible_at, nonce, millis(self.now)];
        self.connection.prepare_cached(sql)?.execute(values)?;
        let count = stored.receive_count.saturating_add(1);
        let first = stored.first_received_at.map_or(self.now, timestamp);
        let handle = Receipt { queue: self.queue, seq: stored.seq, nonce };
        self.messages.push(taken(self.connection, stored, group.clone(), count, first, handle, self.settings.fifo)?);
        Ok(())
    }
}
