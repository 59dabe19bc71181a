//! Metrics as log lines of a function, in CloudWatch's
//! [embedded metric
//! format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
//!
//! Each set of dimensions is a separate, billed metric. Labels with many values are therefore written as plain
//! properties, which Logs Insights can query. Histograms are written as values with counts, as the OpenTelemetry
//! collector for AWS writes them.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, HistogramDataPoint, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use towpath_types::foreign;

/// The CloudWatch namespace.
const NAMESPACE: &str = "Towpath";

/// The dimension that names the function.
const SERVICE: &str = "service";

/// Labels that are properties and not dimensions, for all metrics and for `towpath.messages`: a digest is new with
/// every release, and plugins choose the reason.
const PROPERTY: &str = "digest";
const PROPERTY_OF_MESSAGES: (&str, &str) = ("towpath.messages", "reason");

pub(crate) struct Emf<W> {
    out: Mutex<W>,
    service: String,
}

/// What shares a line: dimensions and properties.
type Labels = (BTreeMap<String, String>, BTreeMap<String, String>);

/// A metric of a line: name, unit and value.
type Figure = (String, &'static str, Value);

impl<W: Write + Send + 'static> Emf<W> {
    /// For the function named `service`.
    pub(crate) fn new(out: W, service: String) -> Emf<W> {
        Emf { out: Mutex::new(out), service }
    }

    fn lines(&self, metrics: &ResourceMetrics, now: SystemTime) -> Vec<String> {
        let mut lines: BTreeMap<Labels, Vec<Figure>> = BTreeMap::new();
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            let name = metric.name();
            let unit = match metric.unit() {
                "s" => "Seconds",
                "By" => "Bytes",
                _ => "Count",
            };
            for (attributes, value) in points(metric.data()) {
                let labels = self.labels(name, &attributes);
                lines.entry(labels).or_default().push((name.to_owned(), unit, value));
            }
        }
        let at = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        lines
            .into_iter()
            .map(|(labels, figures)| line(u64::try_from(at).unwrap_or_default(), labels, figures))
            .collect()
    }

    fn labels(&self, metric: &str, attributes: &[KeyValue]) -> Labels {
        let (mut dimensions, mut properties) = Labels::default();
        dimensions.insert(SERVICE.to_owned(), self.service.clone());
        for KeyValue { key, value, .. } in attributes {
            let key = key.as_str();
            let value = value.as_str().into_owned();
            // CloudWatch rejects empty dimensions.
            if value.is_empty() {
                continue;
            }
            let property = key == PROPERTY || (metric, key) == PROPERTY_OF_MESSAGES;
            let labels = if property { &mut properties } else { &mut dimensions };
            labels.insert(key.to_owned(), value);
        }
        (dimensions, properties)
    }
}

fn line(at: u64, (dimensions, properties): Labels, figures: Vec<Figure>) -> String {
    // And the total over all dimensions: an alarm watches one metric.
    let names: Vec<&str> = dimensions.keys().map(String::as_str).collect();
    let sets = if names.len() > 1 { vec![vec![SERVICE], names] } else { vec![names] };
    let metrics: Vec<Value> = figures.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let directive = json!([{ "Namespace": NAMESPACE, "Dimensions": sets, "Metrics": metrics }]);
    let mut line = Map::new();
    line.insert("_aws".to_owned(), json!({ "Timestamp": at, "CloudWatchMetrics": directive }));
    line.extend(dimensions.into_iter().chain(properties).map(|(key, value)| (key, Value::from(value))));
    line.extend(figures.into_iter().map(|(name, _, value)| (name, value)));
    foreign::json(&Value::Object(line).to_string()).into_owned()
}

/// The data points of a metric with their attributes, without empty ones.
fn points(data: &AggregatedMetrics) -> Vec<(Vec<KeyValue>, Value)> {
    match data {
        AggregatedMetrics::F64(data) => of(data, |value| value),
        AggregatedMetrics::U64(data) => of(data, |value| value as f64),
        AggregatedMetrics::I64(data) => of(data, |value| value as f64),
    }
}

fn of<T: Copy>(data: &MetricData<T>, number: impl Fn(T) -> f64) -> Vec<(Vec<KeyValue>, Value)> {
    let attributes = |attributes: &mut dyn Iterator<Item = &KeyValue>| attributes.cloned().collect::<Vec<_>>();
    match data {
        MetricData::Gauge(gauge) => {
            let points = gauge.data_points();
            points.map(|point| (attributes(&mut point.attributes()), json!(number(point.value())))).collect()
        }
        MetricData::Sum(sum) => {
            let points = sum.data_points().map(|point| (attributes(&mut point.attributes()), number(point.value())));
            points.filter(|(_, value)| *value != 0.0).map(|(labels, value)| (labels, json!(value))).collect()
        }
        MetricData::Histogram(histogram) => {
            let points = histogram.data_points().filter(|point| point.count() > 0);
            points.map(|point| (attributes(&mut point.attributes()), spread(point, &number))).collect()
        }
        MetricData::ExponentialHistogram(_) => Vec::new(),
    }
}

/// A histogram for CloudWatch: each bucket is represented by its middle, clamped to the observed range.
fn spread<T: Copy>(point: &HistogramDataPoint<T>, number: &impl Fn(T) -> f64) -> Value {
    let min = point.min().map_or(0.0, number);
    let max = point.max().map_or(min, number);
    let bounds: Vec<f64> = point.bounds().collect();
    let lower = std::iter::once(min).chain(bounds.iter().copied());
    let upper = bounds.iter().copied().chain([max]);
    let buckets = lower.zip(upper).zip(point.bucket_counts()).filter(|(_, count)| *count > 0);
    let middle = |low: f64, high: f64| f64::midpoint(low.clamp(min, max), high.clamp(min, max));
    let (values, counts): (Vec<f64>, Vec<u64>) = buckets.map(|((low, high), count)| (middle(low, high), count)).unzip();
    json!({
        "Values": values, "Counts": counts,
        "Min": min, "Max": max, "Sum": number(point.sum()), "Count": point.count()
    })
}

impl<W: Write + Send + 'static> PushMetricExporter for Emf<W> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let text: String = self.lines(metrics, SystemTime::now()).into_iter().map(|line| line + "\n").collect();
        let mut out = self.out.lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| OTelSdkError::InternalFailure(error.to_string()))
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    /// CloudWatch adds up itself.
    fn temporality(&self) -> Temporality {
        Temporality::Delta
    }
}
