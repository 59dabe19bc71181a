//! An attempt: what it is made with, and how it ends. The same for every kind of target.

use std::sync::Arc;
use std::time::Duration;

use towpath_runtime::lease::Lease;
use towpath_types::clock::Clock;
use towpath_types::outcome::Attempt;

use crate::http::{AwsCredentials, UsedCredentials};

/// What an attempt is made with.
pub(crate) struct Context<'a> {
    /// Nothing goes out once it is over.
    pub(crate) lease: &'a Lease,
    /// What earlier requests proved.
    pub(crate) proven: &'a [Arc<str>],
    /// What AWS signatures are made with.
    pub(crate) credentials: Option<&'a AwsCredentials>,
    pub(crate) clock: Clock,
}

/// How an attempt ended.
pub(crate) enum Attempted {
    /// The lease was over before the request went out.
    Lapsed,
    /// The request went out.
    Made {
        /// What came of it.
        attempt: Attempt,
        /// What the target asked for in `Retry-After`.
        retry_after: Option<Duration>,
        /// What it was authenticated with.
        proof: UsedCredentials,
    },
}
