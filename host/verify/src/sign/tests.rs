use towpath_config::secrets::Secret;
use towpath_config::verify::{Keys, NamedSecret, PublicKey};

use super::*;
use crate::check;
use crate::tests::{Case, cases, verification};

const ED25519: &str = include_str!("../../../../tests/providers/keys/ed25519.pem");
const P256: &str = include_str!("../../../../tests/providers/keys/p256.pem");
const RSA: &str = include_str!("../../../../tests/providers/keys/rsa.pem");

fn bare(case: &Case, keep: impl Fn(&str) -> bool) -> Webhook {
    let kept = case.headers.iter().filter(|(name, _)| keep(name));
    let headers = kept.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Webhook { headers, body: case.body.as_bytes().to_vec(), ..Webhook::default() }
}

fn signed_by_secret(case: &Case) -> bool {
    !case.secrets.iter().any(|secret| secret.starts_with("whpk_"))
}

#[test]
fn what_is_signed_is_accepted_and_with_another_secret_it_is_not() {
    for case in cases().iter().filter(|case| signed_by_secret(case)) {
        let now = Timestamp(case.arrived * 1000 + 1_700_000_000_000);
        let own = verification(case.scheme.clone(), case.secrets.iter().copied());
        // A header that the test vector of RFC 4231 needs.
        let webhook = bare(case, |name| name == "x-id");
        let signed = sign(&own, &webhook, now, None).unwrap_or_else(|why| panic!("{}: {why}", case.name));
        assert_eq!(check(&own, Evidence::arriving(&signed, now)), Ok(()), "{}", case.name);
        let other = verification(case.scheme.clone(), ["d2hzZWM="]);
        let checked = check(&other, Evidence::arriving(&signed, now));
        assert!(matches!(checked, Err(Unproven::Unverified(Unverified::Mismatch(_)))), "{}: {checked:?}", case.name);
    }
}

#[test]
fn published_examples_are_signed_as_their_senders_did() {
    let mut same = 0;
    for case in cases().iter().filter(|case| signed_by_secret(case) && case.secrets.len() == 1) {
        let own = verification(case.scheme.clone(), case.secrets.iter().copied());
        let webhook = bare(case, |name| name.ends_with("-id"));
        let signed = sign(&own, &webhook, Timestamp(case.arrived * 1000), None).expect(case.name);
        for (name, value) in case.headers {
            let written = String::from_utf8_lossy(signed.header(name).expect(name)).into_owned();
            // Some examples have signatures of other versions, or of two secrets.
            let is_part =
                written.split([',', ' ']).all(|part| value.split([',', ' ']).any(|own| own.eq_ignore_ascii_case(part)));
            assert!(is_part, "{}: {name} is {written}, and must be {value}", case.name);
            same += 1;
        }
    }
    assert!(same > 10, "{same}");
}

#[test]
fn every_element_is_signed_for_itself() {
    let scheme = Scheme::Signature(Signature {
        at: vec!["item:/sign".parse().expect("value")],
        signed: "{item:/id}".parse().expect("template"),
        ..Signature::shopify()
    });
    let mut own = verification(scheme, ["key"]);
    own.ways.iter_mut().for_each(|way| way.every = "/events".parse().ok());
    let body = r#"{"events": [{"id":1 ,"sign":"old"},{"id":2}]}"#;
    let webhook = Webhook { body: body.into(), ..Webhook::default() };
    let signed = sign(&own, &webhook, Timestamp(0), None).expect("signed");
    assert_eq!(check(&own, Evidence::arriving(&signed, Timestamp(0))), Ok(()));
    assert!(signed.body.starts_with(br#"{"events": [{"id":1 ,"sign":""#), "{}", String::from_utf8_lossy(&signed.body));
    let none = Webhook { body: b"{}".into(), ..Webhook::default() };
    let why = sign(&own, &none, Timestamp(0), None).expect_err("nothing to sign");
    assert!(matches!(why, Unsignable::Unverified(Unverified::NoItems(_))), "{why}");
}

fn public(algorithm: Algorithm, pem: &str) -> Verification {
    let other = verification(Scheme::Signature(Signature { algorithm, ..Signature::github() }), []);
    let key = PublicKey::read(pem, algorithm).expect("public key");
    let ways = other.ways.into_iter().map(|way| Way { keys: Keys::Public(vec![key.clone()]), ..way }).collect();
    Verification { ways, at_ingest: true }
}

#[test]
fn a_public_key_needs_the_private_one_of_the_same_pair() {
    use towpath_config::value::Digest;
    use towpath_config::verify::{Curve, Form, Padding};

    let of = |pem: &str| PrivateKey::read(pem).expect("private key");
    let webhook = Webhook { body: b"{}".into(), ..Webhook::default() };
    let by = |own: &Verification, key: Option<&PrivateKey>| sign(own, &webhook, Timestamp(0), key);
    for (algorithm, public_pem, private_pem) in [
        (Algorithm::Ed25519, "ed25519", ED25519),
        (Algorithm::Ecdsa(Curve::P256, Form::Asn1), "p256", P256),
        (Algorithm::Ecdsa(Curve::P256, Form::Fixed), "p256", P256),
        (Algorithm::Rsa(Padding::Pkcs1, Digest::Sha256), "rsa", RSA),
        (Algorithm::Rsa(Padding::Pss, Digest::Sha512), "rsa", RSA),
    ] {
        let own = public(algorithm, &public_key(public_pem));
        let signed = by(&own, Some(&of(private_pem))).unwrap_or_else(|why| panic!("{algorithm:?}: {why}"));
        assert_eq!(check(&own, Evidence::arriving(&signed, Timestamp(0))), Ok(()), "{algorithm:?}");
        assert_eq!(by(&own, None), Err(Unsignable::NoPrivateKey));
        let other = if private_pem == RSA { ED25519 } else { RSA };
        assert_eq!(by(&own, Some(&of(other))), Err(Unsignable::OtherAlgorithm));
    }
    // With this hash ring verifies only.
    let sha1 = public(Algorithm::Rsa(Padding::Pkcs1, Digest::Sha1), &public_key("rsa"));
    assert_eq!(by(&sha1, Some(&of(RSA))), Err(Unsignable::OtherAlgorithm));
    let stranger = public(Algorithm::Ed25519, &"0a".repeat(32));
    assert_eq!(by(&stranger, Some(&of(ED25519))), Err(Unsignable::OtherKey));
    assert!(PrivateKey::read(&public_key("rsa")).is_err());
    assert!(!format!("{:?}", of(ED25519)).contains("MC4C"));
}

/// The public key of a pair, in hex of its raw form.
fn public_key(name: &str) -> String {
    use ring::signature::KeyPair as _;

    let der = |pem: &str| towpath_config::pem::private_key(pem).expect("PEM");
    hex::encode(match name {
        "ed25519" => {
            let pair = ring::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der(ED25519)).expect("key");
            pair.public_key().as_ref().to_vec()
        }
        "p256" => {
            let kind = &ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
            let random = ring::rand::SystemRandom::new();
            let pair = ring::signature::EcdsaKeyPair::from_pkcs8(kind, &der(P256), &random).expect("key");
            pair.public_key().as_ref().to_vec()
        }
        _ => ring::rsa::KeyPair::from_pkcs8(&der(RSA)).expect("key").public().as_ref().to_vec(),
    })
}

#[test]
fn a_way_without_secrets_signs_nothing() {
    let own = verification(Scheme::Signature(Signature::github()), []);
    assert_eq!(sign(&own, &Webhook::default(), Timestamp(0), None), Err(Unsignable::NoSecret));
    let empty = Verification { ways: Vec::new(), at_ingest: true };
    assert_eq!(sign(&empty, &Webhook::default(), Timestamp(0), None), Err(Unsignable::NoSecret));
}

#[test]
fn the_way_that_is_meant_for_the_webhook_signs_it() {
    let way = |header: &str, present: &str| {
        let scheme = Scheme::Signature(Signature { at: vec![Value::header(header)], ..Signature::github() });
        let mut way = verification(scheme, ["key"]).ways.remove(0);
        way.when.present = vec![present.parse().expect("value")];
        way
    };
    let own = Verification { ways: vec![way("x-one", "query:a"), way("x-two", "query:b")], at_ingest: true };
    let webhook = Webhook { query: "b=1".to_owned(), ..Webhook::default() };
    let signed = sign(&own, &webhook, Timestamp(0), None).expect("signed");
    assert!(signed.header("x-two").is_some() && signed.header("x-one").is_none());
    let neither = sign(&own, &Webhook::default(), Timestamp(0), None);
    assert_eq!(neither, Err(Unsignable::Unverified(Unverified::NoWay)));
}

#[test]
fn a_malformed_secret_is_reported_and_not_told() {
    let named = NamedSecret { name: "a".to_owned(), value: Secret::new("whsec_!") };
    let scheme =
        Scheme::StandardWebhooks(towpath_config::verify::StandardWebhooks { tolerance: std::time::Duration::ZERO });
    let own = Verification { ways: vec![Way::of(scheme, Keys::Secrets(vec![named]))], at_ingest: true };
    let why = sign(&own, &Webhook::default(), Timestamp(0), None).expect_err("malformed").to_string();
    assert!(why.contains("base64 after whsec_") && !why.contains("whsec_!"), "{why}");
}
