//! What a plugin says of a message. The host's own types: generated bindings are mapped to them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is to be done with a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Make these requests in order; never empty.
    Deliver(Vec<Request>),
    /// Nothing is to be done.
    Skip(Reason),
    /// Call again later, about after so long.
    Retry {
        /// Why.
        reason: Reason,
        /// In about how long; `None` leaves it to the backoff.
        after: Option<Duration>,
    },
    /// The message is wrong.
    Reject(Reason),
}

/// Why, as a short code for metrics and a sentence for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reason {
    /// `[a-z0-9-]`, at most 64 characters.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// One HTTP request that a plugin asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// A target's name.
    pub target: String,
    /// The HTTP method.
    pub method: String,
    /// Path and query, joined to the target's base URL.
    pub path: String,
    /// Headers, in order.
    pub headers: Vec<(String, HeaderValue)>,
    /// The body.
    pub body: Payload,
    /// The idempotency key, if it is not to be the default.
    pub idempotency_key: Option<String>,
}

/// The value of a header of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeaderValue {
    /// This text.
    Text(String),
    /// The secret of this name.
    Secret(String),
}

/// The body of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payload {
    /// The message's own.
    Unchanged,
    /// These bytes.
    Bytes(Bytes),
    /// None.
    Empty,
}
