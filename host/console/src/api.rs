//! The HTTP API: everything that the console does, in the shapes of `--json`.

mod audit;
mod history;
mod jobs;
mod letters;
mod status;
mod tail;
mod targets;
mod views;
mod what_if;

use axum::Router;

use crate::Shared;

/// Below `/api/v1`.
pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .merge(status::router())
        .merge(targets::router())
        .merge(history::router())
        .merge(letters::router())
        .merge(jobs::router())
        .merge(views::router())
        .merge(audit::router())
        .merge(tail::router())
        .merge(what_if::router())
}
