//! Answers of a route: handshakes and acknowledgements.

use std::collections::BTreeMap;

use http::{HeaderName, StatusCode};
use serde_json::Value as Json;

use super::super::{Form, shape};
use super::Checker;
use crate::answer::{Answer, JsonTemplate, Reply, ReplyBody, is_derived, is_json};
use crate::value::{Besides, Filter, Source, Template, Value};
use crate::verify::{NamedSecret, Verification};

/// Headers that the server sets itself, or that would let a stranger choose what a browser makes of an answer.
const OWN: [&str; 8] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "content-type",
    "set-cookie",
    "location",
    "refresh",
    "x-content-type-options",
];

/// What an answer to a handshake can be made of, besides the request.
const OF_ANSWERS: [Besides; 2] = [Besides::Secret, Besides::Now];

impl Checker<'_> {
    pub(super) fn answers(
        &mut self,
        at: &str,
        shapes: Vec<shape::Answer>,
        verify: Option<&Verification>,
    ) -> Vec<Answer> {
        let mut answers = Vec::new();
        for (number, shape) in shapes.into_iter().enumerate() {
            answers.extend(self.answer(&format!("{at}.answer[{number}]"), shape, verify));
        }
        answers
    }

    fn answer(&mut self, at: &str, shape: shape::Answer, verify: Option<&Verification>) -> Option<Answer> {
        let is_kept = shape.keep.is_some();
        let keep = self.kept_by(at, &shape, verify);
        let when = self.condition(&format!("{at}.when"), shape.when, &[]);
        if when.as_ref().is_some_and(|when| *when == crate::condition::Condition::default()) {
            let hint = "when = { method = \"GET\", present = [\"query:challenge\"] }, for example";
            self.wrong(format!("{at}.when"), "gives no condition: every event would be answered and none stored", hint);
        }
        let token = shape.token.map(|token| self.value(&format!("{at}.token"), &token, &[]));
        let names = shape.secret.map(shape::Names::indexed).unwrap_or_default();
        let mut secrets = Vec::new();
        for (suffix, name) in names {
            let form = if token.is_some() { Form::Header } else { Form::Key };
            let value = self.secret(format!("{at}.secret{suffix}"), &name, form);
            secrets.extend(value.map(|value| NamedSecret { name, value }));
        }
        let parts = Parts { status: shape.status, headers: shape.headers, body: shape.body, json: shape.json };
        let reply = self.reply(at, parts, &OF_ANSWERS, 200)?;
        let is_made = reply.templates().into_iter().any(is_derived);
        if reply.templates().into_iter().flat_map(Template::values).any(shows_too_much) {
            let hint = "write {query:code|hmac-sha256|hex}, or a hash of {secret}; nothing is decoded before a MAC";
            self.wrong(at, "a part of the answer shows the secret, or signs what a stranger chooses", hint);
        }
        let is_named = !secrets.is_empty() || !self.found.is_sound(&format!("{at}.secret"));
        if (token.is_some() || is_made) && !is_named {
            let hint = "secret = \"NAME\" names what the token must be, and the key of hmac filters";
            self.wrong(format!("{at}.secret"), "missing", hint);
        }
        if token.is_none() && !is_made && !secrets.is_empty() {
            self.wrong(
                format!("{at}.secret"),
                "is not used",
                "token = \"query:token\" names the value that must equal it",
            );
        }
        if shape.verified && verify.is_none() {
            self.wrong(format!("{at}.verified"), "the route has no verify", "add verify = { … } to the route");
        }
        let call = shape.call.map(|call| self.call(&format!("{at}.call"), call, shape.verified));
        let token = match token {
            Some(token) => Some(token?),
            None => None,
        };
        let call = match call {
            Some(call) => Some(call?),
            None => None,
        };
        if is_kept && keep.is_none() {
            return None;
        }
        Some(Answer { when: when?, token, secrets, verified: shape.verified, call, keep, reply })
    }

    /// The answer to an event that is stored.
    pub(super) fn ack(&mut self, at: &str, shape: shape::Ack) -> Option<Reply> {
        let parts = Parts { status: shape.status, headers: shape.headers, body: shape.body, json: shape.json };
        self.reply(&format!("{at}.ack"), parts, &[Besides::Now], 202)
    }

    fn reply(&mut self, at: &str, parts: Parts, besides: &[Besides], default: u16) -> Option<Reply> {
        let status = parts.status.unwrap_or(default);
        let known = StatusCode::from_u16(status).ok().filter(StatusCode::is_success);
        if known.is_none() {
            self.wrong(format!("{at}.status"), format!("{status} is not a success"), "200 to 299");
        }
        let mut headers = Vec::new();
        for (name, text) in parts.headers {
            let at = format!("{at}.headers.{name}");
            match HeaderName::try_from(&name) {
                Ok(name) if !OWN.contains(&name.as_str()) => {
                    headers.extend(self.template(&at, &text, besides).map(|template| (name, template)));
                }
                Ok(_) => self.wrong(at, "cannot be set by an answer", "leave it out"),
                Err(_) => self.wrong(at, format!("{name:?} is not a header name"), ""),
            }
        }
        let body = match (parts.body, parts.json) {
            (Some(_), Some(_)) => {
                self.wrong(format!("{at}.json"), "cannot stand beside body", "leave out one of them");
                return None;
            }
            (Some(text), None) => ReplyBody::Text(self.template(&format!("{at}.body"), &text, besides)?),
            (None, Some(json)) => ReplyBody::Json(self.json_template(&format!("{at}.json"), json, besides)?),
            (None, None) => ReplyBody::Empty,
        };
        if known == Some(StatusCode::NO_CONTENT) && body != ReplyBody::Empty {
            self.wrong(format!("{at}.status"), "204 has no body", "use 200, or leave out the body");
        }
        Some(Reply { status: known?, headers, body })
    }

    fn json_template(&mut self, at: &str, json: Json, besides: &[Besides]) -> Option<JsonTemplate> {
        match json {
            Json::String(text) => {
                let template = self.template(at, &text, besides)?;
                let single = template.values().next().filter(|value| template.parts().len() == 1 && is_json(value));
                Some(match single.cloned() {
                    Some(value) => JsonTemplate::Raw(value),
                    None => JsonTemplate::Text(template),
                })
            }
            Json::Array(list) => {
                let each = list.into_iter().enumerate();
                let each = each.map(|(number, json)| self.json_template(&format!("{at}[{number}]"), json, besides));
                each.collect::<Option<_>>().map(JsonTemplate::List)
            }
            Json::Object(members) => {
                let each = members.into_iter().map(|(name, json)| {
                    let template = self.json_template(&format!("{at}.{name}"), json, besides)?;
                    Some((name, template))
                });
                each.collect::<Option<_>>().map(JsonTemplate::Object)
            }
            literal => Some(JsonTemplate::Literal(literal)),
        }
    }
}

/// Whether a value of an answer is the secret itself, or a MAC of something that was decoded first: only what stands in
/// the request is checked to look like a challenge.
fn shows_too_much(value: &Value) -> bool {
    let is_hidden = |filter: &Filter| matches!(filter, Filter::Hash(_) | Filter::Mac(_));
    let before_mac = value.filters.iter().take_while(|filter| !matches!(filter, Filter::Mac(_)));
    let has_mac = value.filters.iter().any(|filter| matches!(filter, Filter::Mac(_)));
    let decodes = |filter: &Filter| {
        matches!(
            filter,
            Filter::Unhex
                | Filter::Unbase64
                | Filter::JwtPayload
                | Filter::Headers
                | Filter::Json(_)
                | Filter::Optional
        )
    };
    (value.source == Source::Secret && !value.filters.first().is_some_and(is_hidden))
        || (has_mac && before_mac.into_iter().any(decodes))
}

/// What answers and acknowledgements have in common.
struct Parts {
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    json: Option<Json>,
}
