//! Why a message is not delivered.

use std::time::Duration;

use crate::bindings::towpath::plugin::types::{Reason, Retry};

/// The end of a message that is not delivered. Every reason has a short constant code (`[a-z0-9-]`, at most 64
/// characters), which becomes a label of a metric, and a sentence for the operator without personal data.
#[derive(Debug)]
pub enum Stop {
    /// Nothing is to be done with the message.
    Skip(Reason),
    /// The message is wrong: it becomes a dead letter.
    Reject(Reason),
    /// Not now: the message and the rest of its group wait.
    Retry(Retry),
    /// The plugin itself failed: the message becomes a dead letter.
    Fail(Reason),
}

/// The message is none of this plugin's business.
pub fn skip(code: &str, message: impl Into<String>) -> Stop {
    Stop::Skip(reason(code, message))
}

/// The message is wrong.
pub fn reject(code: &str, message: impl Into<String>) -> Stop {
    Stop::Reject(reason(code, message))
}

/// The message cannot be mapped yet. `after` is about when to call again, within the host's bounds; without it the
/// route's backoff decides.
pub fn retry(code: &str, message: impl Into<String>, after: Option<Duration>) -> Stop {
    let after_ms = after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    Stop::Retry(Retry { reason: reason(code, message), after_ms })
}

/// The plugin itself failed, whatever the message.
pub fn fail(code: &str, message: impl Into<String>) -> Stop {
    Stop::Fail(reason(code, message))
}

pub(crate) fn reason(code: &str, message: impl Into<String>) -> Reason {
    Reason { code: code.to_owned(), message: message.into(), ext: Vec::new() }
}
