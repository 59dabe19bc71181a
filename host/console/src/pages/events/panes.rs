//! The four panes of an event: what came in, the verdict, the requests, and the answers.

use maud::{Markup, html};
use serde_json::Value;
use towpath_operate::timeline::{Again, Content, Timeline};

use super::curl::curl;
use crate::pages::bytes::{body, difference, indented, shown};
use crate::pages::overview::urlencoded;
use crate::pages::words::short;

/// The pane of what came in, and where the others will be.
pub(super) fn all(timeline: &Timeline, content: &Content) -> Markup {
    let own = format!("/events/{}", urlencoded(content.message_id.as_str()));
    html! {
        h2 #content { "Content" }
        p {
            "From the " (content.origin.as_str()) ". "
            @if content.is_redacted { "Parts of the body were removed before it was archived. " }
            a.button href={ (own) "/body?as=raw" } download { "Download the body" } " "
            a.button href={ (own) "/body?as=case" } download { "Save as a case of plugin test" }
        }
        @match content.webhook() {
            Some(webhook) => {
                section aria-labelledby="came-in" {
                    h3 #came-in { "What came in" }
                    p { code { (webhook.request_line()) } }
                    details { summary { (webhook.headers.len()) " headers; secret values are hidden" }
                        table { tbody { @for (name, value) in &webhook.headers {
                            tr { th { (name) } td { (String::from_utf8_lossy(value)) } }
                        } } }
                    }
                    (body(&webhook.body))
                    details { summary { "As curl" } pre #curl { (curl(content.route.as_deref(), &webhook)) } button data-copy="#curl" { "Copy" } }
                }
                section #again aria-labelledby="verdict" {
                    h3 #verdict { "Verdict and requests" }
                    p { "Hosts keep neither. The config's build can compute them again from this content, in the sandbox; nothing is sent." }
                    button hx-get={ (own) "/again" } hx-target="#again" hx-swap="innerHTML" hx-disabled-elt="this" { "Compute again" }
                }
            }
            None => { p.alert role="alert" { "It cannot be unpacked: " (content.problem.as_deref().unwrap_or("unknown")) } }
        }
        section aria-labelledby="answers" {
            h3 #answers { "Answers" }
            (answers(timeline))
        }
    }
}

fn answers(timeline: &Timeline) -> Markup {
    let last = timeline.steps.iter().rev().find(|step| !step.attempts.is_empty());
    html! {
        @match last {
            None => { p { "No target was called, as far as the story has it." } }
            Some(step) => {
                p { "Of the last pass that called a target. The body of a failed answer is kept only in a dead letter, its first KiB; that of a successful one is not." }
                table {
                    thead { tr { th { "Target" } th { "Request" } th { "Answer" } th { "Took" } } }
                    tbody { @for attempt in &step.attempts {
                        tr {
                            td { (attempt.target) }
                            td { (attempt.method) " " (attempt.path) }
                            td {
                                @if let Some(status) = attempt.status { (status) " " }
                                @if let Some(error) = &attempt.error { (error) }
                                @if !attempt.excerpt.is_empty() { pre { (attempt.excerpt) } }
                            }
                            td { (attempt.millis) " ms" }
                        }
                    } }
                }
            }
        }
    }
}

/// The pane of the verdict, with each request and what differs from what came in.
pub(super) fn computed(content: &Content, again: &Again) -> Markup {
    let verdict = again.verdict.get("verdict").unwrap_or(&Value::Null);
    let requests = verdict.get("deliver").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let came = content.webhook().map(|webhook| webhook.body).unwrap_or_default();
    let came = text(&String::from_utf8_lossy(&came));
    html! {
        h3 #verdict { "Verdict and requests" }
        p.note {
            "Computed again now, in " (short(again.took)) ", "
            @match &again.digest {
                Some(digest) => { "by the build " code { (digest.get(..12).unwrap_or(digest)) } " that the config names; the build of each pass is in the timeline." }
                None => { "by the route's forwarding of the config." }
            }
            @if let Some(fuel) = again.verdict.get("fuel").and_then(Value::as_u64).filter(|fuel| *fuel > 0) { " It took " (fuel) " fuel." }
        }
        details open { summary { "Verdict" } (shown_json(verdict)) }
        @for (at, request) in requests.iter().enumerate() {
            section {
                h4 { "Request " (at + 1) ": " (field(request, "target")) " " (field(request, "method")) " " (field(request, "path")) }
                @match body_of(request) {
                    Some(body) => { p { "From what came in to what goes out:" } (difference(&came, &text(&body))) }
                    None => { p { "Its body is what came in." } }
                }
            }
        }
    }
}

fn shown_json(value: &Value) -> Markup {
    shown(&serde_json::to_string_pretty(value).unwrap_or_default())
}

fn field<'a>(request: &'a Value, name: &str) -> &'a str {
    request.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The body of a request as text; `None` if it is unchanged.
fn body_of(request: &Value) -> Option<String> {
    let other = ["body_text", "body_base64"].iter().find_map(|name| request.get(*name)?.as_str());
    match (request.get("body"), other) {
        (Some(Value::String(unchanged)), _) if unchanged == "unchanged" => None,
        (Some(Value::Null), _) => Some(String::new()),
        (Some(json), _) => Some(json.to_string()),
        (None, other) => Some(other.unwrap_or_default().to_owned()),
    }
}

/// A text by lines, so that two can be compared: indented if it is JSON.
fn text(text: &str) -> String {
    indented(text).unwrap_or_else(|| text.to_owned()) + "\n"
}
