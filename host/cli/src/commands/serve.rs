//! `serve`: ingest, queue and pipeline on one machine.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::bail;
use towpath_compose::endpoint;
use towpath_compose::monitor;
use towpath_compose::server::Guard;
use towpath_compose::{Station, Supervisor};
use towpath_config::Secrets;
use towpath_operate::config;
use towpath_runtime::health::Health;
use towpath_runtime::tasks::Tasks;
use towpath_telemetry::Telemetry;
use tracing::{info, warn};

use super::console::{self, Asked};
use crate::args::Serve;
use crate::output::{Exit, Output};

pub(super) async fn run(args: Serve, output: &Output, telemetry: Arc<Telemetry>) -> anyhow::Result<Exit> {
    let secrets = Secrets::from_env();
    let sqs = args.sqs.map(|at| anyhow::Ok((at, endpoint::token(at, &secrets)?))).transpose()?;
    let file = args.config.file();
    let mut config = config::load(&file, &secrets).await?;
    let console = args.console.or_else(|| config.console.as_ref().map(|_| None));
    if let Some(listen) = args.listen {
        config.ingest.listen = listen;
    }
    let prefix = config.ingest.prefix.clone();
    let paths: Vec<String> = config.routes.iter().map(|route| route.path.clone()).collect();
    if args.ingest_only
        && config.note_key_names.is_empty()
        && let Some(route) = config.routes.iter().find(|route| route.is_vouched_for())
    {
        bail!(
            "the route {} has split and verify, so other hosts need to know that its events were verified here: name a secret, \
            [dead_letters] note_key = \"notes\", here and there",
            route.path
        );
    }
    let mut host = Supervisor::new();
    let station = Station::new(config, &args.names.allowed, Arc::clone(&host.health)).await?;
    station.keep_story(&telemetry)?;
    station.show_stored();
    let address =
        if args.ingest_only { station.start_ingest(&mut host).await? } else { station.start(&mut host).await? };
    for path in paths {
        output.say(format!("POST http://{address}{prefix}/{path}"));
    }
    if let Some((at, token)) = sqs {
        let address = station.start_sqs(at, token, &mut host).await?;
        output.say(format!("SQS  http://{address}"));
    }
    if let Some(at) = console {
        console::beside(&file, Asked::At(at), &args.names.allowed, &mut host, output).await;
    }
    let guard = Guard::of(&args.names.allowed);
    if let Some(address) = metrics(args.metrics, guard, telemetry, Arc::clone(&host.health), &mut host.lasting).await? {
        output.say(format!("metrics http://{address}/metrics"));
    }
    let ended = host.run().await;
    let totals = station.pipeline.totals();
    let accepted = station.ingest.accepted();
    let refused = station.ingest.refused();
    info!(
        accepted,
        refused,
        delivered = totals.delivered,
        skipped = totals.skipped,
        dead = totals.dead,
        shadow_agreed = totals.shadow_agreed,
        shadow_differed = totals.shadow_differed,
        "stopped"
    );
    ended.map(|()| Exit::Done)
}

/// The default address of metrics: the port of OpenTelemetry's Prometheus exporters.
const METRICS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9464);

/// Serves metrics. A second `serve` on a machine has none unless `--metrics` sets an address.
async fn metrics(
    asked: Option<SocketAddr>,
    guard: Guard,
    telemetry: Arc<Telemetry>,
    health: Arc<Health>,
    tasks: &mut Tasks,
) -> anyhow::Result<Option<SocketAddr>> {
    let listening = monitor::listen(asked.unwrap_or(METRICS), guard, health, telemetry, tasks).await;
    match (listening, asked) {
        (Ok(address), _) => Ok(Some(address)),
        (Err(error), Some(_)) => Err(error.context("serving metrics: --metrics sets another address")),
        (Err(_), None) => {
            warn!(address = %METRICS, "metrics address is taken, serving none: --metrics sets another address");
            Ok(None)
        }
    }
}
