//! The local queue as the host's [`Queue`].

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::params;
use tokio::time::{Instant, sleep_until, timeout_at};
use towpath_core::clock::Timestamp;
use towpath_core::queue::{
    GroupId, Handle, MAX_BATCH, MAX_VISIBILITY, MAX_WAIT, NewMessage, Queue, QueueError, Receive, Received, Sent,
};

use crate::queues::SharedSettings;
use crate::receive::Taken;
use crate::send::Extras;
use crate::settings::QueueSettings;
use crate::store::{Durability, Store, failed};
use crate::{limits, receive, send, settle};

/// One queue of a store. Cheap to clone.
#[derive(Clone)]
pub struct LocalQueue {
    pub(crate) store: Store,
    pub(crate) id: i64,
    pub(crate) name: String,
    settings: SharedSettings,
}

impl LocalQueue {
    /// What the queue is set to now.
    pub fn settings(&self) -> Arc<QueueSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The store that the queue is in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn new(store: Store, id: i64, name: String, settings: SharedSettings) -> LocalQueue {
        LocalQueue { store, id, name, settings }
    }

    fn now(&self) -> Timestamp {
        self.store.clock.now()
    }

    /// Sends with what only a client of SQS may say.
    pub async fn send_with(&self, message: NewMessage, extras: Extras) -> Result<Sent, QueueError> {
        let mut sent = self.send_all(vec![(message, extras)]).await?;
        sent.pop().unwrap_or_else(|| Err(QueueError::Invalid("nothing to send".to_owned())))
    }

    /// Sends several messages in one transaction, in order; one answer a message.
    pub async fn send_all(
        &self,
        messages: Vec<(NewMessage, Extras)>,
    ) -> Result<Vec<Result<Sent, QueueError>>, QueueError> {
        let (queue, settings, now, store) = (self.id, self.settings(), self.now(), self.store.clone());
        let send = move |connection: &rusqlite::Connection| {
            let mut sent = Vec::with_capacity(messages.len());
            for (mut message, extras) in messages {
                if message.dedup_id.is_empty() && settings.content_based_dedup {
                    message.dedup_id = send::content_dedup_id(&message.body);
                }
                sent.push(match limits::check(&message, &settings) {
                    Ok(()) => Ok(send::send(connection, queue, &settings, message, &extras, now)?),
                    Err(wrong) => Err(wrong.into()),
                });
            }
            store.wake(queue);
            Ok(sent)
        };
        self.store.run(Durability::Synced, send).await
    }

    /// Receives with what only a client of SQS asks for.
    pub async fn take(&self, request: Receive) -> Result<Vec<Taken>, QueueError> {
        check_receive(&request)?;
        let deadline = Instant::now() + request.wait;
        let mut changes = self.store.waker(self.id).subscribe();
        loop {
            changes.mark_unchanged();
            let (queue, settings, now) = (self.id, self.settings(), self.now());
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
}

#[async_trait]
impl Queue for LocalQueue {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, message: NewMessage) -> Result<Sent, QueueError> {
        self.send_with(message, Extras::default()).await
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError> {
        Ok(self.take(request).await?.into_iter().map(|taken| taken.received).collect())
    }

    async fn delete(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let (queue, settings, now) = (self.id, self.settings(), self.now());
        let (owned, store) = (handles.to_vec(), self.store.clone());
        let done = self
            .store
            .run(Durability::Written, move |connection| {
                let one = |handle| settle::delete(connection, queue, &settings, handle, now);
                let results = owned.iter().map(one).collect();
                store.wake(queue);
                settle::unless_broken(results)
            })
            .await;
        spread(done, handles.len())
    }

    async fn has_group(&self, group: &GroupId) -> Result<Option<bool>, QueueError> {
        let (queue, group) = (self.id, group.0.clone());
        let sql = "SELECT 1 FROM groups WHERE queue = ?1 AND name = ?2";
        let read = move |connection: &rusqlite::Connection| {
            connection.prepare_cached(sql)?.exists(params![queue, group]).map(Some)
        };
        self.store.run(Durability::Written, move |connection| read(connection).map_err(failed)).await
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        let (queue, settings, now) = (self.id, self.settings(), self.now());
        let (owned, store) = (changes.to_vec(), self.store.clone());
        let done = self
            .store
            .run(Durability::Written, move |connection| {
                let one = |(handle, wait): &(Handle, Duration)| {
                    settle::change_visibility(connection, queue, &settings, handle, *wait, now)
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
