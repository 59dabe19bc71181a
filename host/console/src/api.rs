//! The HTTP API: everything that the console does, in the shapes of `--json`. Each handler is declared once, with `utoipa::path` and `routes!`:
//! the router and the OpenAPI document come from the same list.

mod audit;
mod document;
mod etag;
pub(crate) mod events;
pub(crate) mod groups;
mod history;
mod jobs;
mod letters;
pub(crate) mod plugins;
pub(crate) mod providers;
mod session;
mod status;
mod tail;
mod targets;
mod views;
mod what_if;

use axum::{Router, middleware};
use utoipa_axum::router::OpenApiRouter;

use crate::Shared;

/// Below `/api/v1`.
pub(crate) fn router() -> Router<Shared> {
    let (router, _) = documented().split_for_parts();
    router.layer(middleware::from_fn(etag::tag))
}

/// All routes, with their document.
fn documented() -> OpenApiRouter<Shared> {
    document::router()
        .merge(status::router())
        .merge(targets::router())
        .merge(history::router())
        .merge(session::router())
        .merge(letters::router())
        .merge(jobs::router())
        .merge(views::router())
        .merge(audit::router())
        .merge(what_if::router())
        .merge(groups::router())
        .merge(events::router())
        .merge(tail::router())
        .merge(plugins::router())
        .merge(providers::router())
}
