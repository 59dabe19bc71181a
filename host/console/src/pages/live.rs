//! The story of messages, live. Without the script the page shows the last lines.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use maud::{Markup, html};
use towpath_operate::place::Found;
use towpath_operate::story::Entry;
use towpath_types::outcome::OUTCOMES;

use super::layout::{Page, page};
use super::words::{group_link, urlencoded};
use crate::access::{Proof, Viewer};
use crate::stream::{self, Asked};
use crate::{Problem, Shared};

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/live", get(show)).route("/live/lines", get(lines))
}

async fn show(
    Viewer(session): Viewer,
    State(console): State<Shared>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Page {
    let content = async {
        let Query(asked) = asked?;
        let entries = console.live.recent(&asked.filter()?, asked.lines()).await?;
        Ok(content(&asked, &entries, &console.found))
    };
    Page(content.await.map(|content| page(&session, "/live", "Live", content)))
}

/// The stream of the page: rows of its table.
async fn lines(
    _: Viewer,
    Extension(proof): Extension<Proof>,
    State(console): State<Shared>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    stream::follow(&console, &proof, &asked?.0, &headers, |entry| row(entry).into_string())
}

fn content(asked: &Asked, entries: &[Entry], found: &Found) -> Markup {
    html! {
        (filter(asked, found))
        p.controls {
            button #pause type="button" aria-pressed="false" hidden { "Pause" }
            " "
            span #follow role="status" { "These are the last lines. Reload the page for newer ones." }
        }
        table #lines data-stream={ "/live/lines?" (asked.query()) } {
            caption { "What hosts did with each message, the latest first" }
            thead { tr { th scope="col" { "Time" } th scope="col" { "Outcome" } th scope="col" { "Message" } th scope="col" { "Group" } th scope="col" { "What happened" } } }
            tbody { @for entry in entries.iter().rev() { (row(entry)) } }
        }
        @if entries.is_empty() { p #empty { "No lines yet that this filter selects." } }
    }
}

fn filter(asked: &Asked, found: &Found) -> Markup {
    let routes = found.config.iter().flat_map(|config| config.routes.iter().map(|route| route.path.as_str()));
    let plugins = found.config.iter().flat_map(|config| config.plugins.keys().map(String::as_str));
    let targets = found.config.iter().flat_map(|config| config.targets.keys().map(String::as_str));
    html! {
        form.filter action="/live" method="get" {
            (field("group", "Group", &asked.group, "approval/*", []))
            (field("route", "Route", &asked.route, "", routes))
            (field("plugin", "Plugin", &asked.plugin, "", plugins))
            (field("target", "Target", &asked.target, "", targets))
            label {
                "Outcome"
                select name="outcome" {
                    option value="" { "all" }
                    @for outcome in OUTCOMES { option value=(outcome) selected[outcome == asked.outcome] { (outcome) } }
                }
            }
            (field("id", "Message id", &asked.id, "", []))
            label.check { input type="checkbox" name="failed" value="true" checked[asked.failed]; " Only failures" }
            button.primary type="submit" { "Show" }
            a.button href="/live" { "Show all" }
        }
    }
}

fn field<'a>(name: &str, label: &str, value: &str, example: &str, known: impl IntoIterator<Item = &'a str>) -> Markup {
    let known: Vec<&str> = known.into_iter().collect();
    let list = format!("known-{name}");
    html! {
        label {
            (label)
            input name=(name) value=(value) placeholder=(example) autocomplete="off" list=[(!known.is_empty()).then_some(&list)];
        }
        @if !known.is_empty() { datalist id=(list) { @for name in known { option value=(name) {} } } }
    }
}

fn row(entry: &Entry) -> Markup {
    let id = entry.field("message_id");
    let group = entry.field("group");
    html! {
        tr data-failed=[entry.is_failure().then_some("true")] {
            td { time datetime=(entry.at) { (entry.time()) } }
            td.outcome { (entry.what()) }
            td { @if !id.is_empty() { a href={ "/events/" (urlencoded(id)) } title=(id) { (id.get(..8).unwrap_or(id)) } } }
            td { @if !group.is_empty() { a href=(group_link(group)) { (group) } } }
            td { (entry.detail()) }
        }
    }
}
