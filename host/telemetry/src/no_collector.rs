//! A build without OTLP, to keep the function of the front door small.

use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::MeterProviderBuilder;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::TelemetryError;

/// Adds nothing.
pub(crate) fn add(
    meters: MeterProviderBuilder,
    _: &Resource,
    _: Duration,
) -> Result<(MeterProviderBuilder, Option<SdkTracerProvider>), TelemetryError> {
    tracing::warn!("OTEL_EXPORTER_OTLP_ENDPOINT is ignored: this build cannot export to a collector");
    Ok((meters, None))
}
