//! Rows and their results.

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use super::meter::Counts;
use super::scenario::Scenario;
use super::usage::Usage;

/// A way to deliver messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    /// `towpath serve` over the local queue.
    Serve,
    /// `towpath poll` over the SQS endpoint of another process.
    Poll,
    /// The Lambda host over the Runtime API, ten messages per invocation.
    Function,
    /// The forwarder in Python over the same API.
    Python,
    /// A loop of requests by reqwest, 16 at a time, without queue or plugin.
    Bare,
    /// The same loop with the plugin's call before each request: the limit of all rows.
    Limit,
    /// That loop as a function could run it: on one thread, ten at a time.
    CoreLimit,
    /// `towpath serve --ingest-only`, which only stores webhooks.
    Ingest,
    /// `towpath serve` with two targets, one of which is slow.
    Beside,
    /// `towpath serve` that receives events while it delivers others.
    Live,
}

/// What one run measured.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Figure {
    /// The row.
    pub row: Row,
    /// The scenario's name.
    pub scenario: &'static str,
    /// The number of measured messages.
    pub messages: u32,
    /// Messages that never arrived.
    pub lost: u64,
    /// Messages that arrived more than once.
    pub duplicated: u64,
    /// Messages that arrived before an earlier one of their group.
    pub disordered: u64,
    /// Messages per second.
    pub per_second: f64,
    /// CPU time per message of the delivering process, in microseconds.
    pub cpu_us: f64,
    /// The peak resident memory of that process, in MB.
    pub peak_mb: f64,
    /// Median and p99 from POST to delivery in milliseconds, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<(f64, f64)>,
    /// The same of a POST straight to the target, at the same rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_ms: Option<(f64, f64)>,
    /// CPU time of the process, in percent of one core, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_percent: Option<f64>,
}

impl Row {
    /// Whether the row is a loop of requests without a queue and without retries.
    pub(crate) fn is_loop(self) -> bool {
        matches!(self, Row::Bare | Row::Limit | Row::CoreLimit)
    }

    pub(super) fn figure(self, scenario: Scenario, used: Usage, counts: Counts) -> anyhow::Result<Figure> {
        ensure!(counts.foreign == 0, "{} requests had the body of no event", counts.foreign);
        let Counts { lost, duplicated, disordered, length, .. } = counts;
        Ok(Figure {
            row: self,
            scenario: scenario.name,
            messages: scenario.messages,
            lost,
            duplicated,
            disordered,
            per_second: f64::from(scenario.messages) / length.as_secs_f64(),
            cpu_us: used.cpu.as_secs_f64() * 1e6 / f64::from(scenario.messages),
            peak_mb: used.peak as f64 / 1e6,
            latency_ms: None,
            control_ms: None,
            core_percent: None,
        })
    }
}

impl Figure {
    /// p99 ÷ p50 of what the host adds to the latency of a POST straight to the target.
    pub(crate) fn excess(&self) -> Option<f64> {
        let ((half, most), (control_half, control_most)) = self.latency_ms.zip(self.control_ms)?;
        Some((most - control_most) / (half - control_half))
    }
}

/// A percentile in milliseconds, of sorted microseconds.
pub(crate) fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    f64::from(sorted.get(at).copied().unwrap_or_default()) / 1e3
}
