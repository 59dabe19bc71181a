//! `GET /history`: rates and latencies of the last hour.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use towpath_operate::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Viewer;
use crate::{Problem, Shared};

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Rates and latencies of the last hour
///
/// Of the process that serves the console; 404 if it is not the one that delivers.
#[utoipa::path(get, path = "/history", responses((status = 200, body = json::History), (status = 404)))]
async fn show(_: Viewer, State(console): State<Shared>) -> Result<Response, Problem> {
    let history = console.history.as_deref().ok_or_else(|| {
        Problem::not_found("this console runs apart from the host, whose own console and /metrics have its rates")
    })?;
    Ok(axum::Json(json::History::of(history)).into_response())
}
