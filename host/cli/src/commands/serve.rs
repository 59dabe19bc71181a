//! `serve`: ingest, queue and pipeline on one machine.

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use towpath_core::config::Secrets;
use tracing::info;

use crate::args::Serve;
use crate::compose::{Station, endpoint_token, load_config};
use crate::output::{Exit, Output};
use crate::signals;

pub(super) async fn run(args: Serve, output: &Output) -> anyhow::Result<Exit> {
    let secrets = Secrets::from_env();
    let sqs = args.sqs.map(|at| anyhow::Ok((at, endpoint_token(at, &secrets)?))).transpose()?;
    let mut config = load_config(&args.config, &secrets).await?;
    if let Some(listen) = args.listen {
        config.ingest.listen = listen;
    }
    let prefix = config.ingest.prefix.clone();
    let paths: Vec<String> = config.routes.iter().map(|route| route.path.clone()).collect();
    let station = Station::new(config).await?;
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let address = station.start(&stop, &mut tasks).await?;
    for path in paths {
        output.say(format!("POST http://{address}{prefix}/{path}"));
    }
    if let Some((at, token)) = sqs {
        let address = station.start_sqs(at, token, &stop, &mut tasks).await?;
        output.say(format!("SQS  http://{address}"));
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
