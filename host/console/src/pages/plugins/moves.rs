//! The forms that move channels.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde::Deserialize;
use towpath_operate::releases::{Order, Versions, carry_out};

use super::super::layout::fragment;
use super::super::words::urlencoded;
use super::content_of;
use crate::access::{Operator, Session};
use crate::api::plugins::{problem, whole};
use crate::{Console, Problem, Shared};

/// What a form says.
#[derive(Deserialize)]
pub(super) struct Said {
    channel: String,
    /// The version; empty where the channel stays.
    #[serde(default)]
    version: String,
    /// Whether to unpin.
    #[serde(default)]
    off: bool,
    note: String,
}

pub(super) async fn promote(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(name): Path<String>,
    said: Result<Form<Said>, FormRejection>,
) -> Response {
    answer(&console, &session, &name, said, |said| Order::Promote { from: said.version, to: said.channel }).await
}

pub(super) async fn rollback(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(name): Path<String>,
    said: Result<Form<Said>, FormRejection>,
) -> Response {
    answer(&console, &session, &name, said, |said| Order::RollBack {
        channel: said.channel,
        to: Some(said.version).filter(|version| !version.is_empty()),
    })
    .await
}

pub(super) async fn pin(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(name): Path<String>,
    said: Result<Form<Said>, FormRejection>,
) -> Response {
    answer(&console, &session, &name, said, |Said { channel, version, off, .. }| {
        if off {
            Order::Unpin { channel }
        } else {
            Order::Pin { channel, to: Some(version).filter(|version| !version.is_empty()) }
        }
    })
    .await
}

/// What was done, and the plugin as it is now. An error is shown in the form, which keeps what was typed.
async fn answer(
    console: &Console,
    session: &Session,
    name: &str,
    said: Result<Form<Said>, FormRejection>,
    order: impl FnOnce(Said) -> Order,
) -> Response {
    let work = async {
        let Form(said) = said?;
        let note = said.note.clone();
        let order = order(said);
        let moved = carry_out(&console.acting(session), &console.releases, name, &order, &note).await;
        let pointer = moved.map_err(problem)?;
        // It is done: an error of the look at it must not read as an error of the move.
        let now = whole(console, name).await;
        Ok::<Markup, Problem>(html! {
            p.note role="status" {
                (order.channel()) " of " (name) " is at " (pointer.current.version)
                @if pointer.pinned { ", pinned: a publish does not move it" }
                ". Running hosts that follow it swap within 30 seconds."
            }
            @match &now {
                Ok(now) => (content_of(session, now)),
                Err(problem) => p { "The plugin cannot be shown now: " (problem.detail()) }
            }
        })
    };
    match work.await {
        Ok(markup) => {
            let mut response = markup.into_response();
            let headers = response.headers_mut();
            headers.insert(HeaderName::from_static("hx-retarget"), HeaderValue::from_static("#plugin"));
            headers.insert(HeaderName::from_static("hx-reswap"), HeaderValue::from_static("innerHTML"));
            response
        }
        Err(problem) => fragment(Err(problem)),
    }
}

/// A form for each move.
pub(super) fn forms(name: &str, versions: &Versions) -> Markup {
    let loadable: Vec<&str> =
        versions.rows.iter().rev().filter(|row| row.release.is_some()).map(|row| row.version.as_str()).collect();
    let channels: Vec<&str> = versions.channels.iter().map(|channel| channel.name.as_str()).collect();
    let path = format!("/plugins/{}", urlencoded(name));
    html! {
        form.act hx-post={ (path) "/promote" } hx-target="find .result" hx-swap="innerHTML" hx-disabled-elt="find button" {
            h2 { "Promote" }
            p { "The channel moves to the version. Running hosts that follow it swap to it within 30 seconds; the version before is kept for a rollback." }
            (select("Version", "version", &loadable))
            label { "Channel" input name="channel" value="current" required autocomplete="off"; }
            (why())
            div { button.primary { "Promote" } }
            div.result {}
        }
        @for channel in &versions.channels {
            @if let Some(pointer) = &channel.pointer {
                @let before: Vec<&str> = pointer.previous.iter().rev().map(|chosen| chosen.version.as_str()).collect();
                @if !before.is_empty() {
                    form.act hx-post={ (path) "/rollback" } hx-target="find .result" hx-swap="innerHTML" hx-disabled-elt="find button" {
                        h2 { "Roll back " (channel.name) }
                        p {
                            "It goes from " (pointer.current.version) " back to the version. Running hosts swap within 30 seconds. A later publish moves \
                            it again, unless it is pinned."
                        }
                        input type="hidden" name="channel" value=(channel.name);
                        (select("Version", "version", &before))
                        (why())
                        div { button.danger { "Roll back " (channel.name) } }
                div.result {}
                    }
                }
                @if pointer.pinned { (unpin(&path, &channel.name)) }
            }
        }
        @if !channels.is_empty() {
            form.act hx-post={ (path) "/pin" } hx-target="find .result" hx-swap="innerHTML" hx-disabled-elt="find button" {
                h2 { "Pin" }
                p { "The channel moves to the version and stays there: a publish stores its version and moves nothing until the channel is unpinned." }
                (select("Channel", "channel", &channels))
                label { "Version"
                    select name="version" {
                        option value="" { "the one that it is at" }
                        @for version in &loadable { option { (version) } }
                    }
                }
                (why())
                div { button.danger { "Pin" } }
                div.result {}
            }
        }
    }
}

fn unpin(path: &str, channel: &str) -> Markup {
    html! {
        form.act hx-post={ (path) "/pin" } hx-target="find .result" hx-swap="innerHTML" hx-disabled-elt="find button" {
            h2 { "Unpin " (channel) }
            p { "It stays where it is; the next publish moves it." }
            input type="hidden" name="channel" value=(channel);
            input type="hidden" name="off" value="true";
            (why())
            div { button { "Unpin " (channel) } }
            div.result {}
        }
    }
}

fn select(label: &str, name: &str, options: &[&str]) -> Markup {
    html! { label { (label) select name=(name) required { @for option in options { option { (option) } } } } }
}

fn why() -> Markup {
    html! { label { "Why" input name="note" required maxlength="500" autocomplete="off"; } }
}
