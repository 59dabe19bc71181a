//! `GET /history`: rates and latencies of the last hour.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use towpath_operate::json;

use crate::access::Viewer;
use crate::{Problem, Shared};

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/history", get(show))
}

async fn show(_: Viewer, State(console): State<Shared>) -> Result<Response, Problem> {
    let history = console.history.as_deref().ok_or_else(|| {
        Problem::not_found("this console runs apart from the host, whose own console and /metrics have its rates")
    })?;
    Ok(axum::Json(json::History::of(history)).into_response())
}
