//! The Lambda host as a process: how long it takes to start, and how much memory it needs. The function has one CPU for itself.
//! What an invocation takes, beside others, is in `towpath bench`.
//!
//! `cargo bench -p towpath-tests --bench function` builds `bootstrap` with the profile of Lambda first; TOWPATH_BOOTSTRAP names
//! one that is built already.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking, and prints"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;
use towpath_plugin::precompile;
use towpath_tests::runtime_api::Function;

const STARTS: usize = 41;
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[tokio::main]
async fn main() {
    let bootstrap = bootstrap();
    let here = std::process::id().to_string();
    assert!(
        Command::new("taskset").args(["-a", "-c", "-p", "0", &here]).stdout(Stdio::null()).status().unwrap().success()
    );
    for plugins in [1, 20] {
        start(&bootstrap, plugins).await;
    }
}

fn bootstrap() -> PathBuf {
    if let Some(built) = std::env::var_os("TOWPATH_BOOTSTRAP") {
        return built.into();
    }
    let build = ["build", "--profile", "lambda", "-p", "towpath-lambda"];
    assert!(Command::new(env!("CARGO")).args(build).current_dir(ROOT).status().unwrap().success());
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new(ROOT).join("target"), PathBuf::from);
    target.join("lambda/bootstrap")
}

/// A folder with a config of so many plugins, each the whole of `plugins/approval`.
fn folder(plugins: usize, target: &str, group: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let wasm = std::fs::read(Path::new(ROOT).join("plugins/approval/plugin.wasm"));
    let wasm = wasm.unwrap_or_else(|_| panic!("plugins/approval is not built: `make plugins`"));
    let (code, manifest) = precompile(&wasm, None).unwrap();
    let mut config = format!(
        "[queue]\nurl = \"http://127.0.0.1:1/1/e.fifo\"\ndead_letter_url = \"http://127.0.0.1:1/1/d.fifo\"\n\
        [target.sss]\nurl = \"{target}\"\nallow_private = true\n"
    );
    for n in 0..plugins {
        std::fs::write(folder.path().join(format!("p{n}.cwasm")), &code).unwrap();
        let manifest = serde_json::to_vec(&manifest).unwrap();
        std::fs::write(folder.path().join(format!("p{n}.cwasm.json")), manifest).unwrap();
        let group = group.replace("{n}", &n.to_string());
        config += &format!("[[route]]\npath = \"r{n}\"\ngroup = \"{group}\"\nplugin = \"p{n}\"\n");
        config += &format!("[plugin.p{n}]\npath = \"p{n}.cwasm\"\nconfig = {{ team = \"west\" }}\n");
    }
    std::fs::write(folder.path().join("towpath.toml"), config).unwrap();
    folder
}

/// The command on the second CPU, which nothing else here uses.
fn alone(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]).arg(program);
    command
}

async fn start(bootstrap: &Path, plugins: usize) {
    let folder = folder(plugins, "http://127.0.0.1:9", "r{n}/{json:/k}");
    let mut times = Vec::new();
    let mut memory = 0;
    for _ in 0..STARTS {
        let mut command = alone(bootstrap);
        Function::prepare(&mut command, &folder.path().join("towpath.toml"), "http://127.0.0.1:1");
        let begun = Instant::now();
        let mut function = Function::spawn(command).await;
        times.push(function.ready().await - begun);
        memory = memory.max(peak_memory(function.id()));
    }
    println!(
        "start, {plugins} plugins: exec to first /next {} (fastest {:.1}, slowest {:.1}), peak memory {:.1} MB",
        milliseconds(&mut times),
        times.first().unwrap().as_secs_f64() * 1e3,
        times.last().unwrap().as_secs_f64() * 1e3,
        memory as f64 / 1e6
    );
}

fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn milliseconds(times: &mut [Duration]) -> String {
    times.sort();
    format!("median {:.2} ms", times.get(times.len() / 2).unwrap().as_secs_f64() * 1e3)
}
