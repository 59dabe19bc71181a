//! The HTTP API: everything that the console does, in the shapes of `--json`.

mod session;
mod status;

use axum::Router;

use crate::Shared;

/// Below `/api/v1`.
pub(crate) fn router() -> Router<Shared> {
    Router::new().merge(session::router()).merge(status::router())
}
