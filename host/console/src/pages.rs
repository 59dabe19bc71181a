//! The pages, as HTML.

mod audit;
mod charts;
mod diff;
mod layout;
mod letters;
mod live;
mod overview;
mod targets;
mod words;

use axum::Router;

use crate::Shared;

/// All pages.
pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .merge(overview::router())
        .merge(targets::router())
        .merge(letters::router())
        .merge(audit::router())
        .merge(live::router())
}
