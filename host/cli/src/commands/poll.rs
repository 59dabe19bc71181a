//! `poll`: the pipeline over a queue of SQS, on a server.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use towpath_deliver::holds::Watched;
use towpath_engine::pipeline::Pipeline;
use towpath_engine::poll::{self, Options};
use towpath_telemetry::Telemetry;
use towpath_types::clock::Clock;
use towpath_types::queue::Queue;
use towpath_verify::note_keys::NoteKeys;
use tracing::info;

use crate::args::Poll;
use crate::compose::{HOLDS_MEMORY, Parts, config_file, watch_registry};
use crate::output::{Exit, Output};
use crate::server::Guard;
use crate::supervisor::Supervisor;
use crate::{aws, monitor};

pub(super) async fn run(args: Poll, output: &Output, telemetry: Arc<Telemetry>) -> anyhow::Result<Exit> {
    let file = config_file(&args.config);
    let config = aws::config_with_secrets(&file).await?;
    let (Some(url), Some(dead_letter_url)) = (&config.queue.url, &config.queue.dead_letter_url) else {
        bail!("{} names no SQS queue: add queue.url and queue.dead_letter_url, or run `towpath serve`", file.display());
    };
    let (url, clock) = (url.clone(), Clock::wall());
    let queue = aws::queue(&url).await?;
    let limits = queue.limits().await.with_context(|| format!("asking the queue {url}"))?;
    if let Some(problem) = limits.problem().filter(|_| limits.cannot_last()) {
        bail!("the queue {url} does not let messages wait: {problem}");
    }
    let dead_letters = aws::queue(dead_letter_url).await?;
    let holds = match config.holds.clone() {
        Some(url) => Some(Watched::new(aws::holds(url).await?, HOLDS_MEMORY, clock)),
        None => None,
    };
    let (concurrency, wait, visibility) = (config.queue.concurrency, args.wait, args.visibility);
    let options = Options { concurrency, wait, visibility, clock };
    let note_keys = NoteKeys::new(config.note_keys.clone());
    let parts = Parts::new(config, options.concurrency * args.workers, holds, clock).await?;
    let source = queue.name().to_owned();
    let Parts { routes, plugins, watch, deliverer, .. } = parts;
    let mut pipeline = Pipeline::new(routes, plugins, deliverer, dead_letters, source, clock);
    pipeline.note_keys = note_keys;
    let pipeline = Arc::new(pipeline);
    pipeline.limits.set(limits);
    let mut host = Supervisor::new();
    watch_limits(Arc::clone(&queue), Arc::clone(&pipeline), &mut host);
    if let Some(file) = &args.story {
        telemetry
            .story
            .open(file)
            .with_context(|| format!("opening {}: --story takes another file", file.display()))?;
    }
    let guard = Guard::of(&args.names.allowed);
    let listening = monitor::listen(args.health, guard, Arc::clone(&host.health), telemetry, &mut host.lasting).await;
    let address = listening.context("--health takes another address")?;
    output.say(format!("polling {url}"));
    output.say(format!("health: http://{address}/healthz, /readyz and /metrics"));
    if let Some(watch) = watch {
        watch_registry(Arc::new(watch), &mut host);
    }
    for _ in 0..args.workers {
        let (queue, pipeline, health) = (Arc::clone(&queue), Arc::clone(&pipeline), Arc::clone(&host.health));
        host.tasks.spawn_fallible("pipeline", poll::run(queue, pipeline, options, health, host.stop.clone()));
    }
    let ended = host.run().await;
    let totals = pipeline.totals();
    info!(
        delivered = totals.delivered,
        skipped = totals.skipped,
        dead = totals.dead,
        shadow_agreed = totals.shadow_agreed,
        shadow_differed = totals.shadow_differed,
        "stopped"
    );
    ended.map(|()| Exit::Done)
}

/// Waits follow the limits of the queue, also after they are changed.
fn watch_limits(queue: Arc<dyn Queue>, pipeline: Arc<Pipeline>, host: &mut Supervisor) {
    let stop = host.stop.clone();
    host.tasks.spawn("queue limits", async move {
        stop.run_until_cancelled(pipeline.limits.watch(&*queue)).await;
    });
}
