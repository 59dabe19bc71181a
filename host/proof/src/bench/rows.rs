//! Runs the benchmarks. A row is one way to deliver messages, a figure is its result in one scenario.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::time::sleep;

use super::beside;
use super::figure::{Figure, Row, percentile};
use super::invocations::{self, invoke};
use super::lab::{self, BATCH, CONCURRENCY, Lab, PATIENCE, SENDERS};
use super::live;
use super::meter::{Counts, Meter};
use super::scenario::Scenario;
use super::usage::Usage;
use crate::process::Process;

impl Row {
    /// Runs a scenario.
    pub(crate) async fn run(self, lab: &Lab, scenario: Scenario) -> anyhow::Result<Figure> {
        // Linux reports CPU time in steps of 10 ms, so fast rows send more messages.
        let quick = self.is_loop() && scenario.latency.is_zero() && scenario.bytes < 1000 && scenario.per_second == 0;
        let scenario = Scenario { messages: scenario.messages * if quick { 4 } else { 1 }, ..scenario };
        let meter = Arc::new(Meter::start(scenario).await?);
        let url = format!("http://{}", meter.address);
        let used = match self {
            Row::Serve => serve(lab, &meter, &scenario, &url).await?,
            Row::Poll => poll(lab, &meter, &scenario, &url).await?,
            Row::Function => {
                let (queue, _server) = invocations::queue().await?;
                invoke(&mut lab.function(&url, queue).await?, &meter, &scenario).await?
            }
            Row::Python => invoke(&mut lab.python(&url).await?, &meter, &scenario).await?,
            Row::Bare => child(lab.child("bare", CONCURRENCY, None, &url, &scenario), &meter, &scenario).await?,
            Row::Limit => child(lab.child("parts", CONCURRENCY, None, &url, &scenario), &meter, &scenario).await?,
            Row::CoreLimit => child(lab.child("parts", BATCH, Some(1), &url, &scenario), &meter, &scenario).await?,
            Row::Ingest => return ingest(lab, &meter, scenario, &url).await,
            Row::Beside => return beside::measure(lab, scenario).await,
            Row::Live => return live::measure(lab, scenario).await,
        };
        // Only the first messages of a backlog are measured, and the host chooses which they are.
        let sent = if scenario.backlog > 0 { 0 } else { scenario.messages };
        self.figure(scenario, used, meter.counts(sent))
    }

    /// Posts all events, at a rate or as fast as possible, while the row delivers them.
    pub(crate) async fn through(self, lab: &Lab, scenario: Scenario, rate: Option<f64>) -> anyhow::Result<Through> {
        let meter = Arc::new(Meter::start(scenario).await?);
        let url = format!("http://{}", meter.address);
        let mut host = lab.host(&url).await?;
        host.start(self == Row::Serve).await?;
        let mut poller = lab.poller(&host, &url)?;
        if self == Row::Poll {
            poller.start()?;
        }
        host.post("events", &meter, scenario.messages, rate).await?;
        let done = meter.until(u64::from(scenario.messages), PATIENCE).await;
        ensure!(done >= u64::from(scenario.messages), "only {done} of {} messages arrived in time", scenario.messages);
        let Counts { disordered, latencies, length, .. } = meter.counts(scenario.messages);
        ensure!(disordered == 0, "{disordered} messages arrived out of order");
        poller.kill().await;
        host.process.kill().await;
        let per_second = f64::from(scenario.messages) / length.as_secs_f64();
        Ok(Through { per_second, latency_ms: (percentile(&latencies, 50), percentile(&latencies, 99)) })
    }
}

/// Posts events to the target itself, at a rate: the latency of the machine, its senders and the target, without a host.
pub(crate) async fn control(scenario: Scenario, rate: f64) -> anyhow::Result<(f64, f64)> {
    let meter = Arc::new(Meter::start(scenario).await?);
    let url = format!("http://{}", meter.address);
    lab::post(&url, SENDERS, &meter, scenario.messages, Some(rate)).await?;
    let latencies = meter.counts(scenario.messages).latencies;
    Ok((percentile(&latencies, 50), percentile(&latencies, 99)))
}

impl Figure {
    /// Whether both are of the same row and scenario.
    pub(crate) fn is_of(&self, other: &Figure) -> bool {
        (self.row, self.scenario) == (other.row, other.scenario)
    }

    /// The median round, with the worst counts of all rounds.
    pub(crate) fn of_rounds(mut rounds: Vec<Figure>) -> Option<Figure> {
        let excess = |figure: &Figure| figure.excess().or_else(|| Some(figure.latency_ms?.1)).unwrap_or_default();
        rounds.sort_by(|one, other| excess(one).total_cmp(&excess(other)));
        let timed = rounds.get(rounds.len() / 2).map(|figure| (figure.latency_ms, figure.control_ms));
        rounds.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
        let worst = |count: fn(&Figure) -> u64| rounds.iter().map(count).max().unwrap_or_default();
        let lost = worst(|figure| figure.lost);
        let duplicated = worst(|figure| figure.duplicated);
        let disordered = worst(|figure| figure.disordered);
        let (latency_ms, control_ms) = timed?;
        let middle = rounds.swap_remove(rounds.len().checked_sub(1)? / 2);
        Some(Figure { lost, duplicated, disordered, latency_ms, control_ms, ..middle })
    }
}

/// The result of posting and delivering at the same time.
pub(crate) struct Through {
    pub(crate) per_second: f64,
    /// From POST to delivery: median and p99.
    pub(crate) latency_ms: (f64, f64),
}

/// Fills a queue, and measures a host that starts with it and drains it.
async fn serve(lab: &Lab, meter: &Arc<Meter>, scenario: &Scenario, url: &str) -> anyhow::Result<Usage> {
    let mut host = lab.host(url).await?;
    host.start(false).await?;
    host.pile("events", meter, 0..scenario.messages + scenario.backlog).await?;
    host.process.terminate().await;
    host.start(true).await?;
    let id = host.process.id();
    let used = drained(meter, scenario, || Usage::of(id)).await?;
    host.process.kill().await;
    Ok(used)
}

async fn poll(lab: &Lab, meter: &Arc<Meter>, scenario: &Scenario, url: &str) -> anyhow::Result<Usage> {
    let mut host = lab.host(url).await?;
    host.start(false).await?;
    host.pile("events", meter, 0..scenario.messages + scenario.backlog).await?;
    let mut poller = lab.poller(&host, url)?;
    poller.start()?;
    let id = poller.id();
    let used = drained(meter, scenario, || Usage::of(id)).await?;
    poller.kill().await;
    host.process.kill().await;
    Ok(used)
}

/// What is used from the first message to the last, without the start of the process.
async fn drained(meter: &Meter, scenario: &Scenario, usage: impl Fn() -> Usage) -> anyhow::Result<Usage> {
    let begun = meter.until(1, PATIENCE).await;
    let before = usage();
    let done = meter.until(u64::from(scenario.messages), PATIENCE).await;
    let after = usage();
    ensure!(done >= u64::from(scenario.messages), "only {done} of {} messages arrived in time", scenario.messages);
    // Wait for duplicates.
    sleep(Duration::from_millis(100)).await;
    let part = f64::from(scenario.messages) / (done - begun).max(1) as f64;
    // A process that has exited reports no memory.
    Ok(Usage { cpu: after.cpu.saturating_sub(before.cpu).mul_f64(part), peak: after.peak.max(before.peak) })
}

async fn child(mut child: Process, meter: &Meter, scenario: &Scenario) -> anyhow::Result<Usage> {
    child.start()?;
    let id = child.id();
    let used = drained(meter, scenario, || Usage::of(id)).await?;
    child.kill().await;
    Ok(used)
}

async fn ingest(lab: &Lab, meter: &Arc<Meter>, scenario: Scenario, url: &str) -> anyhow::Result<Figure> {
    let mut host = lab.host(url).await?;
    host.start(false).await?;
    let before = Usage::of(host.process.id());
    let began = Instant::now();
    let took = host.post("events", meter, scenario.messages, None).await?;
    let length = began.elapsed();
    let after = Usage::of(host.process.id());
    host.process.kill().await;
    let counts = Counts { length, ..Counts::default() };
    let used = Usage { cpu: after.cpu.saturating_sub(before.cpu), peak: after.peak };
    let latency_ms = Some((percentile(&took, 50), percentile(&took, 99)));
    Ok(Figure { latency_ms, ..Row::Ingest.figure(scenario, used, counts)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_give_the_median_and_the_worst_counts() {
        let round = |per_second: f64, lost: u64, latency_ms: Option<(f64, f64)>| {
            let counts = Counts { lost, length: Duration::from_secs(1), ..Counts::default() };
            let figure = Row::Serve.figure(Scenario::base(), Usage::default(), counts).expect("a figure");
            Figure { per_second, latency_ms, ..figure }
        };
        let rounds =
            vec![round(9.0, 0, Some((1.0, 7.0))), round(2.0, 1, Some((1.2, 2.0))), round(5.0, 0, Some((0.9, 3.0)))];
        let told = Figure::of_rounds(rounds).expect("there are some");
        assert_eq!((told.per_second, told.lost, told.latency_ms), (5.0, 1, Some((0.9, 3.0))));
        assert_eq!(Figure::of_rounds(vec![round(4.0, 0, None)]).map(|told| told.latency_ms), Some(None));
        assert_eq!(Figure::of_rounds(Vec::new()), None);
    }
}
