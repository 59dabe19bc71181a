//! Metrics and spans for a collector, by OTLP over HTTP.

use std::time::Duration;

use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader};
use opentelemetry_sdk::trace::SdkTracerProvider;
use towpath_runtime::install_crypto;

use crate::TelemetryError;

/// Exports metrics every minute and spans as they end. The environment names the collector.
pub(crate) fn add(
    meters: MeterProviderBuilder,
    resource: &Resource,
    patience: Duration,
) -> Result<(MeterProviderBuilder, Option<SdkTracerProvider>), TelemetryError> {
    install_crypto();
    let metrics = MetricExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_timeout(patience);
    let metrics = metrics.build().map_err(TelemetryError::Otlp)?;
    let spans = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_timeout(patience);
    let spans = spans.build().map_err(TelemetryError::Otlp)?;
    let spans = SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(spans).build();
    Ok((meters.with_reader(PeriodicReader::builder(metrics).build()), Some(spans)))
}
