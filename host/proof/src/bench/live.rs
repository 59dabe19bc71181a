//! A host in use: events arrive while others are delivered, as fast as possible or 200 a second; or none does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::time::sleep;

use super::figure::{Figure, Row, percentile};
use super::lab::{Lab, PATIENCE};
use super::meter::{Counts, Meter};
use super::scenario::Scenario;
use super::usage::Usage;

/// Events per second of a host that has little to do.
const QUIET: u32 = 200;

/// How long a host is watched that has nothing to do.
const IDLE: Duration = Duration::from_secs(10);

/// How many connections post, in which scenario.
pub(super) const SCENARIOS: [(&str, u32, u32); 4] = [
    ("as fast as possible, 16 connections", 30_000, 16),
    ("as fast as possible, 64 connections", 30_000, 64),
    ("200 events a second", 2_000, 16),
    ("nothing happens", 0, 0),
];

/// The scenarios of a host in use.
pub(super) fn scenarios() -> [Scenario; 4] {
    SCENARIOS.map(|(name, messages, _)| {
        let per_second = if messages == 2_000 { QUIET } else { 0 };
        Scenario { name, messages, per_second, ..Scenario::base() }
    })
}

/// The one that the limit is measured in, too: at a low rate, most of the work is to wake up.
pub(super) fn quiet() -> Scenario {
    let [_, _, quiet, _] = scenarios();
    quiet
}

/// Measures a host in use. What it uses counts from the first event on, until the last one is delivered.
pub(super) async fn measure(lab: &Lab, scenario: Scenario) -> anyhow::Result<Figure> {
    let connections = SCENARIOS.iter().find(|(name, ..)| *name == scenario.name).map_or(0, |(.., many)| *many);
    let meter = Arc::new(Meter::start(scenario).await?);
    let url = format!("http://{}", meter.address);
    let mut host = lab.host(&url).await?;
    host.start(true).await?;
    // What it does once, after its start, is not what it does all the time.
    sleep(Duration::from_secs(1)).await;
    let before = Usage::of(host.process.id());
    let began = Instant::now();
    if connections == 0 {
        sleep(IDLE).await;
    } else {
        let rate = (scenario.per_second > 0).then(|| f64::from(scenario.per_second));
        host.post_over(connections, "events", &meter, scenario.messages, rate).await?;
        let done = meter.until(u64::from(scenario.messages), PATIENCE).await;
        ensure!(done >= u64::from(scenario.messages), "only {done} of {} messages arrived in time", scenario.messages);
    }
    let after = Usage::of(host.process.id());
    let length = began.elapsed();
    host.process.kill().await;
    let counts = meter.counts(scenario.messages);
    let latency_ms = Some((percentile(&counts.latencies, 50), percentile(&counts.latencies, 99)));
    let used = Usage { cpu: after.cpu.saturating_sub(before.cpu), peak: after.peak };
    let core_percent = Some(used.cpu.as_secs_f64() / length.as_secs_f64() * 100.0);
    let counts = Counts { length, ..counts };
    let figure = Row::Live.figure(scenario, used, counts)?;
    // Without events there is nothing to share the time of the process among.
    let cpu_us = if scenario.messages == 0 { 0.0 } else { figure.cpu_us };
    Ok(Figure { latency_ms, core_percent, cpu_us, ..figure })
}
