//! Hides secrets that senders send along.

use std::borrow::Cow;

use towpath_config::value::{Source, Value};
use towpath_types::envelope::{REST, Webhook};
use towpath_types::json::{self, Pointer};

use crate::{Scope, form, items, xml};

/// What stands for a hidden text.
const STARS: &[u8] = b"***";

/// Takes this value out of a webhook: a header or a query parameter is removed, a text in path or body is replaced.
pub fn hide(webhook: &mut Webhook, value: &Value) {
    match &value.source {
        Source::Header(name) => webhook.headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name)),
        Source::Query(name) => webhook.query = without(&webhook.query, name),
        Source::WholeQuery => webhook.query.clear(),
        Source::Segment(name) => hide_segment(webhook, name),
        Source::Rest => hide_segment(webhook, REST),
        Source::Json(pointer) | Source::Raw(pointer) => hide_json(&mut webhook.body, pointer),
        Source::Form(name) if form::is_urlencoded(webhook) => hide_field(webhook, name),
        Source::Xml(steps) => hide_xml(webhook, value, steps),
        source if source.reads_body() => hide_everywhere(webhook, value),
        _ => {}
    }
}

fn hide_segment(webhook: &mut Webhook, name: &str) {
    for (_, segment) in webhook.path.iter_mut().filter(|(own, _)| own == name) {
        *segment = String::from_utf8_lossy(STARS).into_owned();
    }
}

/// However the sender encoded it. The other fields stay as they came.
fn hide_field(webhook: &mut Webhook, name: &str) {
    let pairs = webhook.body.split(|byte| *byte == b'&');
    let hidden = pairs.map(|pair| {
        if *form::name(pair) == *name.as_bytes() {
            let written = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
            [written, b"=", STARS].concat()
        } else {
            pair.to_vec()
        }
    });
    webhook.body = hidden.collect::<Vec<_>>().join(b"&".as_slice());
}

/// The query without the parameters of this name; the others as they came.
fn without(query: &str, name: &str) -> String {
    let is_other = |pair: &&str| form::name(pair.as_bytes()) != name.as_bytes();
    query.split('&').filter(is_other).collect::<Vec<_>>().join("&")
}

/// A `*` stands for every element of an array.
fn hide_json(body: &mut Vec<u8>, pointer: &Pointer) {
    let text = pointer.to_string();
    if let Some((array, rest)) = text.split_once("/*") {
        let count = array.parse().ok().and_then(|array| items(body, &array)).map_or(0, |items| items.len());
        let elements = (0..count).filter_map(|at| format!("{array}/{at}{rest}").parse().ok());
        return elements.for_each(|element| hide_json(body, &element));
    }
    let Ok(found) = json::find(body, pointer) else { return };
    let stars = [b"\"", STARS, b"\""].concat();
    body.splice(found.span, stars);
}

/// Replaces every occurrence of the value in the body.
fn hide_everywhere(webhook: &mut Webhook, value: &Value) {
    let whole = Value { source: value.source.clone(), filters: Vec::new() };
    if let Ok(text) = Scope::of(webhook).value(&whole).map(Cow::into_owned) {
        hide_text(webhook, &text);
    }
}

/// Replaces the value as it is written, with its entities, and as it is meant.
fn hide_xml(webhook: &mut Webhook, value: &Value, steps: &[String]) {
    let meant = Scope::of(webhook).value(&Value { source: value.source.clone(), filters: Vec::new() });
    let meant = meant.map(Cow::into_owned).unwrap_or_default();
    let written = xml::written(&webhook.body, steps).unwrap_or_default();
    for text in [written, meant] {
        hide_text(webhook, &text);
    }
}

/// Replaces every occurrence of the text in the body, as it is and as a form writes it.
pub fn hide_text(webhook: &mut Webhook, text: &[u8]) {
    let encoded: String = url::form_urlencoded::byte_serialize(text).collect();
    for text in [text, encoded.as_bytes()] {
        if !text.is_empty() {
            webhook.body = replaced(&webhook.body, text);
        }
    }
}

fn replaced(body: &[u8], text: &[u8]) -> Vec<u8> {
    let mut done = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.windows(text.len()).position(|window| window == text) {
        let (before, found) = rest.split_at(at);
        done.extend_from_slice(before);
        done.extend_from_slice(STARS);
        rest = found.get(text.len()..).unwrap_or_default();
    }
    done.extend_from_slice(rest);
    done
}
