//! Converts times and sequence numbers between SQLite and the rest of the host.

use towpath_types::clock::Timestamp;

pub(crate) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// A negative value is a placeholder (see `rows::insert`) and reads as 0.
pub(crate) fn timestamp(millis: i64) -> Timestamp {
    Timestamp(u64::try_from(millis).unwrap_or_default())
}

/// A sequence number of 20 digits, so that it also sorts as text.
pub(crate) fn sequence(seq: i64) -> String {
    format!("{seq:020}")
}
