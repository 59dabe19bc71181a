//! `poll`: the pipeline over an SQS queue, on a server.

use std::sync::Arc;

use anyhow::Context as _;
use towpath_compose::server::Guard;
use towpath_compose::{Poller, Polling, Supervisor, aws, monitor};
use towpath_telemetry::Telemetry;
use tracing::info;

use crate::args::Poll;
use crate::output::{Exit, Output};

pub(super) async fn run(args: Poll, output: &Output, telemetry: Arc<Telemetry>) -> anyhow::Result<Exit> {
    let config = aws::config_with_secrets(&args.config.file()).await?;
    let polling = Polling { workers: args.workers, wait: args.wait, visibility: args.visibility };
    let poller = Poller::new(config, polling).await?;
    let mut host = Supervisor::new();
    if let Some(file) = &args.story {
        telemetry
            .story
            .open(file)
            .with_context(|| format!("opening {}: --story names another file", file.display()))?;
    }
    let guard = Guard::of(&args.names.allowed);
    let listening = monitor::listen(args.health, guard, Arc::clone(&host.health), telemetry, &mut host.lasting).await;
    let address = listening.context("serving health: --health sets another address")?;
    output.say(format!("polling {}", poller.url));
    output.say(format!("health: http://{address}/healthz, /readyz and /metrics"));
    poller.start(&mut host);
    let ended = host.run().await;
    let totals = poller.pipeline.totals();
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
