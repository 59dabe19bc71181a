//! `/views`: filters with a name.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use towpath_operate::json;
use towpath_operate::views::{NoSuchView, View, Views};
use towpath_types::clock::Clock;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Operator, Viewer};
use crate::asked::Asked;
use crate::{Problem, Shared};

/// A view to save.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewView)]
#[serde(deny_unknown_fields)]
struct New {
    /// Its name: 1 to 60 characters.
    name: String,
    filter: Asked,
}

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, save)).routes(routes!(remove))
}

/// The saved views, by name
#[utoipa::path(get, path = "/views", responses((status = 200, body = Vec<json::View<'static>>)))]
async fn list(_: Viewer, State(console): State<Shared>) -> Result<Response, Problem> {
    let views = Views::of(&console.found).read()?;
    Ok(Json(views.iter().map(json::View::of).collect::<Vec<_>>()).into_response())
}

/// Save a view
///
/// It replaces the view with its name. There are at most 100.
#[utoipa::path(
    post, path = "/views", request_body = New,
    responses((status = 204, description = "It is saved"), (status = 403))
)]
async fn save(
    Operator(session): Operator,
    State(console): State<Shared>,
    new: Result<Json<New>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(New { name, filter }) = new?;
    let view = View { name, refused: filter.refused, filter: filter.query(), by: session.by, at: Clock::wall().now() };
    Views::of(&console.found).save(view)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a view
#[utoipa::path(
    delete, path = "/views/{name}", params(("name" = String, Path, description = "The view's name")),
    responses((status = 204, description = "It is removed"), (status = 403), (status = 404))
)]
async fn remove(_: Operator, State(console): State<Shared>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    let removed = Views::of(&console.found).remove(&name);
    removed.map_err(|error| match error.downcast_ref::<NoSuchView>() {
        Some(missing) => Problem::not_found(missing.to_string()),
        None => error.into(),
    })?;
    Ok(StatusCode::NO_CONTENT)
}
