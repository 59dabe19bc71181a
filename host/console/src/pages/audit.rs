//! The audit: who did what, and why, the newest first.

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use towpath_operate::audit::{Audit, Line, Recent};

use super::layout::{Page, page};
use super::words::ago;
use crate::access::Viewer;
use crate::asked::Asked;
use crate::{Problem, Shared};

/// How many lines a page has.
const PAGE: usize = 50;

#[derive(Deserialize)]
struct Older {
    before: Option<u64>,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/audit", get(show))
}

async fn show(Viewer(session): Viewer, State(console): State<Shared>, Query(from): Query<Older>) -> Page {
    let recent = Audit::of(&console.found).recent(from.before, PAGE).map_err(Problem::from);
    Page(recent.map(|recent| page(&session, "/audit", "Audit", content(&recent))))
}

fn content(recent: &Recent) -> Markup {
    html! {
        p { "Who redrove, edited or dropped letters, replayed or erased events, moved a channel of a plugin, or looked at a body. The file audit.jsonl of the store has the whole." }
        @if recent.lines.is_empty() { p { "Nothing is recorded here." } } @else {
            table {
                thead { tr { th { "When" } th { "Who" } th { "What" } th { "Why" } th { "Message or plugin" } th { "Group" } } }
                tbody { @for line in &recent.lines { (row(line)) } }
            }
        }
        @if let Some(next) = recent.next { p { a.button rel="next" href={ "/audit?before=" (next) } { "Older" } } }
    }
}

fn row(line: &Line) -> Markup {
    let id = line.letter.as_ref().map(|letter| letter.id.as_str()).or(line.id.as_deref()).unwrap_or_default();
    html! {
        tr {
            td { (ago(line.at)) }
            td { (line.by) @if let Some(reason) = &line.reason { " (" (reason) ")" } }
            td { (line.action) @if let Some(step) = &line.step { " " (step) } @if let Some(run) = &line.run { " " (run) } }
            td {
                (line.note)
                @if let Some(outcome) = &line.outcome { (outcome) }
                @if let Some(messages) = line.messages { " (" (messages) ")" }
            }
            td {
                @if !id.is_empty() { a href={ "/events/" (super::overview::urlencoded(id)) } { code { (id.get(..8).unwrap_or(id)) } } }
                @if let Some(letter) = &line.letter { " " (letter.reason) }
                @if let Some(plugin) = &line.plugin {
                    a href={ "/plugins/" (super::overview::urlencoded(plugin)) } { (plugin) }
                    @if let Some(channel) = &line.channel { " " (channel) }
                    @if let Some(version) = &line.version { ", " (version) }
                }
            }
            td { @if let Some(group) = &line.group { a href={ "/letters?" (Asked::of_group(group).query()) } { (group) } } }
        }
    }
}
