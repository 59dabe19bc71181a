//! `GET /audit`: who did what, and why, the newest first.

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;
use towpath_operate::audit::Audit;
use towpath_operate::json::Audited;

use crate::access::Viewer;
use crate::{Problem, Shared};

/// How many lines a page has.
const PAGE: usize = 100;

#[derive(Deserialize)]
struct Older {
    /// The `next` of the page before.
    before: Option<u64>,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/audit", get(show))
}

async fn show(_: Viewer, State(console): State<Shared>, Query(from): Query<Older>) -> Result<Response, Problem> {
    let recent = Audit::of(&console.found).recent(from.before, PAGE)?;
    let lines: Vec<Audited<'_>> = recent.lines.iter().map(Audited::of).collect();
    Ok(axum::Json(json!({ "audit": lines, "next": recent.next })).into_response())
}
