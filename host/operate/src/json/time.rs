//! Times as text.

use std::time::UNIX_EPOCH;

use serde::{Serialize, Serializer};
use towpath_types::clock::Timestamp;

/// A time in RFC 3339, in UTC, with milliseconds: `2026-11-27T22:40:27.123Z`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String, format = DateTime))]
pub struct Rfc3339(pub Timestamp);

impl Rfc3339 {
    /// Reads the time of a log line; `None` if it is not RFC 3339 in UTC.
    pub(super) fn read(text: &str) -> Option<Rfc3339> {
        let since = humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Rfc3339(Timestamp(u64::try_from(since.as_millis()).ok()?)))
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
