//! The Lambda driver: takes a batch, returns the ids that failed. Lambda deletes the messages that the response does
//! not name. Only dead-lettered messages are deleted here, because an invocation without a response returns all its
//! messages to the queue.

pub mod event;

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use crate::pipeline::{Pipeline, Settlement};
use crate::poll::by_group;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{timeout, timeout_at};
use towpath_registry::Watch;
use towpath_runtime::lease::Lease;
use towpath_runtime::tasks::panic_text;
use towpath_runtime::time::reaches;
use towpath_types::clock::Timestamp;
use towpath_types::queue::{Handle, LONGEST_WAIT, MAX_BATCH, MAX_VISIBILITY, MessageId, Queue, Received};
use tracing::{error, info, warn};

use event::{Record, records};

pub use event::EventError;

/// The response is sent at least this long before the deadline: a timeout would return the whole batch to the queue,
/// with the messages that are finished.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// The time reserved for releasing messages between the end of the work and the response.
const SETTLE_MARGIN: Duration = Duration::from_secs(1);

/// How long the archive may keep the response back.
const ARCHIVE_WAIT: Duration = Duration::from_millis(200);

/// How long messages stay invisible after their invocation: Lambda deletes the finished ones once it has the response.
const AFTER_INVOCATION: Duration = Duration::from_secs(30);

/// The response that `ReportBatchItemFailures` defines.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The messages that return to the queue. Lambda deletes all others.
    pub batch_item_failures: Vec<Failure>,
}

/// A message that returns to the queue.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub item_identifier: MessageId,
}

/// What invocations share.
pub struct Host {
    pub pipeline: Pipeline,
    /// The queue that the messages come from.
    pub queue: Arc<dyn Queue>,
    /// Picks up new plugin versions, if there is a registry.
    pub watch: Option<Watch>,
    /// Whether the queue's visibility timeout may end before an invocation does.
    pub extends_visibility: bool,
}

impl Host {
    /// Handles one invocation that ends at `deadline`, which Lambda gives in wall-clock time. The invocation is over as
    /// soon as either the wall clock or the monotonic clock says so, so a function that was frozen begins no more work.
    /// An error returns the whole batch to the queue.
    pub async fn handle(&self, event: &Value, deadline: Timestamp) -> Result<Response, EventError> {
        let began = self.pipeline.clock.moment();
        let total = deadline.since(self.pipeline.clock.now()).saturating_sub(ANSWER_MARGIN);
        if let Some(watch) = &self.watch {
            watch.look_if_due().await;
        }
        let records = records(event, self.pipeline.clock.now())?;
        let ids: Vec<MessageId> = records.iter().map(|record| record.id.clone()).collect();
        let lease = Lease::since(began, total.saturating_sub(SETTLE_MARGIN));
        let mut messages = readable(records);
        if self.extends_visibility {
            let extended = self.extended(messages, total + ANSWER_MARGIN);
            messages = timeout_at(lease.deadline(), extended).await.unwrap_or_else(|_| {
                warn!(event = "extend-failed", "visibility not extended in time, the batch returns to the queue");
                Vec::new()
            });
        }
        // First receives have enough receives left, so a cold start need not wait for the queue's limits.
        if messages.iter().any(|message| message.receive_count > 1) {
            self.pipeline.limits.ask_if_due(&*self.queue).await;
        }
        let results = Results::default();
        let work = join_all(by_group(messages).into_iter().map(|group| self.group(group, lease.clone(), &results)));
        tokio::select! {
            biased;
            _ = work => {}
            // The pipeline keeps to its lease. This catches a bug in it.
            () = reaches(&began, total) => {
                error!(event = "batch-timed-out", "batch timed out, unsettled messages return to the queue");
            }
        }
        self.flush(began.left_of(total)).await;
        let acked = results.acked();
        let failed: Vec<Failure> =
            ids.iter().filter(|id| !acked.contains(*id)).map(|id| Failure { item_identifier: id.clone() }).collect();
        info!(event = "batch-handled", messages = ids.len(), failed = failed.len(), "batch handled");
        Ok(Response { batch_item_failures: failed })
    }

    /// Hands on what the archive buffered: once it has the response, Lambda deletes these messages and may freeze the process. Nothing that
    /// the archive does changes the response.
    async fn flush(&self, left: Duration) {
        let Some(archive) = &self.pipeline.archive else { return };
        let flush = AssertUnwindSafe(archive.flush()).catch_unwind();
        // An archive that is cancelled counts and logs what it drops.
        if let Ok(Err(panic)) = timeout(left.min(ARCHIVE_WAIT), flush).await {
            error!(
                event = "archive-panicked",
                panic = panic_text(&*panic),
                "the archive panicked: this is a bug in towpath"
            );
        }
    }

    /// Extends the messages past the end of the invocation. What cannot be extended may be in another batch by now: it
    /// returns to the queue, and the messages behind it in its group with it.
    async fn extended(&self, messages: Vec<Received>, rest: Duration) -> Vec<Received> {
        let mut lost = HashSet::new();
        let mut kept = Vec::with_capacity(messages.len());
        let wait = (rest + AFTER_INVOCATION).min(MAX_VISIBILITY);
        for messages in messages.chunks(MAX_BATCH) {
            let changes: Vec<_> = messages.iter().map(|message| (message.handle.clone(), wait)).collect();
            for (message, changed) in messages.iter().zip(self.queue.change_visibility(&changes).await) {
                if let Err(problem) = changed {
                    warn!(
                        event = "extend-failed",
                        message_id = %message.id,
                        group = %message.group,
                        error = %problem,
                        "visibility cannot be extended, message returns to the queue with the rest of its group"
                    );
                    lost.insert(message.group.clone());
                }
                if !lost.contains(&message.group) {
                    kept.push(message.clone());
                }
            }
        }
        kept
    }

    /// Processes one group, then releases the messages that failed, last to first.
    async fn group(&self, messages: Vec<Received>, lease: Lease, results: &Results) {
        let mut run = self.pipeline.group(lease);
        let mut released = Vec::new();
        for message in &messages {
            match run.next(message).await {
                Settlement::Ack => results.ack(&message.id),
                Settlement::Buried => {
                    results.ack(&message.id);
                    if !self.delete(message).await {
                        run.block();
                    }
                }
                Settlement::Retry(after) => {
                    released.push((message.handle.clone(), after.min(LONGEST_WAIT)));
                }
            }
            run.settled().await;
        }
        released.reverse();
        self.release(&released).await;
    }

    /// Deletes a dead-lettered message. If that fails, the response deletes it.
    async fn delete(&self, message: &Received) -> bool {
        let problems = self.queue.delete(std::slice::from_ref(&message.handle)).await;
        let problem = problems.into_iter().find_map(Result::err);
        if let Some(problem) = &problem {
            warn!(
                event = "delete-failed",
                message_id = %message.id,
                error = %problem,
                "dead-lettered message cannot be deleted yet, its group waits"
            );
        }
        problem.is_none()
    }

    /// A message that cannot be released returns when its visibility timeout ends.
    async fn release(&self, changes: &[(Handle, Duration)]) {
        for changes in changes.chunks(MAX_BATCH) {
            for problem in self.queue.change_visibility(changes).await.into_iter().filter_map(Result::err) {
                warn!(
                    event = "release-failed",
                    error = %problem,
                    "message cannot be released, it returns when its visibility timeout ends"
                );
            }
        }
    }
}

/// The messages that can be processed. An unreadable record has no body to dead-letter. It returns to the queue until
/// the queue itself dead-letters it, and until then no message of its group may overtake it.
fn readable(records: Vec<Record>) -> Vec<Received> {
    let mut blocked = HashSet::new();
    let mut messages = Vec::with_capacity(records.len());
    for Record { id, group, message } in records {
        match message {
            Ok(message) if !blocked.contains(&group) => messages.push(message),
            Ok(_) => {
                warn!(
                    event = "message-blocked",
                    message_id = %id,
                    group = %group,
                    "message waits behind an unreadable record"
                );
            }
            Err(problem) => {
                error!(
                    event = "record-unreadable",
                    message_id = %id,
                    group = %group,
                    problem,
                    "record unreadable, it returns to the queue"
                );
                blocked.insert(group);
            }
        }
    }
    messages
}

/// The ids of finished messages. Groups report them concurrently.
#[derive(Default)]
struct Results(Mutex<HashSet<MessageId>>);

impl Results {
    fn ack(&self, id: &MessageId) {
        self.0.lock().insert(id.clone());
    }

    fn acked(&self) -> HashSet<MessageId> {
        self.0.lock().clone()
    }
}
