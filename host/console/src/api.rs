//! The HTTP API: everything that the console does, in the shapes of `--json`.

pub(crate) mod events;
pub(crate) mod groups;
mod status;

use axum::Router;

use crate::Shared;

/// Below `/api/v1`.
pub(crate) fn router() -> Router<Shared> {
    Router::new().merge(status::router()).merge(groups::router()).merge(events::router())
}
