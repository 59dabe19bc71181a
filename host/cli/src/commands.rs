//! The commands.

mod archive;
mod bench;
mod chaos;
mod check;
mod console;
mod demo;
#[cfg(feature = "aws")]
mod deploy;
mod dev;
mod dlq;
mod erase;
mod group;
mod hold;
mod init;
mod mcp;
pub(crate) mod plugin;
mod poll;
mod provider;
mod record;
mod replay;
mod secret;
mod send;
mod serve;
mod status;
mod store;
mod tail;
mod trace;

use std::sync::Arc;

use clap::CommandFactory as _;
#[cfg(not(feature = "aws"))]
use towpath_runtime::without_aws::WithoutAws;
use towpath_telemetry::Telemetry;

use crate::args::{Args, Command, Config, ConfigFile, Store};
use crate::output::{Exit, Output};

/// Runs the command. Hosts export metrics and traces through `telemetry`.
pub async fn run(args: Args, output: &Output, telemetry: Arc<Telemetry>) -> anyhow::Result<Exit> {
    match args.command {
        Command::Bench(bench) => bench::run(bench, output).await,
        Command::Chaos(chaos) => chaos::run(chaos, output).await,
        Command::Demo(demo) => demo::run(demo, output).await,
        Command::Init(init) => init::run(&init, output),
        Command::Serve(serve) => serve::run(serve, output, telemetry).await,
        Command::Dev(dev) => dev::run(dev, output, &telemetry).await,
        Command::Poll(poll) => poll::run(poll, output, telemetry).await,
        Command::Hold(hold) => hold::hold(hold, output).await,
        Command::Resume(resume) if resume.target.is_none() => switch(&resume.place.config, true, output).await,
        Command::Resume(resume) => hold::resume(resume, output).await,
        Command::Pause(pause) => switch(&pause.config, false, output).await,
        #[cfg(feature = "aws")]
        Command::Deploy(command) => deploy::run(command, output).await,
        #[cfg(not(feature = "aws"))]
        Command::Deploy(_) => anyhow::bail!(WithoutAws),
        Command::Status(status) => status::run(status, output).await,
        Command::Console(console) => console::run(console, output).await,
        Command::Mcp(mcp) => mcp::run(mcp).await,
        Command::Send(send) => send::run(send, output).await,
        Command::Record(record) => record::run(record, output).await,
        Command::Plugin(plugin) => plugin::run(plugin, output).await,
        Command::Config(Config::Check { config, skip_secrets, skip_plugins }) => {
            check::run(&config, skip_secrets, skip_plugins, output).await
        }
        Command::Provider(command) => provider::run(command, output).await,
        Command::Secret(command) => secret::run(command, output).await,
        Command::Group(group) => group::run(group, output).await,
        Command::Dlq(dlq) => dlq::run(dlq, output).await,
        Command::Archive(archive) => archive::run(archive, output).await,
        Command::Replay(replay) => replay::run(*replay, output).await,
        Command::Erase(erase) => erase::run(*erase, output).await,
        Command::Tail(tail) => tail::run(tail, output).await,
        Command::Trace(trace) => trace::run(trace, output).await,
        Command::Store(Store::Compact { store, config }) => store::compact(store, &config, output).await,
        Command::Store(Store::Recover { from, to, queue }) => {
            store::recover(&from, &to, &queue.into_iter().collect(), output)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "towpath", &mut script);
            output.bytes(&script);
            Ok(Exit::Done)
        }
    }
}

#[cfg(feature = "aws")]
async fn switch(config: &ConfigFile, on: bool, output: &Output) -> anyhow::Result<Exit> {
    deploy::switch(config, on, output).await
}

#[cfg(not(feature = "aws"))]
async fn switch(_: &ConfigFile, _: bool, _: &Output) -> anyhow::Result<Exit> {
    anyhow::bail!(WithoutAws)
}
