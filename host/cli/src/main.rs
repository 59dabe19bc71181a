//! `towpath`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use towpath::args::{Args, Command, Plugin};
use towpath::{Exit, Output};
use towpath_config::env;
use towpath_telemetry::{Telemetry, TelemetryError, logs};
use tracing::level_filters::LevelFilter;
use tracing::warn;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    let args = Args::parse();
    let output = Output::new(args.json);
    let telemetry = match start_telemetry(&args) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            output.failure(&anyhow::Error::new(error).context("starting telemetry"));
            return Exit::Failed.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.failure(&anyhow::Error::new(error).context("starting the runtime"));
            return Exit::Failed.into();
        }
    };
    let command = AssertUnwindSafe(|| runtime.block_on(towpath::run(args, &output, Arc::clone(&telemetry))));
    let exit = match catch_unwind(command) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => {
            output.failure(&error);
            Exit::of(&error)
        }
        // The panic hook has printed its message.
        Err(_) => Exit::Failed,
    };
    // A guest that still runs must not hold up the exit.
    runtime.shutdown_background();
    // Exports the last metrics and spans.
    telemetry.flush();
    exit.into()
}

/// The demo logs only with `--log`, because it prints what happens. `plugin run` shows everything that the plugin logs,
/// `plugin fuzz` nothing.
fn start_telemetry(args: &Args) -> Result<Arc<Telemetry>, TelemetryError> {
    let given = env::log_level();
    let level = match (&args.log, &args.command) {
        (Some(level), _) => level.parse().unwrap_or(LevelFilter::INFO),
        (None, Command::Demo(_)) => LevelFilter::OFF,
        (None, _) => given.clone().unwrap_or(LevelFilter::INFO),
    };
    let plugins = match &args.command {
        Command::Plugin(Plugin::Run(_)) => LevelFilter::TRACE,
        // Each of thousands of mutated events would log the same.
        Command::Plugin(Plugin::Fuzz(_)) if args.log.is_none() => LevelFilter::OFF,
        _ => level,
    };
    // The AWS SDK logs a screenful for each place without credentials; the error that follows says the same.
    let sdk = if level <= LevelFilter::INFO { level.min(LevelFilter::ERROR) } else { level };
    let wanted = Targets::new().with_default(level).with_target("plugin", plugins).with_target("aws_config", sdk);
    let logs = match args.log_format.as_str() {
        "json" => logs::json(std::io::stderr, wanted, true),
        _ => logs::text(std::io::stderr, wanted, Output::is_terminal()),
    };
    let telemetry = match &args.command {
        Command::Serve(_) | Command::Poll(_) | Command::Dev(_) => Telemetry::of_process()?,
        _ => Telemetry::none(),
    };
    let story = logs::json(telemetry.story.clone(), logs::story(), true);
    tracing_subscriber::registry().with(logs).with(story).with(telemetry.spans()).init();
    if let (Err(problem), None) = (given, &args.log) {
        warn!(problem, "TOWPATH_LOG is invalid, logging at info");
    }
    Ok(Arc::new(telemetry))
}
