//! `bootstrap`: the Lambda host. It assembles the parts and hands them to the runtime.

mod about;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use towpath_aws::{S3Holds, SqsQueue, client, config};
use towpath_config::{Config, Secrets, env};
use towpath_deliver::Deliverer;
use towpath_deliver::holds::Watched;
use towpath_engine::lambda::Host;
use towpath_engine::pipeline::Pipeline;
use towpath_plugin::Engine;
use towpath_telemetry::{Telemetry, logs};
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::queue::Queue;
use towpath_verify::note_keys::NoteKeys;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How long holds are cached, and so the delay until a hold or a resume takes effect.
const HOLDS_MEMORY: Duration = Duration::from_secs(10);

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
    let Config { queue, targets, plugins: settings, holds, registry, routes, note_keys, .. } =
        config::load(&env::config_file(), of_this_machine).await.context("loading the config")?;
    let (Some(url), Some(dead_letter_url)) = (queue.url, queue.dead_letter_url) else {
        bail!("on Lambda the config needs [queue] with url and dead_letter_url");
    };
    let clock = Clock::wall();
    let engine = Engine::new().map_err(|error| anyhow::anyhow!("{error:#}")).context("starting the plugin engine")?;
    let registry = match &registry {
        Some(at) => Some(towpath_compose::registry(at).await?),
        None => None,
    };
    let names = targets.keys().cloned().collect();
    let (plugins, watch) = towpath_registry::open(&engine, &settings, names, registry, clock).await?;
    let queue: Arc<dyn Queue> = Arc::new(SqsQueue::new(client::sqs(&url).await, url));
    let dead_letters = Arc::new(SqsQueue::new(client::sqs(&dead_letter_url).await, dead_letter_url));
    let holds = match holds {
        Some(url) => Some(Watched::new(Arc::new(S3Holds::new(client::s3().await, url)), HOLDS_MEMORY, clock)),
        None => None,
    };
    let mut deliverer = Deliverer::new(targets, holds, clock).context("preparing delivery")?;
    if deliverer.needs_aws_credentials() {
        deliverer = deliverer.sign_with(client::credentials().await.context("finding credentials for aws-sigv4")?);
    }
    let source = queue.name().to_owned();
    let mut pipeline = Pipeline::new(routes, plugins, deliverer, dead_letters, source, clock);
    pipeline.note_keys = NoteKeys::new(note_keys);
    Ok(Host { pipeline, queue, watch })
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
