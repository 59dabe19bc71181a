//! `poll`: the pipeline over a queue of SQS, on a server.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use towpath_core::clock::Clock;
use towpath_core::holds::Watched;
use towpath_core::pipeline::Pipeline;
use towpath_core::poll::{self, Health, Options};
use tracing::info;

use crate::args::Poll;
use crate::compose::{HOLDS_MEMORY, Parts, config_file};
use crate::output::{Exit, Output};
use crate::{aws, server, signals};

pub(super) async fn run(args: Poll, output: &Output) -> anyhow::Result<Exit> {
    let file = config_file(&args.config);
    let config = aws::config_with_secrets(&file).await?;
    let (Some(url), Some(dead_letter_url)) = (&config.queue.url, &config.queue.dead_letter_url) else {
        bail!("{} names no SQS queue: add queue.url and queue.dead_letter_url, or run `towpath serve`", file.display());
    };
    let (url, clock) = (url.clone(), Clock::wall());
    let queue = aws::queue(&url).await?;
    let dead_letters = aws::queue(dead_letter_url).await?;
    let holds = match config.holds.clone() {
        Some(url) => Some(Watched::new(aws::holds(url).await?, HOLDS_MEMORY)),
        None => None,
    };
    let options = Options { concurrency: config.queue.concurrency, wait: args.wait, visibility: args.visibility };
    let parts = Parts::new(config, options.concurrency * args.workers, holds, clock).await?;
    let source = queue.name().to_owned();
    let Parts { routes, plugins, watch, deliverer, .. } = parts;
    let pipeline = Arc::new(Pipeline::new(routes, plugins, deliverer, dead_letters, source, clock));
    let (stop, health, mut tasks) = (CancellationToken::new(), Arc::new(Health::default()), JoinSet::new());
    let address = listen(args.health, Arc::clone(&health), stop.clone(), &mut tasks).await?;
    output.say(format!("polling {url}\nhealth: http://{address}/healthz and /readyz"));
    if let Some(watch) = watch {
        let stop = stop.clone();
        tasks.spawn(async move {
            stop.run_until_cancelled(watch.run()).await;
        });
    }
    let mut workers = JoinSet::new();
    for _ in 0..args.workers {
        let (queue, pipeline) = (Arc::clone(&queue), Arc::clone(&pipeline));
        workers.spawn(poll::run(queue, pipeline, options, Arc::clone(&health), stop.clone()));
    }
    tokio::select! {
        result = signals::watch(stop.clone()) => result?,
        () = async { while workers.join_next().await.is_some() {} } => {}
    }
    let totals = pipeline.totals();
    info!(
        delivered = totals.delivered,
        skipped = totals.skipped,
        dead = totals.dead,
        shadow_agreed = totals.shadow_agreed,
        shadow_differed = totals.shadow_differed,
        "stopped"
    );
    Ok(Exit::Done)
}

/// Tells whoever asks how it is: `/healthz` answers while the process lives, `/readyz` while it takes work.
async fn listen(
    address: SocketAddr,
    health: Arc<Health>,
    stop: CancellationToken,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("listening on {address}: --health takes another address"))?;
    let address = listener.local_addr().context("listening")?;
    let ready = async move || match (stop.is_cancelled(), health.is_ready()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "the queue does not answer\n"),
        (false, true) => (StatusCode::OK, "ready\n"),
    };
    let router = Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready));
    // It ends with the process: a drain can be watched to its end.
    tasks.spawn(server::serve(listener, router, CancellationToken::new()));
    Ok(address)
}
