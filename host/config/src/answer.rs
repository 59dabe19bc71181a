//! Answers of the front door: to handshakes, and to events that are stored.

use std::sync::Arc;

use http::{HeaderName, Method, StatusCode};
use serde_json::Value as Json;

use crate::condition::Condition;
use crate::hosts::Hosts;
use crate::secrets::Learned;
use crate::value::{Besides, Filter, Source, Template, Value};
use crate::verify::NamedSecret;

/// `[[route.answer]]`: the answer to a request that is no event.
#[derive(Clone, Debug)]
pub struct Answer {
    pub when: Condition,
    /// A value that must be one of the secrets.
    pub token: Option<Value>,
    /// The keys of MACs in the reply, or what the token must be. The first one makes MACs.
    pub secrets: Vec<NamedSecret>,
    /// Whether the request must pass the route's `verify`.
    pub verified: bool,
    /// A request that must succeed before the reply is sent.
    pub call: Option<Call>,
    /// What the request brings: the secret that verifies the webhooks of the route.
    pub keep: Option<Keep>,
    pub reply: Reply,
}

/// `keep` of an answer.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Where the secret is.
    pub value: Value,
    /// The secret that `verify` of the route names.
    pub secret: Arc<Learned>,
}

/// `call` of an answer: what confirms a handshake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    pub url: Template,
    pub method: Method,
    /// The hosts that are called. Whatever a request says, no other one is.
    pub hosts: Hosts,
}

/// A status, headers and a body, made from the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, Template)>,
    pub body: ReplyBody,
}

/// Never HTML: what a stranger sends must not run in somebody's browser.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReplyBody {
    Empty,
    /// `text/plain`
    Text(Template),
    /// `application/json`
    Json(JsonTemplate),
}

/// JSON whose texts are templates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JsonTemplate {
    Literal(Json),
    Text(Template),
    /// A single value that is JSON itself: `{raw:/id}`, `{now}`.
    Raw(Value),
    List(Vec<JsonTemplate>),
    Object(Vec<(String, JsonTemplate)>),
}

impl Reply {
    /// All templates in it.
    pub fn templates(&self) -> Vec<&Template> {
        let body = match &self.body {
            ReplyBody::Empty => Vec::new(),
            ReplyBody::Text(template) => vec![template],
            ReplyBody::Json(json) => json.templates(),
        };
        self.headers.iter().map(|(_, template)| template).chain(body).collect()
    }
}

impl JsonTemplate {
    fn templates(&self) -> Vec<&Template> {
        match self {
            JsonTemplate::Literal(_) | JsonTemplate::Raw(_) => Vec::new(),
            JsonTemplate::Text(template) => vec![template],
            JsonTemplate::List(list) => list.iter().flat_map(JsonTemplate::templates).collect(),
            JsonTemplate::Object(members) => members.iter().flat_map(|(_, json)| json.templates()).collect(),
        }
    }
}

/// Whether a text that is made of this shows something that only a holder of the secret can make.
pub fn is_derived(template: &Template) -> bool {
    let has_mac = |value: &Value| value.filters.iter().any(|filter| matches!(filter, Filter::Mac(_)));
    template.values().any(has_mac) || template.reads(Besides::Secret)
}

/// Whether a single value is JSON as it stands.
pub(crate) fn is_json(value: &Value) -> bool {
    matches!(value.source, Source::Raw(_) | Source::Now) && value.filters.is_empty()
}
