//! Metrics: every name and every label, in one place. Who reads them, Prometheus, CloudWatch or a collector, is the room
//! `telemetry`'s; where nobody does, counting costs next to nothing.
//!
//! Counts are made where things end: a message in the pipeline, an attempt in the delivery, a call in the plugin step. Labels
//! have few values: ids, groups and paths are in logs and spans. What others choose is capped.

mod capped;
pub mod trace;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use opentelemetry::metrics::{AsyncInstrument, Counter, Histogram, Meter};
use opentelemetry::{KeyValue, global};

use capped::{Capped, OTHER};
use towpath_types::dead_letter::REASONS;
use towpath_types::outcome::{Answer, Attempt};

/// The name of the meter.
const METER: &str = "towpath";

/// From a millisecond to an invocation's longest: plugins take microseconds, targets up to minutes.
const SECONDS: [f64; 14] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// From delivery at once to days on hold.
const AGES: [f64; 12] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 21_600.0, 86_400.0];

/// Up to the default limits, which are 500,000,000 units and 64 MiB.
const FUEL: [f64; 9] = [1e4, 1e5, 5e5, 1e6, 5e6, 1e7, 5e7, 1e8, 5e8];
const BYTES: [f64; 8] =
    [65_536.0, 262_144.0, 1_048_576.0, 2_097_152.0, 4_194_304.0, 16_777_216.0, 33_554_432.0, 67_108_864.0];

/// The codes of a build of a plugin, and the statuses of a target, that are told apart: more than anybody has an alert for.
const MOST_CODES: usize = 20;
const MOST_STATUSES: usize = 20;

/// The routes of dead letters that are told apart: letters may be older than the config, or be sent by a client of the queue.
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
    attempts: Counter<u64>,
    attempt_duration: Histogram<f64>,
    plugin_duration: Histogram<f64>,
    plugin_fuel: Histogram<u64>,
    plugin_memory: Histogram<u64>,
    shadows: Counter<u64>,
    webhooks: Counter<u64>,
    unreadable_keys: Counter<u64>,
    holds_failures: Counter<u64>,
}

/// Made with the first count: whoever reads is there by then.
static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::of(&global::meter(METER)));

/// Where the story of messages is logged: one line a pass, and one for each webhook that is stored. `towpath tail` and
/// `towpath trace` read it.
pub const STORY: &str = "towpath.story";

/// What waits in a process now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// Groups whose head waits because its target must not be called, by target.
    pub held: BTreeMap<Arc<str>, u64>,
    /// Groups whose head failed, by the target that it failed at; by nothing if it was none.
    pub blocked: BTreeMap<Arc<str>, u64>,
    /// How old the oldest of these heads is.
    pub oldest: Duration,
}

/// What every metric of a message is labelled with.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// The route's path; empty if none matches.
    pub route: &'a str,
    /// The plugin's name; empty without one.
    pub plugin: &'a str,
    /// The beginning of its digest.
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
            messages: counter("towpath.messages", "{message}", "Passes of messages, by what came of them"),
            message_duration: seconds("towpath.message.duration", &SECONDS, "How long a pass took"),
            message_age: seconds("towpath.message.age", &AGES, "How old a message was when it was done with"),
            dead_letters: counter("towpath.dead_letters", "{message}", "Messages stored in the dead-letter queue"),
            dead_letter_failures: counter(
                "towpath.dead_letter.failures",
                "{message}",
                "Dead letters that could not be stored: the messages are kept",
            ),
            dead_letters_removed: counter(
                "towpath.dead_letters.removed",
                "{message}",
                "Dead letters removed because dead_letters.keep says so",
            ),
            attempts: counter("towpath.attempts", "{request}", "Requests to targets, by what was answered"),
            attempt_duration: seconds("towpath.attempt.duration", &SECONDS, "How long a request to a target took"),
            plugin_duration: seconds("towpath.plugin.duration", &SECONDS, "How long a call of a plugin took"),
            plugin_fuel: amount("towpath.plugin.fuel", "{unit}", &FUEL, "Fuel that a call of a plugin used"),
            plugin_memory: amount(
                "towpath.plugin.memory",
                "By",
                &BYTES,
                "The most linear memory of a call of a plugin",
            ),
            shadows: counter("towpath.shadows", "{message}", "Messages that a shadow saw, by whether it agreed"),
            webhooks: counter("towpath.webhooks", "{webhook}", "Webhooks that came, by what was answered"),
            unreadable_keys: counter("towpath.keys.unreadable", "{key}", "Keys of webhooks that could not be read"),
            holds_failures: counter("towpath.holds.failures", "{read}", "Reads of the holds that failed"),
        }
    }
}

/// Shows what waits whenever somebody looks.
pub fn show(standing: impl Fn() -> Standing + Clone + Send + Sync + 'static) {
    let meter = global::meter(METER);
    let gauge = |name: &'static str, text: &'static str| {
        meter.u64_observable_gauge(name).with_unit("{group}").with_description(text)
    };
    let by_target = |groups: BTreeMap<Arc<str>, u64>, observer: &dyn AsyncInstrument<u64>| {
        for (target, count) in groups {
            observer.observe(count, &[KeyValue::new("target", target)]);
        }
    };
    let (held, blocked) = (standing.clone(), standing.clone());
    gauge("towpath.groups.held", "Groups whose head waits because its target must not be called")
        .with_callback(move |observer| by_target(held().held, observer))
        .build();
    gauge("towpath.groups.blocked", "Groups whose head failed and waits for another try")
        .with_callback(move |observer| by_target(blocked().blocked, observer))
        .build();
    let oldest = meter.f64_observable_gauge("towpath.head.age").with_unit("s");
    oldest
        .with_description("How old the oldest head is that is held or failed")
        .with_callback(move |observer| observer.observe(standing().oldest.as_secs_f64(), &[]))
        .build();
}

/// What is stored in a queue now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stored {
    /// The label of the queue.
    pub queue: &'static str,
    /// How many messages it has.
    pub messages: u64,
    /// How old the first of them is.
    pub oldest: Option<Duration>,
    /// How many of them are dead letters, by route and reason.
    pub letters: Vec<(String, String, u64)>,
}

/// Shows what is stored whenever somebody looks. What cannot be known is left out.
pub fn show_stored(stored: impl Fn() -> Vec<Stored> + Clone + Send + Sync + 'static) {
    let meter = global::meter(METER);
    let (ages, letters) = (stored.clone(), stored.clone());
    meter
        .u64_observable_gauge("towpath.queue.messages")
        .with_unit("{message}")
        .with_description("Messages that are stored in a queue, in flight or not")
        .with_callback(move |observer| {
            stored().iter().for_each(|queue| observer.observe(queue.messages, &[KeyValue::new("queue", queue.queue)]));
        })
        .build();
    meter
        .f64_observable_gauge("towpath.queue.age")
        .with_unit("s")
        .with_description("How old the first message of a queue is; 0 if it is empty")
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
        .with_description("Dead letters that wait for somebody to redrive or drop them")
        .with_callback(move |observer| {
            for (route, reason, count) in letters().into_iter().flat_map(|queue| queue.letters) {
                observer.observe(count, &[KeyValue::new("route", route), KeyValue::new("reason", reason)]);
            }
        })
        .build();
}

/// A webhook was answered with this status.
pub fn webhook(route: &str, status: u16) {
    METRICS.webhooks.add(1, &[KeyValue::new("route", route.to_owned()), KeyValue::new("status", i64::from(status))]);
}

/// A webhook came whose group or deduplication key cannot be read.
/// `key` is `group` or `dedup`, `reason` why it cannot be read.
pub fn unreadable_key(route: &str, key: &'static str, reason: &'static str) {
    let labels = [KeyValue::new("key", key), KeyValue::new("reason", reason), KeyValue::new("route", route.to_owned())];
    METRICS.unreadable_keys.add(1, &labels);
}

/// A pass of a message is over. `reason` is the plugin's code, or empty.
pub fn passed(labels: Labels<'_>, outcome: &'static str, decision: &'static str, reason: &str, took: Duration) {
    let Labels { route, plugin, digest } = labels;
    let metrics = &*METRICS;
    // Each build has codes of its own: a release that renames them is not counted as `other`.
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

/// A message is done with.
pub fn done(route: &str, age: Duration) {
    METRICS.message_age.record(age.as_secs_f64(), &[KeyValue::new("route", route.to_owned())]);
}

/// A dead letter was stored, or could not be.
pub fn buried(route: &str, reason: &'static str, stored: bool) {
    let labels = [KeyValue::new("reason", reason), KeyValue::new("route", route.to_owned())];
    let counter = if stored { &METRICS.dead_letters } else { &METRICS.dead_letter_failures };
    counter.add(1, &labels);
}

/// A dead letter was removed because a rule of the config says so.
pub fn removed(route: &str, reason: &str) {
    let reason = if REASONS.contains(&reason) { reason } else { OTHER };
    let labels = [KeyValue::new("reason", reason.to_owned()), KeyValue::new("route", ROUTES.value("", route))];
    METRICS.dead_letters_removed.add(1, &labels);
}

/// The holds could not be read.
pub fn holds_unreadable() {
    METRICS.holds_failures.add(1, &[]);
}

/// A request to a target was made.
pub fn attempted(attempt: &Attempt, took: Duration) {
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

/// What a call of a plugin used.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Units of fuel.
    pub fuel: u64,
    /// Linear memory at its largest, in bytes.
    pub memory: u64,
    /// The wall clock.
    pub took: Duration,
}

/// A plugin was called.
pub fn called(plugin: &str, used: Used) {
    let label = [KeyValue::new("plugin", plugin.to_owned())];
    let metrics = &*METRICS;
    metrics.plugin_duration.record(used.took.as_secs_f64(), &label);
    metrics.plugin_fuel.record(used.fuel, &label);
    metrics.plugin_memory.record(used.memory, &label);
}

/// A shadow saw a message.
pub fn compared(plugin: &str, agreed: bool) {
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
