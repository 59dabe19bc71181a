use super::*;

/// The public key of RFC 8032, section 7.1, test 1.
const HEX: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

#[test]
fn a_key_is_read_however_the_sender_shows_it() {
    let spki = [hex::decode("302a300506032b6570032100").expect("hex"), hex::decode(HEX).expect("hex")].concat();
    let base64 = signature::Encoding::Base64.encode(&spki);
    let texts = [
        HEX.to_owned(),
        HEX.to_uppercase(),
        format!(" {HEX}\n"),
        hex::encode(&spki),
        base64.clone(),
        signature::Encoding::Base64Url.encode(&spki),
        signature::Encoding::Base64.encode(&hex::decode(HEX).expect("hex")),
        format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n"),
    ];
    for text in texts {
        let key = PublicKey::read(&text, Algorithm::Ed25519).map(|key| hex::encode(key.as_bytes()));
        assert_eq!(key, Ok(HEX.to_owned()), "{text}");
    }
}

#[test]
fn what_is_no_public_key_of_the_algorithm_says_why() {
    let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let p256 = Algorithm::Ecdsa(Curve::P256, crate::algorithm::Form::Asn1);
    let cases = [
        ("", Algorithm::Ed25519, NotAPublicKey::Encoding),
        ("not a key!", Algorithm::Ed25519, NotAPublicKey::Encoding),
        ("-----BEGIN PUBLIC KEY-----", Algorithm::Ed25519, NotAPublicKey::Encoding),
        (private, Algorithm::Ed25519, NotAPublicKey::Private),
        ("AAAA", Algorithm::Ed25519, NotAPublicKey::Kind),
        (HEX, p256, NotAPublicKey::Kind),
        (HEX, Algorithm::Mac(crate::value::Digest::Sha256), NotAPublicKey::Kind),
    ];
    for (text, algorithm, why) in cases {
        assert_eq!(PublicKey::read(text, algorithm), Err(why), "{text}");
    }
}
