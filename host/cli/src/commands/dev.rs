//! `dev`: serve, with hot reload and a fake target.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use towpath_compose::endpoint as sqs;
use towpath_compose::{Station, Supervisor};
use towpath_config::plugin::Code;
use towpath_config::target::Kind;
use towpath_config::{Config, Secret, Secrets};
use towpath_operate::queues::{DEAD_LETTERS, EVENTS};
use towpath_operate::{config, token};
use towpath_telemetry::Telemetry;
use tracing::{error, info};

use super::console::{self, Asked};
use crate::args::Dev;
use crate::lambda::{FunctionConfig, Mapping, Settings, Source};
use crate::output::{Exit, Output};
use crate::reload::Reloader;
use crate::sss::{Call, Chaos, Sss};
use crate::toolchain;

pub(super) async fn run(args: Dev, output: &Output, telemetry: &Telemetry) -> anyhow::Result<Exit> {
    let secrets = Secrets::from_env();
    let given = sqs::token(args.sqs, &secrets)?;
    let mut config = config::load(&args.config.file(), &secrets).await?;
    // The watcher reports absolute paths.
    for settings in config.plugins.values_mut() {
        if let Some(Ok(path)) = settings.code.path().map(Path::canonicalize) {
            settings.code = Code::Path(path);
        }
    }
    if let Some(listen) = args.listen {
        config.ingest.listen = listen;
    }
    let mut host = Supervisor::new();
    if !args.real_targets {
        redirect(&mut config, args.chaos, &mut host, *output).await?;
    }
    let prefix = config.ingest.prefix.clone();
    let paths: Vec<String> = config.routes.iter().map(|route| route.path.clone()).collect();
    let plugins = config.plugins.clone();
    let targets = config.targets.keys().cloned().collect();
    let function = args.lambda.as_ref().map(|_| Source {
        file: config.file.clone(),
        registry: config.registry.clone(),
        plugins: plugins.clone(),
        targets: config.targets.clone(),
    });
    let station = Station::new(config, &args.names.allowed, Arc::clone(&host.health)).await?;
    station.keep_story(telemetry)?;
    let reloader = Reloader {
        engine: station.engine.clone(),
        pipeline: station.pipeline.clone(),
        plugins,
        targets,
        build: (!args.no_build).then_some(toolchain::build),
    };
    let address = match function {
        Some(_) => station.start_ingest(&mut host).await?,
        None => station.start(&mut host).await?,
    };
    for path in paths {
        output.say(format!("POST http://{address}{prefix}/{path}"));
    }
    console::beside(&args.config.file(), Asked::Somewhere(args.console), &args.names.allowed, &mut host, output).await;
    let is_given = given.is_some();
    let token = given.unwrap_or_else(|| Secret::new(token::made()));
    let sqs = station.start_sqs(args.sqs, Some(token.clone()), &mut host).await?;
    output.say(format!("SQS  http://{sqs}"));
    if !is_given {
        output.say(format!("to use it, paste: {}", exports(sqs, &token)));
    }
    match (function, args.lambda) {
        (Some(source), Some(bootstrap)) => {
            let settings = Settings { bootstrap, concurrency: args.lambda_concurrency, timeout: args.lambda_timeout };
            let here = from_here(sqs).to_string();
            let url = |name| towpath_sqs::queue_url(&here, name);
            let config = FunctionConfig::write(&source, &url(EVENTS), &url(DEAD_LETTERS), token)?;
            let events = station.queues.events.clone();
            let mapping = Mapping::new(events, towpath_sqs::arn(EVENTS), settings, config, Arc::clone(&host.health));
            host.tasks.spawn_fallible("event source mapping", mapping.run(host.stop.clone()));
        }
        _ => {
            let stop = host.stop.clone();
            host.tasks.spawn("hot reload", async move {
                if let Some(Err(problem)) = stop.run_until_cancelled(reloader.run()).await {
                    error!(problem = format!("{problem:#}"), "hot reload failed, plugins stay as they are");
                }
                stop.cancelled().await;
            });
        }
    }
    let ended = host.run().await;
    info!("stopped");
    ended.map(|()| Exit::Done)
}

/// The address at which this machine reaches a listener: the loopback address, if it listens on all.
fn from_here(mut at: SocketAddr) -> SocketAddr {
    match at.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => at.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => at.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    at
}

/// The shell variables with which the aws CLI, SDKs and the commands of towpath use the endpoint. Only this line shows the token, so
/// web pages and other users of the machine do not have it.
fn exports(sqs: SocketAddr, token: &Secret) -> String {
    let token = token.expose();
    let region = towpath_sqs::REGION;
    let variable = sqs::VARIABLE;
    format!(
        "export AWS_ENDPOINT_URL_SQS=http://{sqs} AWS_REGION={region} AWS_DEFAULT_REGION={region} \
         AWS_ACCESS_KEY_ID={token} AWS_SECRET_ACCESS_KEY=x {variable}={token}"
    )
}

/// Points every target at the fake SSS, which prints its requests.
async fn redirect(config: &mut Config, chaos: Chaos, host: &mut Supervisor, output: Output) -> anyhow::Result<()> {
    let show = move |call: &Call| {
        let body = String::from_utf8_lossy(&call.body);
        let body: String = body.chars().filter(|c| !c.is_control()).take(160).collect();
        output.say(format!("{} {} {} {body}", call.status, call.method, call.path));
    };
    let (_, address) = Sss::start(chaos, Box::new(show), host.stop.clone(), &mut host.tasks).await?;
    for (name, target) in &mut config.targets {
        let url = format!("http://{address}/{name}");
        let Kind::Http(http) = &mut target.kind;
        http.url = url.parse().with_context(|| format!("the target name {name:?} cannot be part of a URL"))?;
        http.reach.allow_private = true;
    }
    info!(address = %address, "every target is replaced by the fake target");
    Ok(())
}
