//! Answers that ask the sender to send again.

use std::error::Error as _;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::Response;
use towpath_config::route::Route;
use towpath_types::queue::QueueError;
use towpath_verify::fetched::Unavailable;
use tracing::error;

use crate::ingest::problem;

/// The longest `Retry-After` while keys are unavailable.
const LATEST: Duration = Duration::from_secs(60);

/// The answer to what nobody can verify now. It is neither stored nor kept: the sender sends it again.
pub(crate) fn unavailable(route: &Route, why: &Unavailable) -> Response {
    error!(route = route.path, detail = %why, "webhook could not be verified, sender asked to retry");
    let wait = why.after.min(LATEST);
    later(StatusCode::SERVICE_UNAVAILABLE, "the event could not be verified: send it again", wait)
}

/// The answer while a secret of the route is not available: nobody can verify the webhook, so it is not stored.
pub(crate) fn unready(route: &Route, why: &str) -> Response {
    error!(event = "route-unready", route = route.path, detail = why, "route is not ready, sender asked to retry");
    again("the route is not ready yet: send it again")
}

/// The answer to a webhook that could not be stored.
pub(crate) fn not_stored(route: &Route, failure: &QueueError) -> Response {
    match failure {
        // The body fits, but headers can still make the message too large for the queue.
        QueueError::Invalid(detail) | QueueError::TooLong { said: detail, .. } => {
            error!(route = route.path, detail, "the queue rejected the webhook");
            problem(StatusCode::PAYLOAD_TOO_LARGE, "body and headers together are too large")
        }
        failure => {
            let cause = failure.source().map(ToString::to_string).unwrap_or_default();
            error!(route = route.path, error = %failure, cause, "webhook could not be stored, sender asked to retry");
            again("the event could not be stored: send it again")
        }
    }
}

/// Asks the sender to retry.
pub(crate) fn again(detail: &str) -> Response {
    later(StatusCode::SERVICE_UNAVAILABLE, detail, Duration::from_secs(5))
}

/// Asks the sender to retry after a time. RFC 9110 section 10.2.3: in whole seconds.
pub(crate) fn later(status: StatusCode, detail: &str, wait: Duration) -> Response {
    let mut answer = problem(status, detail);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    answer.headers_mut().insert(header::RETRY_AFTER, seconds.max(1).into());
    answer
}
