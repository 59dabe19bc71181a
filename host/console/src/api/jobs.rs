//! `/jobs/{id}`: how far a redrive or a drop is; `DELETE` stops it.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use towpath_operate::json;

use crate::access::{Operator, Viewer};
use crate::jobs::Jobs;
use crate::{Problem, Shared};

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/jobs/{id}", get(show).delete(cancel))
}

async fn show(_: Viewer, Extension(jobs): Extension<Jobs>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(axum::Json(json::Job::of(&jobs.get(&id)?)).into_response())
}

async fn cancel(_: Operator, Extension(jobs): Extension<Jobs>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(axum::Json(json::Job::of(&jobs.cancel(&id)?)).into_response())
}
