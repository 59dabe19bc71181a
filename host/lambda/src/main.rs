//! `bootstrap`: the Lambda host. It hands the host to the runtime.

mod about;

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use anyhow::Context as _;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use towpath_aws::config::{self, LoadError};
use towpath_aws::{Waiting, client};
use towpath_config::{Config, Secrets, env};
use towpath_engine::lambda::Host;
use towpath_telemetry::{Telemetry, logs};
use towpath_types::clock::{Clock, Timestamp};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let level = env::log_level();
    let emf = env::writes_emf();
    let telemetry = Telemetry::of_function(emf.clone().unwrap_or(true))?;
    let logs =
        logs::json(std::io::stdout, Targets::new().with_default(level.clone().unwrap_or(LevelFilter::INFO)), false);
    tracing_subscriber::registry().with(logs).with(telemetry.spans()).init();
    if let Err(problem) = level {
        tracing::warn!(problem, "TOWPATH_LOG is invalid, logging at info");
    }
    if let Err(problem) = emf {
        tracing::warn!(problem, "TOWPATH_EMF is invalid, writing metrics");
    }
    let telemetry = &telemetry;
    let hosts = start().await.inspect_err(|error| tracing::error!(error = format!("{error:#}"), "cannot start"))?;
    let hosts = &hosts;
    let serve = lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        let host = hosts.current(load, again).await;
        if about::is_asked(&event.payload) {
            return Ok(about::answer(&host.pipeline, &hosts.unready().await));
        }
        handle(&host, telemetry, event).await
    }));
    // Checks for new versions during long batches; it is frozen with the function between them.
    tokio::select! {
        result = serve => result,
        never = watch(hosts) => match never {},
    }
}

/// Watches for new versions of the plugins of whichever host is current.
async fn watch(hosts: &Waiting<Host>) -> Infallible {
    loop {
        let host = hosts.get().await;
        let newer = async {
            match &host.watch {
                Some(watch) => watch.run().await,
                None => pending().await,
            }
        };
        tokio::select! {
            never = newer => match never {},
            () = hosts.replaced() => {}
        }
    }
}

/// For a function that is tried with a queue on this machine, which has no Secrets Manager. On Lambda secrets are never
/// read from the environment, which is visible to everybody who may look at the function.
fn of_this_machine(config: &Config) -> Option<Secrets> {
    config.queue.url.as_deref().is_some_and(client::is_local).then(Secrets::from_env)
}

/// Finds every problem during initialisation, before the first message. Only secrets, and plugins of a registry, may come later.
async fn start() -> anyhow::Result<Waiting<Host>> {
    let config = load().await.context("loading the config")?;
    let unready = config.unready();
    let host = towpath_compose::function(config).await?;
    Ok(Waiting::new(host, unready, Clock::wall()))
}

/// The host with more secrets. A registry that fails now must not cost it a plugin.
async fn again(config: Config, before: Arc<Host>) -> anyhow::Result<Host> {
    let host = towpath_compose::function(config).await?;
    for plugin in before.pipeline.plugins.all() {
        let name = plugin.name();
        host.pipeline.plugins.get(name).with_context(|| format!("plugin {name:?} cannot be loaded again"))?;
    }
    Ok(host)
}

async fn load() -> Result<Config, LoadError> {
    config::load_function(&env::config_file(), of_this_machine).await
}

async fn handle(host: &Host, telemetry: &Telemetry, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let answer = host.handle(&event.payload, Timestamp(event.context.deadline)).await;
    // The function is frozen once it has answered.
    telemetry.flush();
    Ok(json!(answer?))
}
