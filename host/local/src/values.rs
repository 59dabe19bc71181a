//! Times and sequence numbers, as SQLite keeps them and as others read them.

use towpath_types::clock::Timestamp;

/// A time as SQLite keeps it.
pub(crate) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// A time as SQLite kept it.
pub(crate) fn timestamp(millis: i64) -> Timestamp {
    Timestamp(u64::try_from(millis).unwrap_or_default())
}

/// A sequence number: 20 digits, so that it sorts as text too.
pub(crate) fn sequence(seq: i64) -> String {
    format!("{seq:020}")
}
