//! `GET /session`: who one is, and what one may do.

use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::json;

use crate::Shared;
use crate::access::{ReadOnly, Role, Viewer};

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/session", get(show))
}

async fn show(Viewer(session): Viewer, Extension(ReadOnly(read_only)): Extension<ReadOnly>) -> Response {
    let role = if session.role == Role::Operator { "operator" } else { "viewer" };
    axum::Json(json!({ "by": session.by, "role": role, "read_only": read_only })).into_response()
}
