//! `GET /audit`: who did what, and why, the newest first.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use towpath_operate::audit::Audit;
use towpath_operate::json;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Viewer;
use crate::{Problem, Shared};

/// How many lines a page has.
const PAGE: usize = 100;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Older {
    /// The `next` of the page before.
    before: Option<u64>,
}

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Who did what, and why
///
/// A hundred lines a page, the newest first.
#[utoipa::path(get, path = "/audit", params(Older), responses((status = 200, body = json::AuditPage<'static>)))]
async fn show(
    _: Viewer,
    State(console): State<Shared>,
    from: Result<Query<Older>, QueryRejection>,
) -> Result<Response, Problem> {
    let recent = Audit::of(&console.found).recent(from?.before, PAGE)?;
    Ok(Json(json::AuditPage::of(&recent)).into_response())
}
