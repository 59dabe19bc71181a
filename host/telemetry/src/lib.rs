//! Exports what the host records: metrics for Prometheus, CloudWatch or a collector, spans for a collector, log lines
//! for people and machines. The names of metrics live in the room `metrics`.
//!
//! | reader | when |
//! |---|---|
//! | Prometheus | [`Telemetry::prometheus`] is scraped: `/metrics` of `serve` and `poll` |
//! | CloudWatch | on Lambda, as log lines in the embedded metric format, unless `TOWPATH_EMF=off` |
//! | a collector | `OTEL_EXPORTER_OTLP_ENDPOINT` is set: OTLP over HTTP, with the [standard variables] |
//!
//! [standard variables]: https://opentelemetry.io/docs/specs/otel/protocol/exporter/

#[cfg(feature = "otlp")]
mod collector;
#[cfg(not(feature = "otlp"))]
#[path = "no_collector.rs"]
mod collector;
mod emf;
pub mod logs;
pub mod story;

use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use story::StoryFile;
use towpath_config::env;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// The service name, unless `OTEL_SERVICE_NAME` is set.
const SERVICE: &str = "towpath";

/// Timeout of a collector: a function exports metrics and then spans before its own answer is due.
#[cfg(feature = "prometheus")]
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_OF_FUNCTION: Duration = Duration::from_millis(200);

/// A function flushes after each invocation, and never in between.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The collector's address or the like.
    #[cfg(feature = "otlp")]
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT or a related variable is invalid")]
    Otlp(#[source] opentelemetry_otlp::ExporterBuildError),
    #[cfg(feature = "prometheus")]
    #[error("cannot set up metrics for Prometheus")]
    Prometheus(#[source] opentelemetry_sdk::error::OTelSdkError),
}

/// Exports telemetry until it is dropped.
#[derive(Debug)]
pub struct Telemetry {
    meters: SdkMeterProvider,
    spans: Option<SdkTracerProvider>,
    /// Where the story of messages is stored on this machine.
    pub story: StoryFile,
    #[cfg(feature = "prometheus")]
    registry: prometheus::Registry,
}

impl Telemetry {
    /// For a command without an audience: records and exports nothing.
    #[cfg(feature = "prometheus")]
    pub fn none() -> Telemetry {
        let meters = SdkMeterProvider::builder().build();
        let registry = prometheus::Registry::new();
        Telemetry { meters, spans: None, registry, story: StoryFile::default() }
    }

    /// For a process that Prometheus scrapes, and that may export to a collector.
    #[cfg(feature = "prometheus")]
    pub fn of_process() -> Result<Telemetry, TelemetryError> {
        let registry = prometheus::Registry::new();
        let prometheus = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_target_info()
            .scope_info_enabled(false);
        let prometheus = prometheus.build().map_err(TelemetryError::Prometheus)?;
        let (meters, spans) = start(SdkMeterProvider::builder().with_reader(prometheus), SERVICE, PATIENCE)?;
        Ok(Telemetry { meters, spans, registry, story: StoryFile::default() })
    }

    /// For a function: [`Telemetry::flush`] writes metrics as log lines, if `emf` is true.
    pub fn of_function(emf: bool) -> Result<Telemetry, TelemetryError> {
        let name = env::function_name().unwrap_or_else(|| SERVICE.to_owned());
        let mut meters = SdkMeterProvider::builder();
        if emf {
            let lines = emf::Emf::new(std::io::stdout(), name.clone());
            meters = meters.with_reader(PeriodicReader::builder(lines).with_interval(NEVER).build());
        }
        let (meters, spans) = start(meters, &name, PATIENCE_OF_FUNCTION)?;
        Ok(Telemetry {
            meters,
            spans,
            story: StoryFile::default(),
            #[cfg(feature = "prometheus")]
            registry: prometheus::Registry::new(),
        })
    }

    /// The layer that exports spans to a collector, if there is one.
    pub fn spans<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let tracer = self.spans.as_ref()?.tracer(SERVICE);
        Some(tracing_opentelemetry::layer().with_tracer(tracer).with_target(false).with_location(false))
    }

    /// All metrics in the Prometheus [text format](https://prometheus.io/docs/instrumenting/exposition_formats/).
    #[cfg(feature = "prometheus")]
    pub fn prometheus(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    /// Exports everything recorded so far. What cannot be exported is dropped: no message waits for telemetry.
    pub fn flush(&self) {
        let _ = self.meters.force_flush();
        if let Some(spans) = &self.spans {
            let _ = spans.force_flush();
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.flush();
        let _ = self.meters.shutdown();
        if let Some(spans) = &self.spans {
            let _ = spans.shutdown();
        }
    }
}

/// Starts metrics for these readers, and for a collector if one is configured.
fn start(
    meters: MeterProviderBuilder,
    service: &str,
    patience: Duration,
) -> Result<(SdkMeterProvider, Option<SdkTracerProvider>), TelemetryError> {
    let mut resource = Resource::builder();
    if !env::names_service() {
        resource = resource.with_service_name(service.to_owned());
    }
    let resource = resource.build();
    let (meters, spans) =
        if env::has_collector() { collector::add(meters, &resource, patience)? } else { (meters, None) };
    let meters = meters.with_resource(resource).build();
    global::set_meter_provider(meters.clone());
    Ok((meters, spans))
}
