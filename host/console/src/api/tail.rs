//! `GET /tail`: the story of messages, as a stream of server-sent events or as JSON.

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::Value;
use towpath_operate::json;
use towpath_operate::story::Entry;

use crate::access::Viewer;
use crate::stream::{self, Asked};
use crate::{Problem, Shared};

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/tail", get(tail))
}

async fn tail(
    _: Viewer,
    State(console): State<Shared>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked?;
    if asked.follow.unwrap_or(true) {
        return stream::follow(&console, &asked, &headers, line);
    }
    let entries = console.live.recent(&asked.filter()?, asked.lines()).await?;
    let lines: Vec<Value> = entries.iter().map(json::line).collect();
    Ok(axum::Json(lines).into_response())
}

fn line(entry: &Entry) -> String {
    json::line(entry).to_string()
}
