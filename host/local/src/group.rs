//! What an operator does to the first messages of a group: retries them now, or moves them to the dead-letter queue. A message that somebody may be
//! working on is never touched. Each call is one transaction, so a message is always in exactly one queue.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_types::queue::{GroupId, MessageId, NewMessage, QueueError};

use crate::browse::{Browsed, browsed, select};
use crate::error::failed;
use crate::heads::Standing;
use crate::queue::LocalQueue;
use crate::rows::refresh;
use crate::send::{self, Extras};
use crate::settings::QueueSettings;
use crate::values::millis;
use crate::writer::Durability;

/// Whether a group is retried now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hastened {
    /// This many of its messages can be received now and could not before; 0 if its head could be.
    Now(usize),
    /// Somebody may be working on its head, so nothing was changed.
    Busy,
    /// Its head is another message, or nothing of it waits, so nothing was changed.
    Changed,
}

/// Whether messages of a group were moved to the dead-letter queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acted {
    /// The number of moved messages, and whether some are left in the group.
    Moved { moved: usize, is_rest: bool },
    /// Somebody may be working on one of them, so nothing was changed.
    Busy,
    /// The head of the group is another message, or nothing of it waits, so nothing was changed.
    Changed,
}

/// Which messages of a group are moved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Which {
    /// The head, if it is this message.
    Head(MessageId),
    /// The head, if it is this message, and those behind it: up to this many, and only if nobody is working on any message of the group.
    HeadAndBehind(MessageId, usize),
    /// Those at the front, whatever they are: up to this many, and only if nobody is working on any message of the group.
    Front(usize),
}

impl Which {
    fn head(&self) -> Option<&MessageId> {
        match self {
            Which::Head(head) | Which::HeadAndBehind(head, _) => Some(head),
            Which::Front(_) => None,
        }
    }

    fn most(&self) -> usize {
        match self {
            Which::Head(_) => 1,
            Which::HeadAndBehind(_, most) | Which::Front(most) => *most,
        }
    }
}

/// The first message of a group.
struct First {
    group: i64,
    id: String,
    standing: Standing,
}

impl LocalQueue {
    /// Lets the messages at the front of a group be received now instead of at their next try, if its head is this message.
    pub async fn hasten(&self, group: &GroupId, head: &MessageId) -> Result<Hastened, QueueError> {
        let queue = self.id;
        let store = self.store.clone();
        let (group, head) = (group.clone(), head.clone());
        let hasten = move |connection: &Connection, settings: &QueueSettings| {
            let now = millis(store.clock.now());
            let first = first(connection, queue, &group, now).map_err(failed)?;
            let Some(first) = first.filter(|first| first.id == head.as_str()) else { return Ok(Hastened::Changed) };
            if first.standing == Standing::InFlight {
                return Ok(Hastened::Busy);
            }
            let changed = show(connection, first.group, now).map_err(failed)?;
            refresh(connection, first.group, settings.retention).map_err(failed)?;
            store.wake(queue);
            Ok(Hastened::Now(changed))
        };
        self.run(Durability::Written, hasten).await
    }

    /// Moves messages from the front of a group to the end of that group in the dead-letter queue `to`, in their order. Of large messages fewer are moved
    /// than asked for. `letter` makes the letter of each, and the first is given `true`; an error of it changes nothing and becomes [`QueueError::Invalid`].
    /// A message whose letter is in that queue already, because a host ended between storing the letter and deleting the message, is only deleted.
    pub async fn bury(
        &self,
        to: &LocalQueue,
        group: &GroupId,
        which: Which,
        letter: impl Fn(Browsed, bool) -> Result<NewMessage, String> + Send + 'static,
    ) -> Result<Acted, QueueError> {
        let (from, to) = (self.clone(), to.clone());
        let group = group.clone();
        let bury = move |connection: &Connection, here: &QueueSettings| {
            let now = from.store.clock.now();
            let there = to.read(connection)?;
            let first = first(connection, from.id, &group, millis(now)).map_err(failed)?;
            let Some(first) = first.filter(|first| which.head().is_none_or(|head| head.as_str() == first.id)) else {
                return Ok(Acted::Changed);
            };
            let is_busy = match which {
                Which::Head(_) => first.standing == Standing::InFlight,
                _ => is_any_in_flight(connection, first.group, millis(now)).map_err(failed)?,
            };
            if is_busy {
                return Ok(Acted::Busy);
            }
            let messages = front(connection, first.group, which.most()).map_err(failed)?;
            let stored = stored_letters(connection, to.id, &messages).map_err(failed)?;
            let moved = messages.len();
            for (at, message) in messages.into_iter().enumerate() {
                let seq: i64 = message.sequence.parse().unwrap_or_default();
                if !stored.contains(message.id.as_str()) {
                    let id = message.id.clone();
                    let letter = letter(message, at == 0).map_err(|problem| unfit(&id, &problem))?;
                    // Without deduplication: the transaction moves it exactly once, and deduplication could only drop it.
                    send::store(connection, to.id, &there, &letter, &Extras::default(), now).map_err(failed)?;
                }
                let delete = "DELETE FROM messages WHERE seq = ?1";
                connection.prepare_cached(delete).and_then(|mut delete| delete.execute([seq])).map_err(failed)?;
            }
            let is_rest = refresh(connection, first.group, here.retention).map_err(failed)?;
            from.store.wake(to.id);
            from.store.wake(from.id);
            Ok(Acted::Moved { moved, is_rest })
        };
        self.run(Durability::Synced, bury).await
    }
}

fn unfit(id: &MessageId, problem: &str) -> QueueError {
    QueueError::Invalid(format!("the message {id} cannot become a dead letter: {problem}"))
}

fn first(connection: &Connection, queue: i64, group: &GroupId, now: i64) -> rusqlite::Result<Option<First>> {
    let sql = "SELECT m.grp, m.id, m.visible_at, m.receive_count, m.nonce
        FROM groups g JOIN messages m ON m.seq = g.head WHERE g.queue = ?1 AND g.name = ?2";
    let first = |row: &rusqlite::Row<'_>| {
        let standing = Standing::of(row.get(2)?, row.get(3)?, row.get(4)?, now);
        Ok(First { group: row.get(0)?, id: row.get(1)?, standing })
    };
    connection.prepare_cached(sql)?.query_row(params![queue, group.as_str()], first).optional()
}

/// Whether somebody may be working on a message of the group. A receive takes messages from the front, so behind one that was never received none is
/// in flight, and a long group is not read to its end.
fn is_any_in_flight(connection: &Connection, group: i64, now: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT visible_at, receive_count, nonce FROM messages WHERE grp = ?1 ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([group])?;
    while let Some(row) = rows.next()? {
        let receive_count: u32 = row.get(1)?;
        if receive_count == 0 {
            break;
        }
        if Standing::of(row.get(0)?, receive_count, row.get(2)?, now) == Standing::InFlight {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The first messages of a group, up to this many, and no more once their bodies have [`MOST_BYTES`].
fn front(connection: &Connection, group: i64, most: usize) -> rusqlite::Result<Vec<Browsed>> {
    let sql = format!("{} WHERE m.grp = ?1 ORDER BY m.seq LIMIT ?2", select(""));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![group, most as i64])?;
    let mut messages = Vec::new();
    let mut bytes = 0;
    while bytes < MOST_BYTES
        && let Some(row) = rows.next()?
    {
        let message = browsed(row)?;
        bytes += message.body.len();
        messages.push(message);
    }
    Ok(messages)
}

/// The ids of those messages whose letters are in this queue already, in whatever group: an operator may have edited a letter into another one. A letter's
/// deduplication id is its message's id. Only a host that received a message stores its letter, so the letters are read once, and only if one of the messages
/// was received.
fn stored_letters(connection: &Connection, queue: i64, messages: &[Browsed]) -> rusqlite::Result<HashSet<String>> {
    let received = messages.iter().filter(|message| message.receive_count > 0);
    let received: HashSet<&str> = received.map(|message| message.id.as_str()).collect();
    let mut stored = HashSet::new();
    if received.is_empty() {
        return Ok(stored);
    }
    let sql = "SELECT dedup_id FROM messages WHERE queue = ?1 AND reason IS NOT NULL";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([queue])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        if received.contains(id.as_str()) {
            stored.insert(id);
        }
    }
    Ok(stored)
}

/// Shows the messages at the front of a group that wait for a next try or are delayed, up to the first one that somebody may be working on.
fn show(connection: &Connection, group: i64, now: i64) -> rusqlite::Result<usize> {
    let sql = "SELECT seq, visible_at, receive_count, nonce FROM messages WHERE grp = ?1 ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([group])?;
    let mut hidden: Vec<i64> = Vec::new();
    while let Some(row) = rows.next()? {
        let receive_count: u32 = row.get(2)?;
        match Standing::of(row.get(1)?, receive_count, row.get(3)?, now) {
            Standing::Waits | Standing::Delayed => hidden.push(row.get(0)?),
            Standing::InFlight => break,
            // As in `is_any_in_flight`.
            Standing::Ready if receive_count == 0 => break,
            Standing::Ready => {}
        }
    }
    drop(rows);
    for seq in &hidden {
        connection.prepare_cached("UPDATE messages SET visible_at = ?2 WHERE seq = ?1")?.execute([*seq, now])?;
    }
    Ok(hidden.len())
}

/// How many messages one transaction moves: the store has one writer, so a longer one would delay all other operations.
pub const MOST_MOVED: usize = 500;

/// One transaction moves no more messages once the bodies of those before have this many bytes: it holds them in memory.
const MOST_BYTES: usize = 16 << 20;

#[cfg(test)]
#[path = "group/tests.rs"]
mod tests;
