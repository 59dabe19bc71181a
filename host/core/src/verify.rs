//! Does a message come from whom it says it comes from? Checked before any plugin sees it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::time::{Instant, timeout_at};

use crate::config::Secret;
use crate::message::Message;

/// How the messages of a route are verified.
#[derive(Clone, Debug)]
pub enum Verify {
    /// A header holds the HMAC-SHA-256 (RFC 2104) of the raw body, in hex, behind a fixed prefix.
    HmacSha256 {
        /// The header's name in lower case.
        header: String,
        /// What stands before the hex digits, such as `sha256=`; may be empty.
        prefix: String,
        /// The key.
        secret: Secret,
    },
}

/// Why a message is not verified.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The header is not there.
    #[error("the signature header {0:?} is missing")]
    Missing(String),
    /// The header is there but is no signature.
    #[error("the signature header {0:?} holds no hex digest behind its prefix")]
    Malformed(String),
    /// The signature is another one.
    #[error("the signature in header {0:?} does not match the body: is the secret the right one?")]
    Mismatch(String),
}

impl Verify {
    /// Checks a message; the comparison takes the same time wherever it differs.
    pub fn check(&self, message: &Message) -> Result<(), Unverified> {
        let Verify::HmacSha256 { header, prefix, secret } = self;
        Self::check_with(message, header, prefix, &secret.expose())
    }

    /// As [`Verify::check`], and a secret that was rotated meanwhile is asked for anew, until `deadline`.
    pub async fn check_anew(&self, message: &Message, deadline: Instant) -> Result<(), Unverified> {
        let Verify::HmacSha256 { header, prefix, secret } = self;
        let seen = secret.expose();
        match Self::check_with(message, header, prefix, &seen) {
            Err(Unverified::Mismatch(_)) if renewed(secret, &seen, deadline).await => self.check(message),
            result => result,
        }
    }

    fn check_with(message: &Message, header: &str, prefix: &str, secret: &str) -> Result<(), Unverified> {
        let value = message.header(header).ok_or_else(|| Unverified::Missing(header.to_owned()))?;
        let digest = value
            .strip_prefix(prefix.as_bytes())
            .and_then(|digits| hex::decode(digits).ok())
            .ok_or_else(|| Unverified::Malformed(header.to_owned()))?;
        // HMAC takes keys of every length.
        let mismatch = || Unverified::Mismatch(header.to_owned());
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| mismatch())?;
        mac.chain_update(&message.body).verify_slice(&digest).map_err(|_| mismatch())
    }
}

async fn renewed(secret: &Secret, seen: &str, deadline: Instant) -> bool {
    timeout_at(deadline, secret.is_renewed(seen)).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    /// Key, text and digest of RFC 4231, test case 2.
    const DIGEST: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn message(signature: Option<&str>) -> Message {
        Message {
            id: "m".into(),
            group: "g".into(),
            dedup_id: None,
            sequence: None,
            receive_count: 1,
            sent_at: Timestamp(0),
            source: "q".into(),
            headers: signature.map(|s| ("x-signature".to_owned(), s.as_bytes().to_vec())).into_iter().collect(),
            body: b"what do ya want for nothing?".to_vec(),
        }
    }

    #[test]
    fn only_the_right_signature_passes() {
        let verify =
            Verify::HmacSha256 { header: "x-signature".into(), prefix: "sha256=".into(), secret: Secret::new("Jefe") };
        let header = "x-signature".to_owned();
        let right = format!("sha256={DIGEST}");
        let other = format!("sha256={}", DIGEST.replace('5', "6"));
        let cases = [
            (Some(right.as_str()), Ok(())),
            (None, Err(Unverified::Missing(header.clone()))),
            (Some(DIGEST), Err(Unverified::Malformed(header.clone()))),
            (Some("sha256=xyz"), Err(Unverified::Malformed(header.clone()))),
            (Some("sha256="), Err(Unverified::Mismatch(header.clone()))),
            (Some(other.as_str()), Err(Unverified::Mismatch(header))),
        ];
        for (signature, expected) in cases {
            assert_eq!(verify.check(&message(signature)), expected, "{signature:?}");
        }
    }
}
