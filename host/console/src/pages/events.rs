//! One event: what happened to it, drawn to scale, and on a click its content, its verdict, its requests and the answers.

mod curl;
mod panes;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, html};
use towpath_operate::timeline::{Attempt, Place, Step, Timeline, compute_again};
use towpath_types::clock::Timestamp;

use super::layout::{Page, alert, fragment, page};
use super::overview::urlencoded;
use super::words::{ago, count, group_link, short};
use crate::access::Viewer;
use crate::api::events::{FormQuery, SearchQuery, content_as, find, look};
use crate::{Problem, Shared};

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/events/{id}", get(show))
        .route("/events/{id}/panes", get(panes))
        .route("/events/{id}/again", get(again))
        .route("/events/{id}/body", get(body))
}

async fn show(
    Viewer(session): Viewer,
    Path(id): Path<String>,
    query: Result<Query<SearchQuery>, QueryRejection>,
    State(console): State<Shared>,
) -> Response {
    let content = async {
        let has_searched = query?.archive || console.archive.is_none();
        match find(&console, &id, has_searched).await {
            Err(problem) if problem.status() == StatusCode::NOT_FOUND && !has_searched => {
                let content = html! { (alert(&problem)) p { (search(&id)) } };
                Ok((StatusCode::NOT_FOUND, page(&session, "", problem.title(), content)))
            }
            found => {
                let timeline = found?;
                let title = format!("Event {}", timeline.message_id);
                Ok((StatusCode::OK, page(&session, "", &title, whole(&timeline, has_searched))))
            }
        }
    };
    content.await.map_or_else(|problem| Page(Err(problem)).into_response(), IntoResponse::into_response)
}

/// Leads to a search of the archive, which takes longer.
fn search(id: &str) -> Markup {
    html! { a.button #archive rel="nofollow" href={ "/events/" (urlencoded(id)) "?archive=true" } { "Search the archive" } }
}

fn whole(timeline: &Timeline, has_searched: bool) -> Markup {
    let own = format!("/events/{}", urlencoded(timeline.message_id.as_str()));
    html! {
        table { tbody {
            tr { th { "Now" } td { (now(timeline)) } }
            @if let Some(group) = &timeline.group { tr { th { "Group" } td { a href=(group_link(group.as_str())) { (group) } } } }
            @if let Some(route) = &timeline.route { tr { th { "Route" } td { (route) } } }
            @if let Some(plugin) = &timeline.plugin { tr { th { "Plugin" } td { (plugin) } } }
            @if let Some(id) = &timeline.webhook_id { tr { th { "webhook-id" } td { code { (id) } } } }
            @if let Some(at) = timeline.sent_at { tr { th { "Stored" } td { (ago(at)) } } }
        } }
        section aria-labelledby="timeline" {
            h2 #timeline { "Timeline" }
            @if timeline.is_cut { p.note { "The story has more lines about this event: these are the last ones." } }
            @if timeline.steps.is_empty() { p { "The story does not have it." } } @else {
                (drawn(&timeline.steps))
                (listed(&timeline.steps))
            }
        }
        section #panes aria-labelledby="content" {
            h2 #content { "Content" }
            @match &timeline.content {
                Some(content) => {
                    p { "It is in the " (content.origin.as_str()) ". A look at it is written to the audit with your name." }
                    button hx-get={ (own) "/panes" } hx-target="#panes" hx-swap="innerHTML" { "Show content" }
                }
                None if !has_searched => { p { "Its content is in no queue. " (search(timeline.message_id.as_str())) } }
                None => { p { "Its content is not kept: it is neither in a queue nor in an archive on this machine." } }
            }
        }
    }
}

fn now(timeline: &Timeline) -> Markup {
    html! {
        @match &timeline.place {
            Place::Waits { receive_count, .. } => { "waits in the queue, received " (count((*receive_count).into(), "time")) }
            Place::Dead(letter) => {
                "is a dead letter: " (letter.death.reason)
                @if !letter.death.detail.is_empty() { ", " (letter.death.detail) }
                " – " a href={ "/letters/" (urlencoded(letter.id.as_str())) } { "the letter" }
            }
            Place::Archived => { "is done, and in the archive" }
            Place::Elsewhere => { "is in neither queue of this store" }
        }
    }
}

/// The width of the drawing in its own units, and the height of a row.
const WIDTH: u64 = 1000;
const ROW: usize = 16;

/// Where a time is in the drawing.
fn x(at: Timestamp, from: Timestamp, total: u64) -> u64 {
    at.0.saturating_sub(from.0).min(total) * WIDTH / total
}

/// The steps to scale: a row each, with a bar from its begin to its end, and the requests in it. A step that is too short to be seen has a width of two.
fn drawn(steps: &[Step]) -> Markup {
    let from = steps.iter().map(Step::began).min().unwrap_or_default();
    let until = steps.iter().map(|step| step.at).max().unwrap_or_default();
    let total = until.0.saturating_sub(from.0).max(1);
    let height = steps.len() * ROW;
    html! {
        p { "From the first to the last step: " (short(until.since(from))) "." }
        svg.timeline viewBox={ "0 0 " (WIDTH) " " (height) } preserveAspectRatio="none" height=(height) role="img"
            aria-label={ (steps.len()) " steps in " (short(until.since(from))) ", listed below" } {
            @for (at, step) in steps.iter().enumerate() {
                @let begin = x(step.began(), from, total);
                @let width = x(step.at, from, total).saturating_sub(begin).max(2);
                line x1="0" x2=(WIDTH) y1=((at + 1) * ROW) y2=((at + 1) * ROW) {}
                rect class=(class(step)) x=(begin.min(WIDTH - 2)) y=(at * ROW + 2) width=(width) height=(ROW - 4) {
                    title { (step.what) ", " (short(step.took)) }
                }
                @for (begin, width, is_success) in requests(step, from, total) {
                    rect class=(if is_success { "request good" } else { "request bad" }) x=(begin) y=(at * ROW + 5) width=(width) height=(ROW - 10) {}
                }
            }
        }
    }
}

/// The requests of a pass, which are made one after another and end with it.
fn requests(step: &Step, from: Timestamp, total: u64) -> Vec<(u64, u64, bool)> {
    let took: u64 = step.attempts.iter().map(|attempt| attempt.millis).sum();
    let mut at = Timestamp(step.at.0.saturating_sub(took));
    let mut drawn = Vec::new();
    for attempt in &step.attempts {
        let end = Timestamp(at.0.saturating_add(attempt.millis));
        let begin = x(at, from, total).min(WIDTH - 2);
        drawn.push((begin, x(end, from, total).saturating_sub(begin).max(2), attempt.is_success()));
        at = end;
    }
    drawn
}

fn class(step: &Step) -> &'static str {
    match (step.is_failure, &step.by) {
        (_, Some(_)) => "operator",
        (true, None) => "bad",
        (false, None) => "good",
    }
}

fn listed(steps: &[Step]) -> Markup {
    html! {
        div.table { table {
            thead { tr { th { "When" } th { "Step" } th { "Took" } th { "By" } th { "Detail" } } }
            tbody {
                @for step in steps {
                    tr {
                        td { time datetime=(step.at.to_string()) { (step.at) } }
                        td { @if step.is_failure { strong { (step.what) } } @else { (step.what) } }
                        td { @if !step.took.is_zero() { (short(step.took)) } }
                        td {
                            @if let Some(by) = &step.by { (by) }
                            @if let Some((plugin, digest)) = &step.plugin { (plugin) " " code { (digest) } }
                        }
                        td { (step.detail) @for attempt in step.attempts.iter().filter(|attempt| !attempt.excerpt.is_empty()) { (answer(attempt)) } }
                    }
                }
            }
        } }
    }
}

fn answer(attempt: &Attempt) -> Markup {
    html! { details { summary { "What " (attempt.target) " answered" } pre { (attempt.excerpt) } } }
}

async fn panes(Viewer(session): Viewer, Path(id): Path<String>, State(console): State<Shared>) -> Response {
    let shown = async {
        let (timeline, content) = look(&console, &session, &id).await?;
        Ok::<Markup, Problem>(panes::all(&timeline, &content))
    };
    fragment(shown.await)
}

async fn again(Viewer(session): Viewer, Path(id): Path<String>, State(console): State<Shared>) -> Response {
    let computed = async {
        let (_, content) = look(&console, &session, &id).await?;
        let again = compute_again(&console.found, &content).await?;
        Ok::<Markup, Problem>(panes::computed(&content, &again))
    };
    fragment(computed.await)
}

async fn body(
    Viewer(session): Viewer,
    Path(id): Path<String>,
    Query(query): Query<FormQuery>,
    State(console): State<Shared>,
) -> Response {
    let answer = async { content_as(&look(&console, &session, &id).await?.1, query.form) };
    answer.await.unwrap_or_else(Problem::into_response)
}

#[cfg(test)]
#[path = "events/tests.rs"]
mod tests;
