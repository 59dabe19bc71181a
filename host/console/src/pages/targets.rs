//! Targets with their holds, breakers and drains, and the forms that hold and resume them.

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use maud::{Markup, html};
use serde::Deserialize;
use towpath_operate::hold::{self, Asked};
use towpath_operate::place::Found;
use towpath_operate::status::{self, TargetStatus, Targets};

use super::layout::fragment;
use super::words::{ago, short, urlencoded};
use crate::access::{Operator, Role, Session};
use crate::{Problem, Shared};

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/targets/{name}/hold", post(put_on_hold)).route("/targets/{name}/resume", post(resume))
}

#[derive(Deserialize)]
struct Hold {
    reason: String,
    #[serde(default)]
    length: String,
}

#[derive(Deserialize)]
struct Resume {
    #[serde(default)]
    per_second: String,
}

async fn put_on_hold(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(name): Path<String>,
    asked: Result<Form<Hold>, FormRejection>,
) -> Response {
    let found = console.acting(&session);
    let work = async {
        let Form(Hold { reason, length }) = asked?;
        let asked = Asked::read(reason, &length).map_err(Problem::bad_request)?;
        hold::hold(&found, &name, asked.length, Some(asked.reason)).await?;
        Ok(match asked.length {
            Some(length) => format!("{name} is on hold for {}; its messages wait, in order.", short(length)),
            None => format!("{name} is on hold until it is resumed; its messages wait, in order."),
        })
    };
    answer(&found, &session, work.await).await
}

async fn resume(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(name): Path<String>,
    asked: Result<Form<Resume>, FormRejection>,
) -> Response {
    let found = console.acting(&session);
    let work = async {
        let Form(Resume { per_second }) = asked?;
        let per_second = match per_second.trim() {
            "" => None,
            text => Some(hold::rate(text.parse().unwrap_or(f64::NAN)).map_err(Problem::bad_request)?),
        };
        let resumed = hold::resume(&found, &name, per_second).await?;
        Ok(match (resumed.held_by, resumed.checks) {
            (Some(file), _) => format!(
                "{name} stays on hold: {} says hold = true. Remove that line and restart the hosts to resume it.",
                file.display()
            ),
            (None, Some(checks)) => {
                format!(
                    "{name} is resumed; what waited is checked again by {}, in order.",
                    checks.by.max(checks.older_by)
                )
            }
            (None, None) => format!("{name} was not on hold."),
        })
    };
    answer(&found, &session, work.await).await
}

/// What was done, and all targets as they are now. An error is shown in the form, which keeps what was typed.
async fn answer(found: &Found, session: &Session, done: Result<String, Problem>) -> Response {
    let now = async {
        let done = done?;
        let targets = status::targets(found).await?;
        Ok(html! {
            (section(session, &targets))
            div #said hx-swap-oob="innerHTML" { (done) }
        })
    };
    match now.await {
        Ok(markup) => {
            let mut response = markup.into_response();
            let headers = response.headers_mut();
            headers.insert(HeaderName::from_static("hx-retarget"), HeaderValue::from_static("#targets"));
            headers.insert(HeaderName::from_static("hx-reswap"), HeaderValue::from_static("outerHTML"));
            response
        }
        Err(problem) => fragment(Err(problem)),
    }
}

/// All targets.
pub(super) fn section(session: &Session, targets: &Targets) -> Markup {
    html! {
        section #targets {
            h2 { "Targets" }
            @if let Some(problem) = &targets.holds_problem {
                p.alert role="alert" { "Holds and breakers cannot be read: " (problem) }
            }
            @if targets.targets.is_empty() { p { "No config was read, and nothing is on hold." } }
            @for target in &targets.targets { (row(session, target)) }
        }
    }
}

fn row(session: &Session, target: &TargetStatus) -> Markup {
    html! {
        div.row {
            strong { (target.name) }
            span.state data-state=(target.state) { (target.state) }
            (state(target))
            @if session.role >= Role::Operator { (forms(target)) }
        }
    }
}

fn state(target: &TargetStatus) -> Markup {
    html! {
        @if let Some(hold) = &target.hold {
            span {
                "since " (ago(hold.since))
                @if !hold.by.is_empty() { " by " (hold.by) }
                @if let Some(until) = hold.until { ", until " time datetime=(until.to_string()) { (until) } }
                @if !hold.reason.is_empty() { ": " (hold.reason) }
            }
        }
        @if let Some(within) = target.checked_within { span { "what waits is checked every " (short(within)) } }
        @if target.held_by_config { span { "hold = true in the config" } }
        @if let Some(breaker) = &target.breaker {
            span {
                "breaker open since " (ago(breaker.at))
                @if let Some(probe) = breaker.probe_at { ", probed at " time datetime=(probe.to_string()) { (probe) } }
            }
        }
        @if let Some(drain) = &target.drain {
            span { "draining what was stored before " (ago(drain.at)) " at " (drain.per_second) "/s" }
        }
    }
}

fn forms(target: &TargetStatus) -> Markup {
    let name = &target.name;
    let path = format!("/targets/{}", urlencoded(name));
    html! {
        details.act {
            summary { @if target.hold.is_some() { "Change the hold" } @else { "Hold" } span.hidden { " of " (name) } }
            form.act hx-post={ (path) "/hold" } hx-target="find .result" hx-swap="innerHTML" {
                p {
                    "Nothing is sent to " (name) " until the hold ends. Its messages wait, in order, up to 13 days, and so do later ones of \
                    their groups. Running hosts notice within 10 seconds."
                }
                label { "Reason" input name="reason" required maxlength="500" autocomplete="off"; }
                label { "For how long (empty: until it is resumed)" input name="length" placeholder="45m" autocomplete="off"; }
                button.danger type="submit" { "Hold " (name) }
                div.result {}
            }
        }
        @if target.hold.is_some() {
            details.act {
                summary { "Resume" span.hidden { " " (name) } }
                form.act hx-post={ (path) "/resume" } hx-target="find .result" hx-swap="innerHTML" {
                    p {
                        "What waited for " (name) " is sent again, in order in each group. With a rate, each running host sends at most that \
                        many of these messages a second."
                    }
                    label { "Messages per second (empty: as fast as the target takes them)" input name="per_second" inputmode="decimal" autocomplete="off"; }
                    button.primary type="submit" { "Resume " (name) }
                    div.result {}
                }
            }
        }
    }
}
