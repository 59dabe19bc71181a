//! The pages, as HTML.

mod layout;
mod overview;
mod words;

use axum::Router;

use crate::Shared;

/// All pages.
pub(crate) fn router() -> Router<Shared> {
    Router::new().merge(overview::router())
}
