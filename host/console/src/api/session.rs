//! `GET /session`: who one is, and what one may do.

use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Shared;
use crate::access::{ReadOnly, Role, Viewer};

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Who asks.
#[derive(Serialize, ToSchema)]
struct Who {
    /// The name in the audit.
    by: String,
    /// `operator`, who may act, or `viewer`.
    role: &'static str,
    /// Why nobody may act, if so.
    read_only: Option<String>,
}

/// Who you are, and what you may do
#[utoipa::path(get, path = "/session", responses((status = 200, body = Who)))]
async fn show(Viewer(session): Viewer, Extension(ReadOnly(read_only)): Extension<ReadOnly>) -> Response {
    let role = if session.role == Role::Operator { "operator" } else { "viewer" };
    Json(Who { by: session.by, role, read_only: read_only.as_deref().map(str::to_owned) }).into_response()
}
