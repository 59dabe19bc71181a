//! The MD5 checksums that clients verify. Source: "Calculating the MD5 message digest for message attributes" in the
//! developer guide of SQS.

use md5::{Digest as _, Md5};
use towpath_types::queue::{AttributeValue, Attributes};

pub fn of_body(body: &str) -> String {
    hex::encode(Md5::digest(body.as_bytes()))
}

/// The checksum of attributes; `None` without any. It covers them sorted by name, each part preceded by its length in four
/// bytes.
pub fn of_attributes(attributes: &Attributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    for (name, attribute) in attributes {
        let (kind, value) = match &attribute.value {
            AttributeValue::Text(text) => (1_u8, text.as_bytes()),
            AttributeValue::Binary(bytes) => (2, bytes.as_slice()),
        };
        add(&mut digest, name.as_bytes());
        add(&mut digest, attribute.data_type.as_bytes());
        digest.update([kind]);
        add(&mut digest, value);
    }
    Some(hex::encode(digest.finalize()))
}

fn add(digest: &mut Md5, bytes: &[u8]) {
    digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    digest.update(bytes);
}
