//! What filters make of bytes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use towpath_config::value::{Digest, Filter};

pub(crate) fn apply(filter: Filter, bytes: &[u8]) -> Vec<u8> {
    match filter {
        Filter::Hash(digest) => hash(digest, bytes),
        Filter::Hex => hex::encode(bytes).into_bytes(),
        Filter::Base64 => STANDARD.encode(bytes).into_bytes(),
        Filter::Base64Url => URL_SAFE_NO_PAD.encode(bytes).into_bytes(),
        Filter::Lower => bytes.to_ascii_lowercase(),
        Filter::Upper => bytes.to_ascii_uppercase(),
        Filter::Trim => bytes.trim_ascii().to_vec(),
    }
}

fn hash(digest: Digest, bytes: &[u8]) -> Vec<u8> {
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
