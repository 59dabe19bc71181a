//! `deploy check`, `pause`, and `resume` without a target: check a deployment on AWS, pause and resume it.

use towpath_config::Secrets;
use towpath_operate::config;
use towpath_operate::deploy::{self, Row};
use towpath_types::clock::Clock;

use crate::args::{ConfigFile, Deploy};
use crate::output::{Exit, Output, mark, plain};

pub(super) async fn run(command: Deploy, output: &Output) -> anyhow::Result<Exit> {
    match command {
        Deploy::Check { config } => check(&config, output).await,
    }
}

async fn check(args: &ConfigFile, output: &Output) -> anyhow::Result<Exit> {
    let config = config::load(&args.file(), &Secrets::placeholders()).await?;
    let registry = match &config.registry {
        Some(at) => Some(towpath_compose::registry(at).await?),
        None => None,
    };
    let at = args.file().to_string_lossy().into_owned();
    let rows = deploy::check(&config, at, registry.as_ref()).await?;
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

/// Enables or disables what feeds the config's queue to Lambda.
pub(super) async fn switch(args: &ConfigFile, on: bool, output: &Output) -> anyhow::Result<Exit> {
    let config = config::load(&args.file(), &Secrets::placeholders()).await?;
    let switched = deploy::switch(&config, on).await?;
    if output.is_json() {
        output.json(&switched);
    }
    let now = Clock::wall().now();
    let text = if on {
        format!(
            "resumed: messages are processed, in order, as soon as Lambda has enabled the mapping; those that wait for a \
             retry or a held target are checked again by {}",
            now + switched.look_within
        )
    } else {
        format!(
            "paused: messages are stored and wait, in order, until `towpath resume`; batches in flight are finished. SQS \
             deletes a message {} after it was stored: one that is stored now at {}",
            humantime::format_duration(switched.retention),
            now + switched.retention
        )
    };
    output.say(text);
    Ok(Exit::Done)
}
