//! `GET /tail`: the story of messages, as a stream of server-sent events or as JSON.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use towpath_operate::json;
use towpath_operate::story::Entry;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Proof, Viewer};
use crate::stream::{self, Asked};
use crate::{Problem, Shared};

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(tail))
}

/// Follow the story of messages
///
/// A stream of server-sent events: `line` has a line as `towpath tail --json` prints it, `skipped` how many lines came too fast, `restarted`
/// says that the lines begin anew, `problem` why the story cannot be read, and `position` has the id after which a later request continues.
/// With `follow=false`, the last lines as an array.
#[utoipa::path(
    get, path = "/tail", params(Asked),
    responses(
        (status = 200, content((String = "text/event-stream"), (Vec<serde_json::Value> = "application/json"))),
        (status = 503)
    )
)]
async fn tail(
    _: Viewer,
    Extension(proof): Extension<Proof>,
    State(console): State<Shared>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked?;
    if asked.follow.unwrap_or(true) {
        return stream::follow(&console, &proof, &asked, &headers, line);
    }
    let entries = console.live.recent(&asked.filter()?, asked.lines()).await?;
    let lines: Vec<Value> = entries.iter().map(json::line).collect();
    Ok(axum::Json(lines).into_response())
}

fn line(entry: &Entry) -> String {
    json::line(entry).to_string()
}
