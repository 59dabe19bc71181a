//! `towpath`.

use std::process::ExitCode;

use clap::Parser as _;
use towpath::args::{Args, Command, Plugin};
use towpath::{Exit, Output};
use towpath_core::config::env;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    let args = Args::parse();
    let output = Output::new(args.json);
    start_logs(&args);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.error(&anyhow::Error::new(error).context("starting the runtime"));
            return Exit::Failed.into();
        }
    };
    let exit = runtime.block_on(towpath::run(args, &output)).unwrap_or_else(|error| {
        output.error(&error);
        Exit::of(&error)
    });
    // A guest that still runs must not hold up the exit.
    runtime.shutdown_background();
    exit.into()
}

/// The demo narrates; it logs only if it is asked to. `plugin run` shows all that the plugin logs, `plugin fuzz` nothing of it.
fn start_logs(args: &Args) {
    let level = match (&args.log, &args.command) {
        (Some(level), _) => level.parse().unwrap_or(LevelFilter::INFO),
        (None, Command::Demo(_)) => LevelFilter::OFF,
        (None, _) => env::log_level().parse().unwrap_or(LevelFilter::INFO),
    };
    let plugins = match &args.command {
        Command::Plugin(Plugin::Run(_)) => LevelFilter::TRACE,
        // Thousands of mutated events would each say the same.
        Command::Plugin(Plugin::Fuzz(_)) if args.log.is_none() => LevelFilter::OFF,
        _ => level,
    };
    // Each place where the AWS SDK looks for credentials in vain is a screenful; the error that follows says the same.
    let sdk = if level <= LevelFilter::INFO { level.min(LevelFilter::ERROR) } else { level };
    let wanted = Targets::new().with_default(level).with_target("plugin", plugins).with_target("aws_config", sdk);
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let logs = logs.with_ansi(Output::is_terminal()).compact().with_filter(wanted);
    tracing_subscriber::registry().with(logs).init();
}
