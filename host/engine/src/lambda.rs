//! The Lambda driver: a batch in, the ids that failed out. Lambda deletes what the answer does not name; only dead letters are
//! deleted here, for an invocation that never answers brings all its messages back.

pub mod event;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::pipeline::{Pipeline, Settlement};
use crate::poll::by_group;
use futures_util::future::join_all;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use towpath_registry::Watch;
use towpath_runtime::lease::Lease;
use towpath_runtime::time::reaches;
use towpath_types::clock::Timestamp;
use towpath_types::queue::{Handle, LONGEST_WAIT, MAX_BATCH, MessageId, Queue, Received};
use tracing::{error, info, warn};

use event::{Record, records};

pub use event::EventError;

/// The answer is out this long before the deadline at the latest: a timeout gives back the whole batch,
/// the messages that are done too.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// Giving messages back must fit between the end of the work and the answer.
const SETTLE_MARGIN: Duration = Duration::from_secs(1);

/// The answer of `ReportBatchItemFailures`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The messages that come back. All others are deleted.
    pub batch_item_failures: Vec<Failure>,
}

/// One message that comes back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Its id.
    pub item_identifier: MessageId,
}

/// What an invocation works with.
pub struct Host {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The queue that the messages come from, to give them back to.
    pub queue: Arc<dyn Queue>,
    /// What picks up new versions of plugins, if they come from a registry.
    pub watch: Option<Watch>,
}

impl Host {
    /// Handles one invocation that ends at `deadline`, which Lambda tells by the wall clock. It is over as soon as either
    /// clock says so: a function that was frozen begins nothing more. An error gives the whole batch back.
    pub async fn handle(&self, event: &Value, deadline: Timestamp) -> Result<Response, EventError> {
        let began = self.pipeline.clock.moment();
        let total = deadline.since(self.pipeline.clock.now()).saturating_sub(ANSWER_MARGIN);
        if let Some(watch) = &self.watch {
            watch.look_if_due().await;
        }
        let records = records(event, self.pipeline.clock.now())?;
        let ids: Vec<MessageId> = records.iter().map(|record| record.id.clone()).collect();
        let messages = readable(records);
        // What comes for the first time has receives enough: a function that starts does not wait for an answer.
        if messages.iter().any(|message| message.receive_count > 1) {
            self.pipeline.limits.ask_if_due(&*self.queue).await;
        }
        let results = Results::default();
        let lease = Lease::since(began, total.saturating_sub(SETTLE_MARGIN));
        let work = join_all(by_group(messages).into_iter().map(|group| self.group(group, lease.clone(), &results)));
        tokio::select! {
            biased;
            _ = work => {}
            // The pipeline keeps to its lease; this is for what nobody thought of.
            () = reaches(&began, total) => error!("the work did not end in time, what is not settled is given back"),
        }
        let acked = results.acked();
        let failed: Vec<Failure> =
            ids.iter().filter(|id| !acked.contains(*id)).map(|id| Failure { item_identifier: id.clone() }).collect();
        info!(messages = ids.len(), failed = failed.len(), "batch handled");
        Ok(Response { batch_item_failures: failed })
    }

    /// One group to its end; then what failed of it is given back, tail to head.
    async fn group(&self, messages: Vec<Received>, lease: Lease, results: &Results) {
        let mut run = self.pipeline.group(lease);
        let mut give_back = Vec::new();
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
                    give_back.push((message.handle.clone(), after.min(LONGEST_WAIT)));
                }
            }
            run.settled().await;
        }
        give_back.reverse();
        self.give_back(&give_back).await;
    }

    /// Whether it is deleted. What is not is deleted by the answer, if there is one.
    async fn delete(&self, message: &Received) -> bool {
        let problems = self.queue.delete(std::slice::from_ref(&message.handle)).await;
        let problem = problems.into_iter().find_map(Result::err);
        if let Some(problem) = &problem {
            warn!(message_id = %message.id, error = %problem, "a dead letter could not be deleted, its group waits");
        }
        problem.is_none()
    }

    /// A message that cannot be given back comes back when its visibility timeout runs out.
    async fn give_back(&self, changes: &[(Handle, Duration)]) {
        for changes in changes.chunks(MAX_BATCH) {
            for problem in self.queue.change_visibility(changes).await.into_iter().filter_map(Result::err) {
                warn!(error = %problem, "visibility could not be changed");
            }
        }
    }
}

/// The messages that can be processed. An unreadable record has no body that could be stored elsewhere: it
/// comes back until the queue itself moves it to the dead-letter queue, and until then nothing of its
/// group may overtake it.
fn readable(records: Vec<Record>) -> Vec<Received> {
    let mut blocked = HashSet::new();
    let mut messages = Vec::with_capacity(records.len());
    for Record { id, group, message } in records {
        match message {
            Ok(message) if !blocked.contains(&group) => messages.push(message),
            Ok(_) => warn!(message_id = %id, group = %group, "message waits behind an unreadable record"),
            Err(problem) => {
                error!(message_id = %id, group = %group, problem, "record is unreadable, it is given back");
                blocked.insert(group);
            }
        }
    }
    messages
}

/// The messages that are done with, as groups running side by side report them.
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
