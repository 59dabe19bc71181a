//! A host on a server that polls SQS, for `poll`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::sync::mpsc;
use towpath_archive::Segments;
use towpath_config::Config;
use towpath_deliver::holds::{MEMORY, Watched};
use towpath_engine::pipeline::Pipeline;
use towpath_engine::poll::{self, Options};
use towpath_operate::aws;
use towpath_registry::Watch;
use towpath_runtime::time::wall_clock;
use towpath_types::archive::Archive;
use towpath_types::holds::Holds;
use towpath_types::queue::Queue;

use crate::alerts::Rules;
use crate::flushes;
use crate::parts::Parts;
use crate::plugins::engine;
use crate::supervisor::Supervisor;
use crate::{archive, pointers};

/// How to poll a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Polling {
    /// The number of receivers; each works on up to `queue.concurrency` groups.
    pub workers: usize,
    /// How long one receive waits.
    pub wait: Duration,
    /// How long messages stay hidden after a crash.
    pub visibility: Duration,
}

/// A host that polls SQS, put together and not yet started.
pub struct Poller {
    /// The URL of the queue.
    pub url: String,
    /// The pipeline.
    pub pipeline: Arc<Pipeline>,
    queue: Arc<dyn Queue>,
    watch: Option<Arc<Watch>>,
    segments: Option<Arc<Segments>>,
    rules: Option<Rules>,
    holds: Option<Arc<dyn Holds>>,
    options: Options,
    workers: usize,
}

impl Poller {
    /// Puts the parts together. Fails if a queue does not answer, or does not let messages wait.
    pub async fn new(config: Config, polling: Polling) -> anyhow::Result<Poller> {
        let (Some(url), Some(dead_letter_url)) = (&config.queue.url, &config.queue.dead_letter_url) else {
            bail!(
                "{} names no SQS queue: add queue.url and queue.dead_letter_url, or run `towpath serve`",
                config.file.display()
            );
        };
        let url = url.clone();
        let clock = wall_clock();
        let queue = aws::queue(&url).await?;
        let limits = queue.limits().await.with_context(|| format!("asking the queue {url}"))?;
        if let Some(problem) = limits.problem().filter(|_| limits.cannot_last()) {
            bail!("the queue {url} does not let messages wait: {problem}");
        }
        let dead_letters = aws::queue(dead_letter_url).await?;
        let holds = match config.holds.clone() {
            Some(url) => Some(aws::holds(url).await?),
            None => None,
        };
        let watched = holds.clone().map(|holds| Watched::new(holds, MEMORY, clock));
        let rules = Rules::of(&config);
        let segments = archive::of(&config.archive);
        let archive = match config.archive.stream.clone() {
            Some(stream) => Some(crate::aws::archive(&url, stream).await?),
            None => segments.clone().map(|segments| segments as Arc<dyn Archive>),
        };
        let Polling { workers, wait, visibility } = polling;
        let concurrency = config.queue.concurrency;
        let options = Options { concurrency, wait, visibility, clock };
        let sequences = pointers::of_host(&config)?;
        let parts = Parts::new(engine(concurrency * workers)?, config, sequences, watched, clock).await?;
        let (mut pipeline, watch) = parts.pipeline(dead_letters, queue.name().to_owned());
        pipeline.archive = archive;
        pipeline.limits.set(limits);
        let pipeline = Arc::new(pipeline);
        let watch = watch.map(Arc::new);
        Ok(Poller { url, pipeline, queue, watch, segments, rules, holds, options, workers })
    }

    /// Starts receiving, until the host stops.
    pub fn start(&self, host: &mut Supervisor) {
        self.watch_limits(host);
        if let Some(watch) = self.watch.clone() {
            host.watch_registry(watch);
        }
        if let Some(rules) = self.rules.clone() {
            // Ingest is elsewhere.
            rules.watch(Arc::clone(&self.pipeline), self.holds.clone(), || 0, self.options.clock).start(host);
        }
        let (working, drained) = mpsc::channel::<()>(1);
        match (&self.segments, &self.pipeline.archive) {
            (Some(segments), _) => archive::look_after(Arc::clone(segments), wall_clock(), host),
            (None, Some(archive)) => host.tasks.spawn("archive", flushes::run(Arc::clone(archive), drained)),
            (None, None) => {}
        }
        for _ in 0..self.workers {
            let (queue, pipeline, health) =
                (Arc::clone(&self.queue), Arc::clone(&self.pipeline), Arc::clone(&host.health));
            let stop = host.stop.clone();
            let polling = poll::run(queue, pipeline, self.options, health, stop);
            let working = working.clone();
            host.tasks.spawn_fallible("pipeline", async move {
                let ended = polling.await;
                drop(working);
                ended
            });
        }
    }

    /// Keeps the pipeline's waits within the limits of the queue, also after those change.
    fn watch_limits(&self, host: &mut Supervisor) {
        let queue = Arc::clone(&self.queue);
        let pipeline = Arc::clone(&self.pipeline);
        let stop = host.stop.clone();
        host.tasks.spawn("queue limits", async move {
            stop.run_until_cancelled(pipeline.limits.watch(&*queue)).await;
        });
    }
}
