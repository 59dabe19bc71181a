//! The commands.

mod build;
mod check;
mod demo;
mod dev;
mod dlq;
mod hold;
mod poll;
mod send;
mod serve;
mod status;
mod test;

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::CommandFactory as _;

use crate::args::{Args, Command, Config, Plugin};
use crate::output::{Exit, Output};

/// Runs the command.
pub async fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    match args.command {
        Command::Demo(demo) => demo::run(demo, output).await,
        Command::Serve(serve) => serve::run(serve, output).await,
        Command::Dev(dev) => dev::run(dev, output).await,
        Command::Poll(poll) => poll::run(poll, output).await,
        Command::Hold(hold) => hold::hold(hold, output).await,
        Command::Resume(resume) => hold::resume(resume, output).await,
        Command::Status(status) => status::run(status, output).await,
        Command::Send(send) => send::run(send, output).await,
        Command::Plugin(Plugin::Build { folders, precompile, target }) => {
            build::run(&folders, precompile, target.as_deref(), output)
        }
        Command::Plugin(Plugin::Test { folders, update, filter }) => {
            test::run(&folders, update, filter.as_deref(), output)
        }
        Command::Config(Config::Check { config, skip_secrets, skip_plugins }) => {
            check::run(&config, skip_secrets, skip_plugins, output)
        }
        Command::Dlq(dlq) => dlq::run(dlq, output).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "towpath", &mut script);
            output.line(String::from_utf8_lossy(&script).trim_end());
            Ok(Exit::Done)
        }
    }
}

/// The folders of plugins that are meant: those given, or this one, or those below `plugins/`.
fn plugin_folders(given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    if !given.is_empty() {
        for folder in given {
            if !is_plugin(folder) {
                bail!("{} is no plugin: there is no Cargo.toml, no plugin.wasm and no cases/ in it", folder.display());
            }
        }
        return Ok(given.to_vec());
    }
    let here = PathBuf::from(".");
    if is_plugin(&here) && !here.join("plugins").is_dir() {
        return Ok(vec![here]);
    }
    for parent in [Path::new("plugins"), Path::new(".")] {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        let folders = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let mut folders: Vec<PathBuf> = folders.filter(|folder| is_plugin(folder)).collect();
        folders.sort();
        if !folders.is_empty() {
            return Ok(folders);
        }
    }
    bail!("there is no plugin here: give the folder of one, or go where plugins/ is")
}

fn is_plugin(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).exists();
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    manifest.contains("cdylib") || has(towpath_core::plugin::COMPONENT) || has("cases")
}
