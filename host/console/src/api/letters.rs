//! `/letters`: dead letters, and with `?refused=true` what ingest turned away.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
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
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Operator, Role, Viewer};
use crate::asked::{Among, Asked, OneLetter};
use crate::dead::{MOST_BYTES, PAGE, approved, before, find, look, looks_are_free, opened, planned, released};
use crate::jobs::Jobs;
use crate::{Problem, Shared};

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(stats))
        .routes(routes!(plan_redrive))
        .routes(routes!(plan_drop))
        .routes(routes!(redrive))
        .routes(routes!(drop_all))
        .routes(routes!(show))
        .routes(routes!(body))
        .routes(routes!(previewed))
        .routes(routes!(edited))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
}

/// Letters that match, oldest first
///
/// One look reads at most 2,000 letters or 16 MiB of bodies: a page with fewer letters than fit may have a next one. On SQS a look would receive
/// them, so it is a conflict.
#[utoipa::path(
    get, path = "/letters", params(Asked), responses((status = 200, body = json::LetterPage<'static>), (status = 409))
)]
async fn list(_: Viewer, State(console): State<Shared>, asked: Asked) -> Result<Response, Problem> {
    looks_are_free(&console.found)?;
    let filter = Filter::new(asked.conditions(Clock::wall().now())?, asked.ids());
    let limit = asked.limit()?;
    let from_start = asked.after().is_none();
    let found = &console.found;
    let mut opened = open(&found.backend, asked.refused, asked.after(), limit).await?;
    let result = page(found, &mut *opened, filter, limit, from_start).await;
    let page = released(opened, result).await?;
    Ok(Json(json::LetterPage::of(&page)).into_response())
}

/// How many letters there are, by route and reason
#[utoipa::path(
    get, path = "/letters/stats", params(Among),
    responses((status = 200, body = Vec<json::Counted<'static>>), (status = 409))
)]
async fn stats(
    _: Viewer,
    State(console): State<Shared>,
    among: Result<Query<Among>, QueryRejection>,
) -> Result<Response, Problem> {
    looks_are_free(&console.found)?;
    let mut letters = opened(&console.found, among?.refused, None, PAGE).await?;
    let result = count(&mut *letters).await;
    let stats = released(letters, result).await?;
    Ok(Json(stats.rows.iter().map(json::Counted::of).collect::<Vec<_>>()).into_response())
}

/// A letter with its webhook
///
/// Without the values of secret headers. Each look is written to the audit.
#[utoipa::path(
    get, path = "/letters/{id}",
    params(("id" = String, Path, description = "An id of the letter, or the beginning of one"), OneLetter),
    responses((status = 200, body = json::Whole<'static>), (status = 404), (status = 409))
)]
async fn show(
    Viewer(session): Viewer,
    State(console): State<Shared>,
    Path(id): Path<String>,
    asked: Result<Query<OneLetter>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked?;
    looks_are_free(&console.found)?;
    let letter = find(&console.found, asked.refused, &id, asked.at()).await?;
    look(&console.acting(&session), &letter)?;
    let secrets = SecretHeaders::of(console.found.config.as_deref()).and(letter.death.secret_header.as_deref());
    Ok(Json(json::Whole::of(&letter, &secrets, readable)).into_response())
}

/// The bytes of a letter's body
///
/// Without the values of secret headers. Each look is written to the audit.
#[utoipa::path(
    get, path = "/letters/{id}/body",
    params(("id" = String, Path, description = "An id of the letter, or the beginning of one"), OneLetter),
    responses((status = 200, body = String, content_type = "application/octet-stream"), (status = 404), (status = 409))
)]
async fn body(
    Viewer(session): Viewer,
    State(console): State<Shared>,
    Path(id): Path<String>,
    asked: Result<Query<OneLetter>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked?;
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
#[derive(Deserialize, ToSchema)]
#[schema(as = PlanOrder)]
#[serde(deny_unknown_fields)]
struct Wanted {
    filter: Asked,
}

/// What a redrive or a drop would do.
#[derive(Serialize, ToSchema)]
struct Planned<'a> {
    plan: json::Plan<'a>,
    /// The filter with times instead of ages, for the order.
    filter: Asked,
}

/// What to do with letters.
#[derive(Deserialize, ToSchema)]
#[schema(as = LettersOrder)]
#[serde(deny_unknown_fields)]
struct Order {
    /// As the plan returned it.
    filter: Asked,
    /// How many letters the plan was for. If another number matches by now, nothing is done: 409.
    letters: u64,
    /// The plan's `digest`: which letters. If others match by now, nothing is done: 409.
    plan: String,
    /// Why. It is in the audit.
    note: String,
    /// How many letters a second a redrive sends back at most.
    per_second: Option<f64>,
    /// A redrive stops once more letters than this failed or died again.
    max_failures: Option<u64>,
}

/// What a redrive of letters would do
///
/// It changes nothing. A filter that selects every letter is refused.
#[utoipa::path(
    post, path = "/letters/redrive/plan", params(Among), request_body = Wanted,
    responses((status = 200, body = Planned<'static>), (status = 409))
)]
async fn plan_redrive(
    viewer: Viewer,
    console: State<Shared>,
    among: Result<Query<Among>, QueryRejection>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<Response, Problem> {
    plan(Action::Redrive, viewer, console, among?.0, wanted).await
}

/// What a drop of letters would do
///
/// It changes nothing. A filter that selects every letter is refused.
#[utoipa::path(
    post, path = "/letters/drop/plan", params(Among), request_body = Wanted,
    responses((status = 200, body = Planned<'static>), (status = 409))
)]
async fn plan_drop(
    viewer: Viewer,
    console: State<Shared>,
    among: Result<Query<Among>, QueryRejection>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<Response, Problem> {
    plan(Action::Drop, viewer, console, among?.0, wanted).await
}

async fn plan(
    action: Action,
    Viewer(session): Viewer,
    State(console): State<Shared>,
    among: Among,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<Response, Problem> {
    if session.role < Role::Operator {
        looks_are_free(&console.found)?;
    }
    let Json(Wanted { filter }) = wanted?;
    let refused = among.refused || filter.refused;
    let (plan, fixed) = planned(&console.found, refused, action, &filter).await?;
    Ok(Json(Planned { plan: json::Plan::of(&plan), filter: fixed.among(refused) }).into_response())
}

/// Redrive letters
///
/// Starts a job, which sends the letters of a plan back to the queue that they came from. One job runs at a time.
#[utoipa::path(
    post, path = "/letters/redrive", params(Among), request_body = Order,
    responses((status = 202, description = "The job runs", body = json::Job<'static>), (status = 403), (status = 409))
)]
async fn redrive(
    operator: Operator,
    console: State<Shared>,
    jobs: Extension<Jobs>,
    among: Result<Query<Among>, QueryRejection>,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Response, Problem> {
    start(Action::Redrive, operator, console, jobs, among?.0, order).await
}

/// Drop letters
///
/// Starts a job, which deletes the letters of a plan. Each is in the audit with its body. One job runs at a time.
#[utoipa::path(
    post, path = "/letters/drop", params(Among), request_body = Order,
    responses((status = 202, description = "The job runs", body = json::Job<'static>), (status = 403), (status = 409))
)]
async fn drop_all(
    operator: Operator,
    console: State<Shared>,
    jobs: Extension<Jobs>,
    among: Result<Query<Among>, QueryRejection>,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Response, Problem> {
    start(Action::Drop, operator, console, jobs, among?.0, order).await
}

async fn start(
    action: Action,
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(jobs): Extension<Jobs>,
    among: Among,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Order { filter, letters, plan, note, per_second, max_failures }) = order?;
    let approval = Approval { letters, digest: plan };
    let bulk = approved(action, &filter, note, Limits { per_second, max_failures })?;
    let refused = among.refused || filter.refused;
    let job = jobs.start(console.acting(&session), refused, bulk, approval).await?;
    Ok((StatusCode::ACCEPTED, Json(json::Job::of(&job))).into_response())
}

/// An edit.
#[derive(Deserialize, ToSchema)]
#[schema(as = EditOrder)]
#[serde(deny_unknown_fields)]
struct NewBody {
    /// The whole body.
    body: Option<String>,
    /// Values to set, as `/json/pointer=VALUE`.
    #[serde(default)]
    set: Vec<String>,
    /// Keeps its group, even if its keys say otherwise.
    #[serde(default)]
    keep_group: bool,
    /// Derives its `webhook-id` from its keys again.
    #[serde(default)]
    new_webhook_id: bool,
    /// Accepts a letter that was never verified.
    #[serde(default)]
    accept_unverified: bool,
    /// Why. An edit needs it; it stays on the message.
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

/// What an edit would do
///
/// The body before and after, the group, and what the configured plugin says to both. It changes nothing.
#[utoipa::path(
    post, path = "/letters/{id}/preview",
    params(("id" = String, Path, description = "An id of the letter, or the beginning of one"), OneLetter), request_body = NewBody,
    responses((status = 200, body = json::Previewed<'static>), (status = 403), (status = 404), (status = 409))
)]
async fn previewed(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(id): Path<String>,
    asked: Result<Query<OneLetter>, QueryRejection>,
    new: Result<Json<NewBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked?;
    looks_are_free(&console.found)?;
    let acting = console.acting(&session);
    let letter = find(&acting, asked.refused, &id, asked.at()).await?;
    look(&acting, &letter)?;
    let edit = new?.0.of_letter(letter.id.to_string())?;
    let cursor = before(asked.at());
    let mut letters = opened(&acting, asked.refused, cursor.as_deref(), PAGE).await?;
    let result = preview(&acting, &mut *letters, &edit).await;
    Ok(Json(json::Previewed::of(&released(letters, result).await?)).into_response())
}

/// Edit a letter
///
/// It stays a dead letter until a redrive sends it. The letter before the edit is in the audit.
#[utoipa::path(
    post, path = "/letters/{id}/edit",
    params(("id" = String, Path, description = "An id of the letter, or the beginning of one"), OneLetter), request_body = NewBody,
    responses((status = 200, body = json::Edited<'static>), (status = 403), (status = 404))
)]
async fn edited(
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(id): Path<String>,
    asked: Result<Query<OneLetter>, QueryRejection>,
    new: Result<Json<NewBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked?;
    let Json(new) = new?;
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
