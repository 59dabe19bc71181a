//! Runs a built Lambda function (`bootstrap`) behind the local queue, as an SQS event source mapping does, over the Runtime API.

mod answer;
mod function;
mod function_config;
mod record;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use towpath_local::{LocalQueue, Taken};
use towpath_runtime::health::Health;
use towpath_types::clock::Clock;
use towpath_types::queue::{Handle, MAX_BATCH, MessageId, Queue as _, Receive};
use tracing::{info, warn};

use answer::Answer;
use function::Function;
pub(crate) use function_config::{FunctionConfig, Source};

/// A visibility timeout is at least six times the function's. Source: "Using Lambda with Amazon SQS".
const VISIBILITY_FACTOR: u32 = 6;

/// How long one receive waits.
const WAIT: Duration = Duration::from_secs(1);

/// How a function is run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The built function.
    pub(crate) bootstrap: PathBuf,
    /// The number of concurrent invocations.
    pub(crate) concurrency: usize,
    /// How long one invocation may take.
    pub(crate) timeout: Duration,
}

/// An event source mapping: polls, invokes, and deletes the messages that the function does not report as failed.
pub(crate) struct Mapping {
    queue: LocalQueue,
    arn: String,
    settings: Settings,
    config: Arc<FunctionConfig>,
    health: Arc<Health>,
}

impl Mapping {
    pub(crate) fn new(
        queue: LocalQueue,
        arn: String,
        settings: Settings,
        config: FunctionConfig,
        health: Arc<Health>,
    ) -> Mapping {
        Mapping { queue, arn, settings, config: Arc::new(config), health }
    }

    /// Runs until `stop` is cancelled. Fails if a function does not start.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let concurrency = self.settings.concurrency;
        let mapping = Arc::new(self);
        let mut workers = JoinSet::new();
        for _ in 0..concurrency {
            let mapping = Arc::clone(&mapping);
            let stop = stop.clone();
            workers.spawn(async move { mapping.work(stop).await });
        }
        while let Some(ended) = workers.join_next().await {
            if let Err(problem) = ended.unwrap_or_else(|error| Err(error.into())) {
                stop.cancel();
                return Err(problem);
            }
        }
        Ok(())
    }

    /// One function process: batch after batch.
    async fn work(&self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut function = self.start().await?;
        let visibility = self.settings.timeout * VISIBILITY_FACTOR;
        while !stop.is_cancelled() {
            let receive = Receive { max: MAX_BATCH, wait: WAIT, visibility: Some(visibility), attempt_id: None };
            let asked = Clock::wall().moment();
            let batch = match self.queue.take(receive).await {
                Ok(batch) => batch,
                Err(error) => {
                    self.health.failed();
                    warn!(event = "receive-failed", error = %error, "receive failed");
                    tokio::time::sleep(WAIT).await;
                    continue;
                }
            };
            self.health.succeeded();
            if batch.is_empty() {
                continue;
            }
            // An invocation must end within the lease, even if this process was paused since the receive.
            if asked.left_of(visibility) < self.settings.timeout {
                warn!(messages = batch.len(), "lease of a batch expired before it arrived, skipping it");
                continue;
            }
            let answer = function.invoke(&self.event(&batch), self.settings.timeout).await;
            let broken = matches!(answer, Answer::TimedOut | Answer::Exited);
            self.settle(&batch, answer).await;
            if broken {
                function = self.start().await?;
            }
        }
        Ok(())
    }

    async fn start(&self) -> anyhow::Result<Function> {
        match Function::start(&self.settings.bootstrap, &self.config).await? {
            Ok(function) => Ok(function),
            Err(problem) => bail!("{} does not start: {problem}", self.settings.bootstrap.display()),
        }
    }

    fn event(&self, batch: &[Taken]) -> serde_json::Value {
        json!({ "Records": batch.iter().map(|taken| record::record(taken, &self.arn)).collect::<Vec<_>>() })
    }

    /// Deletes the messages that did not fail. Failed ones return when their visibility timeout ends, unless the function changed
    /// it.
    async fn settle(&self, batch: &[Taken], answer: Answer) {
        let ids: Vec<MessageId> = batch.iter().map(|taken| taken.received.id.clone()).collect();
        let failed = match answer.failed(&ids) {
            Ok(failed) => failed,
            Err(problem) => {
                warn!(problem, messages = ids.len(), "invocation failed, the whole batch returns");
                return;
            }
        };
        let done = batch.iter().filter(|taken| !failed.contains(&taken.received.id));
        let handles: Vec<Handle> = done.map(|taken| taken.received.handle.clone()).collect();
        info!(messages = ids.len(), failed = failed.len(), "batch invoked");
        if handles.is_empty() {
            return;
        }
        for error in self.queue.delete(&handles).await.into_iter().filter_map(Result::err) {
            warn!(error = %error, "processed message could not be deleted, it will be received again");
        }
    }
}
