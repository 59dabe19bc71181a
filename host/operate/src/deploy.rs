//! Checks a deployment on AWS, and pauses it.

mod checks;

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;
use towpath_aws::limits;
use towpath_aws::operate::{Mapping, Operator};
use towpath_config::Config;
use towpath_engine::next_try::HELD_CAP;
use towpath_registry::{Registry, TARGETS};

use checks::{Deployed, Released};

pub use checks::Row;

/// Checks whether the deployment fits the config, which was read from `config_at`.
pub async fn check(config: &Config, config_at: String, registry: Option<&Registry>) -> anyhow::Result<Vec<Row>> {
    let deployed = look(config, config_at, registry).await?;
    Ok(checks::all(config, &deployed))
}

/// Reads everything that the checks need.
async fn look(config: &Config, config_at: String, registry: Option<&Registry>) -> anyhow::Result<Deployed> {
    let (Some(url), Some(dead_letter_url)) = (&config.queue.url, &config.queue.dead_letter_url) else {
        bail!("{} names no SQS queue: `towpath deploy check` is for a deployment on AWS", config.file.display());
    };
    let operator = Operator::new(url).await;
    let queue = operator.queue(url).await?;
    let dead_letters = operator.queue(dead_letter_url).await?;
    let mappings = operator.mappings(queue.get("QueueArn").map_or("", String::as_str)).await?;
    let mut function = None;
    let mut about = None;
    if let Some(mapping) = mappings.first() {
        let found = operator.function(&mapping.function).await?;
        about = Some(operator.about(&found.name).await.map_err(|error| error.to_string()));
        function = Some(found);
    }
    let alarms = operator.alarms().await?;
    let stream = match &config.archive.stream {
        Some(name) => Some(operator.stream(name).await.map_err(|error| error.to_string())),
        None => None,
    };
    let mut released = Vec::new();
    for (name, settings) in &config.plugins {
        if let (towpath_config::plugin::Code::Registry(reference), Some(registry)) = (&settings.code, registry) {
            let found = release(registry, reference, settings.min_sequence).await;
            released.push(Released { plugin: name.clone(), optional: settings.optional, found });
        }
    }
    Ok(Deployed { config_at, queue, dead_letters, mappings, function, about, alarms, stream, released })
}

/// The release that a reference resolves to now, if a host would load it.
async fn release(
    registry: &Registry,
    reference: &towpath_config::registry::Reference,
    min_sequence: u64,
) -> Result<towpath_registry::Release, String> {
    let chosen = registry.resolve(reference, min_sequence).await.map_err(|error| error.to_string())?;
    let chosen = chosen.first().ok_or("nothing is published")?;
    let release = registry.release(&reference.name, chosen).await.map_err(|error| error.to_string())?;
    let lacking: Vec<&str> =
        TARGETS.into_iter().filter(|target| !release.builds.iter().any(|build| build.target == *target)).collect();
    if lacking.is_empty() {
        Ok(release)
    } else {
        Err(format!("{} is not compiled for {}", release.version, lacking.join(" and ")))
    }
}

/// The result of a pause or resume.
#[derive(Clone, Debug, Serialize)]
pub struct Switched {
    /// Whether the mappings are enabled.
    pub enabled: bool,
    /// The ids of the mappings.
    pub mappings: Vec<String>,
    /// How long the queue keeps a message.
    #[serde(skip)]
    pub retention: Duration,
    /// How soon everything that waits is checked again.
    #[serde(skip)]
    pub look_within: Duration,
}

/// Enables or disables the mappings of the config's queue. While they are disabled, messages wait.
pub async fn switch(config: &Config, on: bool) -> anyhow::Result<Switched> {
    let Some(url) = &config.queue.url else {
        bail!("{} names no SQS queue: on one machine stop `towpath serve`, or hold its targets", config.file.display());
    };
    let operator = Operator::new(url).await;
    let queue = operator.queue(url).await?;
    let arn = queue.get("QueueArn").context("the queue has no ARN")?;
    let mappings = operator.mappings(arn).await?;
    if mappings.is_empty() {
        bail!("nothing takes messages from {url}: is the function deployed?");
    }
    for Mapping { id, .. } in &mappings {
        operator.switch(id, on).await?;
    }
    let limits = limits(|name| queue.get(name).map(String::as_str));
    Ok(Switched {
        mappings: mappings.into_iter().map(|mapping| mapping.id).collect(),
        enabled: on,
        retention: limits.retention,
        look_within: limits.look_within(limits.last_call(), HELD_CAP),
    })
}
