//! `deploy check`, `pause`, and `resume` without a target: what is deployed on AWS, and its switch.

mod checks;

use anyhow::{Context as _, bail};
use towpath_aws::limits;
use towpath_aws::operate::{Mapping, Operator};
use towpath_config::{Config, Secrets};
use towpath_engine::decide::HELD_CAP;
use towpath_operate::config;
use towpath_registry::{Registry, TARGETS};
use towpath_types::clock::Clock;

use crate::args::{ConfigFile, Deploy};
use crate::output::{Exit, Output, mark, plain};
use checks::{Deployed, Released, Row};

pub(super) async fn run(command: Deploy, output: &Output) -> anyhow::Result<Exit> {
    match command {
        Deploy::Check { config } => check(&config, output).await,
    }
}

async fn check(args: &ConfigFile, output: &Output) -> anyhow::Result<Exit> {
    let config = config::load(&args.file(), &Secrets::placeholders()).await?;
    let deployed = look(&config, args.file().to_string_lossy().into_owned()).await?;
    let rows = checks::all(&config, &deployed);
    if output.is_json() {
        output.json(&rows);
    }
    for Row { check, problem, .. } in &rows {
        output.say_spans([plain("  "), mark(problem.is_none()), plain(format!(" {check}"))]);
        if let Some(problem) = problem {
            output.say(format!("     {problem}"));
        }
    }
    let failed = rows.iter().filter(|row| row.problem.is_some()).count();
    output.say("");
    output.say(format!("{} checks, {failed} failed", rows.len()));
    Ok(if failed == 0 { Exit::Done } else { Exit::Findings })
}

/// Everything that the checks look at.
async fn look(config: &Config, config_at: String) -> anyhow::Result<Deployed> {
    let (Some(url), Some(dead_letter_url)) = (&config.queue.url, &config.queue.dead_letter_url) else {
        bail!("{} names no SQS queue: `deploy check` is for a deployment on AWS", config.file.display());
    };
    let operator = Operator::new(url).await;
    let queue = operator.queue(url).await?;
    let dead_letters = operator.queue(dead_letter_url).await?;
    let mappings = operator.mappings(queue.get("QueueArn").map_or("", String::as_str)).await?;
    let (mut function, mut about) = (None, None);
    if let Some(mapping) = mappings.first() {
        let found = operator.function(&mapping.function).await?;
        about = Some(operator.about(&found.name).await.map_err(|error| error.to_string()));
        function = Some(found);
    }
    let alarms = operator.alarms().await?;
    let registry = match &config.registry {
        Some(at) => Some(towpath_compose::registry(at).await?),
        None => None,
    };
    let mut released = Vec::new();
    for (name, settings) in &config.plugins {
        if let (towpath_config::plugin::Code::Registry(reference), Some(registry)) = (&settings.code, &registry) {
            let found = release(registry, reference, settings.min_sequence).await;
            released.push(Released { plugin: name.clone(), optional: settings.optional, found });
        }
    }
    Ok(Deployed { config_at, queue, dead_letters, mappings, function, about, alarms, released })
}

/// The release that a reference means now, if a host would load it.
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
    match lacking.is_empty() {
        true => Ok(release),
        false => Err(format!("{} is not compiled for {}", release.version, lacking.join(" and "))),
    }
}

/// Lets the mapping of the config's queue take messages, or lets them wait.
pub(super) async fn switch(args: &ConfigFile, on: bool, output: &Output) -> anyhow::Result<Exit> {
    let config = config::load(&args.file(), &Secrets::placeholders()).await?;
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
    if output.is_json() {
        let ids: Vec<&str> = mappings.iter().map(|mapping| mapping.id.as_str()).collect();
        output.json(&serde_json::json!({ "mappings": ids, "enabled": on }));
    }
    let limits = limits(|name| queue.get(name).map(String::as_str));
    let now = Clock::wall().now();
    output.say(match on {
        true => format!(
            "resumed: what waited goes on, in order, as soon as Lambda has switched the mapping on; what waits for a retry or a held \
            target by {} at the latest",
            now + limits.look_within(limits.last_call(), HELD_CAP)
        ),
        false => format!(
            "paused: messages are stored and wait, in order, until `towpath resume`; batches under way are finished. SQS deletes a \
            message {} after it was stored: one that is stored now on {}",
            humantime::format_duration(limits.retention),
            now + limits.retention
        ),
    });
    Ok(Exit::Done)
}
