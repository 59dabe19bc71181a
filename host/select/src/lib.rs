//! Points into a webhook: reads what a source names, and applies filters.
//!
//! Everything is read from the bytes that came. Nothing is parsed and printed again, so a value is the text that the
//! sender wrote.

mod filters;
mod form;
mod hide;
mod mac;
mod put;
mod redact;
mod unpack;
mod xml;

use std::borrow::Cow;
use std::ops::Range;

pub use filters::hash;
pub use hide::{hide, hide_text};
pub use mac::mac;
pub use put::{Unwritable, put};
pub use redact::redacted;
use towpath_config::condition::Condition;
use towpath_config::value::{Part, Source, Template, Value};
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;
use towpath_types::json::{self, Broken, Missing, Pointer};
pub use unpack::{MAX_UNPACKED, TooLarge, unpacked};

/// Why a value cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreadable {
    /// The webhook has no such header or value.
    #[error("missing")]
    Missing,
    /// The value is `null`.
    #[error("null")]
    Null,
    #[error("empty")]
    Empty,
    /// The value is not JSON, such as `NaN`.
    #[error("the value is not JSON")]
    Value,
    #[error("not an array")]
    NoArray,
    /// The body is not JSON, or is cut off.
    #[error(transparent)]
    Body(#[from] Broken),
    /// The `content-type` is not that of a form.
    #[error("the body is not a form")]
    Form,
    #[error("the body is not well-formed XML")]
    Xml,
    /// A filter cannot be applied: the bytes are not encoded as it expects.
    #[error("not encoded as its filter expects")]
    Encoding,
}

impl Unreadable {
    /// A constant for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Unreadable::Missing => "missing",
            Unreadable::Null => "null",
            Unreadable::Empty => "empty",
            Unreadable::Value | Unreadable::NoArray | Unreadable::Encoding => "bad-value",
            Unreadable::Body(_) | Unreadable::Form | Unreadable::Xml => "bad-body",
        }
    }
}

/// A value, and what is wrong with it or with the body around it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selected<'a> {
    Sound(Cow<'a, [u8]>),
    /// There is a value, but it or the body around it is broken. It is good enough to keep the events of one entity in
    /// one group, but not to decide whether two of them are the same event.
    Doubtful(Cow<'a, [u8]>, Unreadable),
    None(Unreadable),
}

impl<'a> Selected<'a> {
    /// The bytes, and what is wrong with them.
    pub fn into_parts(self) -> (Option<Cow<'a, [u8]>>, Option<Unreadable>) {
        match self {
            Selected::Sound(bytes) => (Some(bytes), None),
            Selected::Doubtful(bytes, why) => (Some(bytes), Some(why)),
            Selected::None(why) => (None, Some(why)),
        }
    }

    fn of(value: Option<Cow<'a, [u8]>>) -> Selected<'a> {
        value.map_or(Selected::None(Unreadable::Missing), Selected::Sound)
    }

    /// What a filter makes of the bytes.
    fn and_then(self, make: impl FnOnce(&[u8]) -> Selected<'static>) -> Selected<'a> {
        match self {
            Selected::Sound(bytes) => make(&bytes),
            Selected::Doubtful(bytes, why) => match make(&bytes) {
                Selected::Sound(bytes) | Selected::Doubtful(bytes, _) => Selected::Doubtful(bytes, why),
                none => none,
            },
            Selected::None(why) => Selected::None(why),
        }
    }

    fn into_owned(self) -> Selected<'static> {
        match self {
            Selected::Sound(bytes) => Selected::Sound(Cow::Owned(bytes.into_owned())),
            Selected::Doubtful(bytes, why) => Selected::Doubtful(Cow::Owned(bytes.into_owned()), why),
            Selected::None(why) => Selected::None(why),
        }
    }

    /// An empty text identifies nothing. The hash of one would look as if it did.
    fn filled(self) -> Selected<'a> {
        match self {
            Selected::Sound(bytes) | Selected::Doubtful(bytes, _) if bytes.is_empty() => {
                Selected::None(Unreadable::Empty)
            }
            other => other,
        }
    }
}

/// What values are read from: a webhook, and what is known besides it in some places of the config.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub webhook: &'a Webhook,
    /// One element of an array in the body.
    pub item: Option<&'a [u8]>,
    /// The public URL of the route.
    pub url: Option<&'a str>,
    /// The signed time as written.
    pub timestamp: Option<&'a [u8]>,
    pub secret: Option<&'a [u8]>,
    /// The text beside the signature, as names and texts.
    pub pairs: &'a [(&'a [u8], &'a [u8])],
    pub now: Option<Timestamp>,
}

impl<'a> Scope<'a> {
    /// A webhook alone.
    pub fn of(webhook: &'a Webhook) -> Scope<'a> {
        Scope { webhook, item: None, url: None, timestamp: None, secret: None, pairs: &[], now: None }
    }

    /// A value that is sound, after its filters. It may be empty.
    pub fn value(&self, value: &Value) -> Result<Cow<'a, [u8]>, Unreadable> {
        match self.read(value) {
            Selected::Sound(bytes) => Ok(bytes),
            Selected::Doubtful(_, why) | Selected::None(why) => Err(why),
        }
    }

    /// The parts of a template, in order. Fails with the first value that cannot be read.
    pub fn pieces<'t>(&self, template: &'t Template) -> Result<Vec<Cow<'a, [u8]>>, (&'t Value, Unreadable)>
    where
        't: 'a,
    {
        let piece = |part: &'t Part| match part {
            Part::Literal(text) => Ok(Cow::Borrowed(text.as_bytes())),
            Part::Value(value) => self.value(value).map_err(|why| (value, why)),
        };
        template.parts().iter().map(piece).collect()
    }

    /// The text of a template.
    pub fn text<'t>(&self, template: &'t Template) -> Result<Vec<u8>, (&'t Value, Unreadable)>
    where
        't: 'a,
    {
        Ok(self.pieces(template)?.concat())
    }

    /// Whether a request is one that a table of the config is meant for.
    pub fn meets(&self, condition: &'a Condition) -> bool {
        let Condition { methods, present, absent, equal, is_empty } = condition;
        let is_present = |value: &Value| self.value(value).is_ok_and(|bytes| !bytes.is_empty());
        let is_equal = |(value, template): &'a (Value, Template)| match (self.value(value), self.text(template)) {
            (Ok(one), Ok(other)) => *one == *other,
            _ => false,
        };
        (methods.is_empty() || methods.contains(&self.webhook.method))
            && is_empty.is_none_or(|is_empty| is_empty == self.webhook.body.is_empty())
            && present.iter().all(is_present)
            && !absent.iter().any(is_present)
            && equal.iter().all(is_equal)
    }

    /// A value after its filters. An empty text is one.
    fn read(&self, value: &Value) -> Selected<'a> {
        let found = find(self, &value.source);
        value.filters.iter().fold(found, |found, filter| filters::applied(filter, found, self))
    }
}

/// Reads a key: a value that is not empty, before and after its filters.
pub fn key<'a>(scope: &Scope<'a>, value: &Value) -> Selected<'a> {
    let found = find(scope, &value.source).filled();
    value.filters.iter().fold(found, |found, filter| filters::applied(filter, found, scope)).filled()
}

fn find<'a>(scope: &Scope<'a>, source: &Source) -> Selected<'a> {
    let webhook = scope.webhook;
    let body = webhook.body.as_slice();
    let given = |bytes: Option<&'a [u8]>| Selected::of(bytes.map(Cow::Borrowed));
    match source {
        Source::Body => Selected::Sound(Cow::Borrowed(body)),
        Source::Header(name) => given(webhook.header(name)),
        Source::Json(pointer) => json_at(body, pointer),
        Source::Item(pointer) => scope.item.map_or(Selected::None(Unreadable::Missing), |item| json_at(item, pointer)),
        Source::Raw(pointer) => match value_at(body, pointer) {
            Ok((value, None)) => Selected::Sound(Cow::Borrowed(value)),
            Ok((value, Some(broken))) => Selected::Doubtful(Cow::Borrowed(value), broken.into()),
            Err(why) => Selected::None(why),
        },
        Source::Form(name) => match form::fields(webhook) {
            Some(fields) => {
                Selected::of(fields.into_iter().find(|(own, _)| **own == *name.as_bytes()).map(|(_, value)| value))
            }
            None => Selected::None(Unreadable::Form),
        },
        Source::SortedForm { or_empty } => match form::fields(webhook) {
            Some(fields) => Selected::Sound(Cow::Owned(form::sorted(fields))),
            None if *or_empty => Selected::Sound(Cow::Borrowed(b"")),
            None => Selected::None(Unreadable::Form),
        },
        Source::Xml(steps) => match xml::text(body, steps) {
            Ok(found) => Selected::of(found.map(Cow::Owned)),
            Err(xml::NotXml) => Selected::None(Unreadable::Xml),
        },
        Source::Query(name) => Selected::of(form::first(webhook.query.as_bytes(), name.as_bytes())),
        Source::WholeQuery => given(Some(webhook.query.as_bytes())),
        Source::Method => given(Some(webhook.method.as_str().as_bytes())),
        Source::Rest => Selected::Sound(form::percent_decoded(webhook.rest().as_bytes())),
        Source::Segment(name) => {
            Selected::of(webhook.path_segment(name).map(|segment| form::percent_decoded(segment.as_bytes())))
        }
        Source::Url => match scope.url {
            Some(url) => Selected::Sound(Cow::Owned(public_url(url, webhook).into_bytes())),
            None => Selected::None(Unreadable::Missing),
        },
        Source::Timestamp => given(scope.timestamp),
        Source::Secret => given(scope.secret),
        Source::Pair(name) => given(scope.pairs.iter().find(|(own, _)| *own == name.as_bytes()).map(|(_, text)| *text)),
        Source::Now => Selected::of(scope.now.map(|now| Cow::Owned(now.0.to_string().into_bytes()))),
        Source::Text(text) => Selected::Sound(Cow::Owned(text.clone().into_bytes())),
    }
}

/// The URL that the sender called, as far as it differs from call to call.
fn public_url(url: &str, webhook: &Webhook) -> String {
    let (rest, query) = (webhook.rest(), &webhook.query);
    let slash = if rest.is_empty() || url.ends_with('/') { "" } else { "/" };
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{url}{slash}{rest}{mark}{query}")
}

/// The text of the JSON value that a pointer names.
pub(crate) fn json_at<'a>(json: &'a [u8], pointer: &Pointer) -> Selected<'a> {
    match value_at(json, pointer) {
        Ok((value, broken)) => text(value, broken),
        Err(why) => Selected::None(why),
    }
}

/// The elements of an array in a document that is JSON from beginning to end.
pub fn items<'a>(document: &'a [u8], pointer: &Pointer) -> Option<Vec<&'a [u8]>> {
    let spans = elements(document, pointer, usize::MAX).ok()?;
    spans.into_iter().map(|span| document.get(span)).collect()
}

/// Where the first `most` elements of such an array are in the document.
pub fn elements(document: &[u8], pointer: &Pointer, most: usize) -> Result<Vec<Range<usize>>, Unreadable> {
    let found = json::find(document, pointer).map_err(unfound)?;
    if let Some(broken) = found.broken {
        return Err(broken.into());
    }
    let start = found.span.start;
    let array = document.get(found.span).filter(|array| array.starts_with(b"[")).ok_or(Unreadable::NoArray)?;
    let elements = json::children(array).take(most);
    let elements = elements.map(|child| child.map(|(_, span)| start + span.start..start + span.end));
    elements.collect::<Result<_, Broken>>().map_err(Unreadable::Body)
}

fn unfound(missing: Missing) -> Unreadable {
    match missing {
        Missing::Absent => Unreadable::Missing,
        Missing::Broken(broken) => Unreadable::Body(broken),
    }
}

/// The bytes of a JSON value that is not `null`, and where the body around it stops being JSON, if it does.
fn value_at<'a>(body: &'a [u8], pointer: &Pointer) -> Result<(&'a [u8], Option<Broken>), Unreadable> {
    let found = json::find(body, pointer).map_err(unfound)?;
    let value = body.get(found.span).unwrap_or_default();
    if value == b"null" { Err(Unreadable::Null) } else { Ok((value, found.broken)) }
}

/// The text of a JSON value: the content of a string, or anything else as written.
fn text(value: &[u8], broken: Option<Broken>) -> Selected<'_> {
    match (json::text(value), broken) {
        (None, _) => Selected::Doubtful(Cow::Borrowed(value), Unreadable::Value),
        (Some(text), Some(broken)) => Selected::Doubtful(text, broken.into()),
        (Some(text), None) => Selected::Sound(text),
    }
}

#[cfg(test)]
mod tests;
