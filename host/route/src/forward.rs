//! The request of a route without a plugin: what came, as far as it is safe to pass on.

use std::borrow::Cow;

use http::HeaderName;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};
use towpath_config::headers::{as_read, is_safe};
use towpath_config::route::{Forward, Route};
use towpath_config::target::Http;
use towpath_config::value::{Part, Source, Template, Value};
use towpath_select::{Scope, Unreadable};
use towpath_types::envelope::Webhook;
use towpath_types::verdict::{HeaderValue, Payload, Reason, Request, Verdict};

/// Everything but what no part of a URL means anything by: RFC 3986 section 2.3. A value stays in its segment.
const IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What must not stand in a URL as it came, and what some servers read as `/` or as its end.
const IN_URL: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'#');

/// Why a webhook cannot be forwarded: a value of a template is not there.
struct Lacking<'a> {
    key: Cow<'static, str>,
    value: &'a Value,
    why: Unreadable,
}

/// The request that a webhook becomes, which is the one that plugins would [see](crate::shown). One that lacks a value of
/// a template is rejected: the target must not take a gap for a value.
pub fn forwarded(route: &Route, forward: &Forward, target: &Http, webhook: &Webhook) -> Verdict {
    match request(route, forward, target, webhook) {
        Ok(request) => Verdict::Deliver(vec![request]),
        Err(Lacking { key, value, why }) => Verdict::Reject(Reason {
            code: "missing-value".to_owned(),
            message: format!("{key} of the route needs {{{value}}} of the webhook: {why}"),
        }),
    }
}

fn request<'a>(
    route: &Route,
    forward: &'a Forward,
    target: &Http,
    webhook: &'a Webhook,
) -> Result<Request, Lacking<'a>> {
    let scope = Scope::of(webhook);
    let mut headers = passed(route, forward, target, webhook);
    for (name, template) in &forward.headers {
        let text = filled(&scope, template, |bytes| bytes);
        let text = text.map_err(|(value, why)| lacking(format!("forward.headers.{name}"), value, why))?;
        headers.push((name.as_str().to_owned(), header_value(text)));
    }
    Ok(Request {
        target: forward.target.clone(),
        method: forward.method.as_ref().unwrap_or(&webhook.method).as_str().to_owned(),
        path: path(&scope, forward)?,
        headers,
        body: Payload::Unchanged,
        idempotency_key: None,
    })
}

/// The headers that came and are passed on, in order: see [`is_safe`]. The proof of the sender is of no use to the target,
/// and headers of the target or of the config are not to be doubled.
fn passed(route: &Route, forward: &Forward, target: &Http, webhook: &Webhook) -> Vec<(String, HeaderValue)> {
    let proofs: Vec<&str> = route.verify.iter().flat_map(|verify| verify.proof_headers()).collect();
    let is_passed = |name: &str| {
        let Ok(parsed) = HeaderName::try_from(name) else { return false };
        let is_replaced = forward.headers.iter().any(|(own, _)| as_read(own) == as_read(&parsed));
        is_safe(&parsed)
            && !is_replaced
            && !target.sets(&parsed)
            && !proofs.iter().any(|proof| proof.eq_ignore_ascii_case(name))
    };
    let passed = webhook.headers.iter().filter(|(name, _)| is_passed(name));
    passed.map(|(name, value)| (name.clone(), header_value(value.clone()))).collect()
}

fn header_value(bytes: Vec<u8>) -> HeaderValue {
    match String::from_utf8(bytes) {
        Ok(text) => HeaderValue::Text(text),
        Err(error) => HeaderValue::Bytes(error.into_bytes()),
    }
}

/// What follows the target's URL: empty for the URL itself.
fn path<'a>(scope: &Scope<'a>, forward: &'a Forward) -> Result<String, Lacking<'a>> {
    let webhook = scope.webhook;
    let mut path = match &forward.path {
        Some(template) => {
            let text = filled(scope, template, encoded);
            let text = text.map_err(|(value, why)| lacking("forward.path", value, why))?;
            // All of it is ASCII: literals are checked, values are encoded.
            String::from_utf8_lossy(&text).into_owned()
        }
        None if webhook.rest().is_empty() => String::new(),
        None => format!("/{}", in_url(webhook.rest())),
    };
    if forward.appends_query() && !webhook.query.is_empty() {
        path.push('?');
        path.push_str(&in_url(&webhook.query));
    }
    Ok(path)
}

/// A value in a path: it stays in its segment.
fn encoded(bytes: Vec<u8>) -> Vec<u8> {
    percent_encode(&bytes, IN_SEGMENT).to_string().into_bytes()
}

fn in_url(text: &str) -> String {
    utf8_percent_encode(text, IN_URL).to_string()
}

/// The text of a template, each value after `write`. An empty value is missing, unless it is `optional`. What follows the
/// route, and the whole query, are encoded as they came, and may be empty.
fn filled<'a>(
    scope: &Scope<'a>,
    template: &'a Template,
    write: impl Fn(Vec<u8>) -> Vec<u8>,
) -> Result<Vec<u8>, (&'a Value, Unreadable)> {
    let webhook = scope.webhook;
    let mut text = Vec::new();
    for part in template.parts() {
        match part {
            Part::Literal(literal) => text.extend_from_slice(literal.as_bytes()),
            // Behind a question mark it is a value like any other.
            Part::Value(value) if value.filters.is_empty() && value.source == Source::Rest && !text.contains(&b'?') => {
                text.extend(in_url(webhook.rest()).into_bytes());
            }
            Part::Value(value) if value.filters.is_empty() && value.source == Source::WholeQuery => {
                text.extend(in_url(&webhook.query).into_bytes());
            }
            Part::Value(value) => match scope.value(value) {
                Ok(bytes) if bytes.is_empty() && !value.is_optional() => return Err((value, Unreadable::Empty)),
                Ok(bytes) => text.extend(write(bytes.into_owned())),
                Err(why) => return Err((value, why)),
            },
        }
    }
    Ok(text)
}

fn lacking<'a>(key: impl Into<Cow<'static, str>>, value: &'a Value, why: Unreadable) -> Lacking<'a> {
    Lacking { key: key.into(), value, why }
}

#[cfg(test)]
mod tests;
