//! A build without OTLP: the front door's function is small.

use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::MeterProviderBuilder;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::TelemetryError;

/// Nothing more than there is.
pub(crate) fn add(
    meters: MeterProviderBuilder,
    _: &Resource,
    _: Duration,
) -> Result<(MeterProviderBuilder, Option<SdkTracerProvider>), TelemetryError> {
    tracing::warn!("this build has no client for a collector: OTEL_EXPORTER_OTLP_ENDPOINT is ignored");
    Ok((meters, None))
}
