//! The context and the result of an attempt, for every kind of target.

use std::sync::Arc;
use std::time::Duration;

use towpath_runtime::lease::Lease;
use towpath_types::clock::Clock;
use towpath_types::outcome::Attempt;

use crate::http::{AwsCredentials, UsedCredentials};

pub(crate) struct Context<'a> {
    /// No request is sent after it.
    pub(crate) lease: &'a Lease,
    /// The secrets of earlier requests, to mask in this one's answer.
    pub(crate) proven: &'a [Arc<str>],
    /// For AWS signatures.
    pub(crate) credentials: Option<&'a AwsCredentials>,
    pub(crate) clock: Clock,
}

/// How an attempt ended.
pub(crate) enum Attempted {
    /// The lease expired before the request was sent.
    Lapsed,
    /// The request was made, or failed before it was sent.
    Made {
        attempt: Attempt,
        /// The target's `Retry-After`.
        retry_after: Option<Duration>,
        /// The secrets that it was authenticated with.
        proof: UsedCredentials,
    },
}
