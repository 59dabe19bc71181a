//! Version 1 of the contract: maps between the host's types and the generated ones.

use std::time::Duration;

use super::Description;
use super::bindings::exports::towpath::plugin::metadata;
use super::bindings::towpath::plugin::types;
use super::error::Problem;
use towpath_types::envelope::{REST, Webhook};
use towpath_types::message::Message;
use towpath_types::outcome::{Fault, FaultKind};
use towpath_types::verdict::{HeaderValue, Payload, Reason, Request, Verdict};

/// The most requests per verdict.
const MAX_REQUESTS: usize = 16;

/// Length limits for the code and the message of a reason.
const MAX_CODE: usize = 64;
const MAX_REASON: usize = 1024;

pub(super) fn message(message: &Message) -> types::Message {
    types::Message {
        id: message.id.as_str().to_owned(),
        group: message.group.as_str().to_owned(),
        dedup_id: message.dedup_id.as_ref().map(|id| id.as_str().to_owned()),
        sequence: message.sequence.clone(),
        receive_count: message.receive_count,
        sent_at_ms: message.sent_at.0,
        source: message.source.clone(),
        headers: message.webhook.headers.clone(),
        body: message.webhook.body.clone(),
        ext: ext(&message.webhook),
    }
}

/// What the contract had no fields for when it was frozen: `method`, `path` (what follows the route), `query`, and
/// `path:NAME` for each named segment of the route's path. All are percent-encoded as they came.
/// A plain POST has none of them, so that it costs a plugin what it always did.
fn ext(webhook: &Webhook) -> Vec<(String, String)> {
    if webhook.is_plain() {
        return Vec::new();
    }
    let request = [("method", webhook.method.as_str()), ("path", webhook.rest()), ("query", &webhook.query)];
    let named = webhook.path.iter().filter(|(name, _)| name != REST);
    let named = named.map(|(name, segment)| (format!("path:{name}"), segment.clone()));
    request.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().chain(named).collect()
}

pub(super) fn verdict(answer: Result<types::Verdict, types::Reason>) -> Result<Verdict, Fault> {
    match answer {
        Err(failure) => {
            let Reason { code, message } = reason(failure);
            Err(Fault::new(FaultKind::Error, format!("{code}: {message}")))
        }
        Ok(types::Verdict::Deliver(requests)) if requests.is_empty() => {
            Err(Fault::new(FaultKind::Error, "the plugin returned an empty list of requests: it should skip"))
        }
        Ok(types::Verdict::Deliver(requests)) if requests.len() > MAX_REQUESTS => {
            let count = requests.len();
            Err(Fault::new(FaultKind::Limit, format!("{count} requests in one verdict, the limit is {MAX_REQUESTS}")))
        }
        Ok(types::Verdict::Deliver(requests)) => Ok(Verdict::Deliver(requests.into_iter().map(request).collect())),
        Ok(types::Verdict::Skip(why)) => Ok(Verdict::Skip(reason(why))),
        Ok(types::Verdict::Reject(why)) => Ok(Verdict::Reject(reason(why))),
        Ok(types::Verdict::Retry(retry)) => {
            let after = retry.after_ms.map(Duration::from_millis);
            Ok(Verdict::Retry { reason: reason(retry.reason), after })
        }
    }
}

pub(super) fn description(description: metadata::Description) -> Description {
    let metadata::Description { name, version, summary, targets, ext: _ } = description;
    Description { name, version, summary, targets }
}

pub(super) fn problem(problem: metadata::Problem) -> Problem {
    Problem { at: problem.at, message: problem.message }
}

fn request(request: types::Request) -> Request {
    let header = |header: types::Header| {
        let value = match header.value {
            types::HeaderValue::Text(text) => HeaderValue::Text(text),
            types::HeaderValue::Secret(name) => HeaderValue::Secret(name),
        };
        (header.name, value)
    };
    Request {
        target: request.target,
        method: request.method,
        path: request.path,
        headers: request.headers.into_iter().map(header).collect(),
        body: match request.body {
            types::Payload::Unchanged => Payload::Unchanged,
            types::Payload::Bytes(bytes) => Payload::Bytes(bytes.into()),
            types::Payload::Empty => Payload::Empty,
        },
        idempotency_key: request.idempotency_key,
    }
}

/// Sanitises a reason, so that its code can be a metric label whatever the plugin wrote.
fn reason(reason: types::Reason) -> Reason {
    let label = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let code: String = reason.code.to_lowercase().chars().take(MAX_CODE).map(label).collect();
    let mut message = reason.message;
    message.truncate(message.floor_char_boundary(MAX_REASON));
    Reason { code: if code.is_empty() { "unspecified".to_owned() } else { code }, message }
}
