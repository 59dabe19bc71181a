//! The local queue as the host's [`Queue`].

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::params;
use tokio::time::{Instant, timeout_at};
use towpath_types::dead_letter::UNVERIFIED;
use towpath_types::queue::is_id;
use towpath_types::queue::{
    Arrival, GroupId, Handle, Holdings, MAX_BATCH, MAX_RETENTION, MAX_VISIBILITY, MAX_WAIT, NewMessage, Part, Proof,
    Queue, QueueError, QueueLimits, Receive, Received, Sent,
};

use crate::queue::LocalQueue;
use crate::receive::Batch;
use crate::send::Extras;
use crate::settings::QueueSettings;
use crate::taken::Taken;
use crate::writer::Durability;
use crate::{counts, limits, receive, send, settle};

impl LocalQueue {
    /// Sends a message, with extras that only clients of the SQS endpoint and ingest use.
    pub async fn send_with(&self, message: NewMessage, extras: Extras) -> Result<Sent, QueueError> {
        let mut sent = self.send_all(vec![(message, extras)]).await?;
        sent.pop().unwrap_or_else(|| Err(QueueError::Invalid("nothing to send".to_owned())))
    }

    /// Sends messages in one transaction, in order. Returns one result for each message.
    pub async fn send_all(
        &self,
        messages: Vec<(NewMessage, Extras)>,
    ) -> Result<Vec<Result<Sent, QueueError>>, QueueError> {
        let queue = self.id;
        let store = self.store.clone();
        let send = move |connection: &rusqlite::Connection, settings: &QueueSettings| {
            let now = store.clock.now();
            let one = |(message, extras): &(NewMessage, Extras)| {
                let message = send::with_dedup_id(message, settings);
                match limits::check(&message, settings) {
                    Ok(()) => Ok(Ok(send::send(connection, queue, settings, &message, extras, now)?)),
                    Err(wrong) => Ok(Err(wrong.into())),
                }
            };
            let sent = messages.iter().map(one).collect();
            store.wake(queue);
            sent
        };
        self.run(Durability::Synced, send).await
    }

    /// Receives messages, with the fields that only clients of the SQS endpoint need.
    pub async fn take(&self, request: Receive) -> Result<Vec<Taken>, QueueError> {
        check_receive(&request)?;
        let deadline = Instant::now() + request.wait;
        let waker = self.store.waker(self.id);
        // A receive that is repeated may get what the first one got, whatever else there is.
        if request.wait.is_zero() || request.attempt_id.is_some() {
            let found = self.look(&request).await?;
            if request.wait.is_zero() || !found.messages.is_empty() {
                return Ok(found.messages);
            }
        }
        let mut changes = waker.changes.subscribe();
        let Ok(_turn) = timeout_at(deadline, waker.turn.lock()).await else { return Ok(Vec::new()) };
        loop {
            let version = *changes.borrow_and_update();
            match waker.nothing_for(version, self.now()) {
                Some(_) if Instant::now() >= deadline => return Ok(Vec::new()),
                Some(rest) => {
                    let until = deadline.min(Instant::now() + rest);
                    let _ = timeout_at(until, changes.changed()).await;
                }
                None => {
                    let found = self.look(&request).await?;
                    waker.note(version, found.next_ready);
                    // Others may change the queue all the time without a message for this poll.
                    if !found.messages.is_empty() || Instant::now() >= deadline {
                        return Ok(found.messages);
                    }
                }
            }
        }
    }

    /// Receives without waiting.
    async fn look(&self, request: &Receive) -> Result<Batch, QueueError> {
        let queue = self.id;
        let holder = self.holder;
        let asked = request.clone();
        let store = self.store.clone();
        let look = move |connection: &rusqlite::Connection, settings: &QueueSettings| {
            let found = receive::receive(connection, queue, settings, holder, &asked, store.clock.now())?;
            found.touched.iter().for_each(|queue| store.wake(*queue));
            Ok(found)
        };
        self.run(Durability::Written, look).await
    }

    /// Changes the visibility of messages, each by this operation.
    async fn settle(&self, changes: &[(Handle, Duration)], change: settle::Change) -> Vec<Result<(), QueueError>> {
        let queue = self.id;
        let owned = changes.to_vec();
        let store = self.store.clone();
        let done = self
            .run(Durability::Written, move |connection, settings| {
                let now = store.clock.now();
                let one = |(handle, wait): &(Handle, Duration)| change(connection, queue, settings, handle, *wait, now);
                let results = owned.iter().map(one).collect();
                store.wake(queue);
                settle::unless_broken(results)
            })
            .await;
        spread(done, changes.len())
    }
}

#[async_trait]
impl Queue for LocalQueue {
    fn name(&self) -> &str {
        &self.name
    }

    fn max_message_bytes(&self) -> usize {
        self.settings().max_message_bytes
    }

    async fn send(&self, message: NewMessage) -> Result<Sent, QueueError> {
        self.send_with(message, Extras::default()).await
    }

    async fn arrive(&self, message: NewMessage, arrival: Arrival) -> Result<Sent, QueueError> {
        self.send_with(message, Extras { arrival, ..Extras::default() }).await
    }

    async fn arrive_all(&self, parts: Vec<Part>, proof: Option<Proof>) -> Result<Vec<Sent>, QueueError> {
        let queue = self.id;
        let store = self.store.clone();
        let arrive = move |connection: &rusqlite::Connection, settings: &QueueSettings| {
            let sent = send::arrive(connection, queue, settings, &parts, proof.as_ref(), store.clock.now());
            store.wake(queue);
            sent
        };
        self.run(Durability::Synced, arrive).await
    }

    async fn holdings(&self) -> Result<Option<Holdings>, QueueError> {
        let queue = self.id;
        self.store.read(move |connection| counts::holdings(connection, queue)).await.map(Some)
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError> {
        Ok(self.take(request).await?.into_iter().map(|taken| taken.received).collect())
    }

    /// No response can get lost within one process. A receive that fails took nothing; if its commit panicked late, its
    /// messages become visible again after their timeout.
    fn loses_answers(&self) -> bool {
        false
    }

    async fn delete(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let queue = self.id;
        let owned = handles.to_vec();
        let store = self.store.clone();
        let done = self
            .run(Durability::Written, move |connection, settings| {
                let now = store.clock.now();
                let one = |handle| settle::delete(connection, queue, settings, handle, now);
                let results: Vec<_> = owned.iter().map(one).collect();
                // Wake only if a deleted message had another one of its group behind it.
                if results.iter().any(|more| matches!(more, Ok(true))) {
                    store.wake(queue);
                }
                settle::unless_broken(results.into_iter().map(|done| done.map(drop)).collect())
            })
            .await;
        spread(done, handles.len())
    }

    /// Reports at most the retention of SQS, also for a queue that never expires messages, so that waits are planned the
    /// same way.
    async fn limits(&self) -> Result<QueueLimits, QueueError> {
        let settings = self.settings();
        let max_receives = settings.redrive.as_ref().map(|redrive| redrive.max_receive_count);
        Ok(QueueLimits { retention: settings.retention.min(MAX_RETENTION), max_receives })
    }

    async fn has_group(&self, group: &GroupId) -> Result<Option<bool>, QueueError> {
        let queue = self.id;
        let group = group.to_string();
        // The head decides, unless it is an unverified webhook, which anyone could have sent. Then the index is searched
        // for another reason, on both sides of `unverified`.
        let sql = "SELECT 1 FROM groups g WHERE g.queue = ?1 AND g.name = ?2 AND (
            (SELECT m.reason IS NOT ?3 FROM messages m WHERE m.seq = g.head)
            OR EXISTS (SELECT 1 FROM messages m WHERE m.grp = g.id AND m.reason IS NOT NULL AND m.reason < ?3)
            OR EXISTS (SELECT 1 FROM messages m WHERE m.grp = g.id AND m.reason IS NOT NULL AND m.reason > ?3))";
        // A read sees every acknowledged send, because that is committed.
        self.store
            .read(move |connection| connection.prepare_cached(sql)?.exists(params![queue, group, UNVERIFIED]).map(Some))
            .await
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        self.settle(changes, settle::change_visibility).await
    }

    async fn release(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        self.settle(changes, settle::release).await
    }
}

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
    match &request.attempt_id {
        Some(id) if !is_id(id) => Err(limits::Wrong::AttemptId(id.clone()).into()),
        _ => Ok(()),
    }
}

/// One result for each entry. If the store failed, every entry gets that error.
fn spread(done: Result<Vec<Result<(), QueueError>>, QueueError>, entries: usize) -> Vec<Result<(), QueueError>> {
    match done {
        Ok(results) => results,
        Err(QueueError::NoSuchQueue { queue }) => {
            (0..entries).map(|_| Err(QueueError::NoSuchQueue { queue: queue.clone() })).collect()
        }
        Err(error) => {
            let text = error.to_string();
            let again = || QueueError::Unavailable { queue: "local".to_owned(), source: text.clone().into() };
            (0..entries).map(|_| Err(again())).collect()
        }
    }
}

#[cfg(test)]
mod tests;
