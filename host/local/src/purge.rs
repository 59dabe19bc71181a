//! Purges and removals of queues. Both delete in many short transactions, so that no other operation waits for a whole
//! queue. A purge or removal that a crash interrupts is finished by the next [`Store::tidy`].

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_types::clock::Timestamp;
use towpath_types::queue::QueueError;

use crate::error::failed;
use crate::queue::LocalQueue;
use crate::rows::refresh;
use crate::settings::QueueSettings;
use crate::store::Store;
use crate::values::{millis, timestamp};
use crate::writer::Durability;

#[cfg(test)]
mod tests;

/// The most rows that one transaction deletes.
const STEP: i64 = 500;

/// The least time between two purges by clients. Source: the `PurgeQueue` API.
const BETWEEN: Duration = Duration::from_secs(60);

impl LocalQueue {
    /// Deletes every message and deduplication id from before the call.
    pub async fn purge(&self) -> Result<(), QueueError> {
        self.begin_purge(None).await?;
        self.store.finish_purges().await
    }

    /// The same, but returns false and does nothing if the last purge was less than 60 seconds ago.
    pub async fn purge_again(&self) -> Result<bool, QueueError> {
        let begun = self.begin_purge(Some(BETWEEN)).await?;
        if begun {
            self.store.finish_purges().await?;
        }
        Ok(begun)
    }

    /// Records the purge, and the last sequence number that it covers. Later messages get higher numbers and are kept.
    async fn begin_purge(&self, between: Option<Duration>) -> Result<bool, QueueError> {
        let queue = self.id;
        let clock = self.store.clock;
        let begin = move |connection: &Connection, now: Timestamp| {
            let sql = "SELECT purged_at FROM purges WHERE queue = ?1";
            let last: Option<i64> = connection.query_row(sql, [queue], |row| row.get(0)).optional()?;
            // If the clock was set back, nobody must wait for longer than that.
            let waits = |last: i64, between| timestamp(last) <= now && now < timestamp(last) + between;
            if last.zip(between).is_some_and(|(last, between)| waits(last, between)) {
                return Ok(false);
            }
            let sql = "INSERT OR REPLACE INTO purges (queue, purged_at, last_seq) VALUES (?1, ?2, coalesce(
                (SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0))";
            connection.execute(sql, params![queue, millis(now)])?;
            Ok(true)
        };
        let begin = move |connection: &Connection, _: &QueueSettings| begin(connection, clock.now()).map_err(failed);
        self.run(Durability::Synced, begin).await
    }
}

/// An unfinished purge or removal.
#[derive(Clone, Copy)]
pub(crate) struct Rest {
    queue: i64,
    /// The last sequence number that a purge covers. `None` for a removal, which covers everything.
    last: Option<i64>,
}

impl Store {
    /// Finishes all purges and removals.
    pub async fn finish_purges(&self) -> Result<(), QueueError> {
        for rest in self.rests().await? {
            let queue = rest.queue;
            let last = rest.last.unwrap_or(i64::MAX);
            // Deduplication ids first. A send during the purge that repeats one is then stored as a new message;
            // otherwise it would be dropped as a duplicate of a message that is about to be deleted.
            let mut after = Some((String::new(), String::new()));
            while let Some(key) = after.take() {
                let forget = move |connection: &Connection| forget_ids(connection, queue, last, &key).map_err(failed);
                after = self.run(Durability::Written, forget).await?;
            }
            self.repeat(move |connection| forget_attempts(connection, queue)).await?;
            let store = self.clone();
            let has_queue = rest.last.is_some();
            self.repeat(move |connection| {
                let more = remove_messages(connection, queue, last, has_queue)?;
                // Messages behind a deleted one that was in flight can be received now.
                store.wake(queue);
                Ok(more)
            })
            .await?;
            if !has_queue {
                self.repeat(move |connection| remove_groups(connection, queue)).await?;
            }
            let end = move |connection: &Connection| rest.end(connection).map_err(failed);
            self.run(Durability::Synced, end).await?;
        }
        Ok(())
    }

    async fn rests(&self) -> Result<Vec<Rest>, QueueError> {
        let sql = "SELECT queue, last_seq FROM purges WHERE last_seq IS NOT NULL
            UNION ALL SELECT id, NULL FROM queues WHERE settings = ''";
        let read = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| Ok(Rest { queue: row.get(0)?, last: row.get(1)? }))?;
            rows.collect()
        };
        self.read(read).await
    }

    /// Repeats a step, each time in its own transaction, until it returns false.
    async fn repeat(
        &self,
        step: impl Fn(&Connection) -> rusqlite::Result<bool> + Clone + Send + 'static,
    ) -> Result<(), QueueError> {
        let once = || {
            let step = step.clone();
            self.run(Durability::Written, move |connection| step(connection).map_err(failed))
        };
        while once().await? {}
        Ok(())
    }
}

impl Rest {
    fn end(self, connection: &Connection) -> rusqlite::Result<()> {
        match self.last {
            // A later purge may have started meanwhile and covers more; it must stay recorded.
            Some(last) => {
                let done = "UPDATE purges SET last_seq = NULL WHERE queue = ?1 AND last_seq = ?2";
                connection.execute(done, [self.queue, last]).map(drop)
            }
            None => {
                connection.execute("DELETE FROM counts WHERE queue = ?1", [self.queue])?;
                connection.execute("DELETE FROM purges WHERE queue = ?1", [self.queue])?;
                connection.execute("DELETE FROM queues WHERE id = ?1 AND settings = ''", [self.queue]).map(drop)
            }
        }
    }
}

/// The scope and the id of a deduplication id.
type Key = (String, String);

/// Deletes the deduplication ids of messages up to `last`, in one step that starts after the key `after`. Returns the
/// last key that it read, if there may be more.
fn forget_ids(connection: &Connection, queue: i64, last: i64, after: &Key) -> rusqlite::Result<Option<Key>> {
    let sql = "SELECT scope, dedup_id, seq FROM dedup WHERE queue = ?1 AND (scope, dedup_id) > (?2, ?3)
        ORDER BY scope, dedup_id LIMIT ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![queue, after.0, after.1, STEP], |row| {
        Ok(((row.get(0)?, row.get(1)?), row.get::<_, i64>(2)?))
    })?;
    let ids = rows.collect::<rusqlite::Result<Vec<(Key, i64)>>>()?;
    for ((scope, id), seq) in &ids {
        if *seq <= last {
            let forget = "DELETE FROM dedup WHERE queue = ?1 AND scope = ?2 AND dedup_id = ?3";
            connection.prepare_cached(forget)?.execute(params![queue, scope, id])?;
        }
    }
    let full = i64::try_from(ids.len()).is_ok_and(|found| found == STEP);
    Ok(ids.into_iter().next_back().filter(|_| full).map(|(key, _)| key))
}

/// Deletes receive attempt ids in one step. Returns whether there may be more.
fn forget_attempts(connection: &Connection, queue: i64) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM attempts WHERE queue = ?1 AND attempt_id <= (SELECT max(attempt_id) FROM
        (SELECT attempt_id FROM attempts WHERE queue = ?1 ORDER BY attempt_id LIMIT ?2))";
    Ok(connection.prepare_cached(sql)?.execute([queue, STEP])? > 0)
}

/// Deletes messages up to `last` in one step. Returns whether there may be more. The groups of a removed queue are not
/// refreshed, because no operation can reach them; `remove_groups` deletes them.
fn remove_messages(connection: &Connection, queue: i64, last: i64, has_queue: bool) -> rusqlite::Result<bool> {
    let sql = "SELECT seq, grp FROM messages WHERE queue = ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([queue, last, STEP], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows = rows.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    let mut groups = BTreeSet::new();
    for (seq, group) in &rows {
        connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?.execute([seq])?;
        groups.insert(*group);
    }
    let settings = crate::seen::settings(connection, queue)?;
    if let Some(settings) = settings.filter(|_| has_queue) {
        groups.into_iter().try_for_each(|group| refresh(connection, group, settings.retention).map(drop))?;
    }
    Ok(!rows.is_empty())
}

/// Deletes groups in one step. Returns whether there may be more.
fn remove_groups(connection: &Connection, queue: i64) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM groups WHERE id IN (SELECT id FROM groups WHERE queue = ?1 LIMIT ?2)";
    Ok(connection.prepare_cached(sql)?.execute([queue, STEP])? > 0)
}
