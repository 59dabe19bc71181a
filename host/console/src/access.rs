//! Who may look, and who may act.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use crate::problem::Problem;

/// What somebody may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Look.
    Viewer,
    /// Look and act.
    Operator,
}

/// Somebody who has proved who they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// The name in the audit.
    pub by: String,
    /// What they may do.
    pub role: Role,
}

/// How people prove who they are.
pub struct Access {
    token: String,
    session: Session,
}

impl Access {
    /// Whoever has this token is this person.
    pub fn by_token(token: String, session: Session) -> Access {
        Access { token, session }
    }

    fn session(&self, request: &Request) -> Option<Session> {
        let given = request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        bool::from(given.as_bytes().ct_eq(self.token.as_bytes())).then(|| self.session.clone())
    }
}

/// Puts the session into the request, or answers 401.
pub(crate) async fn check(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    match access.session(&request) {
        Some(session) => {
            request.extensions_mut().insert(session);
            next.run(request).await
        }
        None => Problem::unauthorized().into_response(),
    }
}

/// The login.
pub(crate) fn router(_access: Arc<Access>) -> Router {
    Router::new()
}

/// Somebody who may look. Every handler that shows something takes it, so none can be reached without.
pub(crate) struct Viewer(pub(crate) Session);

/// Somebody who may act. Every handler that changes something takes it.
pub(crate) struct Operator(pub(crate) Session);

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Viewer, Problem> {
        parts.extensions.get::<Session>().cloned().map(Viewer).ok_or_else(Problem::unauthorized)
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Operator, Problem> {
        let Viewer(session) = Viewer::from_request_parts(parts, state).await?;
        if session.role < Role::Operator {
            return Err(Problem::forbidden());
        }
        Ok(Operator(session))
    }
}
