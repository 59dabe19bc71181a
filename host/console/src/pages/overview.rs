//! The overview: targets, what waits, what is dead. Each figure links to what it counts.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use towpath_operate::groups;
use towpath_operate::history::History;
use towpath_operate::status::{Status, Targets, Wanted, status};
use towpath_operate::waiting::Waiting;

use super::charts::charts;
use super::layout::{Page, fragment, page};
use super::targets;
pub(super) use super::words::urlencoded;
use super::words::{ago, count, number, short};
use crate::access::{Session, Viewer};
use crate::{Console, Problem, Shared};

/// How many groups are listed.
const GROUPS: usize = 10;

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/", get(show)).route("/overview", get(now))
}

async fn show(Viewer(session): Viewer, State(console): State<Shared>) -> Page {
    let now = content(&session, &console).await;
    let content = now.map(|now| {
        html! {
            p.controls hidden { label { input #refresh type="checkbox" checked; " Refresh every 5 seconds" } }
            // The script asks for it while the page is seen and no form in it is open.
            div #now hx-get="/overview" hx-trigger="refresh" hx-swap="innerHTML" { (now) }
        }
    });
    Page(content.map(|content| page(&session, "/", "Overview", content)))
}

async fn now(Viewer(session): Viewer, State(console): State<Shared>) -> Response {
    fragment(content(&session, &console).await)
}

async fn content(session: &Session, console: &Console) -> Result<Markup, Problem> {
    let mut status = status(&console.found, Wanted::default()).await?;
    let first = groups::Wanted { limit: GROUPS, ..groups::Wanted::default() };
    let stuck = groups::list(&console.found, first).await?;
    let targets = Targets { targets: std::mem::take(&mut status.targets), holds_problem: status.holds_problem.take() };
    Ok(html! {
        section.figures aria-label="Queues" {
            @if let Some(waiting) = &status.queue { (figure("waiting", "/groups", "waiting", waiting)) }
            (figure("letters", "/letters", "dead letters", &status.dead_letters))
            @if let Some(refused) = &status.refused { (figure("refused", "/refused", "refused at the door", refused)) }
        }
        (targets::section(session, &targets))
        @if let Some(history) = &console.history { (waiting(history)) }
        @if let Some(stuck) = &stuck { (super::groups::stuck(&stuck.groups)) }
        (letters(&status))
        @if let Some(history) = &console.history { (charts(history)) }
    })
}

fn figure(id: &str, to: &str, name: &str, waiting: &Waiting) -> Markup {
    html! {
        a.figure id={ "figure-" (id) } href=(to) {
            strong { (number(waiting.messages)) } " " (name)
            small {
                @if let Some(groups) = waiting.groups { "in " (count(groups, "group")) }
                @if let Some(oldest) = waiting.oldest { ", the oldest stored " (ago(oldest)) }
            }
        }
    }
}

/// What waits in this process, by target.
fn waiting(history: &History) -> Markup {
    let (targets, oldest) = history.waiting();
    html! {
        @if !targets.is_empty() {
            section {
                h2 { "Groups that wait, by target" }
                p { "The oldest event at the head of one of them was stored " (short(oldest)) " ago." }
                table {
                    thead { tr { th scope="col" { "Target" } th scope="col" { "On hold or breaker open" } th scope="col" { "Failed, waiting for the next try" } } }
                    tbody {
                        @for (target, waiting) in &targets {
                            tr {
                                th scope="row" { @if target.is_empty() { "before any target" } @else { (target) } }
                                td { (number(waiting.held)) }
                                td { (number(waiting.failed)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Dead letters by route and reason.
fn letters(status: &Status) -> Markup {
    let Some(letters) = status.letters.as_ref().filter(|letters| !letters.is_empty()) else { return html! {} };
    html! {
        section {
            h2 { "Dead letters by route and reason" }
            table {
                thead { tr { th scope="col" { "Route" } th scope="col" { "Reason" } th scope="col" { "Letters" } } }
                tbody {
                    @for (at, row) in letters.iter().enumerate() {
                        tr {
                            td { @if row.route.is_empty() { "none" } @else { (row.route) } }
                            td { (row.reason) }
                            td { a id={ "letters-" (at) } href={ "/letters?" (filter(&row.route, &row.reason)) } { (number(row.messages)) } }
                        }
                    }
                }
            }
        }
    }
}

/// The query of the letters with this route and reason.
fn filter(route: &str, reason: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if !route.is_empty() {
        query.append_pair("route", route);
    }
    query.append_pair("reason", reason).finish()
}

#[cfg(test)]
#[path = "overview/tests.rs"]
mod tests;
