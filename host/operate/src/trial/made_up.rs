//! An event that no sender sent, with everything that its route reads.

use http::Method;
use towpath_config::route::Route;
use towpath_config::value::{Filter, Source, Value};
use towpath_config::verify::Scheme;
use towpath_select::{Scope, put};
use towpath_types::envelope::Webhook;

use super::challenge;

/// The body of an event whose keys are not in it.
const BODY: &[u8] = br#"{"towpath":"provider test"}"#;

/// Why an event cannot be made up.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no event can be made up, because {0} can be set in none: give a recorded one")]
pub struct Unknown(Value);

/// An event for this route. Its keys are those of no other event.
pub fn made_up(route: &Route, path: Vec<(String, String)>) -> Result<Webhook, Unknown> {
    let method = route.methods.first().cloned().unwrap_or(Method::POST);
    let mut event = Webhook { method, path, ..Webhook::default() };
    let keys: Vec<&Value> = route.group.values().chain(&route.dedup).collect();
    let proven = proven(route);
    let outside: Vec<&Value> = proven.iter().chain(&route.unwrap).collect();
    match &route.unwrap {
        // What is unwrapped is JSON.
        Some(place) => {
            let mut inner = Webhook { headers: json(), ..event.clone() };
            let (inside, beside): (Vec<&Value>, Vec<&Value>) = keys.iter().partition(|key| key.source.reads_body());
            fill(&mut inner, &inside)?;
            event.headers.extend(content_type(outside.iter().copied()));
            fill(&mut event, &beside)?;
            put(&mut event, place, &inner.body).map_err(|_| Unknown(place.clone()))?;
        }
        None => {
            let read: Vec<&Value> = keys.iter().copied().chain(outside.iter().copied()).collect();
            event.headers.push(content_type(read.into_iter()).unwrap_or_else(|| json().remove(0)));
            fill(&mut event, &keys)?;
        }
    }
    fill(&mut event, &proven.iter().collect::<Vec<_>>())?;
    if event.body.is_empty() {
        event.body = BODY.to_vec();
    }
    Ok(event)
}

/// Values of the event that the proof covers, or that say which proof it has.
fn proven(route: &Route) -> Vec<Value> {
    let Some(way) = route.verify.as_ref().and_then(|verify| verify.ways.first()) else { return Vec::new() };
    let signed: Vec<&Value> = match &way.scheme {
        Scheme::Signature(scheme) => scheme.signed.values().collect(),
        Scheme::Jwt(_) | Scheme::StandardWebhooks(_) | Scheme::Token(_) => Vec::new(),
    };
    let all = way.when.present.iter().chain(signed);
    let own = all.map(|value| match (&value.source, &way.every) {
        (Source::Item(pointer), Some(every)) => {
            format!("json:{every}/0{pointer}").parse().unwrap_or_else(|_| value.clone())
        }
        _ => value.clone(),
    });
    let mut own: Vec<Value> = own.collect();
    if let (Some(every), [] | [_]) = (&way.every, own.as_slice()) {
        own.extend(format!("json:{every}/0/towpath").parse::<Value>());
    }
    own
}

/// Sets what is missing of these values.
fn fill(event: &mut Webhook, values: &[&Value]) -> Result<(), Unknown> {
    for value in values {
        let is_inside = |filter: &Filter| matches!(filter, Filter::Json(_));
        let inside = value.filters.iter().take_while(|filter| is_inside(filter)).cloned().collect();
        let whole = Value { source: as_written(&value.source), filters: inside };
        let is_of_event = match &whole.source {
            Source::Body
            | Source::Method
            | Source::Rest
            | Source::Segment(_)
            | Source::WholeQuery
            | Source::Text(_) => false,
            Source::SortedForm { .. } => false,
            source => source.besides().is_none(),
        };
        if is_of_event && !Scope::of(event).value(&whole).is_ok_and(|bytes| !bytes.is_empty()) {
            put(event, &whole, challenge().as_bytes()).map_err(|_| Unknown((*value).clone()))?;
        }
    }
    Ok(())
}

/// JSON that is read as it was sent is written as a text.
pub(super) fn as_written(source: &Source) -> Source {
    match source {
        Source::Raw(pointer) => Source::Json(pointer.clone()),
        other => other.clone(),
    }
}

fn json() -> Vec<(String, Vec<u8>)> {
    vec![("content-type".to_owned(), b"application/json".to_vec())]
}

/// The header of a body that has these values; `None` if they say nothing about it.
pub(super) fn content_type<'v>(values: impl Iterator<Item = &'v Value>) -> Option<(String, Vec<u8>)> {
    let is_form = |value: &Value| matches!(value.source, Source::Form(_) | Source::SortedForm { or_empty: false });
    let mut is_json = false;
    for value in values {
        if is_form(value) {
            return Some(("content-type".to_owned(), b"application/x-www-form-urlencoded".to_vec()));
        }
        is_json |= matches!(value.source, Source::Json(_) | Source::Raw(_) | Source::Item(_));
    }
    is_json.then(|| json().remove(0))
}
