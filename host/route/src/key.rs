//! How keys are written in ids.

use sha2::{Digest, Sha256};
use towpath_config::route::HASH_LENGTH;
use towpath_types::queue::is_id;

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
