//! The queues of a store: made, set, found, listed, removed. Everybody in this process sees a queue's
//! settings change at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_core::queue::QueueError;

use crate::queue::LocalQueue;
use crate::settings::QueueSettings;
use crate::store::{Store, StoreError, failed, lock};
use crate::writer::Durability;

/// The settings of one queue, shared by all who use it.
pub(crate) type SharedSettings = Arc<RwLock<Arc<QueueSettings>>>;

/// The number of a queue that there is not.
const NOWHERE: i64 = 0;

/// The queues that this process knows, by name.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<String, (i64, SharedSettings)>>);

impl Known {
    /// Takes note of a queue's settings, and tells all who use it.
    fn set(&self, name: &str, id: i64, settings: QueueSettings) -> SharedSettings {
        let mut known = lock(&self.0);
        if let Some((known_id, shared)) = known.get(name)
            && *known_id == id
        {
            *shared.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
            return Arc::clone(shared);
        }
        let shared = Arc::new(RwLock::new(Arc::new(settings)));
        known.insert(name.to_owned(), (id, Arc::clone(&shared)));
        shared
    }
}

impl Store {
    /// The queue of this name with these settings: it is made if it is not there, and set anew if it is, but
    /// for its tags and what means nothing here.
    pub async fn queue(&self, name: &str, settings: QueueSettings) -> Result<LocalQueue, StoreError> {
        let before = self.find(name).await?.map(|queue| queue.settings());
        let settings = match before {
            Some(before) => QueueSettings {
                other: before.other.clone(),
                tags: before.tags.clone(),
                created_at: before.created_at,
                ..settings
            },
            None => settings,
        };
        self.set_queue(name, settings).await
    }

    /// The queue of this name with exactly these settings.
    pub async fn set_queue(&self, name: &str, mut settings: QueueSettings) -> Result<LocalQueue, StoreError> {
        settings.modified_at = self.clock.now();
        if settings.created_at.0 == 0 {
            settings.created_at = settings.modified_at;
        }
        let (owned, text) = (name.to_owned(), serde_json::to_string(&settings).unwrap_or_default());
        let sql = "INSERT INTO queues (name, settings) VALUES (?1, ?2)
                   ON CONFLICT (name) DO UPDATE SET settings = ?2 RETURNING id";
        let id = self
            .run(Durability::Synced, move |connection| {
                connection.query_row(sql, params![owned, text], |row| row.get(0)).map_err(failed)
            })
            .await?;
        let shared = self.shared.queues.set(name, id, settings);
        Ok(LocalQueue::new(self.clone(), id, name.to_owned(), shared))
    }

    /// The queue of this name, if there is one.
    pub async fn find(&self, name: &str) -> Result<Option<LocalQueue>, StoreError> {
        let known = lock(&self.shared.queues.0).get(name).cloned();
        if let Some((id, shared)) = known {
            return Ok(Some(LocalQueue::new(self.clone(), id, name.to_owned(), shared)));
        }
        let owned = name.to_owned();
        let found: Option<(i64, String)> = self
            .read(move |connection| {
                let sql = "SELECT id, settings FROM queues WHERE name = ?1";
                connection.query_row(sql, [&owned], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .await?;
        let Some((id, settings)) = found else { return Ok(None) };
        let shared = self.shared.queues.set(name, id, serde_json::from_str(&settings).unwrap_or_default());
        Ok(Some(LocalQueue::new(self.clone(), id, name.to_owned(), shared)))
    }

    /// The queue of this name; an empty one if there is none. Nothing can be sent to that.
    pub async fn look_for(&self, name: &str) -> Result<LocalQueue, StoreError> {
        let nowhere = || LocalQueue::new(self.clone(), NOWHERE, name.to_owned(), SharedSettings::default());
        Ok(self.find(name).await?.unwrap_or_else(nowhere))
    }

    /// The names of all queues, in order.
    pub async fn queue_names(&self) -> Result<Vec<String>, StoreError> {
        let read = |connection: &Connection| {
            let mut statement = connection.prepare_cached("SELECT name FROM queues ORDER BY name")?;
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        Ok(self.read(read).await?)
    }

    /// Removes a queue and all that is in it. Who still uses it is told that it is gone.
    pub async fn remove(&self, queue: LocalQueue) -> Result<(), QueueError> {
        lock(&self.shared.queues.0).remove(&queue.name);
        let id = queue.id;
        let remove = move |connection: &Connection| {
            purge(connection, id)?;
            connection.execute("DELETE FROM queues WHERE id = ?1", [id]).map(drop)
        };
        self.run(Durability::Synced, move |connection| remove(connection).map_err(failed)).await
    }
}

/// Removes every message of a queue and every remembered deduplication id.
pub(crate) fn purge(connection: &Connection, queue: i64) -> rusqlite::Result<()> {
    for table in ["messages", "groups", "dedup", "attempts", "counts"] {
        connection.execute(&format!("DELETE FROM {table} WHERE queue = ?1"), [queue])?;
    }
    Ok(())
}
