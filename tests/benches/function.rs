//! The Lambda host as a process: how long it takes to start, how much memory it needs, and what a warm invocation takes beside
//! the forwarder in Python (`tests/baseline`). The function has one CPU for itself, targets and Runtime API have the other.
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
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;
use towpath_core::plugin::precompile;
use towpath_tests::runtime_api::Function;

const STARTS: usize = 41;
const INVOCATIONS: usize = 500;
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
    for (groups, latency) in [(10, 0), (1, 0), (10, 5), (10, 20)] {
        warm(&bootstrap, groups, Duration::from_millis(latency)).await;
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
    let (mut times, mut memory) = (Vec::new(), 0);
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

/// A target that answers 200 after so long, and counts.
struct Target {
    url: String,
    calls: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Target {
    async fn start(latency: Duration) -> Target {
        let calls = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&calls);
        let answer = move || {
            let calls = Arc::clone(&counted);
            async move {
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
                calls.fetch_add(1, Ordering::Relaxed);
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
        Target { url, calls, _server: server }
    }
}

async fn warm(bootstrap: &Path, groups: usize, latency: Duration) {
    let target = Target::start(latency).await;
    let folder = folder(1, &target.url, "approval/{json:/workflow/id}");
    let mut command = alone(bootstrap);
    Function::prepare(&mut command, &folder.path().join("towpath.toml"), "http://127.0.0.1:1");
    let ours = measure(Function::spawn(command).await, groups, &target).await;

    let mut command = alone(Path::new("python3"));
    command.arg(Path::new(ROOT).join("tests/baseline/runtime.py")).env("TARGET_URL", &target.url);
    let theirs = measure(Function::spawn(command).await, groups, &target).await;
    let latency = latency.as_millis();
    println!(
        "warm, 10 messages in {groups} groups, a target that takes {latency} ms: towpath {:.0} messages/s, python {:.0} messages/s: {:.1} times",
        10.0 / ours.as_secs_f64(),
        10.0 / theirs.as_secs_f64(),
        theirs.as_secs_f64() / ours.as_secs_f64()
    );
}

/// The median time of an invocation.
async fn measure(mut function: Function, groups: usize, target: &Target) -> Duration {
    function.ready().await;
    let before = target.calls.load(Ordering::Relaxed);
    let (mut times, mut cpu) = (Vec::new(), Duration::ZERO);
    for n in 0..INVOCATIONS + 50 {
        if n == 50 {
            cpu = cpu_time(function.id());
        }
        let event = event(n, groups);
        let begun = Instant::now();
        let answer = function.invoke(&event, Duration::from_secs(60)).await.unwrap();
        let took = begun.elapsed();
        let failed = answer.get("batchItemFailures").and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!(failed, 0, "{answer}");
        // The first ones connect.
        if n >= 50 {
            times.push(took);
        }
    }
    let calls = target.calls.load(Ordering::Relaxed) - before;
    assert!(calls >= 10 * (INVOCATIONS + 50), "every message is delivered: {calls} calls");
    let cpu = (cpu_time(function.id()) - cpu).as_secs_f64() * 1e6 / (10 * INVOCATIONS) as f64;
    println!("  one invocation {}, {cpu:.0} µs of CPU a message, {calls} calls", milliseconds(&mut times));
    *times.get(times.len() / 2).unwrap()
}

/// Ten messages, as Lambda hands them over.
fn event(n: usize, groups: usize) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().to_string();
    let record = |index: usize| {
        let workflow = format!("W-{}", index % groups);
        let body = json!({
            "event": "approval.submitted", "event_id": format!("e-{n}-{index}"), "occurred_at": "2026-03-02T09:14:58Z",
            "workflow": {
                "id": workflow, "title": "Discount of 12 % for Nordhafen Logistik",
                "url": "https://workflow.example/requests/WF-1042",
                "applicant": { "id": "u-311", "name": "Mika Arvo" },
                "amount": { "value": 1_250_000, "currency": "JPY" }
            }
        });
        json!({
            "messageId": format!("m-{n}-{index}"), "receiptHandle": "h", "body": body.to_string(),
            "attributes": {
                "ApproximateReceiveCount": "1", "SentTimestamp": now, "SequenceNumber": format!("{n}{index}"),
                "MessageGroupId": format!("approval/{workflow}"), "MessageDeduplicationId": format!("d-{n}-{index}")
            },
            "messageAttributes": {}, "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:e.fifo"
        })
    };
    json!({ "Records": (0..10).map(record).collect::<Vec<_>>() })
}

fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// What a process used of CPUs so far, in steps of 10 ms.
fn cpu_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks = after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

fn milliseconds(times: &mut [Duration]) -> String {
    times.sort();
    format!("median {:.2} ms", times.get(times.len() / 2).unwrap().as_secs_f64() * 1e3)
}
