//! `bootstrap`: the Lambda host. It puts the parts together and hands them to the runtime.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::time::Instant;
use towpath_aws::lambda::{Host, Response};
use towpath_aws::{S3Holds, SqsQueue, client};
use towpath_core::clock::Clock;
use towpath_core::config::{Config, Secrets, env};
use towpath_core::deliver::Deliverer;
use towpath_core::holds::Watched;
use towpath_core::pipeline::Pipeline;
use towpath_core::plugin::{Engine, Plugin, Plugins};
use towpath_core::queue::Queue;

/// How long holds that were read count: a hold or a resume is felt after this.
const HOLDS_MEMORY: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let level = env::log_level().parse().unwrap_or(tracing::Level::INFO);
    tracing_subscriber::fmt().json().with_max_level(level).without_time().with_ansi(false).init();
    let host = start().await.inspect_err(|error| tracing::error!(error = format!("{error:#}"), "cannot start"))?;
    let host = &host;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move { handle(host, event).await })).await
}

/// Everything that can be wrong is found here, before the first message: during initialisation.
async fn start() -> anyhow::Result<Host> {
    let config = Config::load(&env::config_file(), &Secrets::from_env()).context("loading the config")?;
    let (Some(url), Some(dead_letter_url)) = (config.queue.url, config.queue.dead_letter_url) else {
        bail!("on Lambda the config needs [queue] with url and dead_letter_url");
    };
    let clock = Clock::wall();
    let engine = Engine::new().map_err(|error| anyhow::anyhow!("{error:#}")).context("starting the plugin engine")?;
    let mut plugins = Vec::new();
    for (name, settings) in config.plugins {
        let plugin = Plugin::load(&engine, settings).with_context(|| format!("loading the plugin {name}"))?;
        plugin.check_targets(config.targets.keys().map(String::as_str)).with_context(|| format!("plugin {name}"))?;
        plugins.push(plugin);
    }
    let queue: Arc<dyn Queue> = Arc::new(SqsQueue::new(client::sqs(&url).await, url));
    let dead_letters = Arc::new(SqsQueue::new(client::sqs(&dead_letter_url).await, dead_letter_url));
    let holds = match config.holds {
        Some(url) => Some(Watched::new(Arc::new(S3Holds::new(client::s3().await, url)), HOLDS_MEMORY)),
        None => None,
    };
    let deliverer = Deliverer::new(config.targets, holds, clock).context("preparing delivery")?;
    let source = queue.name().to_owned();
    let pipeline = Pipeline::new(config.routes, Plugins::new(plugins), deliverer, dead_letters, source, clock);
    Ok(Host { pipeline, queue })
}

async fn handle(host: &Host, event: LambdaEvent<Value>) -> Result<Response, Error> {
    let left = Duration::from_millis(event.context.deadline.saturating_sub(host.pipeline.clock.now().0));
    Ok(host.handle(&event.payload, Instant::now() + left).await?)
}
