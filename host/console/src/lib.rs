//! The web console, and the HTTP API over what an operator does. The page can do nothing that the API and the command line cannot: all three call
//! `operate`.
//!
//! Who looks never makes a writer wait, and changes nothing. Who acts is named in the audit.

mod access;
mod api;
mod assets;
mod login;
mod pages;
mod problem;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use towpath_operate::archive::FoundArchive;
use towpath_operate::place::Found;
use towpath_operate::story::StoryPlace;

pub use access::{Access, LINK_LASTS, Peer, Proxy, Role, Session};
pub use problem::Problem;

/// What the console shows, and on what it acts.
pub struct Console {
    /// The queues, and the config.
    pub found: Found,
    /// The story of messages.
    pub story: StoryPlace,
    /// The archive, if there is one.
    pub archive: Option<FoundArchive>,
}

impl Console {
    /// The place, for somebody who acts.
    pub(crate) fn acting(&self, session: &Session) -> Found {
        Found { by: session.by.clone(), ..self.found.clone() }
    }
}

/// What handlers share.
pub(crate) type Shared = Arc<Console>;

/// All pages, and the API below `/api/v1`. Only assets and the login are open to who has not logged in.
pub fn router(console: Console, access: Access) -> Router {
    router_with(console, Arc::new(access))
}

fn router_with(console: Console, access: Arc<Access>) -> Router {
    let shared = Arc::new(console);
    let guarded = pages::router().nest("/api/v1", api::router()).fallback(pages::missing).with_state(shared);
    let guarded = guarded.layer(middleware::from_fn_with_state(Arc::clone(&access), login::check));
    guarded.merge(login::router(access)).merge(assets::router()).layer(middleware::map_response(assets::protect))
}
