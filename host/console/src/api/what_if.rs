//! `POST /what-if`: what another build would say to the letters of a filter; `POST /what-if/events`: to the last archived events of a route.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use towpath_operate::builds::Builds;
use towpath_operate::dlq::what_if::Said;
use towpath_operate::json;
use towpath_operate::replay::last;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Operator, Viewer};
use crate::asked::Asked;
use crate::jobs::Jobs;
use crate::what_if::{asked_of, asked_of_last};
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

/// Which archived events to run.
#[derive(Deserialize, ToSchema)]
#[schema(as = WhatIfEventsRun)]
#[serde(deny_unknown_fields)]
struct RunLast {
    /// The path of the route.
    route: String,
    /// How many of its last events, 1 to 500.
    #[serde(default = "some")]
    last: usize,
    /// The name of a build in the folder that the config names.
    build: String,
    /// The plugin whose events are run; without it, the one with the build's own name.
    plugin: Option<String>,
}

/// How many events are run if nobody says how many.
fn some() -> usize {
    100
}

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(run)).routes(routes!(run_last)).routes(routes!(list))
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

/// Run archived events through another build
///
/// The last events of a route that were delivered or skipped, at most 500, in the sandbox. Nothing is sent. The answer has those for which the verdict is
/// another one. Each of them is a look at a body, which is written to the audit. One run at a time.
#[utoipa::path(
    post, path = "/what-if/events", request_body = RunLast,
    responses((status = 200, body = last::Said), (status = 400), (status = 403), (status = 409))
)]
async fn run_last(
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(jobs): Extension<Jobs>,
    order: Result<Json<RunLast>, JsonRejection>,
) -> Result<Json<last::Said>, Problem> {
    let Json(RunLast { route, last, build, plugin }) = order?;
    Ok(Json(asked_of_last(&console, &session, &jobs, last::Question { route, last, build, plugin }).await?))
}
