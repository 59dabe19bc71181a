//! HMAC, RFC 2104.

use hmac::{KeyInit, Mac};
use towpath_config::value::Digest;

/// The HMAC of the concatenated pieces.
pub fn mac(digest: Digest, key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    match digest {
        Digest::Md5 => of::<hmac::Hmac<md5::Md5>>(key, pieces),
        Digest::Sha1 => of::<hmac::Hmac<sha1::Sha1>>(key, pieces),
        Digest::Sha256 => of::<hmac::Hmac<sha2::Sha256>>(key, pieces),
        Digest::Sha384 => of::<hmac::Hmac<sha2::Sha384>>(key, pieces),
        Digest::Sha512 => of::<hmac::Hmac<sha2::Sha512>>(key, pieces),
    }
}

#[expect(clippy::expect_used, reason = "a fallback would verify less than it says")]
fn of<M: Mac + KeyInit>(key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of every length");
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors_hold() {
        // RFC 2202 and RFC 4231, test case 2 of each.
        let cases = [
            (Digest::Md5, "750c783e6ab0b503eaa86e310a5db738"),
            (Digest::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Digest::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                Digest::Sha384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Digest::Sha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ];
        for (digest, expected) in cases {
            let mac = super::mac(digest, b"Jefe", &[b"what do ya want ", b"for nothing?"]);
            assert_eq!(hex::encode(mac), expected, "{digest:?}");
        }
    }
}
