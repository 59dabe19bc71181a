//! The processes under test, and their input.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::meter::Meter;
use super::scenario::Scenario;
use super::settings::Settings;
use crate::mapping::{self, CONFIG};
use crate::process::{Process, Recipe, free_port, write};
use crate::runtime_api::{Function, environment};

/// The number of concurrent senders.
pub(crate) const SENDERS: u32 = 64;

/// The number of concurrent requests of rows without a queue: the default of `queue.concurrency`.
pub(crate) const CONCURRENCY: u32 = 16;

/// The most messages of an invocation, for a FIFO queue.
pub(crate) const BATCH: u32 = 10;

/// How long a run may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Makes the processes of all runs.
pub(crate) struct Lab {
    settings: Settings,
    command: Recipe,
    runs: AtomicU32,
}

/// A queue with ingest and SQS endpoint in one process, with or without the pipeline.
pub(crate) struct Host {
    pub(crate) process: Process,
    pub(crate) ingest: SocketAddr,
    pub(crate) sqs: SocketAddr,
    config: String,
}

impl Lab {
    /// Publishes the mapping.
    pub(crate) async fn new(settings: Settings) -> anyhow::Result<Lab> {
        let credentials =
            [("AWS_ACCESS_KEY_ID", "bench"), ("AWS_SECRET_ACCESS_KEY", "bench"), ("AWS_REGION", "eu-west-1")];
        let command = Recipe {
            binary: settings.binary.clone(),
            folder: settings.folder.clone(),
            name: "commands".to_owned(),
            args: Vec::new(),
            variables: credentials.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        };
        write(&settings.folder, "publish.toml", &format!("{CONFIG}{}", target("sss", "http://127.0.0.1:9")))?;
        mapping::publish(&settings.folder, &command, "publish.toml").await?;
        Ok(Lab { settings, command, runs: AtomicU32::new(0) })
    }

    /// A new queue, and the config of a host on it for this target.
    pub(crate) async fn host(&self, target_url: &str) -> anyhow::Result<Host> {
        self.host_with(&target("sss", target_url)).await
    }

    /// The same, with a second route to another target.
    pub(crate) async fn host_beside(&self, target_url: &str, other_url: &str) -> anyhow::Result<Host> {
        fs::write(self.settings.folder.join("other.wasm"), mapping::to_another_target())
            .context("writing a mapping")?;
        let route = "[[route]]\npath = \"slow\"\ngroup = \"slow/{json:/g}\"\nplugin = \"other\"\n[plugin.other]\npath = \"other.wasm\"\n";
        let targets = [target("sss", target_url), target(mapping::ANOTHER_TARGET, other_url)].concat();
        self.host_with(&format!("{route}{targets}")).await
    }

    async fn host_with(&self, targets: &str) -> anyhow::Result<Host> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let ingest = free_port().await?;
        let sqs = free_port().await?;
        let config = format!("serve-{run}.toml");
        let text = format!("[queue]\nstore = \"store-{run}\"\n{CONFIG}{targets}");
        write(&self.settings.folder, &config, &text.replace("dedup = \"json:/id\"\n", ""))?;
        let process = Process::new(self.command.with(&format!("serve-{run}"), &[]));
        Ok(Host { process, ingest, sqs, config })
    }

    /// Runs a command with the config of a host; returns whether it succeeded.
    pub(crate) async fn once(&self, host: &Host, args: &[&str]) -> anyhow::Result<bool> {
        let args = [args, &["-c", &host.config]].concat();
        Ok(self.command.with("commands", &args).once().await? == Some(0))
    }

    /// A command with the config of a host, to run beside it.
    pub(crate) fn beside(&self, host: &Host, args: &[&str]) -> Process {
        Process::new(self.command.with("beside", &[args, &["-c", &host.config]].concat()))
    }

    /// A `poll` process on the queue of a host.
    pub(crate) fn poller(&self, host: &Host, target_url: &str) -> anyhow::Result<Process> {
        let url = |name: &str| format!("http://{}/000000000000/{name}", host.sqs);
        let queue = format!("url = \"{}\"\ndead_letter_url = \"{}\"", url("events.fifo"), url("events-dead.fifo"));
        let config = host.config.replace("serve", "poll");
        write(&self.settings.folder, &config, &format!("[queue]\n{queue}\n{CONFIG}{}", target("sss", target_url)))?;
        let args = ["poll", "-c", &config, "--health", "127.0.0.1:0"];
        Ok(Process::new(self.command.with(config.trim_end_matches(".toml"), &args)))
    }

    /// The Lambda host, for the queue at this address.
    pub(crate) async fn function(&self, target_url: &str, queue: SocketAddr) -> anyhow::Result<Function> {
        let Some(bootstrap) = &self.settings.bootstrap else { bail!("the row function needs --bootstrap FILE") };
        let queue = format!("url = \"http://{queue}/1/e.fifo\"\ndead_letter_url = \"http://{queue}/1/d.fifo\"");
        write(
            &self.settings.folder,
            "function.toml",
            &format!("[queue]\n{queue}\n{CONFIG}{}", target("sss", target_url)),
        )?;
        let mut command = Command::new(bootstrap);
        command.current_dir(&self.settings.folder).envs(environment(&self.settings.folder.join("function.toml")));
        Function::spawn(command, std::process::Stdio::null()).await
    }

    /// The forwarder in Python.
    pub(crate) async fn python(&self, target_url: &str) -> anyhow::Result<Function> {
        let Some(runtime) = &self.settings.python else { bail!("the row python needs --python FILE") };
        let mut command = Command::new("python3");
        command.arg(runtime).env("TARGET_URL", target_url);
        Function::spawn(command, std::process::Stdio::null()).await
    }

    /// This binary as a loop without a queue: `bare`, or `parts` with the plugin's call. `lanes` is the number of concurrent requests,
    /// `threads` that of worker threads.
    pub(crate) fn child(
        &self,
        kind: &str,
        lanes: u32,
        threads: Option<u32>,
        url: &str,
        scenario: &Scenario,
    ) -> Process {
        let numbers = [scenario.messages, scenario.groups, scenario.bytes, lanes, scenario.per_second];
        let numbers = numbers.map(|number| number.to_string());
        let mut args = vec!["bench", "--child", kind, "--child-target", url];
        for (name, number) in ["--child-messages", "--child-groups", "--child-bytes", "--child-lanes", "--child-rate"]
            .iter()
            .zip(&numbers)
        {
            args.extend([name, number.as_str()]);
        }
        let mut recipe = self.command.with(kind, &args);
        recipe.variables.extend(threads.map(|threads| ("TOKIO_WORKER_THREADS".to_owned(), threads.to_string())));
        Process::new(recipe)
    }
}

impl Host {
    /// Starts it, with or without the pipeline.
    pub(crate) async fn start(&mut self, pipeline: bool) -> anyhow::Result<()> {
        let ingest = self.ingest.to_string();
        let sqs = self.sqs.to_string();
        let mut args = vec!["serve", "-c", &self.config, "--listen", &ingest, "--sqs", &sqs];
        args.extend((!pipeline).then_some("--ingest-only"));
        self.process.recipe.args = args.into_iter().map(str::to_owned).collect();
        self.process.start()?;
        self.process.ready(self.ingest, PATIENCE).await
    }

    /// Posts events to a route; each sender waits for an answer before the next one. Returns the sorted response times in microseconds.
    pub(crate) async fn post(
        &self,
        path: &str,
        meter: &Arc<Meter>,
        events: u32,
        per_second: Option<f64>,
    ) -> anyhow::Result<Vec<u32>> {
        self.post_over(SENDERS, path, meter, events, per_second).await
    }

    /// The same over a number of connections.
    pub(crate) async fn post_over(
        &self,
        connections: u32,
        path: &str,
        meter: &Arc<Meter>,
        events: u32,
        per_second: Option<f64>,
    ) -> anyhow::Result<Vec<u32>> {
        post(&format!("http://{}/hooks/{path}", self.ingest), connections, meter, events, per_second).await
    }

    /// Stores many events of a route fast, in batches over the SQS endpoint.
    pub(crate) async fn pile(
        &self,
        path: &str,
        meter: &Arc<Meter>,
        events: std::ops::Range<u32>,
    ) -> anyhow::Result<()> {
        let client = client()?;
        let url = format!("http://{}/", self.sqs);
        let queue = format!("http://{}/000000000000/events.fifo", self.sqs);
        let mut senders = JoinSet::new();
        // A request has at most 1 MiB.
        let lanes = CONCURRENCY.min(meter.groups());
        let batch = (900_000 / meter.bytes().max(1) as usize).clamp(1, 10);
        for lane in 0..lanes {
            let meter = Arc::clone(meter);
            let client = client.clone();
            let url = url.clone();
            let queue = queue.clone();
            let path = path.to_owned();
            let groups = meter.groups();
            let mut own = events.clone().filter(move |event| event % groups % lanes == lane);
            senders.spawn(async move {
                loop {
                    let entry = |event: u32| {
                        let group = format!("{path}/{}", event % meter.groups());
                        json!({ "Id": event.to_string(), "MessageBody": meter.body(event), "MessageGroupId": group,
                            "MessageDeduplicationId": event.to_string() })
                    };
                    let entries: Vec<Value> = own.by_ref().take(batch).map(entry).collect();
                    if entries.is_empty() {
                        return anyhow::Ok(());
                    }
                    let send = client.post(&url).header("x-amz-target", "AmazonSQS.SendMessageBatch");
                    let send = send.header("content-type", "application/x-amz-json-1.0");
                    let body = json!({ "QueueUrl": queue, "Entries": entries }).to_string();
                    let answer = send.body(body).send().await.context("storing")?;
                    ensure!(answer.status() == 200, "the endpoint answered {}", answer.status());
                    answer.bytes().await.context("storing")?;
                }
            });
        }
        while let Some(sent) = senders.join_next().await {
            sent??;
        }
        Ok(())
    }
}

/// Posts events to an address; see [`Host::post`].
pub(crate) async fn post(
    url: &str,
    connections: u32,
    meter: &Arc<Meter>,
    events: u32,
    per_second: Option<f64>,
) -> anyhow::Result<Vec<u32>> {
    let client = client()?;
    let began = Instant::now();
    let mut senders = JoinSet::new();
    // One sender posts all events of a group, so that they are posted in order.
    let lanes = connections.min(meter.groups());
    for lane in 0..lanes {
        let meter = Arc::clone(meter);
        let client = client.clone();
        let url = url.to_owned();
        senders.spawn(async move {
            let mut took = Vec::new();
            for event in (0..events).filter(|event| event % meter.groups() % lanes == lane) {
                if let Some(rate) = per_second {
                    sleep_until((began + Duration::from_secs_f64(f64::from(event) / rate)).into()).await;
                }
                let started = Instant::now();
                let answer = client.post(&url).body(meter.body(event)).send().await.context("posting")?;
                ensure!(answer.status().is_success(), "{url} answered {}", answer.status());
                answer.bytes().await.context("posting")?;
                took.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            anyhow::Ok(took)
        });
    }
    let mut all = Vec::new();
    while let Some(took) = senders.join_next().await {
        all.extend(took??);
    }
    all.sort_unstable();
    Ok(all)
}

fn client() -> anyhow::Result<Client> {
    Client::builder().tcp_nodelay(true).build().context("preparing the HTTP client")
}

fn target(name: &str, url: &str) -> String {
    format!(
        "[target.{name}]\nurl = \"{url}\"\nallow_private = true\ntimeout = \"10s\"\nretry = {{ base = \"50ms\", cap = \"1s\" }}\nbreaker = {{ failures = 0 }}\n"
    )
}
