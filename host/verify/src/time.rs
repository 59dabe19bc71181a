//! Times as senders write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use towpath_config::verify::Unit;
use towpath_types::clock::Timestamp;

/// The time in a text; `None` if it is written in another way.
pub(crate) fn read_time(unit: Unit, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    match unit {
        Unit::Seconds => number(text)?.checked_mul(1000).map(Timestamp),
        Unit::Milliseconds => number(text).map(Timestamp),
        // Some leave out the offset and mean UTC.
        Unit::Iso => match OffsetDateTime::parse(text, &Rfc3339) {
            Ok(time) => since_1970(time.into()),
            Err(_) => humantime::parse_rfc3339_weak(text).ok().and_then(since_1970),
        },
        Unit::Http => httpdate::parse_http_date(text).ok().and_then(since_1970),
    }
}

/// A time as senders write it: what [`read_time`] reads.
pub(crate) fn write_time(unit: Unit, time: Timestamp) -> String {
    match unit {
        Unit::Seconds => (time.0 / 1000).to_string(),
        Unit::Milliseconds => time.0.to_string(),
        Unit::Iso => time.to_string(),
        Unit::Http => httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(time.0)),
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn since_1970(time: SystemTime) -> Option<Timestamp> {
    let millis = time.duration_since(UNIX_EPOCH).ok()?.as_millis();
    u64::try_from(millis).ok().map(Timestamp)
}
