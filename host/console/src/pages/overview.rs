//! The overview: targets, what waits, what is dead. Each figure links to what it counts.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};
use towpath_operate::status::{Status, TargetStatus, status};
use towpath_operate::waiting::Waiting;

use super::layout::{Page, page};
use super::words::{ago, count, number, short};
use crate::access::Viewer;
use crate::{Problem, Shared};

/// How many groups are listed.
const GROUPS: usize = 10;

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/", get(show))
}

async fn show(Viewer(session): Viewer, State(console): State<Shared>) -> Page {
    let status = status(&console.found, GROUPS).await.map_err(Problem::from);
    Page(status.map(|status| page(&session, "/", "Overview", content(&status))))
}

fn content(status: &Status) -> Markup {
    html! {
        section.figures aria-label="Queues" {
            @if let Some(waiting) = &status.queue { (figure("/groups", "waiting", waiting)) }
            (figure("/letters", "dead letters", &status.dead_letters))
        }
        (targets(status))
        (groups(status))
    }
}

fn figure(to: &str, name: &str, waiting: &Waiting) -> Markup {
    html! {
        a.figure href=(to) {
            strong { (number(waiting.messages)) } " " (name)
            small {
                @if let Some(groups) = waiting.groups { "in " (count(groups, "group")) }
                @if let Some(oldest) = waiting.oldest { ", the oldest stored " (ago(oldest)) }
            }
        }
    }
}

fn targets(status: &Status) -> Markup {
    html! {
        section {
            h2 { "Targets" }
            @if let Some(problem) = &status.holds_problem {
                p.alert role="alert" { "Holds and breakers cannot be read: " (problem) }
            }
            @if status.targets.is_empty() { p { "No config was read, and nothing is on hold." } }
            @for target in &status.targets { (target_row(target)) }
        }
    }
}

fn target_row(target: &TargetStatus) -> Markup {
    html! {
        div.row {
            strong { (target.name) }
            span.state data-state=(target.state) { (target.state) }
            @if let Some(hold) = &target.hold {
                span {
                    "since " (ago(hold.since))
                    @if !hold.by.is_empty() { " by " (hold.by) }
                    @if !hold.reason.is_empty() { ": " (hold.reason) }
                }
            }
            @if target.held_by_config { span { "hold = true in the config" } }
            @if let Some(breaker) = &target.breaker { span { "breaker open since " (ago(breaker.at)) } }
            @if let Some(drain) = &target.drain { span { "draining at " (drain.per_second) "/s" } }
        }
    }
}

fn groups(status: &Status) -> Markup {
    let Some(groups) = &status.groups else { return html! {} };
    html! {
        section {
            h2 { "Groups with the most messages" }
            @if groups.is_empty() { p { "Nothing waits." } } @else {
                table {
                    thead { tr { th { "Group" } th { "Waiting" } th { "Oldest" } th { "Receives of the first" } th { "Next try" } } }
                    tbody {
                        @for group in groups {
                            @let ready = group.ready_at.since(towpath_types::clock::Clock::wall().now());
                            tr {
                                td { a href={ "/groups/" (urlencoded(group.group.as_str())) } { (group.group) } }
                                td { (number(group.messages)) }
                                td { (ago(group.oldest)) }
                                td { (group.receive_count) }
                                td { @if ready.is_zero() { "now" } @else { "in " (short(ready)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A text as one segment of a path.
pub(super) fn urlencoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
