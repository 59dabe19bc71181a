//! The local queue as the host's [`Queue`].

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, params};
use tokio::time::{Instant, sleep_until, timeout_at};
use towpath_core::clock::Timestamp;
use towpath_core::queue::{
    Handle, MAX_BATCH, MAX_VISIBILITY, MAX_WAIT, NewMessage, Queue, QueueError, Receive, Received, Sent,
};

use crate::settings::QueueSettings;
use crate::store::{Durability, Store, StoreError, failed};
use crate::{receive, send, settle};

/// One queue of a store. Cheap to clone.
#[derive(Clone)]
pub struct LocalQueue {
    pub(crate) store: Store,
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) settings: QueueSettings,
}

impl Store {
    /// The queue of this name with these settings: it is made if it is not there, and set anew if it is.
    pub async fn queue(&self, name: &str, settings: QueueSettings) -> Result<LocalQueue, StoreError> {
        let (owned, text) = (name.to_owned(), serde_json::to_string(&settings).unwrap_or_default());
        let sql = "INSERT INTO queues (name, settings) VALUES (?1, ?2)
                   ON CONFLICT (name) DO UPDATE SET settings = ?2 RETURNING id";
        let id = self
            .run(Durability::Synced, move |connection| {
                connection.query_row(sql, params![owned, text], |row| row.get(0)).map_err(failed)
            })
            .await?;
        Ok(LocalQueue { store: self.clone(), id, name: name.to_owned(), settings })
    }

    /// The queue of this name, if there is one.
    pub async fn find(&self, name: &str) -> Result<Option<LocalQueue>, StoreError> {
        let owned = name.to_owned();
        let found: Option<(i64, String)> = self
            .run(Durability::Written, move |connection| {
                let sql = "SELECT id, settings FROM queues WHERE name = ?1";
                connection.query_row(sql, [owned], |row| Ok((row.get(0)?, row.get(1)?))).optional().map_err(failed)
            })
            .await?;
        Ok(found.map(|(id, settings)| LocalQueue {
            store: self.clone(),
            id,
            name: name.to_owned(),
            settings: serde_json::from_str(&settings).unwrap_or_default(),
        }))
    }
}

impl LocalQueue {
    /// What the queue is set to.
    pub fn settings(&self) -> &QueueSettings {
        &self.settings
    }

    /// The store that the queue is in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn now(&self) -> Timestamp {
        self.store.clock.now()
    }
}

#[async_trait]
impl Queue for LocalQueue {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, mut message: NewMessage) -> Result<Sent, QueueError> {
        if message.dedup_id.is_empty() && self.settings.content_based_dedup {
            message.dedup_id = send::content_dedup_id(&message.body);
        }
        send::check(&message, &self.settings)?;
        let (queue, scope, now) = (self.id, self.settings.dedup_scope, self.now());
        let store = self.store.clone();
        let retention = self.settings.retention;
        self.store
            .run(Durability::Synced, move |connection| {
                let sent = send::send(connection, queue, scope, retention, message, now)?;
                store.wake(queue);
                Ok(sent)
            })
            .await
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError> {
        check_receive(&request)?;
        let deadline = Instant::now() + request.wait;
        let mut changes = self.store.waker(self.id).subscribe();
        loop {
            changes.mark_unchanged();
            let (queue, settings, now) = (self.id, self.settings.clone(), self.now());
            let (asked, store) = (request.clone(), self.store.clone());
            let received = self
                .store
                .run(Durability::Written, move |connection| {
                    let received = receive::receive(connection, queue, &settings, &asked, now)?;
                    received.touched.iter().for_each(|queue| store.wake(*queue));
                    Ok(received)
                })
                .await?;
            if !received.messages.is_empty() || Instant::now() >= deadline {
                return Ok(received.messages);
            }
            let ready = received.next_ready.map(|at| Instant::now() + at.since(self.now()) + TICK);
            let until = ready.map_or(deadline, |ready| ready.min(deadline));
            if timeout_at(until, changes.changed()).await.is_ok_and(|changed| changed.is_err()) {
                sleep_until(until).await;
            }
        }
    }

    async fn delete(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let (queue, retention, now) = (self.id, self.settings.retention, self.now());
        let (owned, store) = (handles.to_vec(), self.store.clone());
        let done = self
            .store
            .run(Durability::Written, move |connection| {
                let one = |handle| settle::delete(connection, queue, retention, handle, now);
                let results = owned.iter().map(one).collect();
                store.wake(queue);
                settle::unless_broken(results)
            })
            .await;
        spread(done, handles.len())
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        let (queue, retention, now) = (self.id, self.settings.retention, self.now());
        let (owned, store) = (changes.to_vec(), self.store.clone());
        let done = self
            .store
            .run(Durability::Written, move |connection| {
                let one = |(handle, wait): &(Handle, Duration)| {
                    settle::change_visibility(connection, queue, retention, handle, *wait, now)
                };
                let results = owned.iter().map(one).collect();
                store.wake(queue);
                settle::unless_broken(results)
            })
            .await;
        spread(done, changes.len())
    }
}

/// Times are kept in whole milliseconds: one more makes sure that a moment has come.
const TICK: Duration = Duration::from_millis(1);

fn check_receive(request: &Receive) -> Result<(), QueueError> {
    let invalid = |problem: String| Err(QueueError::Invalid(problem));
    if !(1..=MAX_BATCH).contains(&request.max) {
        return invalid(format!("a receive takes 1–{MAX_BATCH} messages, not {}", request.max));
    }
    if request.wait > MAX_WAIT {
        return invalid(format!("a receive waits at most {} s", MAX_WAIT.as_secs()));
    }
    if request.visibility.is_some_and(|visibility| visibility > MAX_VISIBILITY) {
        return invalid("a message is invisible for at most 12 hours".to_owned());
    }
    Ok(())
}

/// One answer an entry; if the store failed, that is everyone's answer.
fn spread(done: Result<Vec<Result<(), QueueError>>, QueueError>, entries: usize) -> Vec<Result<(), QueueError>> {
    match done {
        Ok(results) => results,
        Err(error) => {
            let text = error.to_string();
            let again = || QueueError::Unavailable { queue: "local".to_owned(), source: text.clone().into() };
            (0..entries).map(|_| Err(again())).collect()
        }
    }
}
