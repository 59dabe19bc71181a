//! What a plugin, or forwarding, decides about a message. These are the host's own types; generated bindings are mapped to
//! them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Make these requests in order; never empty.
    Deliver(Vec<Request>),
    Skip(Reason),
    /// Call the plugin again later.
    Retry {
        reason: Reason,
        /// The approximate wait; `None` leaves it to the backoff.
        after: Option<Duration>,
    },
    /// The message is invalid.
    Reject(Reason),
}

/// A short code for metrics, and a sentence for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reason {
    /// `[a-z0-9-]`, at most 64 characters.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// One HTTP request to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// A target's name.
    pub target: String,
    pub method: String,
    /// Path and query, appended to the target's base URL; empty for that URL itself.
    pub path: String,
    /// In order.
    pub headers: Vec<(String, HeaderValue)>,
    pub body: Payload,
    /// The idempotency key, if it differs from the default.
    pub idempotency_key: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeaderValue {
    Text(String),
    /// A value that came with a webhook and is not UTF-8.
    Bytes(Vec<u8>),
    /// The name of a secret.
    Secret(String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payload {
    /// The message's own body.
    Unchanged,
    Bytes(Bytes),
    Empty,
}
