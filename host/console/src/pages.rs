//! The pages, as HTML.

mod audit;
mod diff;
mod layout;
mod letters;
mod overview;
mod what_if;
mod words;

use axum::Router;

use crate::Shared;

/// All pages.
pub(crate) fn router() -> Router<Shared> {
    Router::new().merge(overview::router()).merge(letters::router()).merge(audit::router()).merge(what_if::router())
}
