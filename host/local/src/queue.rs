//! One queue of a store. Each operation checks in its own transaction that the queue still exists.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};
use towpath_types::clock::Timestamp;
use towpath_types::queue::QueueError;

use crate::error::failed;
use crate::holder::Holder;
use crate::seen::{CachedSettings, SETTINGS};
use crate::settings::QueueSettings;
use crate::store::Store;
use crate::writer::Durability;

/// One queue of a store. Cheap to clone.
#[derive(Clone)]
pub struct LocalQueue {
    pub(crate) store: Store,
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) seen: Arc<CachedSettings>,
    /// The host whose leases its receives begin; `None` for a client of the SQS endpoint.
    pub(crate) holder: Option<i64>,
}

impl LocalQueue {
    /// The settings as of this process's last operation on the queue.
    pub fn settings(&self) -> Arc<QueueSettings> {
        self.seen.settings()
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn new(store: Store, id: i64, name: String, seen: Arc<CachedSettings>) -> LocalQueue {
        LocalQueue { store, id, name, seen, holder: None }
    }

    /// This queue for the pipeline of a host: if the host is killed, [`Store::release_gone`] releases what it received.
    #[must_use]
    pub fn held_by(&self, holder: &Holder) -> LocalQueue {
        LocalQueue { holder: Some(holder.id()), ..self.clone() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.store.clock.now()
    }

    /// The settings that the store holds now.
    pub async fn current_settings(&self) -> Result<Arc<QueueSettings>, QueueError> {
        let id = self.id;
        let read = move |connection: &Connection| {
            connection.prepare_cached(SETTINGS)?.query_row([id], |row| row.get::<_, String>(0)).optional()
        };
        let text = self.store.read(read).await?.ok_or_else(|| self.gone())?;
        self.seen.read(&text)
    }

    /// Runs an operation in a transaction, with the queue's settings as of that transaction. Fails with `NoSuchQueue` if the
    /// queue was removed.
    pub(crate) async fn run<T, F>(&self, durability: Durability, operation: F) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: Fn(&Connection, &QueueSettings) -> Result<T, QueueError> + Send + 'static,
    {
        let queue = self.clone();
        let operation = move |connection: &Connection| operation(connection, &*queue.read(connection)?);
        self.store.run(durability, operation).await
    }

    /// Forgets the removed queue in this process, and returns the error for it.
    fn gone(&self) -> QueueError {
        self.store.shared.queues.forget(&self.name, self.id);
        self.store.let_sleep(self.id);
        QueueError::NoSuchQueue { queue: self.name.clone() }
    }

    /// The settings as of this transaction.
    pub(crate) fn read(&self, connection: &Connection) -> Result<Arc<QueueSettings>, QueueError> {
        let mut statement = connection.prepare_cached(SETTINGS).map_err(failed)?;
        let mut rows = statement.query([self.id]).map_err(failed)?;
        match rows.next().map_err(failed)? {
            Some(row) => self.seen.read(row.get_ref(0).and_then(|text| Ok(text.as_str()?)).map_err(failed)?),
            None => Err(self.gone()),
        }
    }
}
