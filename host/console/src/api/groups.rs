//! `GET /groups` and `/groups/{group}`, and what is done to a group by `POST`.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use towpath_operate::groups::{self, Action, Cursor, Done, GroupError, Wanted};
use towpath_operate::json;
use towpath_types::queue::{GroupId, MessageId};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Operator, Session, Viewer};
use crate::{Console, Problem, Shared};

pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(retry))
        .routes(routes!(dead_letter))
        .routes(routes!(park))
}

/// Which groups to list, as a query.
#[derive(Deserialize, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only groups that begin with this, by name. Without it all groups: those whose head waits come first.
    #[serde(default)]
    pub(crate) begins: String,
    /// The cursor of the page before.
    #[serde(default)]
    pub(crate) after: String,
    /// How many groups: 50 without it, at most 500.
    #[serde(default)]
    pub(crate) limit: usize,
}

impl ListQuery {
    pub(crate) fn wanted(&self) -> Result<Wanted, Problem> {
        let begins = (!self.begins.is_empty()).then(|| self.begins.clone());
        let after = match self.after.as_str() {
            "" => None,
            after => Some(after.parse::<Cursor>().map_err(|error| Problem::bad_request(error.to_string()))?),
        };
        Ok(Wanted { begins, after, limit: self.limit })
    }
}

/// What an operator says with an action.
#[derive(Deserialize, ToSchema)]
#[schema(as = GroupOrder)]
pub(crate) struct Act {
    /// The `message_id` or `queue_id` of the head that they saw. If another message is the head by now, nothing is done: 409.
    pub(crate) head: String,
    /// Why. It is in the audit.
    pub(crate) note: String,
}

/// The groups that wait
///
/// SQS does not tell which groups a queue has: there it fails.
#[utoipa::path(get, path = "/groups", params(ListQuery), responses((status = 200, body = json::Groups<'static>)))]
async fn list(
    _: Viewer,
    State(console): State<Shared>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let page = groups::list(&console.found, query.wanted()?).await?.ok_or_else(|| problem(GroupError::OnSqs.into()))?;
    Ok(Json(json::Groups::of(&page)).into_response())
}

/// A group, and why its head waits
#[utoipa::path(
    get, path = "/groups/{group}", params(("group" = String, Path, description = "The group")),
    responses((status = 200, body = json::Group<'static>), (status = 404))
)]
async fn show(_: Viewer, Path(group): Path<String>, State(console): State<Shared>) -> Result<Response, Problem> {
    let group = GroupId::from(group);
    let found = groups::show(&console.found, &group).await.map_err(problem)?;
    let found = found.ok_or_else(|| problem(GroupError::Nothing(group).into()))?;
    Ok(Json(json::Group::of(&found)).into_response())
}

/// Retry a group's head now
///
/// Without the wait for its next try. Those behind it follow when it is delivered.
#[utoipa::path(
    post, path = "/groups/{group}/retry", params(("group" = String, Path, description = "The group")), request_body = Act,
    responses((status = 200, body = json::GroupAction<'static>), (status = 403), (status = 404), (status = 409))
)]
async fn retry(
    operator: Operator,
    console: State<Shared>,
    group: Path<String>,
    said: Result<Json<Act>, JsonRejection>,
) -> Result<Response, Problem> {
    posted(Action::Retry, operator, console, group, said).await
}

/// Dead-letter a group's head
///
/// It becomes a dead letter, which can be redriven. What happens to those behind it is the `on_dead_letter` of its route.
#[utoipa::path(
    post, path = "/groups/{group}/dead-letter", params(("group" = String, Path, description = "The group")), request_body = Act,
    responses((status = 200, body = json::GroupAction<'static>), (status = 403), (status = 404), (status = 409))
)]
async fn dead_letter(
    operator: Operator,
    console: State<Shared>,
    group: Path<String>,
    said: Result<Json<Act>, JsonRejection>,
) -> Result<Response, Problem> {
    posted(Action::DeadLetter, operator, console, group, said).await
}

/// Park a whole group
///
/// Its head and all that wait behind it become dead letters, in order. A redrive sends the whole group back.
#[utoipa::path(
    post, path = "/groups/{group}/park", params(("group" = String, Path, description = "The group")), request_body = Act,
    responses((status = 200, body = json::GroupAction<'static>), (status = 403), (status = 404), (status = 409))
)]
async fn park(
    operator: Operator,
    console: State<Shared>,
    group: Path<String>,
    said: Result<Json<Act>, JsonRejection>,
) -> Result<Response, Problem> {
    posted(Action::Park, operator, console, group, said).await
}

async fn posted(
    action: Action,
    Operator(session): Operator,
    State(console): State<Shared>,
    Path(group): Path<String>,
    said: Result<Json<Act>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(said) = said?;
    let done = act(&console, &session, action, &group.into(), &said).await?;
    Ok(Json(json::GroupAction::of(&done)).into_response())
}

/// The action with this name.
pub(crate) fn named(name: &str) -> Result<Action, Problem> {
    Action::named(name).ok_or_else(|| Problem::not_found("an action is retry, dead-letter or park"))
}

/// Does it, in the name of a session.
pub(crate) async fn act(
    console: &Console,
    session: &Session,
    action: Action,
    group: &GroupId,
    said: &Act,
) -> Result<Done, Problem> {
    let found = console.acting(session);
    let head = MessageId::from(said.head.as_str());
    let (head, note) = (Some(&head), said.note.as_str());
    let done = match action {
        Action::Retry => groups::retry(&found, group, head, note).await,
        Action::DeadLetter => groups::dead_letter(&found, group, head, note).await,
        Action::Park => groups::park(&found, group, head, note).await,
    };
    done.map_err(problem)
}

/// An error of groups with the status that fits.
pub(crate) fn problem(error: anyhow::Error) -> Problem {
    match error.downcast_ref::<GroupError>() {
        Some(own @ GroupError::Nothing(_)) => Problem::not_found(own.to_string()),
        Some(own @ (GroupError::Changed { .. } | GroupError::Busy(_) | GroupError::Unfit(_))) => {
            Problem::conflict(own.to_string())
        }
        Some(own @ GroupError::NoNote) => Problem::bad_request(own.to_string()),
        _ => error.into(),
    }
}
