//! Where the design saturates on AWS, by arithmetic from published limits; a simulation that checks the arithmetic; and the cost.
//! Nothing here was measured on AWS.

mod simulation;

use std::fmt::Write as _;

pub use simulation::{Outcome, simulate};

/// What AWS allows. Quotas can be raised where "default" says so.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Messages in flight in a FIFO queue, including held ones. Source: "Amazon SQS message quotas".
    pub in_flight: u32,
    /// The first messages of the queue, in which a receive looks for a free group. Source: "Amazon SQS FIFO queue
    /// quotas".
    pub window: u32,
    /// The most receives of a message; at the next one the queue moves it to the dead-letter queue. Source: `maxReceiveCount` of `SetQueueAttributes`.
    pub receives: u32,
    /// Requests per second and operation, with high throughput, in the largest regions. Source: the same.
    pub requests: f64,
    /// Concurrent invocations: `maximum_concurrency` of the mapping. Source: "Configuring scaling behavior for SQS event
    /// source mappings".
    pub functions: u32,
    /// Messages per invocation, for a FIFO queue. Source: "Using Lambda with Amazon SQS".
    pub batch: u32,
    /// Requests per second of an HTTP API (default). Source: "Quotas for configuring and running an HTTP API".
    pub posts: f64,
}

/// As published in 2025.
pub const AWS: Limits = Limits {
    in_flight: 120_000,
    window: 120_000,
    receives: 1000,
    requests: 70_000.0,
    functions: 1000,
    batch: 10,
    posts: 10_000.0,
};

/// Prices of `us-east-1`, in dollars, without free tiers, as published in 2025.
mod prices {
    /// A million requests of an HTTP API.
    pub(super) const API: f64 = 1.00;
    /// A million requests to a FIFO queue; each 64 KB of a message is one.
    pub(super) const SQS: f64 = 0.50;
    /// A million invocations.
    pub(super) const INVOCATIONS: f64 = 0.20;
    /// A GB-second on arm64.
    pub(super) const GB_SECOND: f64 = 0.000_013_333_4;
    /// A GB of logs.
    pub(super) const LOGS: f64 = 0.50;
    /// A GB into Firehose; each record is rounded up to 5 KB. Source: <https://aws.amazon.com/firehose/pricing/>.
    pub(super) const FIREHOSE: f64 = 0.029;
    /// A GB in S3 for a month. Source: <https://aws.amazon.com/s3/pricing/>.
    pub(super) const S3: f64 = 0.023;
}

/// The load and the target.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Groups that have messages.
    pub groups: u32,
    /// Messages per second.
    pub per_second: f64,
    /// The target's response time, in seconds.
    pub target_s: f64,
    /// The rest of an invocation, in seconds.
    pub overhead_s: f64,
    /// The share of the groups whose target is on hold.
    pub held: f64,
    /// How long a held message waits until its next receive, in seconds, from its age in seconds and its receive count.
    pub hold_wait_s: fn(f64, u32) -> f64,
}

/// A hundred thousand groups, and a target that takes 200 ms.
pub const LOAD: Load =
    Load { groups: 100_000, per_second: 5_000.0, target_s: 0.2, overhead_s: 0.01, held: 0.0, hold_wait_s: growing };

/// A receive each minute: what a short fixed wait costs.
pub fn each_minute(_: f64, _: u32) -> f64 {
    60.0
}

/// The documented wait: a minute, or about 0.7 % of the age if that is more.
pub fn growing(age_s: f64, _: u32) -> f64 {
    (age_s * 0.007).max(60.0)
}

impl Limits {
    /// Messages per second if enough groups have messages: the groups of an invocation run in parallel.
    pub fn by_functions(&self, load: &Load) -> f64 {
        f64::from(self.functions) * f64::from(self.batch) / (load.overhead_s + load.target_s)
    }

    /// Messages per second up to which functions are free and get one message each, as there is no batching window. Above this rate
    /// all functions are busy and batches grow.
    pub fn by_single_messages(&self, load: &Load) -> f64 {
        f64::from(self.functions) / (load.overhead_s + load.target_s)
    }

    /// Messages per second if few groups have many messages: an invocation has ten of one group, one after another.
    pub fn by_groups(&self, load: &Load) -> f64 {
        let invocation = load.overhead_s + f64::from(self.batch) * load.target_s;
        f64::from(load.groups.min(self.functions)) * f64::from(self.batch) / invocation
    }

    /// Messages per second through one group, in order.
    pub fn by_one_group(&self, load: &Load) -> f64 {
        self.by_groups(&Load { groups: 1, ..*load })
    }

    /// Messages per second that the limit of messages in flight allows.
    pub fn by_flight(&self, load: &Load) -> f64 {
        f64::from(self.in_flight) / (load.overhead_s + load.target_s)
    }

    /// How long a hold can last, in seconds, until its messages fill the window and no message behind them is found.
    pub fn longest_hold(&self, load: &Load) -> f64 {
        f64::from(self.window) / (load.per_second * load.held)
    }

    /// How many groups can be held at once: of each, a batch waits in flight.
    pub fn most_held_groups(&self, load: &Load) -> f64 {
        // Messages that arrived while the group waited are received with its head.
        let wait = (load.hold_wait_s)(0.0, 1);
        let waiting = (load.per_second / f64::from(load.groups) * wait).clamp(1.0, f64::from(self.batch));
        f64::from(self.in_flight) / waiting
    }
}

/// The cost of a million events in dollars, by part, with `batch` messages per invocation and bodies below 64 KB.
pub fn cost(load: &Load, batch: f64) -> Vec<(&'static str, f64)> {
    let ingest_gb = 0.128;
    let ingest_s = 0.005;
    let host_gb = 0.256;
    let invocations = 1.0 / batch;
    let host_s = load.overhead_s + load.target_s;
    // Measured, in KB. Per event: the ingest function's log line, metrics and Lambda's own lines, and the line of the pass. Per
    // invocation of the host: metrics and Lambda's own lines.
    let event_kb = 0.25 + 0.3 + 0.35 + 0.45;
    let invocation_kb = 2.4 + 0.2 + 0.35;
    vec![
        ("HTTP API", prices::API),
        ("ingest function", prices::INVOCATIONS + 1e6 * ingest_gb * ingest_s * prices::GB_SECOND),
        ("SQS: a send each, a receive and a delete per batch", prices::SQS * (1.0 + 2.0 * invocations)),
        ("host function", invocations * (prices::INVOCATIONS + 1e6 * host_gb * host_s * prices::GB_SECOND)),
        // A million times 1 KB is 1 GB.
        ("logs and metrics", (event_kb + invocations * invocation_kb) * prices::LOGS),
    ]
}

/// What the archive of a million events of up to 5 KB costs in dollars: Firehose, and 30 days in S3 at a third of the size, as gzip makes it.
pub fn archive_cost() -> f64 {
    // Firehose bills 1,048,576 KB as a GB.
    let gb = 5.0 * 1e6 / 1_048_576.0;
    gb * prices::FIREHOSE + gb / 3.0 * prices::S3
}

/// The section of `BENCHMARKS.md`.
pub fn markdown() -> String {
    let limits = AWS;
    let load = LOAD;
    let mut text = String::from(
        "\n## Scale on AWS, by arithmetic\n\n\
        Nothing in this section was measured on AWS. It follows from the limits that AWS published in 2025; check them against AWS's pages before you\n\
        rely on them. `host/proof/src/scale.rs` has the formulas and their sources. A simulation of 100,000 groups and 1,000 functions by the rules of\n\
        FIFO queues checks them (`cargo test -p towpath-proof scale`). The target takes 200 ms, and the rest of an invocation 10 ms.\n\n\
        | what limits | formula | messages per second |\n|---|---|---|\n",
    );
    let rows = [
        (
            "functions, ten groups in each batch: the best case",
            "functions × 10 / (10 ms + 200 ms)",
            limits.by_functions(&load),
        ),
        (
            "functions, one message each: above this rate batches grow",
            "functions / (10 ms + 200 ms)",
            limits.by_single_messages(&load),
        ),
        (
            "functions, ten messages of one group in each batch: the worst case",
            "functions × 10 / (10 ms + 10 × 200 ms)",
            limits.by_groups(&load),
        ),
        ("one group, in order", "10 / (10 ms + 10 × 200 ms)", limits.by_one_group(&load)),
        ("messages in flight", "120,000 / (10 ms + 200 ms)", limits.by_flight(&load)),
        (
            "requests to SQS, one send per message",
            "70,000 in regions with the highest throughput, 2,400 in small regions",
            limits.requests,
        ),
        ("HTTP API", "10,000 by default, can be raised on request", limits.posts),
    ];
    for (what, formula, rate) in rows {
        let _ = writeln!(text, "| {what} | {formula} | {} |", thousands(rate));
    }
    let held = Load { held: 0.1, per_second: 1000.0, ..load };
    let _ = writeln!(
        text,
        "\nThere is no batching window, so a queue without a backlog hands out one message per invocation. This decides what a million events cost\n\
        (below). Above {} a second all functions are busy and batches grow, up to {} a second at best.\n\n\
        **Overload is not linear.** A receive takes the waiting messages of a group together, up to a batch of ten. The longer the backlog of each group,\n\
        the fewer groups are in a batch, until the rate falls to {} a second. Keep peaks below the best case, or give slow targets a queue of\n\
        their own.\n\n\
        **A hold cannot last forever.** A receive looks only at the first 120,000 messages, and messages for a target on hold fill them. At 1,000 messages\n\
        a second, a tenth of them for that target, this takes 120,000 / 100 = {:.0} s. After that no message behind them is found, and all other groups\n\
        stand still until the hold ends; nothing is lost. If a target may be down for longer, give it its own queue and deployment. Each held group has\n\
        up to ten messages in flight, so between {} and {} groups can be held at the same time.",
        thousands(limits.by_single_messages(&load)),
        thousands(limits.by_functions(&load)),
        thousands(limits.by_groups(&load)),
        limits.longest_hold(&held),
        thousands(f64::from(limits.in_flight) / f64::from(limits.batch)),
        thousands(f64::from(limits.in_flight)),
    );
    text += "\n| cost of a million events | ten per invocation | one per invocation |\n|---|---|---|\n";
    let ten = cost(&load, 10.0);
    let one = cost(&load, 1.0);
    for ((part, ten), (_, one)) in ten.iter().zip(&one) {
        let _ = writeln!(text, "| {part} | $ {ten:.2} | $ {one:.2} |");
    }
    let sum = |parts: &[(&str, f64)]| parts.iter().map(|(_, cost)| cost).sum::<f64>();
    let _ = writeln!(text, "| total | **$ {:.2}** | **$ {:.2}** |", sum(&ten), sum(&one));
    let _ = writeln!(
        text,
        "\nWith [the archive](docs/operate/aws-archive.md#what-it-costs) a million events of up to 5 KB cost $ {:.2} more: Firehose, and 30 days in S3.",
        archive_cost()
    );
    text += "\nPrices of us-east-1 as published in 2025, without free tiers: 256 MB for the host, 128 MB and 5 ms for ingest, bodies below 64 KB.\n";
    text
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
#[path = "scale/tests.rs"]
mod tests;
