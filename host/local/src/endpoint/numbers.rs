//! Numbers within their bounds.

use std::time::Duration;

use towpath_core::queue::MAX_VISIBILITY;

use super::ApiError;

/// A number within its bounds, if there is one.
pub(super) fn number(
    name: &str,
    given: Option<i64>,
    least: i64,
    most: i64,
    reason: &str,
) -> Result<Option<u64>, ApiError> {
    match given {
        Some(number) if number < least || number > most => Err(ApiError::value(name, number, reason)),
        given => Ok(given.and_then(|number| u64::try_from(number).ok())),
    }
}

pub(super) fn seconds(
    name: &str,
    given: Option<i64>,
    most: Duration,
    reason: &str,
) -> Result<Option<Duration>, ApiError> {
    let most = i64::try_from(most.as_secs()).unwrap_or(i64::MAX);
    Ok(number(name, given, 0, most, reason)?.map(Duration::from_secs))
}

/// A visibility timeout, if there is one.
pub(super) fn visibility(given: Option<i64>) -> Result<Option<Duration>, ApiError> {
    seconds("VisibilityTimeout", given, MAX_VISIBILITY, "Must be >= 0 and <= 43200, if provided.")
}
