//! Messages past their retention. Receives skip and remove them anyway; this keeps them out of the counts, and frees the
//! space of queues that nobody receives from.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_types::clock::Timestamp;
use towpath_types::queue::QueueError;

use crate::error::failed;
use crate::queue::LocalQueue;
use crate::rows::refresh;
use crate::seen::SETTINGS_OF_ALL;
use crate::settings::QueueSettings;
use crate::store::Store;
use crate::values::millis;
use crate::writer::Durability;

#[cfg(test)]
mod tests;

/// The most messages that one transaction removes, so that other operations do not wait for long.
const STEP: usize = 500;

/// The expired messages of a queue. Sequence numbers follow the start of the retention, so expired messages are at the
/// front. The exception are messages that were dead-lettered into a standard queue, because they keep their age; they
/// have an index.
#[derive(Clone, Copy)]
pub(crate) struct Expired {
    queue: i64,
    /// A message is expired if its retention started at this time or earlier.
    pub(crate) before: i64,
    /// The first message that is not expired; `i64::MAX` if there is none.
    pub(crate) first_kept: i64,
}

impl Expired {
    pub(crate) fn of(connection: &Connection, queue: i64, before: Timestamp) -> rusqlite::Result<Expired> {
        let before = millis(before);
        let sql = "SELECT seq FROM messages WHERE queue = ?1 AND retained_from > ?2 ORDER BY seq LIMIT 1";
        let first: Option<i64> =
            connection.prepare_cached(sql)?.query_row([queue, before], |row| row.get(0)).optional()?;
        Ok(Expired { queue, before, first_kept: first.unwrap_or(i64::MAX) })
    }

    pub(crate) fn count(&self, connection: &Connection) -> rusqlite::Result<u64> {
        let front = "SELECT count(*) FROM messages WHERE queue = ?1 AND seq < ?2";
        let front: u64 =
            connection.prepare_cached(front)?.query_row([self.queue, self.first_kept], |row| row.get(0))?;
        let moved = "SELECT count(*) FROM messages
            WHERE queue = ?1 AND source IS NOT NULL AND retained_from <= ?2 AND seq > ?3";
        let values = [self.queue, self.before, self.first_kept];
        let moved: u64 = connection.prepare_cached(moved)?.query_row(values, |row| row.get(0))?;
        Ok(front + moved)
    }
}

/// Whether a queue has expired messages.
fn any(connection: &Connection, queue: i64, before: i64) -> rusqlite::Result<bool> {
    let front = "SELECT retained_from FROM messages WHERE queue = ?1 ORDER BY seq LIMIT 1";
    let front: Option<i64> = connection.prepare_cached(front)?.query_row([queue], |row| row.get(0)).optional()?;
    if front.is_some_and(|retained_from| retained_from <= before) {
        return Ok(true);
    }
    let moved = "SELECT 1 FROM messages WHERE queue = ?1 AND source IS NOT NULL AND retained_from <= ?2";
    connection.prepare_cached(moved)?.exists([queue, before])
}

/// Removes up to `max` expired messages; returns how many.
fn remove(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    max: usize,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    let before = millis(now - settings.retention);
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let mut expired = Vec::new();
    let front = "SELECT seq, grp, retained_from FROM messages WHERE queue = ?1 ORDER BY seq LIMIT ?2";
    let mut front = connection.prepare_cached(front)?;
    let mut rows = front.query(params![queue, max])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(2)? > before {
            break;
        }
        expired.push((row.get(0)?, row.get(1)?));
    }
    if expired.is_empty() {
        let moved = "SELECT seq, grp FROM messages WHERE queue = ?1 AND source IS NOT NULL AND retained_from <= ?2
            ORDER BY retained_from LIMIT ?3";
        let mut moved = connection.prepare_cached(moved)?;
        let rows = moved.query_map([queue, before, max], |row| Ok((row.get(0)?, row.get(1)?)))?;
        expired = rows.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    }
    let mut groups = BTreeSet::new();
    for (seq, group) in &expired {
        connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?.execute([seq])?;
        groups.insert(*group);
    }
    groups.into_iter().try_for_each(|group| refresh(connection, group, settings.retention).map(drop))?;
    Ok(u64::try_from(expired.len()).unwrap_or(u64::MAX))
}

impl LocalQueue {
    /// Removes up to `max` expired messages; returns how many.
    pub async fn sweep(&self, max: usize) -> Result<u64, QueueError> {
        let queue = self.id;
        let store = self.store.clone();
        let sweep = move |connection: &Connection, settings: &QueueSettings| {
            let removed = remove(connection, queue, settings, max, store.clock.now()).map_err(failed)?;
            // Messages behind a removed one that was in flight can be received now.
            if removed > 0 {
                store.wake(queue);
            }
            Ok(removed)
        };
        self.run(Durability::Written, sweep).await
    }
}

impl Store {
    /// Removes the expired messages of all queues, and finishes interrupted purges and removals, in many short
    /// transactions. Returns how many messages were expired.
    pub async fn tidy(&self) -> Result<u64, QueueError> {
        self.finish_purges().await?;
        let mut removed = 0;
        for queue in self.queues_with_expired().await? {
            loop {
                match queue.sweep(STEP).await {
                    Ok(0) | Err(QueueError::NoSuchQueue { .. }) => break,
                    Ok(count) => removed += count,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(removed)
    }

    async fn queues_with_expired(&self) -> Result<Vec<LocalQueue>, QueueError> {
        let clock = self.clock;
        let read = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(SETTINGS_OF_ALL)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let queues = rows.collect::<rusqlite::Result<Vec<(i64, String, String)>>>()?;
            let mut found = Vec::new();
            for (id, name, text) in queues {
                // Without readable settings the retention is unknown, so nothing of the queue is removed.
                let Ok(settings) = serde_json::from_str::<QueueSettings>(&text) else { continue };
                if any(connection, id, millis(clock.now() - settings.retention))? {
                    found.push((id, name, text));
                }
            }
            Ok(found)
        };
        let known = |(id, name, text): (i64, String, String)| {
            let seen = self.shared.queues.note(&name, id, text)?;
            Ok(LocalQueue::new(self.clone(), id, name, seen))
        };
        self.read(read).await?.into_iter().map(known).collect()
    }
}
