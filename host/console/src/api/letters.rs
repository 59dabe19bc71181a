//! `/letters`: dead letters, and with `?refused=true` what ingest turned away.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::json;
use towpath_operate::dlq::bulk::{Action, Approval};
use towpath_operate::dlq::edit::{Edit, edit};
use towpath_operate::dlq::filter::Filter;
use towpath_operate::dlq::page::{open, page};
use towpath_operate::dlq::preview::preview;
use towpath_operate::dlq::redrive::Limits;
use towpath_operate::dlq::stats::count;
use towpath_operate::json;
use towpath_operate::secret_headers::SecretHeaders;
use towpath_operate::set::Set;
use towpath_operate::shown::readable;
use towpath_types::clock::Clock;
use towpath_types::message::webhook;

use crate::access::{Operator, Role, Viewer};
use crate::asked::Asked;
use crate::dead::{MOST_BYTES, PAGE, approved, before, find, look, looks_are_free, opened, planned, released};
use crate::jobs::Jobs;
use crate::{Problem, Shared};

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/letters", get(list))
        .route("/letters/stats", get(stats))
        .route("/letters/redrive/plan", post(plan_redrive))
        .route("/letters/drop/plan", post(plan_drop))
        .route("/letters/redrive", post(redrive))
        .route("/letters/drop", post(drop_all))
        .route("/letters/{id}", get(show))
        .route("/letters/{id}/body", get(body))
        .route("/letters/{id}/preview", post(previewed))
        .route("/letters/{id}/edit", post(edited))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
}

/// The JSON of a request.
pub(super) fn read<T>(json: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    json.map(|Json(value)| value).map_err(|error| Problem::bad_request(error.body_text()))
}

async fn list(_: Viewer, State(console): State<Shared>, asked: Asked) -> Result<Response, Problem> {
    looks_are_free(&console.found)?;
    let filter = Filter::new(asked.conditions(Clock::wall().now())?, asked.ids());
    let limit = asked.limit()?;
    let from_start = asked.after().is_none();
    let found = &console.found;
    let mut letters = open(&found.backend, asked.refused, asked.after(), limit).await?;
    let result = page(found, &mut *letters, filter, limit, from_start).await;
    let page = released(letters, result).await?;
    let letters: Vec<json::Listed<'_>> = page.letters.iter().map(json::Listed::of).collect();
    let page = json!({ "letters": letters, "looked_at": page.looked_at, "all": page.all, "next": page.next });
    Ok(Json(page).into_response())
}

async fn stats(_: Viewer, State(console): State<Shared>, asked: Asked) -> Result<Response, Problem> {
    looks_are_free(&console.found)?;
    let mut letters = opened(&console.found, asked.refused, None, PAGE).await?;
    let result = count(&mut *letters).await;
    let stats = released(letters, result).await?;
    Ok(Json(stats.rows.iter().map(json::Counted::of).collect::<Vec<_>>()).into_response())
}

async fn show(
    Viewer(session): Viewer,
    State(console): State<Shared>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    looks_are_free(&console.found)?;
    let letter = find(&console.found, asked.refused, &id, asked.at()).await?;
    look(&console.acting(&session), &letter)?;
    let secrets = SecretHeaders::of(console.found.config.as_deref()).and(letter.death.secret_header.as_deref());
    Ok(Json(json::Whole::of(&letter, &secrets, readable)).into_response())
}

async fn body(
    Viewer(session): Viewer,
    State(console): State<Shared>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    looks_are_free(&console.found)?;
    let letter = find(&console.found, asked.refused, &id, asked.at()).await?;
    look(&console.acting(&session), &letter)?;
    let secrets = SecretHeaders::of(console.found.config.as_deref()).and(letter.death.secret_header.as_deref());
    let webhook = webhook(&letter.body, &letter.attributes)
        .map_err(|error| Problem::conflict(format!("the letter's body cannot be unpacked: {error}")))?;
    // Never as HTML: it is other people's text.
    let headers = [(CONTENT_TYPE, "application/octet-stream"), (CONTENT_DISPOSITION, "attachment; filename=\"body\"")];
    Ok((headers, secrets.hidden(Arc::unwrap_or_clone(webhook)).body).into_response())
}

/// What to plan.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    filter: Asked,
}

/// What to do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// As the plan returned it.
    filter: Asked,
    /// How many letters the plan was for.
    letters: u64,
    /// The plan's `digest`: which letters.
    plan: String,
    note: String,
    per_second: Option<f64>,
    max_failures: Option<u64>,
}

async fn plan_redrive(
    viewer: Viewer,
    console: State<Shared>,
    asked: Asked,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<Response, Problem> {
    plan(Action::Redrive, viewer, console, asked, wanted).await
}

async fn plan_drop(
    viewer: Viewer,
    console: State<Shared>,
    asked: Asked,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<Response, Problem> {
    plan(Action::Drop, viewer, console, asked, wanted).await
}

async fn plan(
    action: Action,
    Viewer(session): Viewer,
    State(console): State<Shared>,
    asked: Asked,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<Response, Problem> {
    if session.role < Role::Operator {
        looks_are_free(&console.found)?;
    }
    let filter = read(wanted)?.filter;
    let refused = asked.refused || filter.refused;
    let (plan, fixed) = planned(&console.found, refused, action, &filter).await?;
    Ok(Json(json!({ "plan": json::Plan::of(&plan), "filter": fixed.among(refused) })).into_response())
}

async fn redrive(
    operator: Operator,
    console: State<Shared>,
    jobs: Extension<Jobs>,
    asked: Asked,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Response, Problem> {
    start(Action::Redrive, operator, console, jobs, asked, order).await
}

async fn drop_all(
    operator: Operator,
    console: State<Shared>,
    jobs: Extension<Jobs>,
    asked: Asked,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Response, Problem> {
    start(Action::Drop, operator, console, jobs, asked, order).await
}

async fn start(
    action: Action,
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(jobs): Extension<Jobs>,
    asked: Asked,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Response, Problem> {
    let Order { filter, letters, plan, note, per_second, max_failures } = read(order)?;
    let approval = Approval { letters, digest: plan };
    let bulk = approved(action, &filter, note, Limits { per_second, max_failures })?;
    let refused = asked.refused || filter.refused;
    let job = jobs.start(console.acting(&session), refused, bulk, approval).await?;
    Ok((StatusCode::ACCEPTED, Json(json::Job::of(&job))).into_response())
}

/// An edit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    /// The whole body.
    body: Option<String>,
    /// Values to set, as `/json/pointer=VALUE`.
    #[serde(default)]
    set: Vec<String>,
    #[serde(default)]
    keep_group: bool,
    #[serde(default)]
    new_webhook_id: bool,
    #[serde(default)]
    accept_unverified: bool,
    #[serde(default)]
    note: String,
}

impl NewBody {
    fn of_letter(self, id: String) -> Result<Edit, Problem> {
        let NewBody { body, set, keep_group, new_webhook_id, accept_unverified, note } = self;
        let set = set.iter().map(|set| set.parse::<Set>()).collect::<Result<Vec<Set>, _>>();
        let set = set.map_err(|error| Problem::bad_request(error.to_string()))?;
        let body = body.map(String::into_bytes);
        Ok(Edit { id, body, set, keep_group, new_webhook_id, accept_unverified, note, made_for: None })
    }
}

async fn previewed(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(id): Path<String>,
    asked: Asked,
    new: Result<Json<NewBody>, JsonRejection>,
) -> Result<Response, Problem> {
    looks_are_free(&console.found)?;
    let acting = console.acting(&session);
    let letter = find(&acting, asked.refused, &id, asked.at()).await?;
    look(&acting, &letter)?;
    let edit = read(new)?.of_letter(letter.id.to_string())?;
    let cursor = before(asked.at());
    let mut letters = opened(&acting, asked.refused, cursor.as_deref(), PAGE).await?;
    let result = preview(&acting, &mut *letters, &edit).await;
    Ok(Json(json::Previewed::of(&released(letters, result).await?)).into_response())
}

async fn edited(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(id): Path<String>,
    asked: Asked,
    new: Result<Json<NewBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let new = read(new)?;
    if new.note.trim().is_empty() {
        return Err(Problem::bad_request("a note is required: it stays on the message, and is in the audit"));
    }
    let acting = console.acting(&session);
    let edit_of = new.of_letter(id)?;
    let cursor = before(asked.at());
    let mut letters = opened(&acting, asked.refused, cursor.as_deref(), PAGE).await?;
    let result = edit(&acting, &mut *letters, edit_of).await;
    Ok(Json(json::Edited::of(&released(letters, result).await?)).into_response())
}
