//! `demo`: recorded events through the whole pipeline, checked against what the fake SSS received.

mod ledger;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use console::Style;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use towpath_compose::Station;
use towpath_compose::Supervisor;
use towpath_config::{Config, Secrets};
use towpath_operate::event::{self, Event};
use towpath_operate::post::client;
use towpath_plugin::COMPONENT;
use towpath_types::dead_letter::DeadLetter;

use super::send::{Signer, post};
use crate::args::Demo;
use crate::output::{Exit, Output, plain};
use crate::sss::{Call, Chaos, Sss};
use ledger::Ledger;

/// The plugins of the demo, in the order of its table.
const PLUGINS: [&str; 3] = ["approval", "github", "stripe"];

/// How long SSS is down for its release.
const RELEASE: Duration = Duration::from_secs(5);

/// How long the queue may take to drain before the demo fails.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn run(args: Demo, output: &Output) -> anyhow::Result<Exit> {
    let mut host = Supervisor::new();
    let taken = Taken::default();
    let notes = taken.clone();
    let show = Box::new(move |call: &Call| notes.note(call));
    let (sss, address) = Sss::start(Chaos::default(), show, host.stop.clone(), &mut host.tasks).await?;
    let text = config_text(&args.plugins, &args.store, address.port())?;
    let config = Config::parse(&text, Path::new("demo.toml"), &Secrets::of([]))?;
    let station = Station::new(config, &[], Arc::clone(&host.health)).await?;
    let ledger = Ledger::open(&station.queues).await?;
    output.headline("Towpath demo: recorded webhooks → queue → WebAssembly plugins → a fake SSS");
    output.say(format!("store: {} (kept)", args.store.display()));
    if ledger.resumed() > 0 {
        output.say(format!("{} messages wait from an interrupted run and are delivered first", ledger.resumed()));
    }
    let here = station.start(&mut host).await?;
    let stop = host.stop.clone();
    let sender = Sender { url: format!("http://{here}/hooks"), client: client()?, stop: stop.clone() };
    let story = async {
        let exit = tell(&args, output, &Stage { sss, taken, station, stop: stop.clone() }, sender, ledger).await;
        stop.cancel();
        exit
    };
    let (ended, exit) = tokio::join!(host.run(), story);
    ended.and(exit)
}

/// The requests that the fake SSS answered 2xx, in order.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<Call>>>);

impl Taken {
    fn note(&self, call: &Call) {
        if (200..300).contains(&call.status) {
            self.0.lock().push(call.clone());
        }
    }

    fn calls(&self) -> Vec<Call> {
        self.0.lock().clone()
    }
}

/// The parts that the demo acts on.
struct Stage {
    sss: Sss,
    taken: Taken,
    station: Station,
    stop: CancellationToken,
}

async fn tell(
    args: &Demo,
    output: &Output,
    stage: &Stage,
    mut sender: Sender,
    mut ledger: Ledger,
) -> anyhow::Result<Exit> {
    let Stage { sss, taken, station, stop } = stage;
    let started = Instant::now();

    output.headline("1. Events arrive, are mapped by their plugins and delivered in order");
    let recorded = recorded(&args.plugins)?;
    sender.post(&recorded.good, &mut ledger).await?;
    wait_until(taken, stop, |calls| calls >= 1).await?;
    output.say(format!("   first delivery after {} ms", started.elapsed().as_millis()));
    drain(station, stop).await?;
    if stop.is_cancelled() {
        return interrupted(output);
    }
    output.say(format!("   {} events in, {} requests at SSS", recorded.good.len(), taken.calls().len()));

    let away = humantime::format_duration(RELEASE);
    output.headline(format!("2. SSS is down for its release ({away}); events keep arriving"));
    sss.play(format!("503:{away}").parse().map_err(anyhow::Error::msg)?);
    let before = taken.calls().len();
    for _ in 0..3 {
        sender.post(&recorded.good, &mut ledger).await?;
    }
    let waiting = station.queues.events.depth().await?;
    output.say(format!("   still answered 202; {} messages wait in {} groups", waiting.messages, waiting.groups));
    drain(station, stop).await?;
    if stop.is_cancelled() {
        return interrupted(output);
    }
    output.say(format!("   SSS is back: {} requests delivered, in order", taken.calls().len() - before));

    output.headline("3. A poison event arrives between others of its group");
    sender.post(&recorded.poison, &mut ledger).await?;
    drain(station, stop).await?;
    if stop.is_cancelled() {
        return interrupted(output);
    }
    if let Some(letter) = ledger.last_letter(&station.queues).await? {
        let DeadLetter { reason, detail, .. } = letter;
        output.say_spans([
            plain("   it is in the dead-letter queue: "),
            (Style::new().yellow(), reason),
            plain(format!(" ({detail})")),
        ]);
    }
    output.say("   the events before and after it were delivered");
    let verdict = ledger.check(station, &taken.calls()).await?;
    if output.is_json() {
        output.json(&verdict.shown(&PLUGINS));
    } else {
        output.headline("Result");
        output.table(&["PLUGIN", "RECEIVED", "DELIVERED", "SKIPPED", "DEAD"], &verdict.rows(&PLUGINS));
        output.line("");
        output.line(verdict.line());
        for problem in &verdict.problems {
            output.spans([(Style::new().red().bold(), "WRONG:".to_owned()), plain(format!(" {problem}"))]);
        }
        output.say("");
        output.say(format!("to see the dead letters: towpath dlq list --store {}", args.store.display()));
    }
    Ok(if verdict.problems.is_empty() { Exit::Done } else { Exit::Findings })
}

fn interrupted(output: &Output) -> anyhow::Result<Exit> {
    output.say("");
    output.say("interrupted: waiting messages are in the store, and the next run delivers them");
    Ok(Exit::Interrupted)
}

/// The events to post: good ones, and a poison one between good ones.
struct Recorded {
    good: Vec<(PathBuf, Event)>,
    poison: Vec<(PathBuf, Event)>,
}

fn recorded(plugins: &Path) -> anyhow::Result<Recorded> {
    let cases = |plugin: &str| event::find(&[plugins.join(plugin).join("cases")]);
    let read = |file: PathBuf| Event::read(&file).map(|event| (file, event));
    let mut good = Vec::new();
    for plugin in PLUGINS {
        let files = cases(plugin)?.into_iter().filter(|file| {
            let name = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            !["malformed", "path", "without-step"].iter().any(|wrong| name.contains(wrong))
        });
        good.extend(files.map(read).collect::<anyhow::Result<Vec<_>>>()?);
    }
    let approval = |case: &str| read(plugins.join("approval/cases").join(case).join(event::FILE));
    let poison = ["submitted", "step-approved", "step-approved-without-step", "completed"];
    let poison = poison.into_iter().map(approval).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Recorded { good, poison })
}

struct Sender {
    url: String,
    client: reqwest::Client,
    stop: CancellationToken,
}

impl Sender {
    async fn post(&mut self, events: &[(PathBuf, Event)], ledger: &mut Ledger) -> anyhow::Result<()> {
        for (file, event) in events {
            if self.stop.is_cancelled() {
                break;
            }
            let posted = post(&self.client, &self.url, None, file, event, &Signer::Nobody).await?;
            let (Some(id), Some(group)) = (posted.message_id, posted.group) else {
                bail!("ingest answered {} to {}", posted.status, file.display());
            };
            ledger.received(id, group);
        }
        Ok(())
    }
}

/// Waits until the queue is empty.
async fn drain(station: &Station, stop: &CancellationToken) -> anyhow::Result<()> {
    let empty = async {
        while !stop.is_cancelled() && station.queues.events.depth().await?.messages > 0 {
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    timeout(PATIENCE, empty)
        .await
        .with_context(|| format!("the queue did not drain within {} s", PATIENCE.as_secs()))?
}

async fn wait_until(taken: &Taken, stop: &CancellationToken, enough: impl Fn(usize) -> bool) -> anyhow::Result<()> {
    let reached = async {
        while !stop.is_cancelled() && !enough(taken.calls().len()) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, reached).await.with_context(|| format!("nothing was delivered within {} s", PATIENCE.as_secs()))
}

/// The demo's config: short backoffs, and the fake SSS as every target.
fn config_text(plugins: &Path, store: &Path, port: u16) -> anyhow::Result<String> {
    let mut text = format!("[queue]\nstore = {}\n[ingest]\nlisten = \"127.0.0.1:0\"\n", absolute(store)?);
    let groups = [
        ("approval", "approval/{json:/workflow/id}"),
        ("github", "github/{json:/repository/full_name}"),
        ("stripe", "stripe/{json:/data/object/customer}"),
    ];
    for (plugin, group) in groups {
        let folder = plugins.join(plugin);
        if !folder.join(COMPONENT).is_file() {
            bail!(
                "the plugin {} is not built: run `towpath plugin build {}`, or `make demo`, which builds all",
                plugin,
                folder.display()
            );
        }
        let path = absolute(&folder)?;
        text += &format!("[[route]]\npath = \"{plugin}\"\ngroup = \"{group}\"\nplugin = \"{plugin}\"\n");
        text += &format!("[plugin.{plugin}]\npath = {path}\n");
    }
    for target in ["sss", "accounting"] {
        text += &format!("[target.{target}]\nurl = \"http://127.0.0.1:{port}/{target}\"\nallow_private = true\n");
        text += "retry = { base = \"200ms\", cap = \"1s\" }\n";
    }
    Ok(text)
}

fn absolute(path: &Path) -> anyhow::Result<String> {
    let path = std::path::absolute(path).with_context(|| format!("finding {}", path.display()))?;
    Ok(toml_string(&path.display().to_string()))
}

/// JSON's escapes are TOML's too.
fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
