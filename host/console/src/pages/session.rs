//! Who one is, what one may do, and the way out.

use axum::routing::get;
use axum::{Extension, Router};
use maud::{Markup, html};

use super::layout::page;
use crate::Shared;
use crate::access::{Proof, ReadOnly, Role, Viewer};

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/session", get(show))
}

async fn show(
    Viewer(session): Viewer,
    Extension(proof): Extension<Proof>,
    Extension(ReadOnly(read_only)): Extension<ReadOnly>,
) -> Markup {
    let why = read_only.unwrap_or_else(|| format!("{} is not an operator", session.by));
    let content = html! {
        p { "You are " strong { (session.by) } ", and the audit names you so." }
        @if session.role == Role::Operator { p { "You may look and act." } } @else {
            p.note { "You may look, but not act: " (why) "." }
        }
        @match proof {
            Proof::Cookie(_) => button type="button" hx-post="/logout" hx-swap="none" { "Log out" },
            Proof::Proxy => p { "Your proxy says who you are: log out there." },
            Proof::Bearer => p { "You are here by a token in " code { "Authorization" } "." },
        }
    };
    page(&session, "/session", "You", content)
}
