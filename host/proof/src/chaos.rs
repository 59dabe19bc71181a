//! Chaos: several hosts on one queue, thousands of groups, and faults by a seed.

mod faults;
mod sender;
mod settings;
mod world;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::journal::Journal;
use crate::oracle::{Books, Judgement};
use sender::Sender;
pub use settings::Settings;
use world::World;

/// How long the queue may take to drain after the last fault: the longest visibility timeout, the longest retry wait, and the
/// processing time.
const DRAIN: Duration = Duration::from_secs(120);

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The oracle's verdict.
    #[serde(flatten)]
    pub verdict: Judgement,
    /// The number of faults, by kind.
    pub faults: std::collections::BTreeMap<&'static str, usize>,
    /// How long it took to drain after the last fault, in seconds.
    pub drained_s: f64,
    /// The histories of groups with violations: the first ten.
    pub histories: Vec<(u32, Vec<String>)>,
}

/// Runs to the end, or until `stop` is cancelled; then there is no report. `say` gets progress messages.
pub async fn run(settings: &Settings, say: impl Fn(&str), stop: &CancellationToken) -> anyhow::Result<Option<Report>> {
    // HTTP clients need a crypto provider, even without TLS. Installing it twice is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let journal = Arc::new(Journal::default());
    let world = Arc::new(World::start(settings, Arc::clone(&journal)).await?);
    let sender = Sender::new(Arc::clone(&journal), world.ingest(), settings);
    say(&format!(
        "{} hosts on one queue in {}, {} groups, faults for {} s",
        world.hosts(),
        settings.folder.display(),
        settings.groups,
        settings.length.as_secs()
    ));
    let end = Instant::now() + settings.length;
    let mut sending = sender.start(end);
    let mut hurting = faults::start(&world, settings, end);
    let watched = stop.run_until_cancelled(async {
        while Instant::now() < end {
            sleep(Duration::from_secs(5)).await;
            let (accepted, calls) = journal.counts();
            say(&format!("{:>4} s: {accepted} accepted, {calls} attempts", journal.elapsed().as_secs()));
        }
    });
    if watched.await.is_none() {
        return Ok(None);
    }
    let mut faults = std::collections::BTreeMap::new();
    while let Some(done) = hurting.join_next().await {
        for (fault, count) in done? {
            *faults.entry(fault).or_default() += count;
        }
    }
    world.heal().await?;
    while sending.join_next().await.is_some() {}
    say("faults are over: waiting until the queue is empty");
    let drained = Instant::now();
    let mut waiting = drain(&world, stop).await?;
    let drained = drained.elapsed();
    let calm_from = journal.elapsed();
    if waiting == 0 {
        sender.calm().await;
        waiting = drain(&world, stop).await?;
    }
    if stop.is_cancelled() {
        return Ok(None);
    }
    let letters = world.letters().await?;
    world.stop().await;
    let archived = Some(world.archived().await?);
    let books = Books {
        records: journal.read(),
        letters,
        archived,
        waiting,
        calm_from,
        functions: world.functions(),
        replayed: faults.contains_key("replay"),
        broken_plugin: faults.contains_key("broken plugin"),
    };
    let verdict = books.judge();
    let mut groups: Vec<u32> = verdict.violations.iter().filter_map(|(_, group, _)| *group).collect();
    groups.dedup();
    let histories = groups.into_iter().take(10).map(|group| (group, books.history(group))).collect();
    Ok(Some(Report { seed: settings.seed, verdict, faults, drained_s: drained.as_secs_f64(), histories }))
}

/// Waits until the queue is empty; returns how many messages are left.
async fn drain(world: &World, stop: &CancellationToken) -> anyhow::Result<u64> {
    let until = Instant::now() + DRAIN;
    let mut waiting = u64::MAX;
    let empty = async {
        while !stop.is_cancelled() {
            waiting = world.waiting().await?;
            if waiting == 0 {
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
        anyhow::Ok(())
    };
    if let Ok(result) = timeout_at(until, empty).await {
        result?;
    }
    Ok(waiting)
}
