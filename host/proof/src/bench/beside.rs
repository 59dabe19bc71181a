//! A fast target next to a slow one: the latency of its events alone, and while 100 groups wait for the slow one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;

use super::figure::{Figure, Row, percentile};
use super::lab::{Lab, PATIENCE};
use super::meter::Meter;
use super::scenario::Scenario;
use super::usage::Usage;

/// Events per second for the fast target: far below its capacity, so that only waiting is measured.
pub(super) const RATE: f64 = 300.0;

/// The slow target, with 100 groups that wait for it. They must not end before the fast target's events.
fn slow() -> Scenario {
    Scenario { name: "slow", messages: 100, groups: 100, latency: Duration::from_secs(4), ..Scenario::base() }
}

/// Measures the fast target; alone in the first scenario of [`Scenario::beside`].
pub(super) async fn measure(lab: &Lab, scenario: Scenario) -> anyhow::Result<Figure> {
    let quick = Arc::new(Meter::start(scenario).await?);
    let slow = Arc::new(Meter::start(slow()).await?);
    let url = |meter: &Meter| format!("http://{}", meter.address);
    let mut host = lab.host_beside(&url(&quick), &url(&slow)).await?;
    host.start(true).await?;
    let [alone, _] = Scenario::beside();
    if scenario != alone {
        host.post("slow", &slow, slow.groups(), None).await?;
        // By the first answer, as many messages are in flight as can be.
        slow.until(1, PATIENCE).await;
    }
    let before = Usage::of(host.process.id());
    host.post("events", &quick, scenario.messages, Some(RATE)).await?;
    let done = quick.until(u64::from(scenario.messages), PATIENCE).await;
    ensure!(done >= u64::from(scenario.messages), "only {done} of {} messages arrived in time", scenario.messages);
    let after = Usage::of(host.process.id());
    if scenario != alone {
        let slow = slow.counts(slow.groups());
        ensure!(slow.lost > 0, "the slow target finished before the fast one: the run measured nothing, repeat it");
    }
    host.process.kill().await;
    let counts = quick.counts(scenario.messages);
    let latency_ms = Some((percentile(&counts.latencies, 50), percentile(&counts.latencies, 99)));
    let used = Usage { cpu: after.cpu.saturating_sub(before.cpu), peak: after.peak };
    Ok(Figure { latency_ms, ..Row::Beside.figure(scenario, used, counts)? })
}
