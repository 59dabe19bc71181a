//! The pages, as HTML.

mod bytes;
mod events;
mod groups;
mod layout;
mod overview;
mod words;

use axum::Router;

use crate::Shared;

/// All pages.
pub(crate) fn router() -> Router<Shared> {
    Router::new().merge(overview::router()).merge(groups::router()).merge(events::router())
}
