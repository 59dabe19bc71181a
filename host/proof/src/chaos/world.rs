//! The processes, proxies, target and shared files of a run.

use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use super::settings::Settings;
use crate::journal::Journal;
use crate::mapping::{self, CONFIG};
use crate::oracle::{ListedEvent, ListedLetter};
use crate::process::{Process, Recipe, free_port, text, write};
use crate::proxy::{Link, Proxy};
use crate::receiver::{Mood, Receiver};

/// How long hosts may take to start.
const START: Duration = Duration::from_secs(60);

/// The connection between `poll` and its queue.
pub(super) const QUEUE: &str = "queue";

/// The folder of the archive that all hosts share but functions.
const ARCHIVE: &str = "archive";

/// Outside of other faults, one in this many requests fails.
const SHAKY: u32 = 40;

/// The timeout of a function. Its lease is six times as long.
const FUNCTION_TIMEOUT: &str = "3s";

/// All parts of a run.
pub(super) struct World {
    pub(super) journal: Arc<Journal>,
    /// First those that run `serve`, then `poll`, then the one with functions.
    hosts: Vec<Mutex<Process>>,
    serving: usize,
    functions: Option<usize>,
    ingest: Vec<SocketAddr>,
    pub(super) target: Receiver,
    /// The proxies in front of the target, the queue and the dead-letter queue.
    pub(super) lines: [(&'static str, Proxy); 3],
    /// For commands that exit by themselves.
    command: Recipe,
    clock: std::path::PathBuf,
}

impl World {
    /// Writes the files, starts the hosts and waits until they are ready.
    pub(super) async fn start(settings: &Settings, journal: Arc<Journal>) -> anyhow::Result<World> {
        let (folder, (serving, polling)) = (&settings.folder, settings.hosts);
        ensure!(serving > 0, "--serve must be at least 1: the first host has the queue");
        let target = Receiver::start(Arc::clone(&journal), settings.seed).await?;
        let sqs = free_port().await?;
        let mut ingest = Vec::new();
        for _ in 0..serving {
            ingest.push(free_port().await?);
        }
        let lines = [
            ("target", Proxy::start(target.address).await?),
            (QUEUE, Proxy::start(sqs).await?),
            ("dead-letter queue", Proxy::start(sqs).await?),
        ];
        let [(_, to_target), (_, queue), (_, dead_letters)] = &lines;
        write(folder, "serve.toml", &serve_config(to_target.address, ""))?;
        let clock = folder.join("clock");
        let command = Recipe {
            binary: settings.binary.clone(),
            folder: folder.clone(),
            name: "commands".to_owned(),
            args: Vec::new(),
            variables: variables(settings, &clock),
        };
        mapping::publish(folder, &command, "serve.toml").await?;
        let mut hosts = Vec::new();
        for (n, address) in ingest.iter().enumerate() {
            let address = address.to_string();
            let sqs = sqs.to_string();
            let config = format!("host-{n}.toml");
            write(folder, &config, &serve_config(to_target.address, &n.to_string()))?;
            let mut args = vec!["serve", "-c", &config, "--listen", &address];
            if n == 0 {
                args.extend(["--sqs", &sqs]);
            }
            hosts.push(command.with(&format!("serve-{n}"), &args));
        }
        for n in 0..polling {
            let host = hosts.len();
            let config = format!("host-{host}.toml");
            write(
                folder,
                &config,
                &poll_config(to_target.address, &host.to_string(), queue.address, dead_letters.address),
            )?;
            let poll = ["poll", "-c", &config, "--visibility", "4s", "--wait", "1s", "--health", "127.0.0.1:0"];
            hosts.push(command.with(&format!("poll-{n}"), &poll));
        }
        if let Some(bootstrap) = &settings.bootstrap {
            let config = format!("host-{}.toml", hosts.len());
            write(folder, &config, &serve_config(to_target.address, &hosts.len().to_string()))?;
            let dev = ["dev", "-c", &config, "--real-targets", "--no-build", "--listen", "127.0.0.1:0"];
            let function = ["--sqs", "127.0.0.1:0", "--lambda-timeout", FUNCTION_TIMEOUT, "--lambda", &text(bootstrap)];
            hosts.push(command.with("functions", &[&dev[..], &function[..]].concat()));
        }
        let hosts: Vec<Mutex<Process>> = hosts.into_iter().map(|host| Mutex::new(Process::new(host))).collect();
        let functions = settings.bootstrap.is_some().then(|| hosts.len() - 1);
        let world = World { journal, hosts, serving, functions, ingest, target, lines, command, clock };
        world.calm();
        for host in 0..world.hosts.len() {
            world.restart(host).await?;
        }
        world.ready().await?;
        Ok(world)
    }

    /// The addresses to post events to.
    pub(super) fn ingest(&self) -> Vec<SocketAddr> {
        self.ingest.clone()
    }

    pub(super) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// The host that runs functions, if there is one.
    pub(super) fn functions(&self) -> Option<usize> {
        self.functions
    }

    /// Kills the running functions, and no other process.
    pub(super) async fn kill_functions(&self) {
        if let Some(host) = self.hosts.last() {
            host.lock().await.kill_children();
        }
    }

    pub(super) fn serving(&self) -> usize {
        self.serving
    }

    /// The hosts that poll.
    pub(super) fn polling(&self) -> Range<usize> {
        self.serving..self.functions.unwrap_or(self.hosts.len())
    }

    /// Exclusive access to a host.
    pub(super) async fn host(&self, host: usize) -> Option<MutexGuard<'_, Process>> {
        Some(self.hosts.get(host)?.lock().await)
    }

    /// Starts a host unless it runs.
    pub(super) async fn restart(&self, host: usize) -> anyhow::Result<()> {
        match self.host(host).await {
            Some(mut host) => host.start(),
            None => Ok(()),
        }
    }

    /// Ends the faults of target and connections.
    pub(super) fn calm(&self) {
        self.target.set(Mood::Shaky(SHAKY));
        for (_, line) in &self.lines {
            line.set(Link::Open);
        }
    }

    /// Moves every clock forward or back, if the binary supports it.
    pub(super) fn set_clock(&self, by: i64) -> anyhow::Result<()> {
        // Renamed, so that no host reads half a number.
        let unfinished = self.clock.with_extension("new");
        fs::write(&unfinished, by.to_string()).context("setting the clock")?;
        fs::rename(&unfinished, &self.clock).context("setting the clock")
    }

    /// Runs a command of the binary on the store.
    pub(super) async fn run(&self, args: &[&str]) -> anyhow::Result<Option<i32>> {
        self.command.with("commands", args).once().await
    }

    /// Publishes the broken mapping, or rolls back to the good one. Hosts that watch the registry swap to it.
    pub(super) async fn swap(&self, broken: bool) -> anyhow::Result<()> {
        let done = if broken {
            self.run(&["plugin", "publish", "broken/mapping", "-c", "serve.toml"]).await?
        } else {
            self.run(&["plugin", "rollback", "mapping", "-c", "serve.toml"]).await?
        };
        ensure!(done == Some(0), "swapping the mapping failed: see commands.log");
        Ok(())
    }

    /// Ends every fault and restarts every host.
    pub(super) async fn heal(&self) -> anyhow::Result<()> {
        self.target.set(Mood::Well);
        for (_, line) in &self.lines {
            line.set(Link::Open);
        }
        self.set_clock(0)?;
        self.run(&["resume", "sss", "-c", "serve.toml"]).await?;
        for host in 0..self.hosts() {
            let Some(mut process) = self.host(host).await else { continue };
            process.thaw();
            process.limit_files(None);
            process.kill().await;
            process.start()?;
        }
        self.journal.done("every fault is over, every host was restarted");
        self.ready().await
    }

    /// The number of queued messages.
    pub(super) async fn waiting(&self) -> anyhow::Result<u64> {
        let status = self.json(&["status", "--store", "store", "--json"]).await?;
        status
            .pointer("/queue/messages")
            .and_then(Value::as_u64)
            .context("the output of status has no number of messages")
    }

    /// The letters in the dead-letter queue.
    pub(super) async fn letters(&self) -> anyhow::Result<Vec<ListedLetter>> {
        let listed = self.json(&["dlq", "list", "--store", "store", "--limit", "1000000", "--json"]).await?;
        let letter = |letter: &Value| {
            let text = |pointer: &str| letter.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            Some(ListedLetter { id: text("/message_id")?, reason: text("/letter/reason")? })
        };
        let letters = listed.as_array().context("the output of dlq list is not a list")?.iter().map(letter);
        letters.collect::<Option<Vec<_>>>().context("a dead letter has no id or reason")
    }

    /// The events in the archive of all hosts but functions.
    pub(super) async fn archived(&self) -> anyhow::Result<Vec<ListedEvent>> {
        let list = ["archive", "list", "--folder", ARCHIVE, "--limit", "1000000", "--json"];
        let listed = self.json(&list).await?;
        let event = |event: &Value| {
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            Some(ListedEvent {
                id: text("/message_id")?,
                queue_id: text("/queue_id")?,
                webhook_id: text("/webhook_id")?,
            })
        };
        let events = listed.as_array().context("the output of archive list is not a list")?.iter().map(event);
        events.collect::<Option<Vec<_>>>().context("an archived event has no id")
    }

    /// Terminates every host.
    pub(super) async fn stop(&self) {
        for host in 0..self.hosts() {
            if let Some(mut process) = self.host(host).await {
                process.terminate().await;
            }
        }
    }

    async fn json(&self, args: &[&str]) -> anyhow::Result<Value> {
        let output = self.command.with("commands", args).output().await?;
        serde_json::from_slice(&output)
            .with_context(|| format!("the output of {} is not JSON: see commands.log", args.join(" ")))
    }

    async fn ready(&self) -> anyhow::Result<()> {
        for (host, address) in self.hosts.iter().zip(&self.ingest) {
            host.lock().await.ready(*address, START).await?;
        }
        Ok(())
    }
}

fn variables(settings: &Settings, clock: &std::path::Path) -> Vec<(String, String)> {
    let mut variables = vec![("AWS_ACCESS_KEY_ID", "chaos".to_owned()), ("AWS_SECRET_ACCESS_KEY", "chaos".to_owned())];
    variables.extend([("AWS_REGION", "eu-west-1".to_owned()), ("TOWPATH_LOG", "info".to_owned())]);
    if settings.clocks {
        variables.push(("TOWPATH_FAULT_CLOCK", text(clock)));
    }
    if let Some(planted) = &settings.planted {
        variables.push(("TOWPATH_FAULT_PLANTED", planted.clone()));
    }
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The target in the config of a host. Its path identifies the host.
fn target(address: SocketAddr, host: &str) -> String {
    format!(
        "[target.sss]\nurl = \"http://{address}/{host}\"\nallow_private = true\ntimeout = \"2s\"\n\
         retry = {{ base = \"200ms\", cap = \"3s\" }}\nbreaker = {{ failures = 10, base = \"500ms\", cap = \"3s\" }}\n"
    )
}

fn serve_config(to: SocketAddr, host: &str) -> String {
    format!("[queue]\nstore = \"store\"\n[archive]\nfolder = \"{ARCHIVE}\"\n{CONFIG}{}", target(to, host))
}

fn poll_config(to: SocketAddr, host: &str, queue: SocketAddr, dead_letters: SocketAddr) -> String {
    let url = |address: SocketAddr, name: &str| format!("http://{address}/000000000000/{name}");
    format!(
        "[queue]\nurl = \"{}\"\ndead_letter_url = \"{}\"\n[archive]\nfolder = \"{ARCHIVE}\"\n{CONFIG}{}",
        url(queue, "events.fifo"),
        url(dead_letters, "events-dead.fifo"),
        target(to, host)
    )
}
