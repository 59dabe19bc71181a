//! Keys that are fetched, and handshakes that a call confirms, through the real door and the real client.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tower::ServiceExt as _;
use towpath_engine::pipeline::Settlement;
use towpath_intake::{Ingest, router};
use towpath_keys::Remote;
use towpath_tests::guest::Guest;
use towpath_tests::rig::Rig;
use towpath_tests::target::{Answer, Target};
use towpath_types::envelope::Webhook;
use towpath_types::queue::{NewMessage, Queue as _};

/// RFC 8032, section 7.1, test 2: a key, and its signature of the byte `r`.
const KEY: [u8; 32] = [
    0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc, 0x9c, 0x98, 0x2c,
    0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c,
];
const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

fn set() -> Answer {
    let x = URL_SAFE_NO_PAD.encode(KEY);
    Answer::Status(200, format!(r#"{{"keys":[{{"kty":"OKP","kid":"one","crv":"Ed25519","x":"{x}"}}]}}"#))
}

/// A route whose keys come from there.
fn with(keys: &str, more: &str) -> String {
    format!(
        "[[route]]\npath = \"g\"\ngroup = \"g/all\"\nplugin = \"guest\"\n{more}\n\
         [route.verify]\nscheme = \"signature\"\nsignature = \"header:x-signature\"\nencoding = \"hex\"\n\
         algorithm = \"ed25519\"\n{keys}\n[plugin.guest]\npath = \"guest.wasm\"\n\
         [target.sss]\nurl = \"http://127.0.0.1:9\"\nallow_private = true\n"
    )
}

fn jwks(target: &Target) -> String {
    format!("jwks = {{ url = \"{}/jwks.json\", allow_private = true }}\nkey_id = \"header:x-key\"", target.url)
}

fn host(target: &Target) -> &str {
    target.url.strip_prefix("http://").unwrap()
}

struct Door {
    rig: Rig,
    router: axum::Router,
}

impl Door {
    async fn of(config: &str) -> Door {
        let rig = Rig::new().await;
        let ingest = Ingest::new(rig.config(config).routes, Arc::new(rig.events.clone()), 64 * 1024);
        let ingest = ingest.keeping_refused(Arc::new(rig.refused.clone()));
        Door { router: router(Arc::new(ingest), "/hooks"), rig }
    }

    /// The status, and whether it says when to retry.
    async fn post(&self, changed: &[(&str, &str)]) -> (u16, bool) {
        let mut request = Request::post("/hooks/g");
        for (name, value) in [("x-signature", SIGNATURE), ("x-key", "one")].iter().chain(changed) {
            request.headers_mut().unwrap().insert(
                axum::http::HeaderName::try_from(*name).unwrap(),
                axum::http::HeaderValue::from_str(value).unwrap(),
            );
        }
        let answer = self.router.clone().oneshot(request.body(Body::from("r")).unwrap()).await.unwrap();
        let said = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
        to_bytes(answer.into_body(), 65536).await.unwrap();
        said
    }

    /// How many are stored, and how many are kept as refused.
    async fn kept(&self) -> (usize, usize) {
        let events = self.rig.events.browse(None, 100).await.unwrap().len();
        (events, self.rig.refused.browse(None, 100).await.unwrap().len())
    }
}

/// Lets time pass at once.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_and_then_only_after_a_while() {
    let target = Target::answering(|_| set()).await;
    let door = Door::of(&with(&jwks(&target), "")).await;
    assert_eq!(door.post(&[("x-key", "forged")]).await, (401, false));
    assert_eq!(target.calls().len(), 1);
    // It may be new since then, so that it is neither accepted nor refused.
    assert_eq!(door.post(&[("x-key", "forged")]).await, (503, true));
    assert_eq!(door.post(&[]).await, (202, false));
    assert_eq!(door.post(&[("x-signature", &"00".repeat(64))]).await, (401, false));
    assert_eq!(target.calls().len(), 1);
    pass(Duration::from_secs(61)).await;
    assert_eq!(door.post(&[("x-key", "forged")]).await, (401, false));
    assert_eq!(target.calls().len(), 2);
    assert_eq!(door.kept().await.0, 1);
}

#[tokio::test]
async fn while_keys_cannot_be_had_the_sender_is_asked_to_retry_and_nothing_is_kept() {
    let answers = [
        Answer::Status(500, String::new()),
        Answer::Status(404, String::new()),
        Answer::Status(200, "<html>".to_owned()),
        Answer::Header(302, "location", "/elsewhere".to_owned()),
        Answer::Status(200, "x".repeat(300 * 1024)),
        Answer::Endless,
    ];
    for answer in answers {
        let scripted = answer.clone();
        let target = Target::answering(move |_| scripted.clone()).await;
        let door = Door::of(&with(&jwks(&target), "")).await;
        assert_eq!(door.post(&[]).await, (503, true), "{answer:?}");
        assert_eq!(door.post(&[]).await, (503, true), "{answer:?}");
        let asked: Vec<String> = target.calls().into_iter().map(|call| call.path).collect();
        assert_eq!(asked, ["/jwks.json"], "{answer:?}: once, and no redirect is followed");
        assert_eq!(door.kept().await, (0, 0), "{answer:?}");
        target.answer(|_| set());
        pass(Duration::from_secs(11)).await;
        assert_eq!(door.post(&[]).await, (202, false), "{answer:?}");
        assert_eq!(door.kept().await, (1, 0), "{answer:?}");
    }
}

#[tokio::test]
async fn while_a_source_hangs_webhooks_are_verified_with_its_last_good_keys() {
    let target = Target::answering(|_| set()).await;
    let door = Door::of(&with(&jwks(&target), "")).await;
    assert_eq!(door.post(&[]).await, (202, false));
    target.answer(|_| Answer::Hang);
    pass(Duration::from_secs(3601)).await;
    for _ in 0..3 {
        assert_eq!(door.post(&[]).await, (202, false));
    }
    assert_eq!(door.post(&[("x-signature", &"00".repeat(64))]).await, (401, false));
    assert_eq!(door.post(&[("x-key", "forged")]).await, (503, true), "it may be new");
    // A day later they are too old.
    pass(Duration::from_secs(25 * 3600)).await;
    assert_eq!(door.post(&[]).await, (503, true));
}

#[tokio::test]
async fn a_certificate_elsewhere_is_refused_without_any_request() {
    let target = Target::fine().await;
    let keys =
        format!("certificate = {{ from = \"header:x-url\", hosts = [\"{}\"], allow_private = true }}", host(&target));
    let door = Door::of(&with(&keys, "")).await;
    let other = Target::fine().await;
    for url in [format!("{}/a.pem", other.url), format!("http://{}@{}/a.pem", host(&target), host(&other))] {
        assert_eq!(door.post(&[("x-url", &url)]).await, (401, false), "{url}");
    }
    assert_eq!((target.calls().len(), other.calls().len()), (0, 0));
    // At the right host there is no certificate.
    target.answer(|_| Answer::Status(404, String::new()));
    assert_eq!(door.post(&[("x-url", &format!("{}/a.pem", target.url))]).await, (401, false));
    assert_eq!(target.calls().len(), 1);
}

#[tokio::test]
async fn a_handshake_is_confirmed_by_a_call_to_a_listed_host_alone() {
    let target =
        Target::answering(|call| if call.path == "/jwks.json" { set() } else { Answer::Status(200, String::new()) })
            .await;
    let answer = format!(
        "[[route.answer]]\nwhen = {{ present = [\"header:x-url\"] }}\nverified = true\n\
         call = {{ url = \"{{header:x-url}}\", hosts = [\"{}\"], allow_private = true }}",
        host(&target)
    );
    let door = Door::of(&with(&jwks(&target), &answer)).await;
    let url = format!("{}/?Action=Confirm&Token=1", target.url);
    assert_eq!(door.post(&[("x-url", &url), ("x-signature", &"00".repeat(64))]).await, (401, false));
    let other = Target::fine().await;
    assert_eq!(door.post(&[("x-url", &other.url)]).await, (400, false));
    let paths = |target: &Target| {
        target.calls().into_iter().map(|call| format!("{} {}", call.method, call.path)).collect::<Vec<_>>()
    };
    assert_eq!((paths(&target), paths(&other)), (vec!["GET /jwks.json".to_owned()], vec![]));
    assert_eq!(door.post(&[("x-url", &url)]).await, (200, false));
    assert_eq!(paths(&target), ["GET /jwks.json", "GET /?Action=Confirm&Token=1"]);
    target.answer(|_| Answer::Status(403, String::new()));
    assert_eq!(door.post(&[("x-url", &url)]).await, (502, false));
    let mut target = target;
    target.stop().await;
    assert_eq!(door.post(&[("x-url", &url)]).await, (503, true));
    assert_eq!(door.kept().await, (0, 0));
}

#[tokio::test]
async fn in_the_queue_a_message_waits_for_its_keys() {
    let target = Target::answering(|_| Answer::Status(500, String::new())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::skip("done"));
    let pipeline = rig.pipeline(&with(&jwks(&target), ""));
    let headers = [("x-signature", SIGNATURE), ("x-key", "one")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let webhook = Webhook { headers: headers.into(), body: b"r".to_vec(), ..Webhook::default() };
    let message = NewMessage {
        group: "g/all".into(),
        dedup_id: Some("d".into()),
        body: webhook.into(),
        attributes: Default::default(),
    };
    rig.events.send(message).await.unwrap();
    let received = rig.receive().await;
    let mut run = pipeline.group(towpath_runtime::lease::Lease::of(Duration::from_secs(30)));
    assert!(matches!(run.next(&received[0]).await, Settlement::Retry(_)));
    assert_eq!(rig.letters().await.len(), 0);
    target.answer(|_| set());
    pass(Duration::from_secs(11)).await;
    let mut run = pipeline.group(towpath_runtime::lease::Lease::of(Duration::from_secs(30)));
    assert_eq!(run.next(&received[0]).await, Settlement::Ack);
}

#[test]
fn remote_prints_nothing_of_its_keys() {
    assert_eq!(format!("{:?}", Remote::default()), "Remote { .. }");
}
