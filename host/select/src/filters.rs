//! What filters make of bytes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use towpath_config::value::{Digest, Filter, unbase64};

use crate::{Scope, Selected, Unreadable, json_at, mac};

/// A value after one more filter.
pub(crate) fn applied<'a>(filter: &Filter, found: Selected<'a>, scope: &Scope<'a>) -> Selected<'a> {
    match (filter, found) {
        (Filter::Optional, Selected::None(Unreadable::Missing | Unreadable::Null | Unreadable::Empty)) => {
            Selected::Sound(Cow::Borrowed(b""))
        }
        (_, found) => found.and_then(|bytes| apply(filter, bytes, scope)),
    }
}

fn apply(filter: &Filter, bytes: &[u8], scope: &Scope<'_>) -> Selected<'static> {
    let made = match filter {
        Filter::Hash(digest) => Some(hash(*digest, bytes)),
        Filter::Mac(digest) => scope.secret.map(|secret| mac(*digest, secret, &[bytes])),
        Filter::Crc32 => Some(crc32fast::hash(bytes).to_be_bytes().to_vec()),
        Filter::Decimal => decimal(bytes),
        Filter::Hex => Some(hex::encode(bytes).into_bytes()),
        Filter::Base64 => Some(STANDARD.encode(bytes).into_bytes()),
        Filter::Base64Url => Some(URL_SAFE_NO_PAD.encode(bytes).into_bytes()),
        Filter::Unhex => hex::decode(bytes).ok(),
        Filter::Unbase64 => unbase64(bytes),
        Filter::JwtPayload => jwt_payload(bytes),
        Filter::Lower => Some(bytes.to_ascii_lowercase()),
        Filter::Upper => Some(bytes.to_ascii_uppercase()),
        Filter::Trim => Some(bytes.trim_ascii().to_vec()),
        Filter::Optional => Some(bytes.to_vec()),
        Filter::Headers => return headers(bytes, scope),
        Filter::Json(pointer) => return json_at(bytes, pointer).into_owned(),
    };
    made.map_or(Selected::None(Unreadable::Encoding), |made| Selected::Sound(Cow::Owned(made)))
}

/// The hash of these bytes.
pub fn hash(digest: Digest, bytes: &[u8]) -> Vec<u8> {
    fn of<D: sha2::Digest>(bytes: &[u8]) -> Vec<u8> {
        D::digest(bytes).to_vec()
    }
    match digest {
        Digest::Md5 => of::<md5::Md5>(bytes),
        Digest::Sha1 => of::<sha1::Sha1>(bytes),
        Digest::Sha256 => of::<sha2::Sha256>(bytes),
        Digest::Sha384 => of::<sha2::Sha384>(bytes),
        Digest::Sha512 => of::<sha2::Sha512>(bytes),
    }
}

/// Three parts with dots between them; the second one is the payload.
fn jwt_payload(token: &[u8]) -> Option<Vec<u8>> {
    let parts: Vec<&[u8]> = token.trim_ascii().split(|byte| *byte == b'.').collect();
    match parts.as_slice() {
        [_, payload, _] => URL_SAFE_NO_PAD.decode(payload).ok(),
        _ => None,
    }
}

/// Leading zeros do not count.
fn decimal(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() > size_of::<u64>() {
        return None;
    }
    let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    Some(number.to_string().into_bytes())
}

/// The values of headers, with dots between them.
fn headers(names: &[u8], scope: &Scope<'_>) -> Selected<'static> {
    let names = names.split(|byte| *byte == b' ').filter(|name| !name.is_empty());
    let value = |name| scope.webhook.header(std::str::from_utf8(name).ok()?);
    match names.map(value).collect::<Option<Vec<_>>>() {
        Some(values) => Selected::Sound(Cow::Owned(values.join(b".".as_slice()))),
        None => Selected::None(Unreadable::Missing),
    }
}
