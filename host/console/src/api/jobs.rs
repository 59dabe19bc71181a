//! `/jobs/{id}`: how far a redrive or a drop is; `DELETE` stops it.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use towpath_operate::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Operator, Viewer};
use crate::jobs::Jobs;
use crate::{Problem, Shared};

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(show, cancel))
}

/// How far a job is
///
/// A job is a redrive or a drop of letters. The last 20 are known until the console restarts.
#[utoipa::path(
    get, path = "/jobs/{id}", params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, body = json::Job<'static>), (status = 404))
)]
async fn show(_: Viewer, Extension(jobs): Extension<Jobs>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(Json(json::Job::of(&jobs.get(&id)?)).into_response())
}

/// Cancel a job
///
/// It stops after its current portion. What is done stays done. A job that has ended stays as it is.
#[utoipa::path(
    delete, path = "/jobs/{id}", params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, body = json::Job<'static>), (status = 403), (status = 404))
)]
async fn cancel(_: Operator, Extension(jobs): Extension<Jobs>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(Json(json::Job::of(&jobs.cancel(&id)?)).into_response())
}
