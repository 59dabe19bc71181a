//! Keys: values from a header, or from the body, of a webhook.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use towpath_config::route::{HASH_LENGTH, Selector};
use towpath_types::envelope::Webhook;
use towpath_types::json::{self, Broken, Missing};
use towpath_types::queue::is_id;

/// Why a key cannot be read.
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
}

impl Unreadable {
    /// A constant for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Unreadable::Missing => "missing",
            Unreadable::Null => "null",
            Unreadable::Empty => "empty",
            Unreadable::Value => "bad-value",
            Unreadable::Body(_) => "bad-body",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Key<'a> {
    Sound(Cow<'a, [u8]>),
    /// There is a value, but it or the body around it is broken. It is good enough to keep the events of one entity in
    /// one group, but not to decide whether two of them are the same event.
    Doubtful(Cow<'a, [u8]>, Unreadable),
    None(Unreadable),
}

impl<'a> Key<'a> {
    /// Reads a key. Of several headers with the same name the first one wins.
    pub(super) fn read(selector: &Selector, webhook: &'a Webhook) -> Key<'a> {
        match selector {
            Selector::Header(name) => match webhook.headers.iter().find(|(n, _)| n == name) {
                None => Key::None(Unreadable::Missing),
                Some((_, value)) if value.is_empty() => Key::None(Unreadable::Empty),
                Some((_, value)) => Key::Sound(Cow::Borrowed(value)),
            },
            Selector::Json(pointer) => match json::find(&webhook.body, pointer) {
                Err(Missing::Absent) => Key::None(Unreadable::Missing),
                Err(Missing::Broken(broken)) => Key::None(broken.into()),
                Ok(found) => Key::of(webhook.body.get(found.span).unwrap_or_default(), found.broken),
            },
        }
    }

    /// The key in a JSON value: the content of a string, or anything else as written.
    fn of(value: &'a [u8], broken: Option<Broken>) -> Key<'a> {
        if value == b"null" {
            return Key::None(Unreadable::Null);
        }
        match (json::text(value), broken) {
            (None, _) => Key::Doubtful(Cow::Borrowed(value), Unreadable::Value),
            (Some(text), _) if text.is_empty() => Key::None(Unreadable::Empty),
            (Some(text), Some(broken)) => Key::Doubtful(text, broken.into()),
            (Some(text), None) => Key::Sound(text),
        }
    }

    /// The key's bytes, and what is wrong with them.
    pub(super) fn into_parts(self) -> (Option<Cow<'a, [u8]>>, Option<Unreadable>) {
        match self {
            Key::Sound(bytes) => (Some(bytes), None),
            Key::Doubtful(bytes, why) => (Some(bytes), Some(why)),
            Key::None(why) => (None, Some(why)),
        }
    }
}

/// A key as written in an id: verbatim if allowed, or else its hash. A key that begins like a hash is hashed too, so no
/// key can look like another key's hash.
pub(super) fn written(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if is_id(text) && !text.starts_with(HASH_MARK) => text.to_owned(),
        _ => stable_hash(key),
    }
}

/// The prefix of every hash.
const HASH_MARK: char = '~';

/// A key as earlier versions wrote it.
pub(super) fn written_before(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if is_id(text) => text.to_owned(),
        _ => stable_hash(key),
    }
}

/// A short text in place of a value; the same on every machine.
pub(super) fn stable_hash(value: &[u8]) -> String {
    let mut text = hex::encode(Sha256::digest(value));
    text.truncate(HASH_LENGTH - 1);
    text.insert(0, HASH_MARK);
    text
}
