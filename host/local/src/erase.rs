//! Erases messages before they are delivered, and what is remembered of them. Only `towpath erase` does that.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_types::queue::QueueError;

use crate::browse::{Browsed, browsed, select};
use crate::error::failed;
use crate::rows::refresh;
use crate::store::Store;
use crate::values::{millis, sequence};
use crate::writer::Durability;

#[cfg(test)]
mod tests;

/// How many messages one read looks at. A longer one would keep the WAL from being restarted.
const PAGE: i64 = 1000;

/// The most rows that one transaction deletes.
const STEP: usize = 200;

/// Which messages are looked for, of all queues.
#[derive(Clone)]
pub struct Wanted {
    /// Of these groups; of any if empty.
    pub groups: Vec<String>,
    /// Whether one of a group that is looked for is wanted. The group of a message in a standard queue is the one that its sender gave, as in
    /// [`Match`].
    pub is_one: Arc<dyn Fn(&Browsed) -> bool + Send + Sync>,
}

/// A message that is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Match {
    pub queue: String,
    /// Without its body.
    pub message: Browsed,
    /// Whether a host is working on it.
    pub is_leased: bool,
}

/// What one read found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Searched {
    pub found: Vec<Match>,
    /// Where to continue; `None` at the end.
    pub next: Option<String>,
}

impl Store {
    /// Looks at the next messages of all queues, in order, that have sequence numbers higher than `after`. A message that is moved to
    /// another queue meanwhile gets a higher number, so a search to the end misses none.
    pub async fn search(&self, wanted: &Wanted, after: Option<&str>) -> Result<Searched, QueueError> {
        let after: i64 = after.and_then(|sequence| sequence.parse().ok()).unwrap_or(0);
        let now = millis(self.clock.now());
        let Wanted { groups, is_one } = wanted.clone();
        let read = move |connection: &Connection| {
            let sql = "SELECT max(seq) FROM (SELECT seq FROM messages WHERE seq > ?1 ORDER BY seq LIMIT ?2)";
            let last: Option<i64> = connection.query_row(sql, [after, PAGE], |row| row.get(0))?;
            let Some(last) = last else { return Ok(Searched { found: Vec::new(), next: None }) };
            // The group of a message in a standard queue is its tag.
            let of_groups = "(?3 IS NULL OR g.name IN (SELECT value FROM json_each(?3))
                OR m.group_tag IN (SELECT value FROM json_each(?3)))";
            let more = format!(", coalesce(m.group_tag, g.name) AS of_group, q.name AS queue, {LEASED} AS leased");
            let sql = format!(
                "{} JOIN queues q ON q.id = m.queue WHERE m.seq > ?1 AND m.seq <= ?2 AND {of_groups} ORDER BY m.seq",
                select(&more).replace("?now", "?4")
            );
            let groups = (!groups.is_empty()).then(|| serde_json::to_string(&groups).unwrap_or_default());
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params![after, last, groups, now])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let message = Browsed { group: row.get::<_, String>("of_group")?.into(), ..browsed(row)? };
                if is_one(&message) {
                    let message = Browsed { body: "".into(), ..message };
                    found.push(Match { queue: row.get("queue")?, message, is_leased: row.get("leased")? });
                }
            }
            Ok(Searched { found, next: Some(sequence(last)) })
        };
        self.read(read).await
    }

    /// Deletes these messages, given by sequence number, except those that a host is working on, which are returned: their delivery would
    /// store them again, as a dead letter perhaps. The rest of each group keeps its order.
    pub async fn erase(&self, sequences: &[String]) -> Result<Vec<String>, QueueError> {
        let mut leased = Vec::new();
        for step in sequences.chunks(STEP) {
            let sequences: Vec<i64> = step.iter().map(|sequence| sequence.parse().unwrap_or_default()).collect();
            let store = self.clone();
            let erase = move |connection: &Connection| erase(connection, &store, &sequences).map_err(failed);
            leased.extend(self.run(Durability::Synced, erase).await?.into_iter().map(sequence));
        }
        Ok(leased)
    }

    /// Deletes the deduplication ids of these groups, those of messages with these ids, and all that have expired, and finishes purges and
    /// removals of queues that were interrupted: they leave ids and names of groups. Returns how many ids had not expired. A sender
    /// that repeats one of them stores its event again.
    pub async fn forget(&self, groups: Vec<String>, ids: Arc<HashSet<String>>) -> Result<u64, QueueError> {
        self.finish_purges().await?;
        let now = millis(self.clock.now());
        // The proof of a webhook names its message alone.
        let mut messages = HashSet::new();
        self.each_key(|key| {
            if key.is_of(&groups) {
                messages.insert(key.message_id.clone());
            }
        })
        .await?;
        let mut gone = Vec::new();
        self.each_key(|key| {
            let is_wanted = key.is_of(&groups) || ids.contains(&key.message_id) || messages.contains(&key.message_id);
            if is_wanted || key.expires_at <= now {
                gone.push((key, is_wanted));
            }
        })
        .await?;
        for step in gone.chunks(STEP) {
            let step: Vec<Key> = step.iter().map(|(key, _)| key.clone()).collect();
            let forget = move |connection: &Connection| {
                let sql = "DELETE FROM dedup WHERE queue = ?1 AND scope = ?2 AND dedup_id = ?3 AND expires_at = ?4";
                let one = |key: &Key| {
                    let values = params![key.queue, key.scope, key.id, key.expires_at];
                    connection.prepare_cached(sql)?.execute(values)
                };
                step.iter().try_for_each(|key| one(key).map(drop))
            };
            self.run(Durability::Synced, move |connection| forget(connection).map_err(failed)).await?;
        }
        Ok(gone.iter().filter(|(key, is_wanted)| *is_wanted && key.expires_at > now).count() as u64)
    }

    /// Calls `with` for each deduplication id.
    async fn each_key(&self, mut with: impl FnMut(Key)) -> Result<(), QueueError> {
        let mut after = Some((0, String::new(), String::new()));
        while let Some((queue, scope, id)) = after.take() {
            let read = move |connection: &Connection| {
                let sql = "SELECT queue, scope, dedup_id, expires_at, message_id, sent_group FROM dedup
                    WHERE (queue, scope, dedup_id) > (?1, ?2, ?3) ORDER BY queue, scope, dedup_id LIMIT ?4";
                let mut statement = connection.prepare_cached(sql)?;
                let key = |row: &rusqlite::Row<'_>| {
                    Ok(Key {
                        queue: row.get(0)?,
                        scope: row.get(1)?,
                        id: row.get(2)?,
                        expires_at: row.get(3)?,
                        message_id: row.get(4)?,
                        group: row.get(5)?,
                    })
                };
                statement.query_map(params![queue, scope, id, PAGE], key)?.collect::<rusqlite::Result<Vec<Key>>>()
            };
            let keys = self.read(read).await?;
            after = keys.last().map(|key| (key.queue, key.scope.clone(), key.id.clone()));
            keys.into_iter().for_each(&mut with);
        }
        Ok(())
    }
}

/// Whether a host is working on the message `m` of the group `g`. One that waits for a retry has no lease.
const LEASED: &str = "(g.lease IS NOT NULL AND g.lease = m.nonce AND m.visible_at > ?now)";

/// Returns the sequence numbers of those that hosts are working on.
fn erase(connection: &Connection, store: &Store, sequences: &[i64]) -> rusqlite::Result<Vec<i64>> {
    let now = millis(store.clock.now());
    let leased = LEASED.replace("?now", "?2");
    let sql = format!("SELECT m.queue, m.grp, {leased} FROM messages m JOIN groups g ON g.id = m.grp WHERE m.seq = ?1");
    let mut kept = Vec::new();
    let mut groups = BTreeSet::new();
    for seq in sequences {
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?));
        match connection.prepare_cached(&sql)?.query_row([*seq, now], row).optional()? {
            None => {}
            Some((_, _, true)) => kept.push(*seq),
            Some((queue, group, false)) => {
                connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?.execute([seq])?;
                groups.insert((queue, group));
            }
        }
    }
    for (queue, group) in groups {
        // The groups of a removed queue are deleted with it.
        if let Some(settings) = crate::seen::settings(connection, queue)? {
            refresh(connection, group, settings.retention)?;
        }
        store.wake(queue);
    }
    Ok(kept)
}

/// A deduplication id.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Key {
    queue: i64,
    scope: String,
    id: String,
    expires_at: i64,
    message_id: String,
    /// `None` if the group is the scope.
    group: Option<String>,
}

impl Key {
    fn is_of(&self, groups: &[String]) -> bool {
        groups.iter().any(|group| *group == self.scope || self.group.as_ref() == Some(group))
    }
}
