//! Who reads what the host tells: metrics for Prometheus, CloudWatch or a collector, spans for a collector, lines for people and
//! machines. What is told is core's; here it is only sent on.
//!
//! | reader | when |
//! |---|---|
//! | Prometheus | [`Telemetry::prometheus`] is asked: `/metrics` of `serve` and `poll` |
//! | CloudWatch | on Lambda, as lines of the log, in the embedded metric format |
//! | a collector | `OTEL_EXPORTER_OTLP_ENDPOINT` is set: metrics and spans by OTLP over HTTP, with the
//!   [standard variables](https://opentelemetry.io/docs/specs/otel/protocol/exporter/) |

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

/// What the service is called, unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "towpath";

/// How long a collector may take to answer: a function must answer itself, and sends metrics and then spans before that.
#[cfg(feature = "prometheus")]
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_OF_FUNCTION: Duration = Duration::from_millis(200);

/// A function flushes after each invocation, and never in between.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// Why there is no telemetry.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The collector's address or the like.
    #[cfg(feature = "otlp")]
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT or a variable beside it is not usable")]
    Otlp(#[source] opentelemetry_otlp::ExporterBuildError),
    /// The registry of Prometheus.
    #[cfg(feature = "prometheus")]
    #[error("metrics for Prometheus cannot be kept")]
    Prometheus(#[source] opentelemetry_sdk::error::OTelSdkError),
}

/// Sends on what is told, until it is dropped.
#[derive(Debug)]
pub struct Telemetry {
    meters: SdkMeterProvider,
    spans: Option<SdkTracerProvider>,
    /// Where the story of messages is kept on this machine.
    pub story: StoryFile,
    #[cfg(feature = "prometheus")]
    registry: prometheus::Registry,
}

impl Telemetry {
    /// For a command that nobody watches: nothing is counted and nothing is sent.
    #[cfg(feature = "prometheus")]
    pub fn none() -> Telemetry {
        let (meters, registry) = (SdkMeterProvider::builder().build(), prometheus::Registry::new());
        Telemetry { meters, spans: None, registry, story: StoryFile::default() }
    }

    /// For a process that is asked for its metrics, and that a collector may listen to.
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

    /// For a function: metrics are lines of its log, written by [`Telemetry::flush`].
    pub fn of_function() -> Result<Telemetry, TelemetryError> {
        let name = env::function_name().unwrap_or_else(|| SERVICE.to_owned());
        let lines =
            PeriodicReader::builder(emf::Emf::new(std::io::stdout(), name.clone())).with_interval(NEVER).build();
        let (meters, spans) = start(SdkMeterProvider::builder().with_reader(lines), &name, PATIENCE_OF_FUNCTION)?;
        Ok(Telemetry {
            meters,
            spans,
            story: StoryFile::default(),
            #[cfg(feature = "prometheus")]
            registry: prometheus::Registry::new(),
        })
    }

    /// What sends spans to a collector, if there is one.
    pub fn spans<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let tracer = self.spans.as_ref()?.tracer(SERVICE);
        Some(tracing_opentelemetry::layer().with_tracer(tracer).with_target(false).with_location(false))
    }

    /// All metrics in the [text format](https://prometheus.io/docs/instrumenting/exposition_formats/) of Prometheus.
    #[cfg(feature = "prometheus")]
    pub fn prometheus(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    /// Sends what was told so far. What cannot be sent is gone: no message waits for telemetry.
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

/// Metrics for these readers, and for a collector, if one is named.
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
    let (meters, spans) = match env::has_collector() {
        true => collector::add(meters, &resource, patience)?,
        false => (meters, None),
    };
    let meters = meters.with_resource(resource).build();
    global::set_meter_provider(meters.clone());
    Ok((meters, spans))
}
