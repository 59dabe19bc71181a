//! The pages, as HTML.

mod charts;
mod layout;
mod live;
mod overview;
mod targets;
mod words;

use axum::Router;

use crate::Shared;

/// All pages.
pub(crate) fn router() -> Router<Shared> {
    Router::new().merge(overview::router()).merge(targets::router()).merge(live::router())
}
