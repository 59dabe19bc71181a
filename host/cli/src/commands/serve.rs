//! `serve`: ingest, queue and pipeline on one machine.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use towpath_core::config::Secrets;
use towpath_telemetry::Telemetry;
use tracing::{info, warn};

use crate::args::Serve;
use crate::compose::{Station, endpoint_token, load_config};
use crate::output::{Exit, Output};
use crate::{monitor, signals};

pub(super) async fn run(args: Serve, output: &Output, telemetry: Arc<Telemetry>) -> anyhow::Result<Exit> {
    let secrets = Secrets::from_env();
    let sqs = args.sqs.map(|at| anyhow::Ok((at, endpoint_token(at, &secrets)?))).transpose()?;
    let mut config = load_config(&args.config, &secrets).await?;
    if let Some(listen) = args.listen {
        config.ingest.listen = listen;
    }
    let prefix = config.ingest.prefix.clone();
    let paths: Vec<String> = config.routes.iter().map(|route| route.path.clone()).collect();
    let station = Station::new(config).await?;
    station.keep_story(&telemetry)?;
    station.show_stored();
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let address = match args.ingest_only {
        true => station.start_ingest(&stop, &mut tasks).await?,
        false => station.start(&stop, &mut tasks).await?,
    };
    for path in paths {
        output.say(format!("POST http://{address}{prefix}/{path}"));
    }
    if let Some((at, token)) = sqs {
        let address = station.start_sqs(at, token, &stop, &mut tasks).await?;
        output.say(format!("SQS  http://{address}"));
    }
    // It is there to the end of a drain.
    let mut watched = JoinSet::new();
    if let Some(address) = metrics(args.metrics, telemetry, &stop, &mut watched).await? {
        output.say(format!("metrics http://{address}/metrics"));
    }
    tokio::select! {
        result = signals::watch(stop.clone()) => result?,
        () = async { while tasks.join_next().await.is_some() {} } => {}
    }
    let totals = station.pipeline.totals();
    let (accepted, refused) = (station.ingest.accepted(), station.ingest.refused());
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
    Ok(Exit::Done)
}

/// Where metrics are, unless somebody says otherwise: the port of OpenTelemetry's exporters for Prometheus.
const METRICS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9464);

/// Offers metrics. A second `serve` on a machine goes without, unless it is told where.
async fn metrics(
    asked: Option<SocketAddr>,
    telemetry: Arc<Telemetry>,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Option<SocketAddr>> {
    let stopping = stop.clone();
    let ready = move || if stopping.is_cancelled() { Err("draining") } else { Ok(()) };
    let listening = monitor::listen(asked.unwrap_or(METRICS), Arc::new(ready), telemetry, tasks).await;
    match (listening, asked) {
        (Ok(address), _) => Ok(Some(address)),
        (Err(error), Some(_)) => Err(error.context("--metrics takes another address")),
        (Err(_), None) => {
            warn!(address = %METRICS, "no metrics, another process listens there: --metrics takes another address");
            Ok(None)
        }
    }
}
