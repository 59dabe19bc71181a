//! `GET /status`: targets, and what waits.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use towpath_operate::json;
use towpath_operate::status::{ArchiveSize, Wanted, status};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Viewer;
use crate::{Problem, Shared};

/// What of a status costs more than the rest.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// List this many groups, those with the most messages first. Every message that waits is counted for it.
    groups: Option<usize>,
}

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Targets, and what waits
#[utoipa::path(get, path = "/status", params(Asked), responses((status = 200, body = json::Status<'static>)))]
async fn show(
    _: Viewer,
    State(console): State<Shared>,
    Extension(archive): Extension<Arc<ArchiveSize>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let wanted = Wanted { groups: asked?.groups, archive: Some(&archive) };
    let status = status(&console.found, wanted).await?;
    Ok(axum::Json(json::Status::of(&status)).into_response())
}
