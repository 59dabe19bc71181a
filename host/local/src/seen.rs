//! The settings of queues: as the store holds them, and as this process last read them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, OptionalExtension as _};
use towpath_types::queue::QueueError;

use crate::error::unavailable;
use crate::settings::QueueSettings;

/// A queue that is being removed has no settings, and a name that no client can say.
pub(crate) const SETTINGS: &str = "SELECT settings FROM queues WHERE id = ?1 AND settings <> ''";

/// Number, name and settings of each queue.
pub(crate) const SETTINGS_OF_ALL: &str = "SELECT id, name, settings FROM queues WHERE settings <> '' ORDER BY name";

/// The settings of the queue with this number, if it is there.
pub(crate) fn settings(connection: &Connection, queue: i64) -> rusqlite::Result<Option<QueueSettings>> {
    let text: Option<String> = connection.prepare_cached(SETTINGS)?.query_row([queue], |row| row.get(0)).optional()?;
    Ok(text.map(|text| serde_json::from_str(&text).unwrap_or_default()))
}

/// A queue's settings as this process last read them, with the text that they were read from. Shared by all who use the queue.
#[derive(Debug)]
pub(crate) struct Seen(RwLock<(String, Arc<QueueSettings>)>);

impl Default for Seen {
    /// Nothing was read, and nothing is as if it had been.
    fn default() -> Seen {
        Seen(RwLock::new((String::new(), Arc::default())))
    }
}

impl Seen {
    fn new(text: String) -> Result<Seen, QueueError> {
        let settings = Arc::new(parse(&text)?);
        Ok(Seen(RwLock::new((text, settings))))
    }

    pub(crate) fn settings(&self) -> Arc<QueueSettings> {
        Arc::clone(&self.0.read().1)
    }

    /// The settings in this text, which is what the store holds now.
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
    serde_json::from_str(text).map_err(|error| unavailable(format!("the settings of a queue cannot be read: {error}")))
}

/// The queues that this process knows, by name. One that is gone may still be here: whoever uses it is told.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<String, (i64, Arc<Seen>)>>);

impl Known {
    pub(crate) fn get(&self, name: &str) -> Option<(i64, Arc<Seen>)> {
        self.0.lock().get(name).cloned()
    }

    /// Takes note of a queue. A number is never used again, so of two queues of one name the one with the higher is the
    /// later.
    pub(crate) fn note(&self, name: &str, id: i64, text: String) -> Result<Arc<Seen>, QueueError> {
        let mut known = self.0.lock();
        match known.get(name) {
            Some((found, seen)) if *found == id => Ok(Arc::clone(seen)),
            Some((found, _)) if *found > id => Ok(Arc::new(Seen::new(text)?)),
            _ => {
                let seen = Arc::new(Seen::new(text)?);
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
