//! `DeleteMessage`, `ChangeMessageVisibility`, and their batches.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use towpath_types::queue::{Handle, Queue as _, QueueError};

use crate::batch;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::numbers::visibility;
use crate::request::{Request, nothing};

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct ReceiptEntry {
    id: String,
    receipt_handle: Option<String>,
    visibility_timeout: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct One {
    queue_url: Option<String>,
    #[serde(flatten)]
    entry: ReceiptEntry,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Many {
    queue_url: Option<String>,
    entries: Vec<ReceiptEntry>,
}

impl ReceiptEntry {
    fn handle(&self) -> Result<Handle, ApiError> {
        self.receipt_handle.clone().map(Handle::from).ok_or_else(|| ApiError::missing("ReceiptHandle"))
    }

    fn change(&self) -> Result<(Handle, Duration), ApiError> {
        let wait = visibility(self.visibility_timeout)?;
        Ok((self.handle()?, wait.ok_or_else(|| ApiError::missing("VisibilityTimeout"))?))
    }
}

impl Endpoint {
    pub(crate) async fn delete_message(&self, request: &Request) -> Result<Value, ApiError> {
        let One { queue_url, entry } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        let handle = entry.handle()?;
        only(queue.delete(std::slice::from_ref(&handle)).await, &handle)
    }

    pub(crate) async fn change_visibility(&self, request: &Request) -> Result<Value, ApiError> {
        let One { queue_url, entry } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        let (handle, wait) = entry.change()?;
        only(queue.change_visibility(&[(handle.clone(), wait)]).await, &handle)
    }

    pub(crate) async fn delete_message_batch(&self, request: &Request) -> Result<Value, ApiError> {
        let Many { queue_url, entries } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        batch::check("DeleteMessageBatch", entries.iter().map(|entry| entry.id.as_str()))?;
        let entries: Vec<_> = entries.into_iter().map(|entry| (entry.handle(), entry.id)).collect();
        let handles: Vec<Handle> = entries.iter().filter_map(|(handle, _)| handle.clone().ok()).collect();
        if handles.is_empty() {
            // No entry is valid, so the queue is not called below. Check here that it still exists.
            queue.current_settings().await?;
        }
        let mut results = of_queue(queue.delete(&handles).await)?;
        let one = |(handle, id): (Result<Handle, ApiError>, String)| (id, settled(handle, &mut results));
        Ok(batch::answer(entries.into_iter().map(one).collect()))
    }

    pub(crate) async fn change_visibility_batch(&self, request: &Request) -> Result<Value, ApiError> {
        let Many { queue_url, entries } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        batch::check("ChangeMessageVisibilityBatch", entries.iter().map(|entry| entry.id.as_str()))?;
        let entries: Vec<_> = entries.into_iter().map(|entry| (entry.change(), entry.id)).collect();
        let changes: Vec<_> = entries.iter().filter_map(|(change, _)| change.clone().ok()).collect();
        if changes.is_empty() {
            queue.current_settings().await?;
        }
        let mut results = of_queue(queue.change_visibility(&changes).await)?;
        let one = |(change, id): (Result<(Handle, Duration), ApiError>, String)| {
            (id, settled(change.map(|(handle, _)| handle), &mut results))
        };
        Ok(batch::answer(entries.into_iter().map(one).collect()))
    }
}

/// The results of a batch. If the queue does not exist, that is the error of the whole request.
fn of_queue(results: Vec<Result<(), QueueError>>) -> Result<impl Iterator<Item = Result<(), QueueError>>, ApiError> {
    match results.first() {
        Some(Err(QueueError::NoSuchQueue { .. })) => Err(ApiError::no_queue()),
        _ => Ok(results.into_iter()),
    }
}

/// The result of one entry: its own error, or else the queue's next result.
fn settled(
    handle: Result<Handle, ApiError>,
    results: &mut impl Iterator<Item = Result<(), QueueError>>,
) -> Result<Value, ApiError> {
    let handle = handle?;
    match results.next() {
        Some(Ok(())) => Ok(json!({})),
        Some(Err(error)) => Err(ApiError::of_handle(error, handle.as_str())),
        None => Err(ApiError::missing("ReceiptHandle")),
    }
}

fn only(results: Vec<Result<(), QueueError>>, handle: &Handle) -> Result<Value, ApiError> {
    match results.into_iter().next() {
        Some(Err(error)) => Err(ApiError::of_handle(error, handle.as_str())),
        _ => nothing(),
    }
}
