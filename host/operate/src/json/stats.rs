//! How many letters there are, by route and reason.

use serde::Serialize;

use super::Rfc3339;
use crate::dlq::stats::Row;

/// The letters of one route and reason.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = LettersOfKind))]
pub struct Counted<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    reason: &'a str,
    letters: u64,
    first_failed_at: Rfc3339,
    last_failed_at: Rfc3339,
}

impl Counted<'_> {
    /// The shape of a row.
    pub fn of(row: &Row) -> Counted<'_> {
        Counted {
            route: row.route.as_deref(),
            reason: &row.reason,
            letters: row.letters,
            first_failed_at: Rfc3339(row.first),
            last_failed_at: Rfc3339(row.last),
        }
    }
}
