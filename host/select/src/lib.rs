//! Points into a webhook: reads what a source names, and applies filters.
//!
//! Everything is read from the bytes that came. Nothing is parsed and printed again, so a value is the text that the
//! sender wrote.

mod filters;
mod form;
mod xml;

use std::borrow::Cow;

use towpath_config::value::{Source, Value};
use towpath_types::envelope::Webhook;
use towpath_types::json::{self, Broken, Missing, Pointer};

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
    /// The body is not JSON, or is cut off.
    #[error(transparent)]
    Body(#[from] Broken),
    /// The `content-type` is not that of a form.
    #[error("the body is not a form")]
    Form,
    #[error("the body is not well-formed XML")]
    Xml,
}

impl Unreadable {
    /// A constant for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Unreadable::Missing => "missing",
            Unreadable::Null => "null",
            Unreadable::Empty => "empty",
            Unreadable::Value => "bad-value",
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

    fn map(self, make: impl FnOnce(&[u8]) -> Vec<u8>) -> Selected<'a> {
        match self {
            Selected::Sound(bytes) => Selected::Sound(Cow::Owned(make(&bytes))),
            Selected::Doubtful(bytes, why) => Selected::Doubtful(Cow::Owned(make(&bytes)), why),
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

/// Reads a key: a value that is not empty, before and after its filters.
pub fn key<'a>(webhook: &'a Webhook, value: &Value) -> Selected<'a> {
    let found = find(webhook, &value.source).filled();
    value.filters.iter().fold(found, |found, filter| found.map(|bytes| filters::apply(*filter, bytes))).filled()
}

fn find<'a>(webhook: &'a Webhook, source: &Source) -> Selected<'a> {
    let body = webhook.body.as_slice();
    match source {
        Source::Body => Selected::Sound(Cow::Borrowed(body)),
        Source::Header(name) => {
            let first = webhook.headers.iter().find(|(own, _)| own == name);
            Selected::of(first.map(|(_, value)| Cow::Borrowed(value.as_slice())))
        }
        Source::Json(pointer) => match value_at(body, pointer) {
            Ok((value, broken)) => text(value, broken),
            Err(why) => Selected::None(why),
        },
        Source::Raw(pointer) => match value_at(body, pointer) {
            Ok((value, None)) => Selected::Sound(Cow::Borrowed(value)),
            Ok((value, Some(broken))) => Selected::Doubtful(Cow::Borrowed(value), broken.into()),
            Err(why) => Selected::None(why),
        },
        Source::Form(name) if is_form(&webhook.headers) => Selected::of(form::first(body, name)),
        Source::Form(_) => Selected::None(Unreadable::Form),
        Source::Xml(steps) => match xml::text(body, steps) {
            Ok(found) => Selected::of(found.map(Cow::Owned)),
            Err(xml::NotXml) => Selected::None(Unreadable::Xml),
        },
    }
}

/// The bytes of a JSON value that is not `null`, and where the body around it stops being JSON, if it does.
fn value_at<'a>(body: &'a [u8], pointer: &Pointer) -> Result<(&'a [u8], Option<Broken>), Unreadable> {
    let found = json::find(body, pointer).map_err(|missing| match missing {
        Missing::Absent => Unreadable::Missing,
        Missing::Broken(broken) => Unreadable::Body(broken),
    })?;
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

fn is_form(headers: &[(String, Vec<u8>)]) -> bool {
    headers.iter().any(|(name, value)| {
        let media = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        name == "content-type" && media.eq_ignore_ascii_case(form::MEDIA_TYPE)
    })
}

#[cfg(test)]
mod tests;
