//! The health and metrics endpoints of a process.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use towpath_runtime::health::Health;
use towpath_runtime::tasks::Tasks;
use towpath_telemetry::Telemetry;

use crate::server::{self, Guard};

/// The content type of Prometheus' text format.
const METRICS: &str = "text/plain; version=0.0.4";

/// Serves `/healthz`, `/readyz` and `/metrics`. It ends with the process, so that a drain can be watched.
pub async fn listen(
    address: SocketAddr,
    guard: Guard,
    health: Arc<Health>,
    telemetry: Arc<Telemetry>,
    tasks: &mut Tasks,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    let address = listener.local_addr().context("listening")?;
    let ready = async move || match health.ready() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    };
    let metrics = async move || {
        let telemetry = Arc::clone(&telemetry);
        // Some metrics are read from the store.
        let text = tokio::task::spawn_blocking(move || telemetry.prometheus()).await.unwrap_or_default();
        ([(header::CONTENT_TYPE, METRICS)], text)
    };
    let router = Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready));
    let router = router.route("/metrics", get(metrics));
    tasks.spawn("metrics server", server::serve(listener, router, guard, CancellationToken::new()));
    Ok(address)
}
