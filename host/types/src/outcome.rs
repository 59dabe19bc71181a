//! The outcome of one pass of a message: the values that the steps of the pipeline return.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::foreign::Foreign;
use crate::verdict::Reason;

/// Every word that a message's story uses for an event: `stored`, the outcomes of passes (see [`Outcome::code`]), and
/// the levels of other log lines about it.
pub const OUTCOMES: [&str; 25] = [
    "stored",
    "delivered",
    "skipped",
    "unavailable",
    "refused",
    "held",
    "rejected",
    "deferred",
    "plugin-error",
    "plugin-trap",
    "plugin-limit",
    "plugin-fuel",
    "plugin-timeout",
    "bad-request",
    "no-route",
    "unreadable",
    "unverified",
    "parked",
    "blocked",
    "broken",
    "error",
    "warn",
    "info",
    "debug",
    "trace",
];

/// The outcome of a message in one pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// All requests were answered 2xx.
    Delivered(Vec<Attempt>),
    /// A target could not be reached, timed out, or answered a status that is worth a retry.
    Unavailable {
        /// All attempts; the last one failed.
        attempts: Vec<Attempt>,
        /// The target's `Retry-After`.
        retry_after: Option<Duration>,
        /// The target's own backoff.
        backoff: Backoff,
    },
    /// A target answered with a status that a retry does not change. The last attempt is the refused one.
    Refused(Vec<Attempt>),
    /// A target of the verdict must not be called now, so no request was sent.
    Held(Closed),
    /// The plugin has nothing to do for it.
    Skipped(Reason),
    /// The plugin considers the message invalid.
    Rejected(Reason),
    /// The plugin asks to be called again.
    Deferred {
        reason: Reason,
        /// The approximate wait.
        after: Option<Duration>,
    },
    Faulted(Fault),
    /// The message cannot be processed at all.
    Misfit {
        kind: MisfitKind,
        /// For the operator.
        detail: String,
    },
    /// Not attempted: an earlier message of its group failed, or too little time was left.
    Blocked,
    /// The host itself failed, by a panic for example.
    Broken(String),
}

impl Outcome {
    /// A constant for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Outcome::Delivered(_) => "delivered",
            Outcome::Unavailable { .. } => "unavailable",
            Outcome::Refused(_) => "refused",
            Outcome::Held(_) => "held",
            Outcome::Skipped(_) => "skipped",
            Outcome::Rejected(_) => "rejected",
            Outcome::Deferred { .. } => "deferred",
            Outcome::Faulted(fault) => fault.kind.code(),
            Outcome::Misfit { kind, .. } => kind.code(),
            Outcome::Blocked => "blocked",
            Outcome::Broken(_) => "broken",
        }
    }

    /// All attempts, in order.
    pub fn attempts(&self) -> &[Attempt] {
        match self {
            Outcome::Delivered(attempts) | Outcome::Refused(attempts) | Outcome::Unavailable { attempts, .. } => {
                attempts
            }
            _ => &[],
        }
    }
}

/// Why a message cannot be processed at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MisfitKind {
    /// No route of the config can have made its group.
    NoRoute,
    /// It cannot be unpacked.
    Unreadable,
    /// Its sender did not sign it.
    Unverified,
    /// Its group has dead letters, and its route parks what comes behind them.
    Parked,
}

impl MisfitKind {
    /// The dead-letter reason.
    pub const fn code(self) -> &'static str {
        match self {
            MisfitKind::NoRoute => "no-route",
            MisfitKind::Unreadable => "unreadable",
            MisfitKind::Unverified => "unverified",
            MisfitKind::Parked => "parked",
        }
    }
}

/// A target that must not be called now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closed {
    pub target: String,
    pub gate: Gate,
    /// For the operator.
    pub why: String,
    /// When to check again, if known.
    pub after: Option<Duration>,
}

/// The gates of a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// An operator put the target on hold.
    Hold,
    /// Whether it is on hold is unknown.
    Unknown,
    /// The target failed and is left alone for a while.
    Breaker,
    /// The backlog is sent at a limited rate.
    Drain,
    /// The maximum number of messages already waits for it.
    Crowd,
}

/// One request to a target, and its answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "StoredAttempt", into = "StoredAttempt")]
pub struct Attempt {
    pub target: String,
    pub method: String,
    /// Without the query, which may hold personal data.
    pub path: String,
    /// What the target answered.
    pub answer: Answer,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// What a target answered to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A status; with the beginning of the body, unless it is a success.
    Status {
        /// The status.
        status: u16,
        /// The beginning of the body; empty for a success.
        excerpt: String,
    },
    /// A status, and then the connection broke.
    Broken {
        /// The status.
        status: u16,
        /// What broke.
        problem: String,
    },
    /// Nothing: no connection, no answer in time.
    None {
        /// Why.
        problem: String,
    },
}

impl Answer {
    /// The status, if there is one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Answer::Status { status, .. } | Answer::Broken { status, .. } => Some(*status),
            Answer::None { .. } => None,
        }
    }

    /// Why there is no answer, or no whole one.
    pub fn problem(&self) -> Option<&str> {
        match self {
            Answer::Status { .. } => None,
            Answer::Broken { problem, .. } | Answer::None { problem } => Some(problem),
        }
    }

    /// The beginning of the body; empty if nothing is kept of it.
    pub fn excerpt(&self) -> &str {
        match self {
            Answer::Status { excerpt, .. } => excerpt,
            Answer::Broken { .. } | Answer::None { .. } => "",
        }
    }
}

/// An attempt as dead letters store it.
#[derive(Serialize, Deserialize)]
struct StoredAttempt {
    target: String,
    method: String,
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    millis: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    excerpt: String,
}

impl From<StoredAttempt> for Attempt {
    fn from(stored: StoredAttempt) -> Attempt {
        let StoredAttempt { target, method, path, status, error, millis, excerpt } = stored;
        let answer = match (status, error) {
            (Some(status), None) => Answer::Status { status, excerpt },
            (Some(status), Some(problem)) => Answer::Broken { status, problem },
            (None, problem) => Answer::None { problem: problem.unwrap_or_else(|| "no answer".to_owned()) },
        };
        Attempt { target, method, path, answer, millis }
    }
}

impl From<Attempt> for StoredAttempt {
    fn from(attempt: Attempt) -> StoredAttempt {
        let Attempt { target, method, path, answer, millis } = attempt;
        let status = answer.status();
        let error = answer.problem().map(str::to_owned);
        let excerpt = answer.excerpt().to_owned();
        StoredAttempt { target, method, path, status, error, millis, excerpt }
    }
}

impl fmt::Display for Attempt {
    /// `sss: POST /tickets: 404`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}: ", self.target, self.method, self.path)?;
        match &self.answer {
            Answer::Status { status, .. } => write!(f, "{status}"),
            Answer::Broken { status, problem } => write!(f, "{status}, then {problem}"),
            Answer::None { problem } => f.write_str(problem),
        }
    }
}

/// How a plugin failed, with what its author needs to debug it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fault {
    pub kind: FaultKind,
    pub message: String,
    /// The guest's functions on the stack, innermost first.
    pub trace: Vec<String>,
    /// The end of the guest's stderr: usually a panic message.
    pub stderr: String,
}

impl Fault {
    /// A fault without a stack.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Fault {
        Fault { kind, message: message.into(), trace: Vec::new(), stderr: String::new() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), Foreign::line(&self.message))?;
        for function in &self.trace {
            write!(f, "\n    at {}", Foreign::line(function))?;
        }
        let stderr = self.stderr.trim_end();
        if !stderr.is_empty() {
            write!(f, "\n  stderr:\n{}", Foreign::block(stderr, "    "))?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// It returned an error, or an empty list of requests.
    Error,
    Trap,
    /// It asked for more memory, or returned more, than allowed.
    Limit,
    /// It ran out of fuel; a retry would too.
    Fuel,
    /// It ran past the wall-clock limit with fuel left: the host is starved of CPU.
    Timeout,
    /// It asked for a request that the host does not make.
    BadRequest,
}

impl FaultKind {
    /// The dead-letter reason.
    pub fn code(self) -> &'static str {
        match self {
            FaultKind::Error => "plugin-error",
            FaultKind::Trap => "plugin-trap",
            FaultKind::Limit => "plugin-limit",
            FaultKind::Fuel => "plugin-fuel",
            FaultKind::Timeout => "plugin-timeout",
            FaultKind::BadRequest => "bad-request",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_stored_as_earlier_versions_stored_it() {
        let cases = [
            (
                Answer::Status { status: 404, excerpt: "gone".to_owned() },
                r#"{"target":"sss","method":"POST","path":"/t","status":404,"millis":3,"excerpt":"gone"}"#,
            ),
            (
                Answer::Status { status: 204, excerpt: String::new() },
                r#"{"target":"sss","method":"POST","path":"/t","status":204,"millis":3}"#,
            ),
            (
                Answer::Broken { status: 200, problem: "cut".to_owned() },
                r#"{"target":"sss","method":"POST","path":"/t","status":200,"error":"cut","millis":3}"#,
            ),
            (
                Answer::None { problem: "timed out".to_owned() },
                r#"{"target":"sss","method":"POST","path":"/t","error":"timed out","millis":3}"#,
            ),
        ];
        for (answer, stored) in cases {
            let target = "sss".to_owned();
            let method = "POST".to_owned();
            let path = "/t".to_owned();
            let attempt = Attempt { target, method, path, answer, millis: 3 };
            assert_eq!(serde_json::to_string(&attempt).expect("JSON"), stored);
            assert_eq!(serde_json::from_str::<Attempt>(stored).expect(stored), attempt);
        }
    }
}
