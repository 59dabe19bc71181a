//! `ingress = "direct"`: routes whose webhooks API Gateway stores itself, with body and a few headers.

use http::Method;

use super::super::QueueConfig;
use super::Checker;
use crate::route::{OnMissingKey, Route};
use crate::value::{Source, Value};

const HINT: &str = "API Gateway stores the webhook without code and cannot do this: use ingress = \"lambda\"";

impl Checker<'_> {
    pub(super) fn direct(&mut self, at: &str, route: &Route, queue: &QueueConfig) {
        if queue.url.is_none() {
            let hint = "API Gateway can store webhooks in SQS only: leave it out";
            self.wrong(format!("{at}.ingress"), "\"direct\" needs queue.url", hint);
        }
        let mut cannot = |key: &str, problem: String| self.wrong(format!("{at}.{key}"), problem, HINT);
        let with = |problem: &str| format!("{problem} does not work with ingress = \"direct\"");
        if route.methods != [Method::POST] {
            cannot("methods", with("a method other than POST"));
        }
        if !route.pattern.is_literal() {
            cannot("path", with("a path with {name} or *"));
        }
        if !route.answers.is_empty() {
            cannot("answer", with("a handshake"));
        }
        if route.ack.is_some() {
            cannot("ack", with("an answer of one's own"));
        }
        if !route.admission.from.is_empty() {
            cannot("allow_from", with("a list of addresses"));
        }
        if route.admission.rate.is_some() {
            cannot("rate", with("a rate"));
        }
        if route.split.is_some() {
            cannot("split", with("a webhook with several events"));
        }
        if route.unwrap.is_some() {
            cannot("unwrap", with("a wrapped body"));
        }
        if route.on_missing_key == OnMissingKey::Refuse {
            cannot("on_missing_key", with("\"refuse\""));
        }
        let keys = route.group.values().map(|value| ("group", value));
        for (key, value) in keys.chain(route.dedup.iter().map(|value| ("dedup", value))) {
            if !is_mapped(value) {
                cannot(key, with(&format!("{value:?}", value = value.to_string())));
            }
        }
        if let Some(verify) = &route.verify {
            if verify.at_ingest {
                let hint =
                    "API Gateway verifies nothing: at = \"pipeline\" lets the host verify, or use ingress = \"lambda\"";
                self.wrong(format!("{at}.verify.at"), with("\"ingest\""), hint);
            }
            if let Some(value) = verify.values().find(|value| is_lost(value)) {
                let problem = with(&format!("a proof that needs {:?}", value.to_string()));
                self.wrong(format!("{at}.verify"), problem, HINT);
            }
        }
    }
}

/// Whether API Gateway can map this value: a header, or plain keys of JSON.
fn is_mapped(value: &Value) -> bool {
    let text = value.to_string();
    let is_plain = |pointer: &str| pointer.chars().all(|c| c.is_ascii_alphanumeric() || "-_/".contains(c));
    match text.split_once(':') {
        Some(("header", _)) => value.filters.is_empty(),
        Some(("json", pointer)) => value.filters.is_empty() && is_plain(pointer),
        _ => false,
    }
}

/// Whether this value is not stored: API Gateway stores the body and headers.
fn is_lost(value: &Value) -> bool {
    matches!(value.source, Source::Query(_) | Source::WholeQuery | Source::Rest | Source::Segment(_) | Source::Method)
}
