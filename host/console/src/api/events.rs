//! `GET /events/{id}`: what happened to an event, with `?archive=true` also if only the archive knows it; `/events/{id}/body`: its content. Every
//! look at a content is in the audit.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use towpath_operate::audit::Audit;
use towpath_operate::json;
use towpath_operate::timeline::{Content, Sources, Timeline};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Session, Viewer};
use crate::{Console, Problem, Shared};

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(body))
}

/// Whoever searches reads the story, the queues and perhaps the archive: two do at a time in a process, the others wait.
pub(crate) static SEARCHES: Semaphore = Semaphore::const_new(2);

/// A turn among those who search.
pub(crate) async fn searching() -> Result<SemaphorePermit<'static>, Problem> {
    SEARCHES.acquire().await.map_err(|error| Problem::unavailable(error.to_string()))
}

/// How far to search.
#[derive(Deserialize, Default, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    /// Also in the archive, which takes longer.
    #[serde(default)]
    pub(crate) archive: bool,
}

/// In which form a body is wanted.
#[derive(Clone, Copy, Deserialize, Default, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Form {
    /// As JSON with method, query and headers.
    #[default]
    Json,
    /// The bytes alone.
    Raw,
    /// As the `message.json` of a case of `plugin test`.
    Case,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FormQuery {
    /// `json` with method, query and headers, which is the default; `raw` for the bytes alone; `case` for the `message.json` of a case of
    /// `towpath plugin test`.
    #[serde(default, rename = "as")]
    #[param(inline)]
    pub(crate) form: Form,
}

/// What happened to an event
///
/// Its place, and each step with its time. Without the content.
#[utoipa::path(
    get, path = "/events/{id}",
    params(("id" = String, Path, description = "An id of the event, or the beginning of one: at least 8 characters"), SearchQuery),
    responses((status = 200, body = json::Timeline<'static>), (status = 404))
)]
async fn show(
    _: Viewer,
    Path(id): Path<String>,
    query: Result<Query<SearchQuery>, QueryRejection>,
    State(console): State<Shared>,
) -> Result<Response, Problem> {
    let timeline = find(&console, &id, query?.archive).await?;
    Ok(Json(json::Timeline::of(&timeline)).into_response())
}

/// The content of an event
///
/// Without the values of secret headers. Each look is written to the audit.
#[utoipa::path(
    get, path = "/events/{id}/body",
    params(("id" = String, Path, description = "An id of the event, or the beginning of one: at least 8 characters"), FormQuery),
    responses(
        (status = 200, content((json::EventBody<'static> = "application/json"), (String = "application/octet-stream"))),
        (status = 404), (status = 409)
    )
)]
async fn body(
    Viewer(session): Viewer,
    Path(id): Path<String>,
    query: Result<Query<FormQuery>, QueryRejection>,
    State(console): State<Shared>,
) -> Result<Response, Problem> {
    let Query(FormQuery { form }) = query?;
    let (_, content) = look(&console, &session, &id).await?;
    content_as(&content, form)
}

/// What is known of an event, with or without a search of the archive.
pub(crate) async fn find(console: &Console, id: &str, in_archive: bool) -> Result<Timeline, Problem> {
    let _searching = searching().await?;
    let archive = console.archive.as_ref().filter(|_| in_archive);
    let sources = Sources { found: &console.found, story: &console.story, archive };
    let found = Timeline::of(sources, id).await?;
    found.ok_or_else(|| Problem::not_found(format!("nothing is known of the event {id}")))
}

/// What is known of an event, and its content, once the audit has who looks at it. The archive is searched too.
pub(crate) async fn look(console: &Console, session: &Session, id: &str) -> Result<(Timeline, Content), Problem> {
    let mut timeline = find(console, id, true).await?;
    let content = timeline.content.take().ok_or_else(|| {
        Problem::not_found(format!(
            "the content of the event {id} is not kept: it is neither in a queue nor in an archive on this machine"
        ))
    })?;
    Audit::of(&console.acting(session)).look(&content.message_id, &content.group)?;
    Ok((timeline, content))
}

/// A content in a form. Bytes are never shown by browsers, which would run what is in them.
pub(crate) fn content_as(content: &Content, form: Form) -> Result<Response, Problem> {
    let unreadable = || Problem::conflict("the event cannot be unpacked");
    Ok(match form {
        Form::Json => Json(json::EventBody::of(content)).into_response(),
        Form::Raw => {
            let webhook = content.webhook().ok_or_else(unreadable)?;
            let kind =
                [(CONTENT_TYPE, "application/octet-stream"), (CONTENT_DISPOSITION, "attachment; filename=\"body\"")];
            (kind, webhook.body).into_response()
        }
        Form::Case => {
            let case = content.case().ok_or_else(unreadable)?;
            let text = serde_json::to_string_pretty(&case).unwrap_or_default() + "\n";
            let kind =
                [(CONTENT_TYPE, "application/json"), (CONTENT_DISPOSITION, "attachment; filename=\"message.json\"")];
            (kind, text).into_response()
        }
    })
}
