//! The HTTP API: everything that the console does, in the shapes of `--json`.

mod history;
mod status;
mod tail;
mod targets;

use axum::Router;

use crate::Shared;

/// Below `/api/v1`.
pub(crate) fn router() -> Router<Shared> {
    Router::new().merge(status::router()).merge(tail::router()).merge(targets::router()).merge(history::router())
}
