//! `POST /what-if`: what another build would say to the letters of a filter.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use towpath_operate::builds::Builds;
use towpath_operate::dlq::what_if::Said;
use towpath_operate::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Operator, Viewer};
use crate::asked::Asked;
use crate::jobs::Jobs;
use crate::what_if::asked_of;
use crate::{Problem, Shared};

/// What to run.
#[derive(Deserialize, ToSchema)]
#[schema(as = WhatIfRun)]
#[serde(deny_unknown_fields)]
struct Run {
    filter: Asked,
    /// The name of a build in the folder that the config names.
    build: String,
    /// The plugin whose letters are run; without it, the one with the build's own name.
    plugin: Option<String>,
}

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(run)).routes(routes!(list))
}

/// The builds that can be tried, the newest first
///
/// They are in the folder that the config names, `[console] builds`. Without one there are none.
#[utoipa::path(get, path = "/builds", responses((status = 200, body = Vec<json::Build<'static>>)))]
async fn list(_: Viewer, State(console): State<Shared>) -> Result<Response, Problem> {
    let builds = match console.builds() {
        Some(folder) => Builds::of(folder).list()?,
        None => Vec::new(),
    };
    Ok(Json(builds.iter().map(json::Build::of).collect::<Vec<_>>()).into_response())
}

/// Run letters through another build
///
/// At most 500 letters of the filter, in the sandbox. Nothing is sent. The answer has those to which the build says something else than the configured
/// one. Each of them is a look at a body, which is written to the audit. One run at a time.
#[utoipa::path(
    post, path = "/what-if", request_body = Run,
    responses((status = 200, body = Said), (status = 403), (status = 409))
)]
async fn run(
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(jobs): Extension<Jobs>,
    order: Result<Json<Run>, JsonRejection>,
) -> Result<Json<Said>, Problem> {
    let Json(Run { filter, build, plugin }) = order?;
    Ok(Json(asked_of(&console, &session, &jobs, &filter, &build, plugin).await?))
}
