//! One letter: why it is here, what was tried, its body, and the others of its group.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use towpath_operate::dlq::page::neighbours;
use towpath_operate::letters::Letter;
use towpath_operate::place::Found;
use towpath_operate::secret_headers::SecretHeaders;
use towpath_operate::shown::{hex, lines, readable};
use towpath_types::dead_letter::carried_notes;
use towpath_types::envelope::Webhook;
use towpath_types::message::webhook;

use super::{Which, short};
use crate::access::{Role, Session, Viewer};
use crate::asked::Asked;
use crate::dead::{RECEIVES, find, look, looks_are_free};
use crate::pages::layout::{Page, fragment, page};
use crate::pages::overview::urlencoded;
use crate::pages::words::{ago, count};
use crate::{Problem, Shared};

/// How many other letters of the group are listed.
const OTHERS: usize = 20;

/// How much of a body a page shows; the rest is in the download.
const MOST_SHOWN: usize = 256 * 1024;

pub(super) async fn show(
    Viewer(session): Viewer,
    State(console): State<Shared>,
    Extension(which): Extension<Which>,
    Path(id): Path<String>,
    asked: Result<Asked, Problem>,
) -> Page {
    if looks_are_free(&console.found).is_err() {
        return Page(Ok(page(&session, which.path(), short(&id), unreceived(&session, which, &id))));
    }
    let shown = async {
        let letter = find(&console.found, which.is_refused(), &id, asked?.at()).await?;
        let others = neighbours(&console.found.backend, which.is_refused(), &letter, OTHERS).await?;
        let title = format!("{} {}", letter.death.reason, short(&letter.death.id));
        Ok(page(&session, which.path(), &title, content(&session, &console.found, which, &letter, others)))
    };
    Page(shown.await)
}

/// A letter on SQS before it is received.
fn unreceived(session: &Session, which: Which, id: &str) -> Markup {
    html! {
        p.note { (RECEIVES) "." }
        @if session.role == Role::Operator {
            form hx-post={ (which.path()) "/" (urlencoded(id)) "/receive" } hx-target="#received" {
                button type="submit" { "Receive and show it" }
            }
        }
        div #received aria-live="polite" {}
    }
}

pub(super) fn content(
    session: &Session,
    found: &Found,
    which: Which,
    letter: &Letter,
    others: Option<(Vec<Letter>, bool)>,
) -> Markup {
    html! {
        (why(which, letter))
        (actions(session, which, letter))
        (attempts(letter))
        (plugin(letter))
        (request(found, letter))
        // On SQS each look would be another receive.
        @if !letter.sequence().is_empty() { (body_section(which, letter)) }
        @if let Some((others, more)) = others { (group(which, letter, &others, more)) }
    }
}

fn why(which: Which, letter: &Letter) -> Markup {
    let death = &letter.death;
    let group = Asked::of_group(letter.group.as_str()).query();
    html! {
        section {
            h2 { "Why" }
            p { strong { (death.reason) } ": " (death.detail) }
            table {
                tbody {
                    tr { th scope="row" { "Given up" } td { (ago(death.failed_at)) } }
                    tr { th scope="row" { "Stored" } td { (ago(death.sent_at)) ", received " (count(u64::from(death.receive_count), "time")) } }
                    tr { th scope="row" { "Route" } td { (death.route.as_deref().unwrap_or("none matched")) } }
                    tr { th scope="row" { "Group" } td { a href=(which.list(&group)) { (letter.group) } } }
                    tr { th scope="row" { "Message" } td { a href={ "/events/" (urlencoded(&death.id)) } { code { (death.id) } } } }
                    tr { th scope="row" { "webhook-id" } td { code { (letter.webhook_id()) } } }
                    @if let Some(plugin) = &death.plugin {
                        tr { th scope="row" { "Plugin" } td { (plugin) " " code { (death.digest.as_deref().and_then(|digest| digest.get(..12)).unwrap_or("–")) } } }
                    }
                    tr { th scope="row" { "Verified" } td { @if death.is_verified() { "yes" } @else { "no: anybody may have sent it" } } }
                }
            }
            @for note in carried_notes(&letter.attributes) { p { "Edited " (ago(note.at)) " by " (note.by) ": " (note.text) } }
            @if letter.is_parked() { p.note { "It is parked: it waits behind the first letter of its group, and nothing is wrong with it." } }
        }
    }
}

fn actions(session: &Session, which: Which, letter: &Letter) -> Markup {
    let one = Asked::of_letter(letter.id.as_str(), letter.sequence()).query();
    html! {
        @if session.role == Role::Operator {
            form.row hx-post={ (which.path()) "/plan" } hx-target="#plan" {
                input type="hidden" name="filter" value=(one);
                button type="submit" name="action" value="redrive" { "Redrive…" }
                @if !letter.sequence().is_empty() {
                    a.button href={ (which.path()) "/" (urlencoded(letter.id.as_str())) "/edit?at=" (letter.sequence()) } { "Edit…" }
                }
                button.danger type="submit" name="action" value="drop" { "Drop…" }
                a.button href=(which.what_if(&one)) { "What would another build say?" }
            }
            div #plan aria-live="polite" {}
        }
    }
}

fn attempts(letter: &Letter) -> Markup {
    let death = &letter.death;
    html! {
        @if !death.attempts.is_empty() {
            section {
                h2 { "Attempts of the last pass" }
                table {
                    thead { tr { th { "Target" } th { "Request" } th { "Answer" } th { "Took" } } }
                    tbody {
                        @for attempt in &death.attempts {
                            tr {
                                td { (attempt.target) }
                                td { (attempt.method) " " (attempt.path) }
                                td {
                                    @if let Some(status) = attempt.answer.status() { (status) }
                                    @if let Some(problem) = attempt.answer.problem() { (problem) }
                                }
                                td { (attempt.millis) " ms" }
                            }
                        }
                    }
                }
            }
        }
        @if !death.excerpt.is_empty() { section { h2 { "The last answer" } pre tabindex="0" { (death.excerpt) } } }
        @if !death.cut.is_empty() { p { "Cut so that it fits its queue: " (death.cut.join(", ")) } }
    }
}

fn plugin(letter: &Letter) -> Markup {
    let death = &letter.death;
    html! {
        @if !death.trace.is_empty() || !death.stderr.is_empty() {
            section {
                h2 { "The plugin" }
                @if !death.trace.is_empty() { pre tabindex="0" { (death.trace.join("\n")) } }
                @if !death.stderr.is_empty() { pre tabindex="0" { (death.stderr) } }
            }
        }
    }
}

fn request(found: &Found, letter: &Letter) -> Markup {
    let Some(webhook) = unpacked(found, letter) else {
        return html! { p.alert { "The event cannot be unpacked." } };
    };
    html! {
        section {
            h2 { "What came" }
            pre tabindex="0" {
                (readable(webhook.request_line().as_bytes())) "\n"
                @for (name, value) in &webhook.headers { (name) ": " (readable(value)) "\n" }
            }
        }
    }
}

/// The webhook without its secret values.
fn unpacked(found: &Found, letter: &Letter) -> Option<Webhook> {
    let secrets = SecretHeaders::of(found.config.as_deref()).and(letter.death.secret_header.as_deref());
    let webhook = webhook(&letter.body, &letter.attributes).ok()?;
    Some(secrets.hidden(Arc::unwrap_or_clone(webhook)))
}

fn body_section(which: Which, letter: &Letter) -> Markup {
    let own = format!("{}/{}/body?at={}", which.path(), urlencoded(letter.id.as_str()), letter.sequence());
    let download = format!("/api/v1/letters/{}/body?at={}", urlencoded(letter.id.as_str()), letter.sequence());
    let download = if which.is_refused() { format!("{download}&refused=true") } else { download };
    html! {
        section {
            h2 { "Body" }
            p { "Who looks at a body is named in the audit." }
            p {
                @for (format, name) in [("pretty", "Pretty"), ("raw", "Raw"), ("hex", "Hex")] {
                    button type="button" hx-get={ (own) "&format=" (format) } hx-target="#body" { (name) } " "
                }
                a.button href=(download) download="body" { "Download" }
            }
            div #body aria-live="polite" {}
        }
    }
}

/// How a body is shown.
#[derive(Deserialize)]
pub(super) struct How {
    #[serde(default)]
    at: String,
    #[serde(default)]
    format: String,
}

pub(super) async fn body(
    Viewer(session): Viewer,
    State(console): State<Shared>,
    Extension(which): Extension<Which>,
    Path(id): Path<String>,
    Query(how): Query<How>,
) -> Response {
    let shown = async {
        looks_are_free(&console.found)?;
        let letter = find(&console.found, which.is_refused(), &id, Some(&how.at)).await?;
        look(&console.acting(&session), &letter)?;
        let webhook = unpacked(&console.found, &letter);
        let webhook = webhook.ok_or_else(|| Problem::conflict("the event cannot be unpacked"))?;
        let all = webhook.body.len();
        let part = webhook.body.get(..all.min(MOST_SHOWN)).unwrap_or_default();
        let text = match how.format.as_str() {
            "hex" => hex(part),
            "raw" => readable(part),
            _ => lines(&readable(part)),
        };
        Ok(html! {
            @if all > MOST_SHOWN { p { "The first " (MOST_SHOWN / 1024) " KiB of " (all.div_ceil(1024)) " KiB; the download has all." } }
            pre tabindex="0" { (text) }
        })
    };
    fragment(shown.await)
}

fn group(which: Which, letter: &Letter, others: &[Letter], more: bool) -> Markup {
    let first = others.first().is_none_or(|other| letter.sequence() < other.sequence());
    let parked = others.iter().filter(|other| other.is_parked() && other.sequence() > letter.sequence()).count();
    html! {
        section {
            h2 { "Other letters of its group" }
            @if others.is_empty() { p { "There are none." } } @else {
                p {
                    @if first { "It is the first of its group here. " }
                    @if parked > 0 { (count(parked as u64, "letter")) @if more { " or more" } " parked behind it: they go back with it, in order." }
                }
                table {
                    thead { tr { th { "Letter" } th { "Given up" } th { "Reason" } } }
                    tbody {
                        @for other in others {
                            tr {
                                td { a href=(which.to(other)) { (short(&other.death.id)) } }
                                td { (ago(other.death.failed_at)) }
                                td { (other.death.reason) }
                            }
                        }
                    }
                }
                @if more { p { a href=(which.list(&Asked::of_group(letter.group.as_str()).query())) { "All of this group" } } }
            }
        }
    }
}
