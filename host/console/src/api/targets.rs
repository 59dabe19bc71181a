//! `GET /targets`, and the holds on them.

use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use towpath_operate::hold::{self, Asked};
use towpath_operate::{json, status};

use crate::access::{Operator, Viewer};
use crate::{Problem, Shared};

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/targets", get(list))
        .route("/targets/{name}/hold", post(put_on_hold))
        .route("/targets/{name}/resume", post(resume))
}

/// What to do with a target that is put on hold.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Hold {
    /// Why, as `towpath status` shows it.
    reason: String,
    /// How long the hold lasts at most; without it, until it is resumed.
    length_seconds: Option<u64>,
}

/// How to resume a target.
#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields)]
struct Resume {
    /// How many messages a second each host sends of what waited.
    per_second: Option<f64>,
}

async fn list(_: Viewer, State(console): State<Shared>) -> Result<Response, Problem> {
    let targets = status::targets(&console.found).await?;
    Ok(Json(json::Targets::of(&targets)).into_response())
}

async fn put_on_hold(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(name): Path<String>,
    asked: Result<Json<Hold>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Hold { reason, length_seconds }) = asked?;
    let asked = Asked::new(reason, length_seconds.map(Duration::from_secs)).map_err(Problem::bad_request)?;
    let state = hold::hold(&console.acting(&session), &name, asked.length, Some(asked.reason)).await?;
    Ok(Json(json::Holds::of(&state)).into_response())
}

async fn resume(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(name): Path<String>,
    asked: Result<Json<Resume>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Resume { per_second }) = asked?;
    let per_second = per_second.map(hold::rate).transpose().map_err(Problem::bad_request)?;
    let resumed = hold::resume(&console.acting(&session), &name, per_second).await?;
    Ok(Json(json::Resumed::of(&resumed)).into_response())
}
