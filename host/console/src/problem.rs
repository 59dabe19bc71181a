//! Errors as RFC 9457 describes them (<https://www.rfc-editor.org/rfc/rfc9457>).

use std::time::Duration;

use axum::extract::rejection::{FormRejection, JsonRejection, QueryRejection};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use towpath_operate::live::TooMany;

/// An error of a request: what failed, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// What kind of error it is, in a few words; always the same for a status.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What failed here.
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    /// When to try again.
    #[serde(skip)]
    retry_after: Option<Duration>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        let title = status.canonical_reason().unwrap_or("Error");
        Problem { title, status: status.as_u16(), detail: detail.into(), retry_after: None }
    }

    /// What was asked for is not there.
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// The request makes no sense.
    pub fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What the request relies on has changed.
    pub fn conflict(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, detail)
    }

    /// There is no room for it now.
    pub fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    pub(crate) fn unauthorized() -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, "log in with the link or the token that towpath printed at its start")
    }

    pub(crate) fn forbidden() -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "this session may look and not act")
    }

    /// A page of another origin sent it, or nobody knows who did.
    pub(crate) fn foreign() -> Problem {
        let detail = "only pages of the console itself may send this with a cookie: programs send the token as Authorization: Bearer";
        Problem::new(StatusCode::FORBIDDEN, detail)
    }

    /// A trusted proxy sent this header, and nobody can be named so in the audit.
    pub(crate) fn unnamed(header: &HeaderName) -> Problem {
        let detail = format!("the proxy sent no single short name in {header}");
        Problem::new(StatusCode::FORBIDDEN, detail)
    }

    /// There were too many failed logins.
    pub(crate) fn too_many(wait: Duration) -> Problem {
        let wait = Duration::from_secs(wait.as_secs() + 1);
        let detail = format!("too many failed logins: try again in {}", humantime::format_duration(wait));
        Problem { retry_after: Some(wait), ..Problem::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    pub(crate) fn is_unauthorized(&self) -> bool {
        self.status() == StatusCode::UNAUTHORIZED
    }

    /// Adds the header that says when to try again.
    pub(crate) fn wait_on(&self, headers: &mut HeaderMap) {
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Problem {
        Problem::bad_request(rejection.body_text())
    }
}

impl From<FormRejection> for Problem {
    fn from(rejection: FormRejection) -> Problem {
        Problem::bad_request(rejection.body_text())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Problem {
        Problem::bad_request(rejection.body_text())
    }
}

impl From<TooMany> for Problem {
    fn from(error: TooMany) -> Problem {
        Problem::unavailable(error.to_string())
    }
}

impl From<anyhow::Error> for Problem {
    /// An operation of `operate` failed. Its errors name the thing and the cure, and no secrets.
    fn from(error: anyhow::Error) -> Problem {
        let detail = format!("{error:#}");
        tracing::warn!(problem = %detail, "console request failed");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let text = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (self.status(), kind, text).into_response();
        self.wait_on(response.headers_mut());
        response
    }
}
