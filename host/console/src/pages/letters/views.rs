//! Saved views of a list.

use axum::Extension;
use axum::extract::{Form, State};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde::Deserialize;
use towpath_operate::views::{View, Views};
use towpath_types::clock::Clock;

use super::Which;
use crate::access::{Operator, Role, Session};
use crate::asked::Asked;
use crate::pages::layout::fragment;
use crate::{Problem, Shared};

/// A view to save, or with its name to remove.
#[derive(Deserialize)]
pub(super) struct Named {
    name: String,
    #[serde(default)]
    filter: String,
}

/// The views, with a form to save this one.
pub(super) fn section(session: &Session, which: Which, asked: &Asked, views: &[View]) -> Markup {
    html! {
        section #views { (content(session, which, asked, views)) }
    }
}

fn content(session: &Session, which: Which, asked: &Asked, views: &[View]) -> Markup {
    let may = session.role == Role::Operator;
    let query = asked.query();
    html! {
        @if !views.is_empty() { h2 { "Saved views" } }
        @for view in views {
            form.row hx-post={ (which.path()) "/views/remove" } hx-target="#views" {
                a href=(which.list(&view.filter)) { (view.name) }
                span { "by " (view.by) }
                @if may {
                    input type="hidden" name="name" value=(view.name);
                    input type="hidden" name="filter" value=(query);
                    button type="submit" aria-label={ "Remove the view " (view.name) } { "Remove" }
                }
            }
        }
        @if may && !query.is_empty() {
            form.filter hx-post={ (which.path()) "/views" } hx-target="#views" {
                input type="hidden" name="filter" value=(query);
                label { "Name of this view" input name="name" required maxlength="60" autocomplete="off"; }
                button type="submit" { "Save the view" }
            }
        }
    }
}

pub(super) async fn save(
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(which): Extension<Which>,
    Form(named): Form<Named>,
) -> Response {
    let filter = named.filter.clone();
    let save = |asked: &Asked| {
        let view = View {
            name: named.name,
            refused: which.is_refused(),
            filter: asked.query(),
            by: session.by.clone(),
            at: Clock::wall().now(),
        };
        Views::of(&console.found).save(view)
    };
    changed(&session, &console, which, &filter, save)
}

pub(super) async fn remove(
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(which): Extension<Which>,
    Form(named): Form<Named>,
) -> Response {
    changed(&session, &console, which, &named.filter, |_| Views::of(&console.found).remove(&named.name))
}

fn changed(
    session: &Session,
    console: &Shared,
    which: Which,
    filter: &str,
    change: impl FnOnce(&Asked) -> anyhow::Result<()>,
) -> Response {
    let shown = || -> Result<Markup, Problem> {
        let asked = Asked::read(filter)?;
        change(&asked)?;
        let mut views = Views::of(&console.found).read()?;
        views.retain(|view| view.refused == which.is_refused());
        Ok(content(session, which, &asked, &views))
    };
    fragment(shown()).into_response()
}
