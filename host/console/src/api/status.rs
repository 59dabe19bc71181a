//! `GET /status`: targets, and what waits.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use towpath_operate::json;
use towpath_operate::status::status;

use crate::access::Viewer;
use crate::{Problem, Shared};

/// How many groups are listed.
const GROUPS: usize = 10;

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/status", get(show))
}

async fn show(_: Viewer, State(console): State<Shared>) -> Result<Response, Problem> {
    let status = status(&console.found, GROUPS).await?;
    Ok(axum::Json(json::Status::of(&status)).into_response())
}
