//! What a build for `towpath chaos` can be told to do wrong. No other build has this module.

use std::sync::OnceLock;

/// A bug on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A message is deleted before it is delivered.
    AckBeforeDelivery,
    /// The head of a group is given back while those behind it are still worked on.
    ReleaseHeadFirst,
    /// A lease is counted from the answer of its receive.
    LeaseFromAnswer,
}

/// The bug that is planted, if one is: `TOWPATH_FAULT_PLANTED`.
pub fn planted() -> Option<Bug> {
    static PLANTED: OnceLock<Option<Bug>> = OnceLock::new();
    *PLANTED.get_or_init(|| match variable("TOWPATH_FAULT_PLANTED")?.as_str() {
        "ack-before-delivery" => Some(Bug::AckBeforeDelivery),
        "release-head-first" => Some(Bug::ReleaseHeadFirst),
        "lease-from-answer" => Some(Bug::LeaseFromAnswer),
        _ => None,
    })
}

/// By how many milliseconds the clock is wrong: what the file of `TOWPATH_FAULT_CLOCK` says now.
pub(crate) fn clock_offset() -> i64 {
    static FILE: OnceLock<Option<std::path::PathBuf>> = OnceLock::new();
    let Some(file) = FILE.get_or_init(|| variable("TOWPATH_FAULT_CLOCK").map(Into::into)) else { return 0 };
    std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "only builds for `towpath chaos` have this module")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
