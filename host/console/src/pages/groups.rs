//! The groups that wait, and one of them with what an operator can do to its head.

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use towpath_operate::groups::{self, Action, Done, Group, GroupError};
use towpath_types::clock::Clock;
use towpath_types::queue::GroupId;

use super::layout::{Page, fragment, page};
use super::overview::urlencoded;
use super::words::{ago, count, group_link, number, short};
use crate::access::{Operator, Role, Session, Viewer};
use crate::api::groups::{Act, ListQuery, act, named, problem};
use crate::{Problem, Shared};

const ACTIONS: [Action; 3] = [Action::Retry, Action::DeadLetter, Action::Park];

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/groups", get(list))
        .route("/groups/{group}", get(show))
        .route("/groups/{group}/{action}", post(posted))
}

async fn list(Viewer(session): Viewer, Query(query): Query<ListQuery>, State(console): State<Shared>) -> Page {
    let content = async {
        let listed = groups::list(&console.found, query.wanted()?).await?;
        Ok(match listed {
            Some(listed) => listing(&query, &listed),
            None => on_sqs(),
        })
    };
    Page(content.await.map(|content| page(&session, "/groups", "Groups", content)))
}

fn on_sqs() -> Markup {
    html! {
        p.note {
            "The queue is on SQS. It tells how many messages wait, and neither which groups they are of nor which one is stuck. The story of the hosts does: "
            code { "towpath tail --failed --log-group NAME" } "."
        }
    }
}

fn listing(query: &ListQuery, listed: &groups::Page) -> Markup {
    html! {
        form.filter method="get" action="/groups" {
            label { "Begins with" input type="search" name="begins" value=(query.begins); }
            button { "Filter" }
        }
        @if listed.groups.is_empty() {
            p { @if query.begins.is_empty() { "Nothing waits." } @else { "No group that waits begins so." } }
        } @else {
            p {
                @if query.begins.is_empty() { "Heads that wait come first, the latest next try at the top; then those that can be delivered now." }
                @else { "By name." }
            }
            div.table { (table(&listed.groups)) }
        }
        @if let Some(next) = &listed.next {
            p { a.button rel="next" href={ "/groups?begins=" (urlencoded(&query.begins)) "&after=" (urlencoded(&next.to_string())) } { "Next page" } }
        }
    }
}

/// The first groups of the list, as the overview shows them.
pub(super) fn stuck(groups: &[Group]) -> Markup {
    html! {
        section {
            h2 { "Groups, stuck first" }
            @if groups.is_empty() { p { "Nothing waits." } } @else {
                div.table { (table(groups)) }
                p { a href="/groups" { "All groups" } }
            }
        }
    }
}

fn table(groups: &[Group]) -> Markup {
    html! {
        table {
            thead { tr { th { "Group" } th { "Why" } th { "Stored" } th { "Receives" } th { "Next try" } th { "Behind it" } th { "Last pass" } } }
            tbody { @for (at, group) in groups.iter().enumerate() { (row(at, group)) } }
        }
    }
}

fn row(at: usize, group: &Group) -> Markup {
    let head = &group.head;
    html! {
        tr {
            td { a id={ "group-" (at) } href=(group_link(head.group.as_str())) { (head.group) } }
            td { (state(group)) }
            td { (ago(head.sent_at)) }
            td { (number(head.receive_count.into())) }
            td { (next_try(group)) }
            td { (behind(group)) }
            td { @if let Some(last) = &group.last { (last.detail()) } }
        }
    }
}

fn state(group: &Group) -> &'static str {
    match group.state() {
        "in-flight" => "in flight",
        "held" => "held by its target",
        "retried" => "failed, retried later",
        "waits" => "waits for its next try",
        "ready" => "ready",
        other => other,
    }
}

fn next_try(group: &Group) -> Markup {
    let wait = group.head.ready_at.since(Clock::wall().now());
    html! {
        @match group.state() {
            "ready" => { "now" }
            "in-flight" => { "in " (short(wait)) " at the latest" }
            _ => { "in " (short(wait)) }
        }
    }
}

fn behind(group: &Group) -> String {
    let more = if group.head.behind >= groups::MOST_BEHIND { "+" } else { "" };
    format!("{}{more}", number(group.head.behind))
}

async fn show(Viewer(session): Viewer, Path(group): Path<String>, State(console): State<Shared>) -> Page {
    let group = GroupId::from(group);
    let content = async {
        let found = groups::show(&console.found, &group).await.map_err(problem)?;
        let found = found.ok_or_else(|| problem(GroupError::Nothing(group.clone()).into()))?;
        Ok(page(
            &session,
            "",
            group.as_str(),
            html! { section #group aria-label="Group" { (whole(&session, &found)) } },
        ))
    };
    Page(content.await)
}

fn whole(session: &Session, group: &Group) -> Markup {
    let head = &group.head;
    html! {
        table {
            tbody {
                tr { th { "Head" } td { a href={ "/events/" (urlencoded(group.message_id().as_str())) } { (group.message_id()) } } }
                tr { th { "Why it waits" } td { (state(group)) } }
                tr { th { "Stored" } td { (ago(head.sent_at)) } }
                tr { th { "Received" } td {
                    (count(head.receive_count.into(), "time"))
                    @if let Some(at) = head.received_at { ", last " (ago(at)) }
                } }
                tr { th { "Next try" } td { (next_try(group)) } }
                tr { th { "Behind it" } td { (behind(group)) } }
                @if let Some(last) = &group.last { tr { th { "Last pass" } td { (last.what()) ": " (last.detail()) } } }
                tr { th { "Dead letters" } td { a href={ "/letters?group=" (urlencoded(head.group.as_str())) } { "of this group" } } }
            }
        }
        @if session.role < Role::Operator {
            p.note { "This session may look and not act." }
        } @else {
            @for action in ACTIONS { (form(action, group)) }
            p { "To change the event, dead-letter it, then edit it under " a href="/letters" { "Dead letters" } " and redrive it." }
        }
    }
}

fn form(action: Action, group: &Group) -> Markup {
    let (title, button) = match action {
        Action::Retry => ("Retry now", "primary"),
        Action::DeadLetter => ("Dead-letter the head", "danger"),
        Action::Park => ("Park the group", "danger"),
    };
    let to = format!("{}/{}", group_link(group.head.group.as_str()), action.as_str());
    html! {
        form.act hx-post=(to) hx-target="#group" hx-swap="innerHTML" hx-disabled-elt="find button" {
            h2 { (title) }
            p { (action.consequence(group)) }
            input type="hidden" name="head" value=(group.head.id);
            label { "Why" input name="note" required maxlength="500" autocomplete="off"; }
            div { button class=(button) { (title) } }
        }
    }
}

async fn posted(
    Operator(session): Operator,
    Path((group, action)): Path<(String, String)>,
    State(console): State<Shared>,
    Form(said): Form<Act>,
) -> Response {
    let group = GroupId::from(group);
    let result = async {
        let action = named(&action)?;
        let done = act(&console, &session, action, &group, &said).await?;
        let now = groups::show(&console.found, &group).await?;
        Ok::<Markup, Problem>(html! {
            p.note role="status" { (said_of(&done)) }
            @match now {
                Some(now) => { (whole(&session, &now)) }
                None => { p { "Nothing of the group waits now. " a href="/groups" { "All groups" } } }
            }
        })
    };
    fragment(result.await)
}

fn said_of(done: &Done) -> Markup {
    let id = done.group.message_id();
    html! {
        @match done.action {
            Action::Retry => { "Event " (id) " is retried now." }
            Action::DeadLetter => { "Event " (id) " is a dead letter. " (done.action.consequence(&done.group)) }
            Action::Park => {
                (count(done.messages, "event")) " parked, in order."
                @if done.is_rest { " A host took the next one meanwhile: hosts park it and those behind it." }
            }
        }
    }
}

#[cfg(test)]
#[path = "groups/tests.rs"]
mod tests;
