//! Letters on SQS, where a look is a receive: only on a click, by somebody who may act.

use axum::Extension;
use axum::extract::{Form, Path, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use towpath_operate::dlq::filter::Filter;
use towpath_operate::dlq::page::page;
use towpath_types::clock::Clock;

use super::{Which, actions, filter, letter, looked, table};
use crate::access::{Operator, Role, Session};
use crate::asked::Asked;
use crate::dead::{RECEIVES, find, opened, released};
use crate::pages::layout::fragment;
use crate::{Problem, Shared};

/// Which letters to receive.
#[derive(Deserialize)]
pub(super) struct Wanted {
    filter: String,
}

/// The list before anything is received.
pub(super) fn list(session: &Session, which: Which, asked: &Asked, running: Option<Markup>) -> Markup {
    html! {
        p { (which.about()) }
        @if let Some(job) = running { (job) }
        (filter(which, asked))
        (actions(session, which, asked))
        p.note { (RECEIVES) ". Plans, redrives and drops receive them too." }
        @if session.role == Role::Operator {
            form hx-post={ (which.path()) "/receive" } hx-target="#received" {
                input type="hidden" name="filter" value=(asked.query());
                button type="submit" { "Receive and show them" }
            }
        }
        div #received aria-live="polite" {}
    }
}

pub(super) async fn receive(
    Operator(_): Operator,
    State(console): State<Shared>,
    Extension(which): Extension<Which>,
    Form(wanted): Form<Wanted>,
) -> Response {
    let shown = async {
        let asked = Asked::read(&wanted.filter)?;
        let filter = Filter::new(asked.conditions(Clock::wall().now())?, asked.ids());
        let limit = asked.limit()?;
        let found = &console.found;
        let mut letters = opened(found, which.is_refused(), None, limit).await?;
        let result = page(found, &mut *letters, filter, limit, true).await;
        let page = released(letters, result).await?;
        Ok::<Markup, Problem>(html! { (looked(which, &asked, &page)) (table(which, &page.letters)) })
    };
    fragment(shown.await)
}

pub(super) async fn receive_letter(
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(which): Extension<Which>,
    Path(id): Path<String>,
) -> Response {
    let found = find(&console.found, which.is_refused(), &id, None).await;
    fragment(found.map(|found| letter::content(&session, &console.found, which, &found, None)))
}
