//! `GET /status`: targets, and what waits.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use towpath_operate::json;
use towpath_operate::status::status;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Viewer;
use crate::{Problem, Shared};

/// How many groups are listed.
const GROUPS: usize = 10;

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Targets, and what waits
#[utoipa::path(get, path = "/status", responses((status = 200, body = json::Status<'static>)))]
async fn show(_: Viewer, State(console): State<Shared>) -> Result<Response, Problem> {
    let status = status(&console.found, GROUPS).await?;
    Ok(axum::Json(json::Status::of(&status)).into_response())
}
