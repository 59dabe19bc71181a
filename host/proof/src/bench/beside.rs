//! A fast target that shares its host: the latency of its events alone, and next to work that must not slow them down.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use super::figure::{Figure, Row, percentile};
use super::lab::{Host, Lab, PATIENCE};
use super::meter::Meter;
use super::scenario::Scenario;
use super::usage::Usage;
use crate::mapping::ANOTHER_TARGET;
use crate::process::Process;

/// Events per second for the fast target: far below its capacity, so that only waiting is measured.
pub(super) const RATE: f64 = 300.0;

/// What the host does for another target meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Other {
    Nothing,
    /// Its target is slow, and 100 groups wait for it. They must not end before the fast target's events.
    Slow,
    /// Its target is on hold, with a million events.
    Held,
    /// Its events are replayed at the same rate.
    Replayed,
}

const SCENARIOS: [(&str, Other); 4] = [
    ("a fast target alone", Other::Nothing),
    ("a fast target next to a slow one", Other::Slow),
    ("a fast target next to a hold with 1,000,000 events", Other::Held),
    ("a fast target next to a replay", Other::Replayed),
];

/// A fast target, alone first, then next to other work.
pub(super) fn scenarios() -> [Scenario; 4] {
    SCENARIOS.map(|(name, _)| Scenario { name, messages: 3_000, ..Scenario::base() })
}

/// The events for the other target.
fn others(other: Other) -> Scenario {
    let scenario = |messages, latency| Scenario { name: "others", messages, latency, ..Scenario::base() };
    match other {
        Other::Nothing => scenario(0, Duration::ZERO),
        Other::Slow => scenario(100, Duration::from_secs(4)),
        Other::Held => scenario(1_000_000, Duration::ZERO),
        Other::Replayed => scenario(3_000, Duration::ZERO),
    }
}

/// Measures the fast target.
pub(super) async fn measure(lab: &Lab, scenario: Scenario) -> anyhow::Result<Figure> {
    let other = SCENARIOS.iter().find(|(name, _)| *name == scenario.name).map_or(Other::Nothing, |(_, other)| *other);
    let fast = Arc::new(Meter::start(scenario).await?);
    let beside = Arc::new(Meter::start(others(other)).await?);
    let url = |meter: &Meter| format!("http://{}", meter.address);
    let mut host = lab.host_beside(&url(&fast), &url(&beside)).await?;
    let replay = begin(lab, &mut host, other, &beside).await?;
    let before = Usage::of(host.process.id());
    host.post("events", &fast, scenario.messages, Some(RATE)).await?;
    let done = fast.until(u64::from(scenario.messages), PATIENCE).await;
    ensure!(done >= u64::from(scenario.messages), "only {done} of {} messages arrived in time", scenario.messages);
    let after = Usage::of(host.process.id());
    end(other, &beside, replay).await?;
    host.process.kill().await;
    let counts = fast.counts(scenario.messages);
    let latency_ms = Some((percentile(&counts.latencies, 50), percentile(&counts.latencies, 99)));
    let used = Usage { cpu: after.cpu.saturating_sub(before.cpu), peak: after.peak };
    Ok(Figure { latency_ms, ..Row::Beside.figure(scenario, used, counts)? })
}

/// Starts the host and the other work; returns the process of a replay.
async fn begin(lab: &Lab, host: &mut Host, other: Other, beside: &Arc<Meter>) -> anyhow::Result<Option<Process>> {
    let messages = others(other).messages;
    if other == Other::Held {
        host.start(false).await?;
        host.pile("slow", beside, 0..messages).await?;
        let held = lab.once(host, &["hold", ANOTHER_TARGET, "--for", "1h", "--reason", "bench"]).await?;
        ensure!(held, "the hold failed");
        host.process.terminate().await;
    }
    host.start(true).await?;
    match other {
        Other::Nothing | Other::Held => Ok(None),
        Other::Slow => {
            host.post("slow", beside, messages, None).await?;
            // By the first answer, as many messages are in flight as can be.
            beside.until(1, PATIENCE).await;
            Ok(None)
        }
        Other::Replayed => {
            host.post("slow", beside, messages, None).await?;
            beside.until(u64::from(messages), PATIENCE).await;
            let rate = format!("{RATE}/s");
            let mut replay = lab.beside(host, &["replay", "--route", "slow", "--rate", &rate]);
            replay.start()?;
            Ok(Some(replay))
        }
    }
}

/// Checks that the other work was there all the time. Otherwise nothing was measured.
async fn end(other: Other, beside: &Meter, replay: Option<Process>) -> anyhow::Result<()> {
    let all = others(other).messages;
    let arrived = beside.counts(all);
    match other {
        Other::Nothing => {}
        Other::Slow => ensure!(arrived.lost > 0, "the slow target finished before the fast one: repeat the run"),
        Other::Held => ensure!(arrived.lost == u64::from(all), "events were delivered to a target on hold"),
        Other::Replayed => {
            ensure!(arrived.duplicated > u64::from(all) / 2, "the replay was too slow: repeat the run");
            let mut rounds = 0;
            while beside.counts(all).duplicated < u64::from(all) {
                ensure!(rounds < 600, "not all events were replayed");
                sleep(Duration::from_millis(100)).await;
                rounds += 1;
            }
            ensure!(beside.counts(all).disordered == 0, "replayed events were out of order");
        }
    }
    if let Some(mut replay) = replay {
        replay.kill().await;
    }
    Ok(())
}
