//! Redrive and drop: a plan, its confirmation, and the progress.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Form, Path, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use towpath_operate::dlq::bulk::{Action, Approval, Job, State as Stands};
use towpath_operate::dlq::redrive::{Limits, Plan};
use towpath_types::clock::Clock;

use super::{Which, short};
use crate::access::{Operator, Role, Session, Viewer};
use crate::asked::Asked;
use crate::dead::{approved, planned};
use crate::jobs::Jobs;
use crate::pages::layout::fragment;
use crate::pages::words::{ago, count, number, short as lasted};
use crate::{Problem, Shared};

/// How many failed letters are listed.
const FAILED: usize = 20;

/// What to plan.
#[derive(Deserialize)]
pub(super) struct Wanted {
    filter: String,
    action: String,
}

/// What to do.
#[derive(Deserialize)]
pub(super) struct Order {
    filter: String,
    action: String,
    letters: u64,
    #[serde(default)]
    plan: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    per_second: String,
    #[serde(default)]
    max_failures: String,
}

fn action(name: &str) -> Result<Action, Problem> {
    match name {
        "redrive" => Ok(Action::Redrive),
        "drop" => Ok(Action::Drop),
        _ => Err(Problem::bad_request("an action is redrive or drop")),
    }
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Redrive => "Redrive",
        Action::Drop => "Drop",
    }
}

/// A number of a form, which may be left empty.
fn optional<T: std::str::FromStr>(name: &str, text: &str) -> Result<Option<T>, Problem> {
    let text = text.trim();
    let read = (!text.is_empty()).then(|| text.parse());
    read.transpose().map_err(|_| Problem::bad_request(format!("{name} is not a number: {text}")))
}

pub(super) async fn plan(
    _: Operator,
    State(console): State<Shared>,
    Extension(which): Extension<Which>,
    Form(wanted): Form<Wanted>,
) -> Response {
    let shown = async {
        let action = action(&wanted.action)?;
        let (plan, fixed) = planned(&console.found, which.is_refused(), action, &Asked::read(&wanted.filter)?).await?;
        Ok(confirmation(which, action, &plan, &fixed))
    };
    fragment(shown.await)
}

fn confirmation(which: Which, action: Action, plan: &Plan, fixed: &Asked) -> Markup {
    if plan.letters == 0 {
        return html! { p.note { "No letter matches any more." } };
    }
    let does = match action {
        Action::Redrive => "They go back to their queue in order, behind the messages that wait in their groups.",
        Action::Drop => "They are deleted. The audit keeps each of them whole.",
    };
    html! {
        form.act hx-post={ (which.path()) "/act" } hx-target="#plan" {
            h2 { (verb(action)) " " (count(plan.letters, "letter")) " of " (count(plan.groups as u64, "group")) "?" }
            p { (does) @if let Some(oldest) = plan.oldest { " The oldest was stored " (ago(oldest)) "." } }
            ul { @for (reason, letters) in &plan.reasons { li { (reason) ": " (number(*letters)) } } }
            @if plan.parked_along > 0 {
                p { (count(plan.parked_along, "letter")) " parked behind them: a parked group goes back as a whole, in order." }
            }
            @for target in &plan.held_targets {
                p.note { "The target " strong { (target) } " is on hold: what is sent to it will wait." }
            }
            input type="hidden" name="filter" value=(fixed.query());
            input type="hidden" name="action" value=(verb(action).to_lowercase());
            input type="hidden" name="letters" value=(plan.letters);
            input type="hidden" name="plan" value=(plan.digest);
            label { "Why (in the audit)" input name="note" required maxlength="500" autocomplete="off" placeholder="ticket 4711"; }
            @if action == Action::Redrive {
                label { "Letters per second (empty: as fast as possible)" input name="per_second" inputmode="decimal" autocomplete="off"; }
                label { "Stop after more failures than (empty: never)" input name="max_failures" inputmode="numeric" autocomplete="off"; }
            }
            div {
                button.primary[action == Action::Redrive].danger[action == Action::Drop] type="submit" { (verb(action)) " " (count(plan.letters, "letter")) }
                " "
                a.button href=(which.list(&fixed.query())) { "Show exactly these" }
            }
        }
    }
}

pub(super) async fn start(
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(which): Extension<Which>,
    Extension(jobs): Extension<Jobs>,
    Form(order): Form<Order>,
) -> Response {
    let started = async {
        let limits = Limits {
            per_second: optional("letters per second", &order.per_second)?,
            max_failures: optional("the number of failures", &order.max_failures)?,
        };
        let filter = Asked::read(&order.filter)?;
        let bulk = approved(action(&order.action)?, &filter, order.note, limits)?;
        let approval = Approval { letters: order.letters, digest: order.plan };
        let job_of = jobs.start(console.acting(&session), which.is_refused(), bulk, approval).await?;
        Ok(job(&session, &job_of))
    };
    fragment(started.await)
}

pub(super) async fn show(
    Viewer(session): Viewer,
    Extension(jobs): Extension<Jobs>,
    Path(id): Path<String>,
) -> Response {
    fragment(jobs.get(&id).map(|found| job(&session, &found)))
}

pub(super) async fn cancel(
    Operator(session): Operator,
    Extension(jobs): Extension<Jobs>,
    Path(id): Path<String>,
) -> Response {
    fragment(jobs.cancel(&id).map(|found| job(&session, &found)))
}

/// How a job stands. It asks again every second until the job has ended.
pub(super) fn job(session: &Session, job: &Job) -> Markup {
    let until = job.ended_at.unwrap_or_else(|| Clock::wall().now());
    let took = until.since(job.started_at);
    let again = job.ended_at.is_none().then(|| format!("/jobs/{}", job.id));
    let polls = again.as_ref().map(|_| "every 1s");
    html! {
        div #job.note hx-get=[again] hx-trigger=[polls] hx-swap="outerHTML" role="status" {
            p {
                strong { (verb(job.action)) ": " (number(job.done)) " of " (count(job.planned, "letter")) ", " (job.state.name()) }
                " · " (rate(job.done, took)) " · by " (job.by) ": " (job.note)
            }
            progress max=(job.planned.max(1)) value=(job.done.min(job.planned)) aria-label="How far" {}
            @if job.state == Stands::Running && session.role == Role::Operator {
                form hx-post={ "/jobs/" (job.id) "/cancel" } hx-target="#job" hx-swap="outerHTML" {
                    button type="submit" { "Cancel: what was done stays done" }
                }
            }
            (ended(job))
        }
    }
}

fn rate(done: u64, took: Duration) -> String {
    let rate = done as f64 / took.as_secs_f64().max(0.001);
    format!("{rate:.1} a second, for {}", lasted(took))
}

fn ended(job: &Job) -> Markup {
    let report = job.report.as_ref();
    html! {
        @if let Stands::Failed(problem) = &job.state { p.alert role="alert" { (problem) } }
        @if let Some(report) = report {
            @if report.stopped { p.alert { "Stopped after too many failures. The others are still here." } }
            @if report.died_again > 0 { p.alert { (count(report.died_again, "letter")) " came back meanwhile: the cause is not mended." } }
            @if !report.moved.perhaps_twice.is_empty() {
                p { (count(report.moved.perhaps_twice.len() as u64, "letter")) " may have been sent twice, with the same webhook-id." }
            }
            @if !report.moved.failed.is_empty() {
                p.alert { (count(report.moved.failed.len() as u64, "letter")) " could not be " (match job.action { Action::Redrive => "sent back", Action::Drop => "dropped" }) ":" }
                ul {
                    @for failed in report.moved.failed.iter().take(FAILED) {
                        li { (short(failed.id.as_str())) ": " (failed.problem) }
                    }
                }
            }
        }
    }
}
