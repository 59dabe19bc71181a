//! `bootstrap`: the Lambda host. It hands the host to the runtime.

mod about;

use anyhow::Context as _;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use towpath_aws::{client, config};
use towpath_config::{Config, Secrets, env};
use towpath_engine::lambda::Host;
use towpath_telemetry::{Telemetry, logs};
use towpath_types::clock::Timestamp;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let level = env::log_level();
    let telemetry = Telemetry::of_function()?;
    let logs =
        logs::json(std::io::stdout, Targets::new().with_default(level.clone().unwrap_or(LevelFilter::INFO)), false);
    tracing_subscriber::registry().with(logs).with(telemetry.spans()).init();
    if let Err(problem) = level {
        tracing::warn!(problem, "TOWPATH_LOG is invalid, logging at info");
    }
    let telemetry = &telemetry;
    let host = start().await.inspect_err(|error| tracing::error!(error = format!("{error:#}"), "cannot start"))?;
    let host = &host;
    let serve =
        lambda_runtime::run(service_fn(
            |event: LambdaEvent<Value>| async move { handle(host, telemetry, event).await },
        ));
    match &host.watch {
        None => serve.await,
        // Checks for new versions during long batches; it is frozen with the function between them.
        Some(watch) => tokio::select! {
            result = serve => result,
            never = watch.run() => match never {},
        },
    }
}

/// For a function that is tried with a queue on this machine, which has no Secrets Manager. On Lambda secrets are never
/// read from the environment, which is visible to everybody who may look at the function.
fn of_this_machine(config: &Config) -> Option<Secrets> {
    config.queue.url.as_deref().is_some_and(client::is_local).then(Secrets::from_env)
}

/// Finds every problem during initialisation, before the first message.
async fn start() -> anyhow::Result<Host> {
    let config = config::load(&env::config_file(), of_this_machine).await.context("loading the config")?;
    towpath_compose::function(config).await
}

async fn handle(host: &Host, telemetry: &Telemetry, event: LambdaEvent<Value>) -> Result<Value, Error> {
    if about::is_asked(&event.payload) {
        return Ok(about::answer(&host.pipeline));
    }
    let answer = host.handle(&event.payload, Timestamp(event.context.deadline)).await;
    // The function is frozen once it has answered.
    telemetry.flush();
    Ok(json!(answer?))
}
