//! A quick target beside a slow one: how long its events take alone, and while a hundred groups wait for the other.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;

use super::figure::{Figure, Row, percentile};
use super::lab::{Lab, PATIENCE};
use super::meter::Meter;
use super::scenario::Scenario;
use super::usage::Usage;

/// Events a second for the quick target: far from what it can take, so that what is measured is waiting.
pub(super) const RATE: f64 = 300.0;

/// The other target, with a hundred groups that wait for it. They are not done before the quick one's events are.
fn slow() -> Scenario {
    Scenario { name: "slow", messages: 100, groups: 100, latency: Duration::from_secs(4), ..Scenario::base() }
}

/// Measures the quick target, alone in the first of [`Scenario::beside`].
pub(super) async fn measure(lab: &Lab, scenario: Scenario) -> anyhow::Result<Figure> {
    let quick = Arc::new(Meter::start(scenario).await?);
    let slow = Arc::new(Meter::start(slow()).await?);
    let url = |meter: &Meter| format!("http://{}", meter.address);
    let mut host = lab.host_beside(&url(&quick), &url(&slow)).await?;
    host.start(true).await?;
    let [alone, _] = Scenario::beside();
    if scenario != alone {
        host.post("slow", &slow, slow.groups(), None).await?;
        // With the first answer all that can be under way is.
        slow.until(1, PATIENCE).await;
    }
    let before = Usage::of(host.process.id());
    host.post("events", &quick, scenario.messages, Some(RATE)).await?;
    let done = quick.until(u64::from(scenario.messages), PATIENCE).await;
    ensure!(done >= u64::from(scenario.messages), "{done} of {} messages came in time", scenario.messages);
    let after = Usage::of(host.process.id());
    if scenario != alone {
        let slow = slow.counts(slow.groups());
        ensure!(slow.lost > 0, "the slow target was done before the quick one: nothing was measured beside it");
    }
    host.process.kill().await;
    let counts = quick.counts(scenario.messages);
    let latency_ms = Some((percentile(&counts.latencies, 50), percentile(&counts.latencies, 99)));
    let used = Usage { cpu: after.cpu.saturating_sub(before.cpu), peak: after.peak };
    Ok(Figure { latency_ms, ..Row::Beside.figure(scenario, used, counts)? })
}
