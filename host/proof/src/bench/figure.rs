//! What is measured, and what came of it.

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use super::meter::Counts;
use super::scenario::Scenario;
use super::usage::Usage;

/// A way to carry messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    /// `towpath serve`: poll mode over the local queue.
    Serve,
    /// `towpath poll` over the SQS endpoint of another process.
    Poll,
    /// The Lambda host over the Runtime API, ten messages an invocation.
    Function,
    /// The forwarder in Python over the same API.
    Python,
    /// A loop of requests by reqwest, sixteen at a time, without queue or plugin.
    Bare,
    /// The same loop with the plugin's call before each request: what nobody can be faster than.
    Limit,
    /// That loop as a function could run it: by one thread, ten at a time.
    CoreLimit,
    /// `towpath serve --ingest-only`: webhooks that are stored.
    Ingest,
    /// `towpath serve` with two targets, one of which is slow.
    Beside,
}

/// What one run measured.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Figure {
    /// The row.
    pub row: Row,
    /// The scenario's name.
    pub scenario: &'static str,
    /// How many messages were measured.
    pub messages: u32,
    /// Messages that never came.
    pub lost: u64,
    /// Messages that came more than once.
    pub duplicated: u64,
    /// Messages that came before one that was sent before them in their group.
    pub disordered: u64,
    /// Messages a second.
    pub per_second: f64,
    /// CPU time a message, in microseconds, of the process that carries.
    pub cpu_us: f64,
    /// The most resident memory of that process, in MB.
    pub peak_mb: f64,
    /// From sending to the target, half of all and 99 of a hundred, in milliseconds, where it was measured: at half load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<(f64, f64)>,
}

impl Row {
    /// Requests without a queue, tried once.
    pub(crate) fn is_loop(self) -> bool {
        matches!(self, Row::Bare | Row::Limit | Row::CoreLimit)
    }

    pub(super) fn figure(self, scenario: Scenario, used: Usage, counts: Counts) -> anyhow::Result<Figure> {
        ensure!(counts.foreign == 0, "{} requests were of no event", counts.foreign);
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
        })
    }
}

/// In milliseconds, of microseconds in order.
pub(crate) fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    f64::from(sorted.get(at).copied().unwrap_or_default()) / 1e3
}
