//! `POST /what-if`: what another build would say to the letters of a filter.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use towpath_operate::builds::Builds;
use towpath_operate::dlq::what_if::Said;
use towpath_operate::json::Rfc3339;

use super::letters::read;
use crate::access::{Operator, Viewer};
use crate::asked::Asked;
use crate::jobs::Jobs;
use crate::what_if::asked_of;
use crate::{Problem, Shared};

/// What to run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    filter: Asked,
    /// The name of a build in the folder that the config names.
    build: String,
    plugin: Option<String>,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/what-if", post(run)).route("/builds", get(list))
}

async fn list(_: Viewer, State(console): State<Shared>) -> Result<Json<Vec<Value>>, Problem> {
    let Some(folder) = console.builds() else { return Ok(Json(Vec::new())) };
    let builds = Builds::of(folder).list()?;
    Ok(Json(builds.iter().map(|build| json!({ "build": build.name, "built_at": Rfc3339(build.built_at) })).collect()))
}

async fn run(
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(jobs): Extension<Jobs>,
    order: Result<Json<Run>, JsonRejection>,
) -> Result<Json<Said>, Problem> {
    let Run { filter, build, plugin } = read(order)?;
    Ok(Json(asked_of(&console, &session, &jobs, &filter, &build, plugin).await?))
}
