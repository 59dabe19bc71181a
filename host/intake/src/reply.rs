//! Makes the answers that a route describes.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use serde_json::Value as Json;
use serde_json::value::RawValue;
use towpath_config::answer::{JsonTemplate, Reply, ReplyBody, is_derived};
use towpath_config::route::Route;
use towpath_config::value::{Template, Value};
use towpath_select::{Scope, Unreadable};
use towpath_types::envelope::Webhook;
use tracing::warn;

use crate::ingest::Ingest;

/// The longest value of a request in an answer, in bytes. Challenges have a few dozen.
const LONGEST: usize = 512;

/// The longest value that a MAC is made of. Longer ones could be events.
const LONGEST_SIGNED: usize = 256;

/// Why an answer cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Unanswerable {
    #[error("{0}: {1}")]
    Value(String, Unreadable),
    #[error("{0} is too long, or has characters that do not belong in an answer")]
    Text(String),
}

/// What an answer says.
#[derive(Debug)]
pub struct Said {
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body and its media type.
    pub body: Option<(String, &'static str)>,
}

/// What the answer that a route describes says to a request.
pub fn said(reply: &Reply, scope: &Scope<'_>) -> Result<Said, Unanswerable> {
    let header = |(name, template): &(HeaderName, Template)| {
        let text = text(template, scope)?;
        let value = HeaderValue::from_str(&text).map_err(|_| Unanswerable::Text(template.to_string()))?;
        Ok((name.clone(), value))
    };
    let headers = reply.headers.iter().map(header).collect::<Result<_, Unanswerable>>()?;
    let body = match &reply.body {
        ReplyBody::Empty => None,
        ReplyBody::Text(template) => Some((text(template, scope)?, "text/plain; charset=utf-8")),
        ReplyBody::Json(template) => Some((json(template, scope)?, "application/json")),
    };
    Ok(Said { headers, body })
}

/// The answer that a route describes, made of a request.
pub(crate) fn reply(reply: &Reply, scope: &Scope<'_>) -> Result<Response, Unanswerable> {
    let Said { headers, body } = said(reply, scope)?;
    let mut answer = bare(reply);
    answer.headers_mut().extend(headers);
    if let Some((body, media)) = body {
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        // A browser must not take it for a page, whatever it contains.
        answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        *answer.body_mut() = Body::from(body);
    }
    Ok(answer)
}

/// The answer without its parts that need the request.
fn bare(reply: &Reply) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = reply.status;
    answer
}

/// The route's own answer to an event. If the event lacks a value that the answer uses, it is still stored.
pub(crate) fn acknowledged(ingest: &Ingest, route: &Route, ack: &Reply, webhook: &Webhook) -> Response {
    let scope = Scope { now: Some(ingest.clock.now()), ..Scope::of(webhook) };
    reply(ack, &scope).unwrap_or_else(|why| {
        warn!(route = route.path, detail = %why, "ack cannot be made of this event, answering without a body");
        bare(ack)
    })
}

/// JSON as text: a value that is JSON already stays as it was written.
fn json(template: &JsonTemplate, scope: &Scope<'_>) -> Result<String, Unanswerable> {
    Ok(match template {
        JsonTemplate::Literal(json) => json.to_string(),
        JsonTemplate::Text(template) => Json::from(text(template, scope)?).to_string(),
        JsonTemplate::Raw(value) => {
            let unfit = || Unanswerable::Text(value.to_string());
            let text = String::from_utf8(given(value, scope, LONGEST)?).map_err(|_| unfit())?;
            serde_json::from_str::<&RawValue>(&text).map_err(|_| unfit())?;
            text
        }
        JsonTemplate::List(list) => {
            let each = list.iter().map(|template| json(template, scope)).collect::<Result<Vec<_>, _>>()?;
            format!("[{}]", each.join(","))
        }
        JsonTemplate::Object(members) => {
            let member = |(name, template): &(String, JsonTemplate)| {
                Ok(format!("{}:{}", Json::from(name.as_str()), json(template, scope)?))
            };
            let each = members.iter().map(member).collect::<Result<Vec<_>, Unanswerable>>()?;
            format!("{{{}}}", each.join(","))
        }
    })
}

/// The text of a template. Anyone who can get any text signed can forge events, so a MAC is made only of what looks like a
/// challenge.
fn text(template: &Template, scope: &Scope<'_>) -> Result<String, Unanswerable> {
    let is_signed = is_derived(template);
    for value in template.values() {
        let source = Value { source: value.source.clone(), filters: Vec::new() };
        if value.besides().next().is_some() && source.besides().next().is_some() {
            continue;
        }
        let bytes = given(&source, scope, if is_signed { LONGEST_SIGNED } else { LONGEST })?;
        if is_signed && !bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(byte)) {
            return Err(Unanswerable::Text(value.to_string()));
        }
    }
    let unreadable = |(value, why): (&Value, Unreadable)| Unanswerable::Value(value.to_string(), why);
    let bytes = scope.text(template).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| Unanswerable::Text(template.to_string()))
}

/// A value of the request that may stand in an answer.
fn given(value: &Value, scope: &Scope<'_>, longest: usize) -> Result<Vec<u8>, Unanswerable> {
    let bytes = scope.value(value).map_err(|why| Unanswerable::Value(value.to_string(), why))?;
    let is_text = std::str::from_utf8(&bytes).is_ok_and(|text| !text.chars().any(char::is_control));
    if bytes.len() > longest || !is_text {
        return Err(Unanswerable::Text(value.to_string()));
    }
    Ok(bytes.into_owned())
}
