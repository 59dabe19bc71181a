//! The pages, as HTML.

mod audit;
mod bytes;
mod charts;
mod diff;
mod events;
mod groups;
mod layout;
mod letters;
mod live;
mod overview;
pub(crate) mod plugins;
mod providers;
mod session;
mod targets;
mod what_if;
mod words;

use axum::Router;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};

use crate::access::Viewer;
use crate::{Problem, Shared};

/// All pages.
pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .merge(overview::router())
        .merge(targets::router())
        .merge(letters::router())
        .merge(audit::router())
        .merge(groups::router())
        .merge(events::router())
        .merge(live::router())
        .merge(what_if::router())
        .merge(plugins::router())
        .merge(providers::router())
        .merge(session::router())
}

/// What is answered where there is nothing.
pub(crate) async fn missing(_: Viewer, uri: Uri) -> Response {
    let problem = Problem::not_found("there is nothing at this address");
    if uri.path().starts_with("/api/") { problem.into_response() } else { layout::Page(Err(problem)).into_response() }
}
