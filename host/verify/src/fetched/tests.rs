use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use towpath_config::condition::Condition;
use towpath_config::hosts::Hosts;
use towpath_config::value::Value;
use towpath_config::verify::{Algorithm, Jwt, Keys, Scheme, Signature, Time, Unit, Verification, Way, Written};
use towpath_types::envelope::Webhook;

use super::*;
use crate::check_anew;
use crate::sign::{PrivateKey, sign};

/// The key of RFC 8032, section 7.1, test 2, and its signature of the byte `r`.
const KEY: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

/// A source that counts what it is asked for.
struct Source {
    keys: Result<Vec<Key>, &'static str>,
    asked: AtomicUsize,
}

impl Source {
    fn of(keys: Result<Vec<Key>, &'static str>) -> Source {
        Source { keys, asked: AtomicUsize::new(0) }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl KeySource for Source {
    async fn keys(&self, wanted: &Wanted) -> Result<Arc<[Key]>, Unavailable> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.keys.clone().map(Into::into).map_err(|why| wanted.unavailable(why, Duration::from_secs(7)))
    }
}

fn key(id: Option<&str>, valid: Option<(u64, u64)>) -> Key {
    let valid = valid.map(|(from, until)| (Timestamp(from), Timestamp(until)));
    Key { id: id.map(str::to_owned), algorithm: None, bytes: hex::decode(KEY).expect("hex"), valid }
}

fn verification(from: Place, key_id: Option<&str>) -> Verification {
    let hosts = Hosts::new(vec!["keys.*.example.com".parse().expect("host")], false);
    let key_id = key_id.map(|text| text.parse().expect("value"));
    let keys = Keys::Fetched(Box::new(Fetched { from, hosts, bearer: None, key_id }));
    let scheme = Scheme::Signature(Signature {
        at: vec![Value::header("x-signature")],
        written: Written::Plain { prefix: String::new(), separators: Vec::new() },
        algorithm: Algorithm::Ed25519,
        time: Some(Time { at: Value::header("x-time"), unit: Unit::Seconds }),
        ..Signature::github()
    });
    let equal = vec![(Value::header("x-account"), "mine".parse().expect("template"))];
    let when = Condition { present: vec![Value::header("x-when")], ..Condition::default() };
    Verification { ways: vec![Way { equal, when, ..Way::of(scheme, keys) }], at_ingest: true }
}

fn jwks() -> Place {
    Place::Jwks("https://keys.eu.example.com/jwks.json".parse().expect("URL"))
}

fn webhook(changed: &[(&str, &str)]) -> Webhook {
    let mut headers = vec![
        ("x-when", "now"),
        ("x-account", "mine"),
        ("x-time", "1000"),
        ("x-signature", SIGNATURE),
        ("x-key", "one"),
        ("x-url", "https://keys.eu.example.com/one.pem"),
    ];
    for (name, value) in changed {
        headers.retain(|(own, _)| own != name);
        headers.push((name, value));
    }
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    Webhook { headers, body: b"r".to_vec(), ..Webhook::default() }
}

async fn checked(verification: &Verification, source: &Source, changed: &[(&str, &str)]) -> Result<(), Unproven> {
    let webhook = webhook(changed);
    let evidence = Evidence::arriving(&webhook, Timestamp(1_000_000));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(3);
    check_anew(verification, evidence, source, deadline).await.map(drop)
}

#[tokio::test]
async fn nothing_is_fetched_for_a_webhook_that_no_key_could_prove() {
    let verification = verification(jwks(), Some("header:x-key"));
    let cases = [
        ("x-when", ""),
        ("x-account", "yours"),
        ("x-time", "1"),
        ("x-time", "soon"),
        ("x-signature", "no hex"),
        ("x-signature", ""),
    ];
    for changed in cases {
        let source = Source::of(Ok(vec![key(None, None)]));
        let result = checked(&verification, &source, &[changed]).await;
        assert!(matches!(result, Err(Unproven::Unverified(_))), "{changed:?}: {result:?}");
        assert_eq!(source.asked(), 0, "{changed:?}");
    }
    let source = Source::of(Ok(vec![key(None, None)]));
    assert_eq!(checked(&verification, &source, &[]).await, Ok(()));
    assert_eq!(source.asked(), 1);
}

#[tokio::test]
async fn keys_that_cannot_be_had_are_no_refusal() {
    let verification = verification(jwks(), None);
    let source = Source::of(Err("it is down"));
    let Err(Unproven::Unavailable(why)) = checked(&verification, &source, &[]).await else { panic!("a verdict") };
    assert_eq!((why.from.as_str(), why.why.as_str(), why.after.as_secs()), ("keys.eu.example.com", "it is down", 7));
    assert_eq!(source.asked(), 1, "it is asked once for each webhook");
    // Without a source, too.
    assert!(matches!(
        crate::check(&verification, Evidence::arriving(&webhook(&[]), Timestamp(1_000_000))),
        Err(Unproven::Unavailable(_))
    ));
}

#[tokio::test]
async fn only_the_named_key_is_taken_while_it_is_valid() {
    let verification = verification(jwks(), Some("header:x-key"));
    let unverified = |why| Err(Unproven::Unverified(why));
    let cases = [
        (vec![key(Some("one"), None)], Ok(())),
        (vec![key(Some("two"), None)], unverified(Unverified::UnknownKey)),
        (vec![], unverified(Unverified::UnknownKey)),
        (vec![key(None, Some((999_999, 1_000_001)))], Ok(())),
        (vec![key(None, Some((0, 999_999)))], unverified(Unverified::ExpiredKey)),
        (vec![key(None, Some((1_000_001, 2_000_000)))], unverified(Unverified::ExpiredKey)),
        (
            vec![Key { bytes: vec![0; 32], ..key(None, None) }],
            unverified(Unverified::Mismatch(What::header("x-signature"))),
        ),
        (
            vec![Key { bytes: vec![0; 3], ..key(None, None) }],
            unverified(Unverified::Mismatch(What::header("x-signature"))),
        ),
    ];
    for (keys, expected) in cases {
        let source = Source::of(Ok(keys.clone()));
        assert_eq!(checked(&verification, &source, &[]).await, expected, "{keys:?}");
        assert_eq!(source.asked(), 1);
    }
}

#[tokio::test]
async fn a_webhook_never_leads_to_another_host() {
    let certificate = verification(Place::Certificate(Value::header("x-url")), None);
    let key_at = |text: &str| verification(Place::Key { url: text.parse().expect("template"), pointer: None }, None);
    let by_id = key_at("https://keys.eu.example.com/keys/{header:x-url}");
    let by_path = key_at("https://keys.eu.example.com{header:x-url}");
    let cases = [
        (&certificate, "https://keys.eu.example.com/one.pem", true),
        (&certificate, "https://keys.eu.example.com.attacker.example/one.pem", false),
        (&certificate, "http://keys.eu.example.com/one.pem", false),
        (&certificate, "https://127.0.0.1/one.pem", false),
        (&certificate, "https://keys.eu.example.com/one.pem?a=1", false),
        (&certificate, "https://keys.eu.example.com/one.pem?", false),
        (&certificate, "https://keys.eu.example.com/one.pem#a", false),
        (&by_id, "one", true),
        (&by_id, "../admin", false),
        (&by_id, "..", false),
        (&by_id, "a/b", false),
        (&by_id, "a?b", false),
        (&by_id, "a%2fb", false),
        (&by_id, "", false),
        (&by_path, "/prod/one.pem", true),
        (&by_path, "/prod/../one.pem", false),
        (&by_path, "@attacker.example/one.pem", false),
        (&by_path, ".attacker.example/one.pem", false),
        (&by_path, ":8443/one.pem", false),
        (&by_path, "//attacker.example", false),
    ];
    for (verification, url, is_asked) in cases {
        let source = Source::of(Ok(vec![key(None, None)]));
        let result = checked(verification, &source, &[("x-url", url)]).await;
        assert_eq!((result.is_ok(), source.asked() == 1), (is_asked, is_asked), "{url}: {result:?}");
        assert!(!matches!(result, Err(Unproven::Unavailable(_))), "{url}");
    }
}

/// The public key of `tests/providers/keys/ed25519.pem`.
const PUBLIC: &str = "8232efe8d193df9941bfff76c98d3eb9deefc6da00b3c95d6fa3b94c7d717f1e";

#[tokio::test]
async fn keys_of_other_kinds_do_not_hide_the_one_that_signed() {
    let other = Key { bytes: [vec![4], vec![7; 64]].concat(), ..key(None, None) };
    let behind = |right: &str| {
        let right = Key { bytes: hex::decode(right).expect("hex"), ..key(None, None) };
        Source::of(Ok(std::iter::repeat_n(other.clone(), 20).chain([right]).collect()))
    };
    let signature = verification(jwks(), None);
    assert_eq!(checked(&signature, &behind(KEY), &[]).await, Ok(()));

    let scheme = Scheme::Jwt(Jwt {
        at: Value::header("x-token"),
        prefix: String::new(),
        algorithms: vec![jsonwebtoken::Algorithm::EdDSA],
        key: "{secret}".parse().expect("template"),
        claims: Vec::new(),
        max_age: None,
        detached: None,
    });
    let Some(Way { keys, .. }) = signature.ways.into_iter().next() else { panic!("no way") };
    let token = Verification { ways: vec![Way::of(scheme, keys)], at_ingest: true };
    let private = PrivateKey::read(include_str!("../../../../tests/providers/keys/ed25519.pem")).expect("private key");
    let now = Timestamp(1_000_000);
    let signed = sign(&token, &webhook(&[]), now, Some(&private)).expect("signed");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(3);
    let result = check_anew(&token, Evidence::arriving(&signed, now), &behind(PUBLIC), deadline).await;
    assert!(result.is_ok(), "{result:?}");
}
