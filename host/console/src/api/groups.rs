//! `GET /groups` and `/groups/{group}`, and what is done to a group by `POST`.

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use towpath_operate::groups::{self, Action, Cursor, Done, GroupError, Wanted};
use towpath_operate::json;
use towpath_types::queue::{GroupId, MessageId};

use crate::access::{Operator, Session, Viewer};
use crate::{Console, Problem, Shared};

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/groups", get(list))
        .route("/groups/{group}", get(show))
        .route("/groups/{group}/{action}", post(posted))
}

/// Which groups to list, as a query.
#[derive(Deserialize, Default)]
pub(crate) struct ListQuery {
    /// Only groups that begin with this.
    #[serde(default)]
    pub(crate) begins: String,
    /// The cursor of the page before.
    #[serde(default)]
    pub(crate) after: String,
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
#[derive(Deserialize)]
pub(crate) struct Act {
    /// The head that they saw, by its id or its id in the queue.
    pub(crate) head: String,
    /// Why.
    pub(crate) note: String,
}

async fn list(_: Viewer, Query(query): Query<ListQuery>, State(console): State<Shared>) -> Result<Response, Problem> {
    let page = groups::list(&console.found, query.wanted()?).await?.ok_or_else(|| problem(GroupError::OnSqs.into()))?;
    Ok(axum::Json(json::Groups::of(&page)).into_response())
}

async fn show(_: Viewer, Path(group): Path<String>, State(console): State<Shared>) -> Result<Response, Problem> {
    let group = GroupId::from(group);
    let found = groups::show(&console.found, &group).await.map_err(problem)?;
    let found = found.ok_or_else(|| problem(GroupError::Nothing(group).into()))?;
    Ok(axum::Json(json::Group::of(&found)).into_response())
}

async fn posted(
    Operator(session): Operator,
    Path((group, action)): Path<(String, String)>,
    State(console): State<Shared>,
    body: Result<axum::Json<Act>, JsonRejection>,
) -> Result<Response, Problem> {
    let action = named(&action)?;
    let axum::Json(said) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let done = act(&console, &session, action, &group.into(), &said).await?;
    Ok(axum::Json(json::GroupAction::of(&done)).into_response())
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
