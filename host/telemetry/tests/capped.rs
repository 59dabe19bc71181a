//! Labels that others choose stay within their caps where the host counts. A process of its own: the meter is global.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use parking_lot::Mutex;
use towpath_metrics::{Labels, attempted, passed, removed};
use towpath_types::outcome::{Answer, Attempt};

/// The values of the labels of all counters, as `metric label value`.
#[derive(Clone, Default)]
struct SeenLabels(Arc<Mutex<BTreeSet<String>>>);

impl PushMetricExporter for SeenLabels {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut seen = self.0.lock();
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            let AggregatedMetrics::U64(MetricData::Sum(sum)) = metric.data() else { continue };
            for label in sum.data_points().flat_map(|point| point.attributes()) {
                seen.insert(format!("{} {} {}", metric.name(), label.key, label.value));
            }
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

impl SeenLabels {
    fn values(&self, metric: &str, label: &str) -> BTreeSet<String> {
        let prefix = format!("{metric} {label} ");
        let seen = self.0.lock();
        seen.iter().filter_map(|entry| entry.strip_prefix(&prefix)).map(str::to_owned).collect()
    }
}

#[test]
fn values_that_plugins_targets_and_letters_invent_end_in_other_and_push_out_nobody_elses() {
    let seen = SeenLabels::default();
    let reader = PeriodicReader::builder(seen.clone()).with_interval(Duration::from_secs(3600)).build();
    let meters = SdkMeterProvider::builder().with_reader(reader).build();
    global::set_meter_provider(meters.clone());
    for n in 0..300 {
        let labels = Labels { route: "crm", plugin: "crm", digest: "3f2a9c1b7d04" };
        passed(labels, "skipped", "ack", &format!("invented-{n}"), Duration::ZERO);
        let answer = Answer::Status { status: 300 + n, excerpt: String::new() };
        let target = "sss".to_owned();
        let method = "POST".to_owned();
        let path = "/".to_owned();
        attempted(&Attempt { target, method, path, answer, millis: 1 }, Duration::ZERO);
        removed(&format!("route-{n}"), &format!("reason-{n}"));
    }
    let quiet = Labels { route: "mail", plugin: "mail", digest: "7d043f2a9c1b" };
    passed(quiet, "skipped", "ack", "no-subject", Duration::ZERO);
    meters.force_flush().expect("exported");
    let cases = [
        ("towpath.messages", "reason", 20 + 1 + 1),
        ("towpath.attempts", "status", 20 + 1),
        ("towpath.dead_letters.removed", "route", 200 + 1),
        ("towpath.dead_letters.removed", "reason", 1),
    ];
    for (metric, label, most) in cases {
        let values = seen.values(metric, label);
        assert!(values.contains("other"), "{metric} {label}: {values:?}");
        assert_eq!(values.len(), most, "{metric} {label}: {values:?}");
    }
    assert!(seen.values("towpath.messages", "reason").contains("no-subject"), "another plugin has codes of its own");
}
