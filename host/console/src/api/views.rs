//! `/views`: filters with a name.

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use serde::Deserialize;
use towpath_operate::views::{View, Views};
use towpath_types::clock::Clock;

use super::letters::read;
use crate::access::{Operator, Viewer};
use crate::asked::Asked;
use crate::{Problem, Shared};

/// A view to save.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    filter: Asked,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/views", get(list).post(save)).route("/views/{name}", delete(remove))
}

async fn list(_: Viewer, State(console): State<Shared>) -> Result<Json<Vec<View>>, Problem> {
    Ok(Json(Views::of(&console.found).read()?))
}

async fn save(
    Operator(session): Operator,
    State(console): State<Shared>,
    new: Result<Json<New>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let New { name, filter } = read(new)?;
    let view = View { name, refused: filter.refused, filter: filter.query(), by: session.by, at: Clock::wall().now() };
    Views::of(&console.found).save(view)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(_: Operator, State(console): State<Shared>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    Views::of(&console.found).remove(&name)?;
    Ok(StatusCode::NO_CONTENT)
}
