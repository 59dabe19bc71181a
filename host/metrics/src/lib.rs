//! Metrics: every name and label, in one place. Exporters (Prometheus, CloudWatch, a collector) live in the room
//! `telemetry`; without one, recording costs next to nothing.
//!
//! Each count is recorded where the event ends: a message in the pipeline, an attempt in delivery, a call in the plugin
//! step. Labels have few values: ids, groups and paths go into logs and spans. Labels that others choose are capped.

mod capped;
mod totals;
pub mod trace;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use opentelemetry::metrics::{AsyncInstrument, Counter, Histogram, Meter};
use opentelemetry::{KeyValue, global};
use parking_lot::Mutex;

use capped::{Capped, OTHER};
use towpath_types::dead_letter::REASONS;
use towpath_types::outcome::{Answer, Attempt};

pub use totals::{Agreement, Durations, Totals, shadows, totals};

const METER: &str = "towpath";

/// From 0.1 ms to a minute: plugins take microseconds, targets up to minutes.
const SECONDS: [f64; 14] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// From immediate delivery to days on hold.
const AGES: [f64; 12] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 21_600.0, 86_400.0];

/// Up to the default limits: 500,000,000 units and 64 MiB.
const FUEL: [f64; 9] = [1e4, 1e5, 5e5, 1e6, 5e6, 1e7, 5e7, 1e8, 5e8];
const BYTES: [f64; 8] =
    [65_536.0, 262_144.0, 1_048_576.0, 2_097_152.0, 4_194_304.0, 16_777_216.0, 33_554_432.0, 67_108_864.0];

/// Distinct codes per plugin build and statuses per target: more than anybody alerts on.
const MOST_CODES: usize = 20;
const MOST_STATUSES: usize = 20;

/// Distinct routes of dead letters: a letter may be older than the config, or be sent by any client of the queue.
const MOST_ROUTES: usize = 200;

static CODES: LazyLock<Capped> = LazyLock::new(|| Capped::at(MOST_CODES));
static STATUSES: LazyLock<Capped> = LazyLock::new(|| Capped::at(MOST_STATUSES));
static ROUTES: LazyLock<Capped> = LazyLock::new(|| Capped::at(MOST_ROUTES));

struct Metrics {
    messages: Counter<u64>,
    message_duration: Histogram<f64>,
    message_age: Histogram<f64>,
    dead_letters: Counter<u64>,
    dead_letter_failures: Counter<u64>,
    dead_letters_removed: Counter<u64>,
    archive_dropped: Counter<u64>,
    attempts: Counter<u64>,
    attempt_duration: Histogram<f64>,
    plugin_duration: Histogram<f64>,
    plugin_fuel: Histogram<u64>,
    plugin_memory: Histogram<u64>,
    shadows: Counter<u64>,
    webhooks: Counter<u64>,
    unreadable_keys: Counter<u64>,
    splits: Counter<u64>,
    holds_failures: Counter<u64>,
}

/// Created with the first count, when the exporter is already installed.
static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::of(&global::meter(METER)));

/// The log target of message stories: one line per pass, and one per stored webhook. `towpath tail` and `towpath trace`
/// read it.
pub const STORY: &str = "towpath.story";

/// What is waiting in this process now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WaitingGroups {
    /// Groups whose head waits because its target must not be called, by target.
    pub held: BTreeMap<Arc<str>, u64>,
    /// Groups whose head failed, by the target at which it failed; the empty name if no target was involved.
    pub blocked: BTreeMap<Arc<str>, u64>,
    /// The age of the oldest of these heads.
    pub oldest: Duration,
}

/// Labels of every message metric.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// The route's path; empty if none matches.
    pub route: &'a str,
    /// The plugin's name; empty if there is none.
    pub plugin: &'a str,
    /// The first characters of its digest.
    pub digest: &'a str,
}

impl Metrics {
    fn of(meter: &Meter) -> Metrics {
        let counter = |name: &'static str, unit: &'static str, text: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(text).build()
        };
        let seconds = |name: &'static str, bounds: &[f64], text: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(text);
            histogram.with_boundaries(bounds.to_vec()).build()
        };
        let amount = |name: &'static str, unit: &'static str, bounds: &[f64], text: &'static str| {
            let histogram = meter.u64_histogram(name).with_unit(unit).with_description(text);
            histogram.with_boundaries(bounds.to_vec()).build()
        };
        Metrics {
            messages: counter("towpath.messages", "{message}", "Message passes, by outcome and decision"),
            message_duration: seconds("towpath.message.duration", &SECONDS, "Duration of a pass"),
            message_age: seconds(
                "towpath.message.age",
                &AGES,
                "Age of a message when it was acknowledged or dead-lettered",
            ),
            dead_letters: counter("towpath.dead_letters", "{message}", "Messages stored in the dead-letter queue"),
            dead_letter_failures: counter(
                "towpath.dead_letter.failures",
                "{message}",
                "Dead letters that could not be stored; their messages stay in the queue",
            ),
            dead_letters_removed: counter(
                "towpath.dead_letters.removed",
                "{message}",
                "Dead letters removed by dead_letters.keep",
            ),
            archive_dropped: counter(
                "towpath.archive.dropped",
                "{event}",
                "Events that were delivered or skipped, and could not be kept in the archive",
            ),
            attempts: counter("towpath.attempts", "{request}", "Requests to targets, by status"),
            attempt_duration: seconds("towpath.attempt.duration", &SECONDS, "Duration of a request to a target"),
            plugin_duration: seconds("towpath.plugin.duration", &SECONDS, "Duration of a plugin call"),
            plugin_fuel: amount("towpath.plugin.fuel", "{unit}", &FUEL, "Fuel used by a plugin call"),
            plugin_memory: amount("towpath.plugin.memory", "By", &BYTES, "Peak linear memory of a plugin call"),
            shadows: counter("towpath.shadows", "{message}", "Messages processed by a shadow, by whether it agreed"),
            webhooks: counter("towpath.webhooks", "{webhook}", "Webhooks received, by status"),
            unreadable_keys: counter(
                "towpath.keys.unreadable",
                "{key}",
                "Group and deduplication keys that could not be read",
            ),
            splits: counter("towpath.splits", "{webhook}", "Webhooks of routes that split, by what they became"),
            holds_failures: counter("towpath.holds.failures", "{read}", "Failed reads of the holds"),
        }
    }
}

/// Reads what is waiting.
type Standing = Box<dyn Fn() -> WaitingGroups + Send + Sync>;

static STANDING: Mutex<Option<Standing>> = Mutex::new(None);

/// What is waiting in this process now; `None` if it has no pipeline.
pub fn waiting() -> Option<WaitingGroups> {
    STANDING.lock().as_ref().map(|standing| standing())
}

/// Registers gauges of what is waiting; `standing` runs at every collection, and for [`waiting`].
pub fn show(standing: impl Fn() -> WaitingGroups + Clone + Send + Sync + 'static) {
    *STANDING.lock() = Some(Box::new(standing.clone()));
    let meter = global::meter(METER);
    let gauge = |name: &'static str, text: &'static str| {
        meter.u64_observable_gauge(name).with_unit("{group}").with_description(text)
    };
    let by_target = |groups: BTreeMap<Arc<str>, u64>, observer: &dyn AsyncInstrument<u64>| {
        for (target, count) in groups {
            observer.observe(count, &[KeyValue::new("target", target)]);
        }
    };
    let held = standing.clone();
    let blocked = standing.clone();
    gauge("towpath.groups.held", "Groups held because the target of their head must not be called")
        .with_callback(move |observer| by_target(held().held, observer))
        .build();
    gauge("towpath.groups.blocked", "Groups whose head failed and waits for its retry")
        .with_callback(move |observer| by_target(blocked().blocked, observer))
        .build();
    let oldest = meter.f64_observable_gauge("towpath.head.age").with_unit("s");
    oldest
        .with_description("Age of the oldest head that is held or failed")
        .with_callback(move |observer| observer.observe(standing().oldest.as_secs_f64(), &[]))
        .build();
}

/// What a queue stores now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QueueContents {
    /// The value of the label `queue`.
    pub queue: &'static str,
    pub messages: u64,
    /// The age of its oldest message.
    pub oldest: Option<Duration>,
    /// Its dead letters, by route and reason.
    pub letters: Vec<(String, String, u64)>,
}

/// Registers gauges of stored messages; `stored` runs at every collection. A queue that cannot be read is left out.
pub fn show_stored(stored: impl Fn() -> Vec<QueueContents> + Clone + Send + Sync + 'static) {
    let meter = global::meter(METER);
    let ages = stored.clone();
    let letters = stored.clone();
    meter
        .u64_observable_gauge("towpath.queue.messages")
        .with_unit("{message}")
        .with_description("Messages stored in a queue, in flight or not")
        .with_callback(move |observer| {
            stored().iter().for_each(|queue| observer.observe(queue.messages, &[KeyValue::new("queue", queue.queue)]));
        })
        .build();
    meter
        .f64_observable_gauge("towpath.queue.age")
        .with_unit("s")
        .with_description("Age of the oldest message of a queue; 0 if it is empty")
        .with_callback(move |observer| {
            for queue in ages() {
                let age = queue.oldest.unwrap_or_default().as_secs_f64();
                observer.observe(age, &[KeyValue::new("queue", queue.queue)]);
            }
        })
        .build();
    meter
        .u64_observable_gauge("towpath.dead_letters.waiting")
        .with_unit("{message}")
        .with_description("Dead letters waiting to be redriven or dropped")
        .with_callback(move |observer| {
            for (route, reason, count) in letters().into_iter().flat_map(|queue| queue.letters) {
                observer.observe(count, &[KeyValue::new("route", route), KeyValue::new("reason", reason)]);
            }
        })
        .build();
}

/// A webhook was answered with this status.
pub fn webhook(route: &str, status: u16) {
    totals::webhook(status);
    METRICS.webhooks.add(1, &[KeyValue::new("route", route.to_owned()), KeyValue::new("status", i64::from(status))]);
}

/// The group or deduplication key of a webhook could not be read. `key` is `group` or `dedup`.
pub fn unreadable_key(route: &str, key: &'static str, reason: &'static str) {
    let labels = [KeyValue::new("key", key), KeyValue::new("reason", reason), KeyValue::new("route", route.to_owned())];
    METRICS.unreadable_keys.add(1, &labels);
}

/// A webhook of a route that splits became several messages (`items`), nothing (`empty`) or one message (`whole`).
pub fn split(route: &str, outcome: &'static str) {
    METRICS.splits.add(1, &[KeyValue::new("route", route.to_owned()), KeyValue::new("outcome", outcome)]);
}

/// A pass of a message ended. `reason` is the plugin's code, or empty.
pub fn passed(labels: Labels<'_>, outcome: &'static str, decision: &'static str, reason: &str, took: Duration) {
    totals::passed(decision);
    let Labels { route, plugin, digest } = labels;
    let metrics = &*METRICS;
    // Caps apply per build: after a release that renames its codes the new ones are not counted as `other`.
    let reason = CODES.value(&format!("{plugin}@{digest}"), reason);
    let ended = [
        KeyValue::new("outcome", outcome),
        KeyValue::new("decision", decision),
        KeyValue::new("reason", reason),
        KeyValue::new("route", route.to_owned()),
        KeyValue::new("plugin", plugin.to_owned()),
        KeyValue::new("digest", digest.to_owned()),
    ];
    metrics.messages.add(1, &ended);
    metrics.message_duration.record(took.as_secs_f64(), &[KeyValue::new("route", route.to_owned())]);
}

/// A message was acknowledged or dead-lettered.
pub fn done(route: &str, age: Duration) {
    METRICS.message_age.record(age.as_secs_f64(), &[KeyValue::new("route", route.to_owned())]);
}

/// A dead letter was stored, or storing it failed.
pub fn buried(route: &str, reason: &'static str, stored: bool) {
    let labels = [KeyValue::new("reason", reason), KeyValue::new("route", route.to_owned())];
    let counter = if stored { &METRICS.dead_letters } else { &METRICS.dead_letter_failures };
    counter.add(1, &labels);
}

/// A dead letter was removed by a rule of the config.
pub fn removed(route: &str, reason: &str) {
    let reason = if REASONS.contains(&reason) { reason } else { OTHER };
    let labels = [KeyValue::new("reason", reason.to_owned()), KeyValue::new("route", ROUTES.value("", route))];
    METRICS.dead_letters_removed.add(1, &labels);
}

/// Events could not be kept in the archive.
pub fn archive_dropped(events: u64) {
    METRICS.archive_dropped.add(events, &[]);
}

pub fn holds_unreadable() {
    METRICS.holds_failures.add(1, &[]);
}

pub fn attempted(attempt: &Attempt, took: Duration) {
    totals::attempted(took);
    let status = STATUSES.value(&attempt.target, &status(&attempt.answer));
    let target = KeyValue::new("target", attempt.target.clone());
    METRICS.attempts.add(1, &[target.clone(), KeyValue::new("status", status)]);
    METRICS.attempt_duration.record(took.as_secs_f64(), &[target]);
}

/// The label of an answer. One that is missing, or broke off, has the status `none`.
fn status(answer: &Answer) -> String {
    match answer {
        Answer::Status { status, .. } => status.to_string(),
        Answer::Broken { .. } | Answer::None { .. } => "none".to_owned(),
    }
}

/// What a plugin call used.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    pub fuel: u64,
    /// Peak linear memory, in bytes.
    pub memory: u64,
    /// Wall-clock time.
    pub took: Duration,
}

pub fn called(plugin: &str, used: Used) {
    let label = [KeyValue::new("plugin", plugin.to_owned())];
    let metrics = &*METRICS;
    metrics.plugin_duration.record(used.took.as_secs_f64(), &label);
    metrics.plugin_fuel.record(used.fuel, &label);
    metrics.plugin_memory.record(used.memory, &label);
}

/// A shadow processed a message.
pub fn compared(plugin: &str, agreed: bool) {
    totals::compared(plugin, agreed);
    METRICS.shadows.add(1, &[KeyValue::new("plugin", plugin.to_owned()), KeyValue::new("agreed", agreed)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_broke_off_has_no_status() {
        assert_eq!(status(&Answer::Status { status: 503, excerpt: String::new() }), "503");
        assert_eq!(status(&Answer::Broken { status: 200, problem: "the answer broke off".to_owned() }), "none");
        assert_eq!(status(&Answer::None { problem: "cannot connect".to_owned() }), "none");
    }
}
