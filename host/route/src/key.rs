//! Keys: what a header, or a value in the body, says of the webhook that it came with.

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
    /// The value is empty.
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

/// What was read for a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Key<'a> {
    /// The key.
    Sound(Cow<'a, [u8]>),
    /// Something is there, in a body or value that is broken. It keeps events of one entity in one group; whether two
    /// of them are the same event it cannot tell.
    Doubtful(Cow<'a, [u8]>, Unreadable),
    /// Nothing.
    None(Unreadable),
}

impl<'a> Key<'a> {
    /// Reads a key. Of several headers with the name the first counts.
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

    /// The key that a JSON value is: what a string says, or anything else as it is written.
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

    /// The key's bytes, and what is wrong with it.
    pub(super) fn into_parts(self) -> (Option<Cow<'a, [u8]>>, Option<Unreadable>) {
        match self {
            Key::Sound(bytes) => (Some(bytes), None),
            Key::Doubtful(bytes, why) => (Some(bytes), Some(why)),
            Key::None(why) => (None, Some(why)),
        }
    }
}

/// A key as it is written in an id: itself if it can be, or else its hash. One that begins as hashes do is hashed too, so that no
/// key is written as another one's hash is.
pub(super) fn written(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if is_id(text) && !text.starts_with(HASH_MARK) => text.to_owned(),
        _ => stable_hash(key),
    }
}

/// What every hash begins with.
const HASH_MARK: char = '~';

/// A key as earlier versions wrote it.
pub(super) fn written_before(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if is_id(text) => text.to_owned(),
        _ => stable_hash(key),
    }
}

/// A short text that stands for any value: the same value gives the same text on every machine.
pub(super) fn stable_hash(value: &[u8]) -> String {
    let mut text = hex::encode(Sha256::digest(value));
    text.truncate(HASH_LENGTH - 1);
    text.insert(0, HASH_MARK);
    text
}
