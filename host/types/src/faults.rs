//! Faults that a build for `towpath chaos` can inject. Other builds do not have this module.

use std::sync::OnceLock;

/// A deliberate bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A message is deleted before it is delivered.
    AckBeforeDelivery,
    /// The head of a group is released while later messages of the group are still in work.
    ReleaseHeadFirst,
    /// A lease counts from the answer of its receive, not from the request.
    LeaseFromAnswer,
}

/// The bug selected by `TOWPATH_FAULT_PLANTED`, if any.
pub fn planted() -> Option<Bug> {
    static PLANTED: OnceLock<Option<Bug>> = OnceLock::new();
    *PLANTED.get_or_init(|| match variable("TOWPATH_FAULT_PLANTED")?.as_str() {
        "ack-before-delivery" => Some(Bug::AckBeforeDelivery),
        "release-head-first" => Some(Bug::ReleaseHeadFirst),
        "lease-from-answer" => Some(Bug::LeaseFromAnswer),
        _ => None,
    })
}

/// The current clock error in milliseconds, read from the file in `TOWPATH_FAULT_CLOCK`.
pub(crate) fn clock_offset() -> i64 {
    static FILE: OnceLock<Option<std::path::PathBuf>> = OnceLock::new();
    let Some(file) = FILE.get_or_init(|| variable("TOWPATH_FAULT_CLOCK").map(Into::into)) else { return 0 };
    std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "only builds for `towpath chaos` have this module")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
