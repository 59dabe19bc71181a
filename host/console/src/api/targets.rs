//! `GET /targets`, and the holds on them.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use towpath_operate::hold::{self, Asked};
use towpath_operate::{json, status};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Operator, Viewer};
use crate::{Problem, Shared};

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(put_on_hold)).routes(routes!(resume))
}

/// What to do with a target that is put on hold.
#[derive(Deserialize, Debug, ToSchema)]
#[serde(deny_unknown_fields)]
struct HoldTarget {
    /// Why, as `towpath status` shows it.
    reason: String,
    /// How long the hold lasts at most; without it, until it is resumed.
    length_seconds: Option<u64>,
}

/// How to resume a target.
#[derive(Deserialize, Default, Debug, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResumeTarget {
    /// How many messages a second each host sends of what waited.
    per_second: Option<f64>,
}

/// The state of targets
#[utoipa::path(get, path = "/targets", responses((status = 200, body = json::Targets<'static>)))]
async fn list(_: Viewer, State(console): State<Shared>) -> Result<Response, Problem> {
    let targets = status::targets(&console.found).await?;
    Ok(Json(json::Targets::of(&targets)).into_response())
}

/// Put a target on hold
///
/// Nothing is sent to it until the hold ends. Its messages wait, in order. Running hosts notice within 10 seconds.
#[utoipa::path(
    post, path = "/targets/{name}/hold", params(("name" = String, Path, description = "The target's name")),
    request_body = HoldTarget, responses((status = 200, body = json::Holds<'static>), (status = 403))
)]
async fn put_on_hold(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(name): Path<String>,
    asked: Result<Json<HoldTarget>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(HoldTarget { reason, length_seconds }) = asked?;
    let asked = Asked::new(reason, length_seconds.map(Duration::from_secs)).map_err(Problem::bad_request)?;
    let state = hold::hold(&console.acting(&session), &name, asked.length, Some(asked.reason)).await?;
    Ok(Json(json::Holds::of(&state)).into_response())
}

/// Resume a target
///
/// What waited is sent again, in order in each group.
#[utoipa::path(
    post, path = "/targets/{name}/resume", params(("name" = String, Path, description = "The target's name")),
    request_body = ResumeTarget, responses((status = 200, body = json::Resumed<'static>), (status = 403))
)]
async fn resume(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(name): Path<String>,
    asked: Result<Json<ResumeTarget>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(ResumeTarget { per_second }) = asked?;
    let per_second = per_second.map(hold::rate).transpose().map_err(Problem::bad_request)?;
    let resumed = hold::resume(&console.acting(&session), &name, per_second).await?;
    Ok(Json(json::Resumed::of(&resumed)).into_response())
}
