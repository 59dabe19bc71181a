//! The web console, and the HTTP API over what an operator does. The page can do nothing that the API and the command line cannot: all three call
//! `operate`.
//!
//! Who looks never makes a writer wait, and changes nothing. Who acts is named in the audit.

mod access;
mod api;
mod asked;
mod assets;
mod dead;
mod jobs;
mod login;
mod pages;
mod problem;
mod stream;
mod what_if;

use std::path::Path;
use std::sync::Arc;

use axum::{Extension, Router, middleware};
use tokio_util::sync::CancellationToken;
use towpath_operate::archive::FoundArchive;
use towpath_operate::history::History;
use towpath_operate::live::Live;
use towpath_operate::place::Found;
use towpath_operate::releases::Releases;
use towpath_operate::status::ArchiveSize;
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
    /// The story of messages, live. Its streams end when its token is cancelled, so a process that drains does not wait for browsers.
    pub live: Live,
    /// What this process has done; `None` if it is not the one that delivers.
    pub history: Option<Arc<History>>,
    /// The registry of the config.
    pub releases: Releases,
}

impl Console {
    /// A console over a place, without an archive, a history or a registry. Its streams end once `stop` is cancelled.
    pub fn new(found: Found, story: StoryPlace, stop: CancellationToken) -> Console {
        Console {
            found,
            live: Live::new(story.clone(), stop),
            story,
            archive: None,
            history: None,
            releases: Releases::None,
        }
    }

    /// The folder with builds of plugins that may be tried on letters, if the config names one.
    pub(crate) fn builds(&self) -> Option<&Path> {
        self.found.config.as_deref()?.console.as_ref()?.builds.as_deref()
    }

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
    let guarded = guarded.layer(Extension(jobs::Jobs::default())).layer(Extension(Arc::new(ArchiveSize::default())));
    let guarded = guarded.layer(middleware::from_fn_with_state(Arc::clone(&access), login::check));
    guarded.merge(login::router(access)).merge(assets::router()).layer(middleware::map_response(assets::protect))
}

#[cfg(test)]
#[path = "tests/trying.rs"]
mod trying;
