//! `towpath`.

use std::process::ExitCode;

use clap::Parser as _;
use towpath::args::{Args, Command};
use towpath::{Exit, Output};
use towpath_core::config::env;
use tracing::level_filters::LevelFilter;

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
        Exit::Failed
    });
    // A guest that still runs must not hold up the exit.
    runtime.shutdown_background();
    exit.into()
}

/// The demo narrates; it logs only if it is asked to.
fn start_logs(args: &Args) {
    let level = match (&args.log, &args.command) {
        (Some(level), _) => level.parse().unwrap_or(LevelFilter::INFO),
        (None, Command::Demo(_)) => LevelFilter::OFF,
        (None, _) => env::log_level().parse().unwrap_or(LevelFilter::INFO),
    };
    let logs = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    logs.with_ansi(Output::is_terminal()).compact().init();
}
