use super::*;

const CERTIFICATE: &str = include_str!("../../../../tests/providers/keys/rsa.crt");

#[test]
fn a_key_set_is_read_without_the_keys_that_prove_nothing() {
    let ed25519 = r#"{"kty":"OKP","kid":"a","use":"sig","alg":"EdDSA","crv":"Ed25519","x":"gjLv6NGT35lBv_92yY0-ud7vxtoAs8ldb6O5TH1xfx4"}"#;
    let others = [
        r#"{"kty":"oct","kid":"secret","k":"AAAA"}"#,
        r#"{"kty":"OKP","kid":"x","crv":"X25519","x":"AAAA"}"#,
        r#"{"kty":"OKP","kid":"enc","use":"enc","crv":"Ed25519","x":"gjLv6NGT35lBv_92yY0-ud7vxtoAs8ldb6O5TH1xfx4"}"#,
        r#"{"kty":"EC","kid":"short","crv":"P-256","x":"AAAA","y":"AAAA"}"#,
        r#"{"kty":"from the future"}"#,
        "7",
    ];
    let set = format!(r#"{{"keys":[{},{ed25519}]}}"#, others.join(","));
    let keys = read(&Document::Jwks, set.as_bytes()).expect("a set");
    assert_eq!(keys.iter().map(|key| key.id.as_deref()).collect::<Vec<_>>(), [Some("a")]);
    assert_eq!(keys.first().and_then(|key| key.algorithm), Some(jsonwebtoken::Algorithm::EdDSA));
    let many = format!(r#"{{"keys":[{}{ed25519}]}}"#, "7,".repeat(MOST_KEYS));
    assert_eq!(read(&Document::Jwks, many.as_bytes()).map(|keys| keys.len()), Ok(1), "unknown ones do not count");
    let none = format!(r#"{{"keys":[{}]}}"#, others.join(","));
    assert_eq!(read(&Document::Jwks, none.as_bytes()), Err(Unusable::NoKeys));
    for text in ["", "[]", "{\"keys\":7}", "<html>"] {
        assert_eq!(read(&Document::Jwks, text.as_bytes()), Err(Unusable::Jwks), "{text}");
    }
}

#[test]
fn one_key_is_the_same_in_every_form() {
    let certificate = read(&Document::Certificate, CERTIFICATE.as_bytes()).expect("a certificate");
    let key = certificate.first().expect("one");
    assert!(key.valid.is_some_and(|(from, until)| from < until && from > Timestamp(1_700_000_000_000)));
    let json = serde_json::json!({ "data": { "key": CERTIFICATE } }).to_string();
    assert_eq!(read(&Document::Key(Some("/data/key".to_owned())), json.as_bytes()), Ok(certificate.clone()));
    // The modulus and exponent of the same key, as its JWK has them.
    let jwk = r#"{"kty":"RSA","n":"nqSRlPWaZxVEn_f_-a5h6myAcZaxQym7jPDu4-jiMpWkAm7YFx7w1xM78C9kMrOoGrTmFaxduKAIE5ohEUw-2sNTXzjyxdr9NwAxdRKhn0UX4qpT7rzAmbmzI8lYrPRp3rLtq19b7lySzzLgoVby1oIhHesWN4LOW9uOjfM-bi7c-eS--psvmuk5x56oD1VFf9sFvBd1zvVYHspQvtfXHHzAUU5ho-gvjFLntp5XeXkLkdK1XgKxJBXiLdwUWFaC3pzMMJzdZ9b1BnuJVuM2c89-Wyz-qdxDZe8p36M0Fmi72jv3S-hObqCGHXDh9P5cSGWh01O7ImjG1gcZOdiI-w","e":"AQAB"}"#;
    let read_jwk = read(&Document::Key(None), jwk.as_bytes()).expect("a JWK");
    assert_eq!(read_jwk.first().map(|key| &key.bytes), Some(&key.bytes));
    assert_eq!(read(&Document::Key(Some("/x".to_owned())), jwk.as_bytes()), Err(Unusable::Pointer));
    assert_eq!(
        read(&Document::Key(None), b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"),
        Err(Unusable::Key)
    );
    for text in ["", "<html>", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert_eq!(read(&Document::Certificate, text.as_bytes()), Err(Unusable::Certificate), "{text}");
    }
}
