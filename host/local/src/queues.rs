//! Creates, finds, configures, lists and removes the queues of a store. The store is the authority: every operation on a
//! queue reads its settings in its own transaction, and fails if the queue was removed, by this process or another.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_types::clock::Timestamp;
use towpath_types::queue::QueueError;

use crate::error::{StoreError, failed, unavailable};
use crate::queue::LocalQueue;
use crate::seen::{SETTINGS_OF_ALL, parse};
use crate::settings::QueueSettings;
use crate::store::Store;
use crate::values::{millis, timestamp};
use crate::writer::Durability;

#[cfg(test)]
mod tests;

/// The number of no queue: AUTOINCREMENT starts at 1.
const NOWHERE: i64 = 0;

/// How long after a queue's removal a client cannot create another with its name. Source: the `DeleteQueue` API.
const REMOVED: Duration = Duration::from_secs(60);

/// Why a queue was not created or changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    #[error("a queue of this name was removed less than 60 seconds ago")]
    RemovedRecently,
    #[error("its dead-letter queue does not exist")]
    NoDeadLetterQueue,
    #[error("a queue cannot be its own dead-letter queue")]
    OwnDeadLetterQueue,
    /// The `RedriveAllowPolicy` of the dead-letter queue does not allow this queue.
    #[error("its dead-letter queue does not allow it as a source")]
    NotAllowed,
}

/// Why settings were not changed.
pub enum Unchanged<E> {
    /// The change itself is invalid.
    Wrong(E),
    /// Another queue does not allow the change.
    Refused(Refused),
}

/// The result of creating a queue.
pub enum Made {
    New,
    /// The queue exists already, with these settings.
    Existing(Box<QueueSettings>),
    Refused(Refused),
}

impl Store {
    /// Creates the queue with this name, or changes its settings to these. An existing queue keeps its tags and the
    /// attributes that have no effect here.
    pub async fn queue(&self, name: &str, settings: QueueSettings) -> Result<LocalQueue, StoreError> {
        let kept = move |before: Option<QueueSettings>| match before {
            Some(before) => QueueSettings {
                other: before.other,
                tags: before.tags,
                created_at: before.created_at,
                ..settings.clone()
            },
            None => settings.clone(),
        };
        self.put(name, kept).await
    }

    /// Creates the queue with this name, or changes its settings to exactly these.
    pub async fn set_queue(&self, name: &str, settings: QueueSettings) -> Result<LocalQueue, StoreError> {
        self.put(name, move |_| settings.clone()).await
    }

    /// Creates or changes the queue with this name. `settings` gets the settings it had, if any.
    async fn put(
        &self,
        name: &str,
        settings: impl Fn(Option<QueueSettings>) -> QueueSettings + Send + 'static,
    ) -> Result<LocalQueue, StoreError> {
        let owned = name.to_owned();
        let clock = self.clock;
        let put = move |connection: &Connection| {
            let before = row(connection, &owned).map_err(failed)?.map(|(_, text)| parse(&text)).transpose()?;
            let sql = "INSERT INTO queues (name, settings) VALUES (?1, ?2)
                ON CONFLICT (name) DO UPDATE SET settings = ?2 RETURNING id";
            let text = written(settings(before), clock.now())?;
            let id = connection.query_row(sql, params![owned, text], |row| row.get(0)).map_err(failed)?;
            Ok((id, text))
        };
        let (id, text) = self.run(Durability::Synced, put).await?;
        let seen = self.shared.queues.note(name, id, text.clone())?;
        seen.read(&text)?;
        Ok(LocalQueue::new(self.clone(), id, name.to_owned(), seen))
    }

    /// Creates a queue for a client of the SQS endpoint, unless it exists.
    pub async fn make_queue(&self, name: &str, settings: QueueSettings) -> Result<Made, QueueError> {
        let name = name.to_owned();
        let clock = self.clock;
        let make = move |connection: &Connection| {
            let now = clock.now();
            if let Some((_, text)) = row(connection, &name).map_err(failed)? {
                return Ok(Made::Existing(Box::new(parse(&text)?)));
            }
            if removed_recently(connection, &name, now).map_err(failed)? {
                return Ok(Made::Refused(Refused::RemovedRecently));
            }
            if let Err(refused) = check_dead_letter_queue(connection, &name, &settings)? {
                return Ok(Made::Refused(refused));
            }
            let text = written(settings.clone(), now)?;
            connection
                .execute("INSERT INTO queues (name, settings) VALUES (?1, ?2)", params![name, text])
                .map_err(failed)?;
            Ok(Made::New)
        };
        self.run(Durability::Synced, make).await
    }

    /// The queue with this name, if it exists. A queue that was just removed may still be found; its operations then fail
    /// with `NoSuchQueue`.
    pub async fn find(&self, name: &str) -> Result<Option<LocalQueue>, StoreError> {
        let known = self.shared.queues.get(name);
        if let Some((id, seen)) = known {
            return Ok(Some(LocalQueue::new(self.clone(), id, name.to_owned(), seen)));
        }
        let owned = name.to_owned();
        let found = self.read(move |connection| row(connection, &owned)).await?;
        let Some((id, text)) = found else { return Ok(None) };
        let seen = self.shared.queues.note(name, id, text)?;
        Ok(Some(LocalQueue::new(self.clone(), id, name.to_owned(), seen)))
    }

    /// The queue with this name, or an empty one if it does not exist. Sends to the empty one fail.
    pub async fn look_for(&self, name: &str) -> Result<LocalQueue, StoreError> {
        let nowhere = || LocalQueue::new(self.clone(), NOWHERE, name.to_owned(), Arc::default());
        Ok(self.find(name).await?.unwrap_or_else(nowhere))
    }

    /// The names of all queues, sorted.
    pub async fn queue_names(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.all_queues().await?.into_iter().map(|(name, _)| name).collect())
    }

    /// All queues with their settings, sorted by name.
    pub async fn all_queues(&self) -> Result<Vec<(String, QueueSettings)>, QueueError> {
        let read = |connection: &Connection| {
            let mut statement = connection.prepare_cached(SETTINGS_OF_ALL)?;
            statement.query_map([], |row| Ok((row.get(1)?, row.get(2)?)))?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows: Vec<(String, String)> = self.read(read).await?;
        rows.into_iter().map(|(name, text)| Ok((name, parse(&text)?))).collect()
    }

    /// Removes a queue and its messages. Later operations on it fail with `NoSuchQueue`.
    pub async fn remove(&self, queue: LocalQueue) -> Result<(), QueueError> {
        self.take_away(queue).await?;
        self.finish_purges().await
    }

    /// Removes a queue at once. Its messages can no longer be reached, and [`Store::finish_purges`] deletes them.
    pub async fn take_away(&self, queue: LocalQueue) -> Result<(), QueueError> {
        let store = self.clone();
        let id = queue.id;
        let name = queue.name.clone();
        let remove = move |connection: &Connection, _: &QueueSettings| {
            take_away(connection, id, &name, store.clock.now()).map_err(failed)?;
            // Wakes its long polls, which then fail with `NoSuchQueue`.
            store.wake(id);
            Ok(())
        };
        queue.run(Durability::Synced, remove).await?;
        self.shared.queues.forget(&queue.name, id);
        self.let_sleep(id);
        Ok(())
    }
}

impl LocalQueue {
    /// Changes the settings in one transaction, if other queues allow it.
    pub async fn change<E: Send + 'static>(
        &self,
        change: impl Fn(&mut QueueSettings) -> Result<(), E> + Send + 'static,
    ) -> Result<Result<(), Unchanged<E>>, QueueError> {
        let queue = self.clone();
        let change = move |connection: &Connection, before: &QueueSettings| {
            let mut settings = before.clone();
            if let Err(error) = change(&mut settings) {
                return Ok(Err(Unchanged::Wrong(error)));
            }
            // Checked only if it changes: a dead-letter queue that was removed since must not block other changes.
            if settings.redrive != before.redrive
                && let Err(refused) = check_dead_letter_queue(connection, &queue.name, &settings)?
            {
                return Ok(Err(Unchanged::Refused(refused)));
            }
            let text = written(settings, queue.store.clock.now())?;
            let sql = "UPDATE queues SET settings = ?2 WHERE id = ?1";
            connection.execute(sql, params![queue.id, text]).map_err(failed)?;
            Ok(Ok(()))
        };
        let changed = self.run(Durability::Synced, change).await?;
        // Updates this process's cache.
        self.current_settings().await?;
        Ok(changed)
    }
}

fn row(connection: &Connection, name: &str) -> rusqlite::Result<Option<(i64, String)>> {
    let sql = "SELECT id, settings FROM queues WHERE name = ?1 AND settings <> ''";
    connection.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// The stored text of new settings, with the times of creation and change.
fn written(mut settings: QueueSettings, now: Timestamp) -> Result<String, QueueError> {
    settings.modified_at = now;
    if settings.created_at.0 == 0 {
        settings.created_at = now;
    }
    serde_json::to_string(&settings).map_err(|error| unavailable(error.to_string()))
}

fn check_dead_letter_queue(
    connection: &Connection,
    name: &str,
    settings: &QueueSettings,
) -> Result<Result<(), Refused>, QueueError> {
    let Some(redrive) = &settings.redrive else { return Ok(Ok(())) };
    if redrive.dead_letter_queue == name {
        return Ok(Err(Refused::OwnDeadLetterQueue));
    }
    let Some((_, text)) = row(connection, &redrive.dead_letter_queue).map_err(failed)? else {
        return Ok(Err(Refused::NoDeadLetterQueue));
    };
    let allowed = parse(&text)?.redrive_allow().is_none_or(|allow| allow.allows(name));
    Ok(if allowed { Ok(()) } else { Err(Refused::NotAllowed) })
}

fn removed_recently(connection: &Connection, name: &str, now: Timestamp) -> rusqlite::Result<bool> {
    let sql = "SELECT removed_at FROM removed WHERE name = ?1";
    let at: Option<i64> = connection.query_row(sql, [name], |row| row.get(0)).optional()?;
    // If the clock was set back, the name must not stay blocked for longer.
    Ok(at.is_some_and(|at| timestamp(at) <= now && now < timestamp(at) + REMOVED))
}

fn take_away(connection: &Connection, id: i64, name: &str, now: Timestamp) -> rusqlite::Result<()> {
    connection.execute("UPDATE queues SET name = 'removed/' || id, settings = '' WHERE id = ?1", [id])?;
    connection.execute("DELETE FROM moves WHERE source = ?1", [id])?;
    connection.execute("DELETE FROM removed WHERE removed_at <= ?1", [millis(now - REMOVED)])?;
    let sql = "INSERT OR REPLACE INTO removed (name, removed_at) VALUES (?1, ?2)";
    connection.execute(sql, params![name, millis(now)]).map(drop)
}
