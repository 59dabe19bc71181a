//! The settings of queues, and this process's cache of them. The store is the authority: each operation on a queue reads its
//! row, because another process may have changed or removed the queue. The cache only saves parsing and lookups by name.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, OptionalExtension as _};
use towpath_types::queue::QueueError;

use crate::error::unavailable;
use crate::settings::QueueSettings;

/// A row with empty settings is a removed queue whose messages are still being deleted; its name is not a valid queue name.
pub(crate) const SETTINGS: &str = "SELECT settings FROM queues WHERE id = ?1 AND settings <> ''";

pub(crate) const SETTINGS_OF_ALL: &str = "SELECT id, name, settings FROM queues WHERE settings <> '' ORDER BY name";

/// The settings of the queue with this number; `None` if it does not exist.
pub(crate) fn settings(connection: &Connection, queue: i64) -> rusqlite::Result<Option<QueueSettings>> {
    let text: Option<String> = connection.prepare_cached(SETTINGS)?.query_row([queue], |row| row.get(0)).optional()?;
    Ok(text.map(|text| serde_json::from_str(&text).unwrap_or_default()))
}

/// A queue's settings as this process last read them, and the text that they were parsed from. All handles of the queue
/// share it.
#[derive(Debug)]
pub(crate) struct CachedSettings(RwLock<(String, Arc<QueueSettings>)>);

impl Default for CachedSettings {
    /// Default settings from an empty text. No stored text is empty, so the first read replaces them.
    fn default() -> CachedSettings {
        CachedSettings(RwLock::new((String::new(), Arc::default())))
    }
}

impl CachedSettings {
    fn new(text: String) -> Result<CachedSettings, QueueError> {
        let settings = Arc::new(parse(&text)?);
        Ok(CachedSettings(RwLock::new((text, settings))))
    }

    pub(crate) fn settings(&self) -> Arc<QueueSettings> {
        Arc::clone(&self.0.read().1)
    }

    /// The settings in this text, which the store holds now. Parses it only if it differs from the last one.
    pub(crate) fn read(&self, text: &str) -> Result<Arc<QueueSettings>, QueueError> {
        let seen = self.0.read();
        if seen.0 == text {
            return Ok(Arc::clone(&seen.1));
        }
        drop(seen);
        let settings = Arc::new(parse(text)?);
        *self.0.write() = (text.to_owned(), Arc::clone(&settings));
        Ok(settings)
    }
}

pub(crate) fn parse(text: &str) -> Result<QueueSettings, QueueError> {
    serde_json::from_str(text).map_err(|error| unavailable(format!("cannot parse the settings of a queue: {error}")))
}

/// The queues that this process knows, by name. An entry may be stale: using a removed queue fails with `NoSuchQueue`.
#[derive(Default)]
pub(crate) struct KnownQueues(Mutex<HashMap<String, (i64, Arc<CachedSettings>)>>);

impl KnownQueues {
    pub(crate) fn get(&self, name: &str) -> Option<(i64, Arc<CachedSettings>)> {
        self.0.lock().get(name).cloned()
    }

    /// Caches a queue that was read from the store. A read that returns late must not replace a newer entry: numbers are
    /// never reused, so of two queues with one name the higher number is the newer.
    pub(crate) fn note(&self, name: &str, id: i64, text: String) -> Result<Arc<CachedSettings>, QueueError> {
        let mut known = self.0.lock();
        match known.get(name) {
            Some((found, seen)) if *found == id => Ok(Arc::clone(seen)),
            Some((found, _)) if *found > id => Ok(Arc::new(CachedSettings::new(text)?)),
            _ => {
                let seen = Arc::new(CachedSettings::new(text)?);
                known.insert(name.to_owned(), (id, Arc::clone(&seen)));
                Ok(seen)
            }
        }
    }

    pub(crate) fn forget(&self, name: &str, id: i64) {
        let mut known = self.0.lock();
        if known.get(name).is_some_and(|(found, _)| *found == id) {
            known.remove(name);
        }
    }
}
