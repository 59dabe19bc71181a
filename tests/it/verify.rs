//! Verification of routes: in the pipeline after storing, and at the front door.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use tower::ServiceExt as _;
use towpath_config::value::Digest;
use towpath_engine::pipeline::Settlement;
use towpath_intake::{Ingest, router};
use towpath_runtime::lease::Lease;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{KEY, Rig, TOKEN, one_route};
use towpath_tests::target::Target;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::dead_letter::{DeadLetter, Stored};
use towpath_types::queue::{Attribute, NewMessage, Queue as _};

/// A config whose one route verifies so.
fn verified(url: &str, verify: &str) -> String {
    one_route(url).replace("plugin = \"guest\"", &format!("plugin = \"guest\"\nverify = {{ {verify} }}"))
}

fn github(body: &str) -> String {
    format!("sha256={}", hex(&towpath_verify::mac(Digest::Sha256, KEY.as_bytes(), &[body.as_bytes()])))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn what_is_not_verified_is_a_dead_letter_that_can_be_sent_back_once_the_secret_is_right() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let wrong = rig.pipeline(&verified(&target.url, "scheme = \"github\", secret = \"token\""));
    rig.send_webhook("g/1", &[("x-hub-signature-256", &github("{}"))], b"{}").await;
    assert_eq!(rig.run(&wrong).await, [Settlement::Buried]);
    assert!(target.calls().is_empty());
    let letter = rig.letters().await.remove(0);
    assert_eq!(letter.reason, "unverified");
    assert!(letter.detail.contains("does not match: check that the secret is the right one"), "{}", letter.detail);

    let stored = rig.dead_letters.browse(None, 1).await.unwrap().remove(0);
    let id = &stored.id;
    let group = &stored.group;
    let back = letter.send_back(&Stored { id, group, body: &stored.body, attributes: &stored.attributes });
    rig.events.send(back).await.unwrap();
    let right = rig.pipeline(&verified(&target.url, "scheme = \"github\", secret = [\"token\", \"key\"]"));
    assert_eq!(rig.run(&right).await, [Settlement::Ack]);
    assert_eq!(target.bodies(), ["{}"]);
}

#[tokio::test]
async fn a_signature_does_not_grow_old_in_the_queue() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&verified(&target.url, "scheme = \"slack\", secret = \"key\", tolerance = \"1s\""));
    let at = Clock::wall().now().0 / 1000;
    let send = async |group: &str, at: u64| {
        let signed = towpath_verify::mac(Digest::Sha256, KEY.as_bytes(), &[format!("v0:{at}:{{}}").as_bytes()]);
        let at = at.to_string();
        let signature = format!("v0={}", hex(&signed));
        rig.send_webhook(group, &[("x-slack-request-timestamp", &at), ("x-slack-signature", &signature)], b"{}").await;
    };
    send("g/fresh", at - 3600).await;
    send("g/old", at - 3600).await;
    for mut message in rig.receive().await {
        // An hour ago it was signed, and stored.
        if message.group.as_str() == "g/fresh" {
            message.sent_at = Timestamp((at - 3600) * 1000);
        }
        pipeline.group(Lease::of(Duration::from_secs(60))).next(&message).await;
    }
    assert_eq!(target.calls().len(), 1);
    let letter = rig.letters().await.remove(0);
    assert!(letter.detail.starts_with("signed 36"), "{}", letter.detail);
}

#[tokio::test]
async fn no_plugin_and_no_target_sees_a_token_that_a_sender_sent_along() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    // The length of the list of headers, which has nothing else in it: it traps if there is one.
    let looks = "(if (i32.load offset=68 (local.get 0)) (then (unreachable)))";
    rig.write("guest", Guest::forward().with_code(looks));
    let pipeline =
        rig.pipeline(&verified(&target.url, "scheme = \"header\", name = \"X-Gitlab-Token\", secret = \"token\""));
    rig.send_webhook("g/1", &[("x-gitlab-token", TOKEN)], b"{}").await;
    rig.send_webhook("g/2", &[("x-gitlab-token", "wrong")], b"{}").await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack, Settlement::Buried]);
    assert_eq!(target.calls().len(), 1);
    assert_eq!(rig.letters().await[0].reason, "unverified");
}

#[tokio::test]
async fn an_attribute_that_only_operators_may_set_comes_from_no_header() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let text = verified(&target.url, "scheme = \"github\", secret = \"key\", at = \"pipeline\"");
    let pipeline = rig.pipeline(&text);
    let ingest = Ingest::new(rig.config(&text).routes, Arc::new(rig.events.clone()), 1024);
    let origin = r#"{"id":"x","sent_at":1,"notes":[{"at":1,"by":"me","text":"let me in"}]}"#;
    let request = Request::post("/hooks/g").header("towpath-origin", origin).header("Towpath-Origin", origin);
    let answer = router(Arc::new(ingest), "/hooks").oneshot(request.body(Body::from("{}")).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    rig.run(&pipeline).await;
    assert_eq!((target.calls().len(), rig.letters().await[0].reason.as_str()), (0, "unverified"));

    // Who may send to the queue itself can set it, and needs a note key all the same.
    let attributes = [("towpath-origin".to_owned(), Attribute::text(origin))].into();
    let message = NewMessage { group: "g/2".into(), dedup_id: Some("d".into()), body: "{}".into(), attributes };
    rig.events.send(message).await.unwrap();
    rig.run(&pipeline).await;
    assert_eq!((target.calls().len(), rig.letters().await[1].reason.as_str()), (0, "unverified"));
}

/// A front door whose one route is verified there, and what it keeps.
async fn front_door(rig: &Rig, verify: &str) -> (Arc<Ingest>, axum::Router) {
    let config = rig.config(&verified("http://127.0.0.1:9", verify));
    let ingest = Ingest::new(config.routes, Arc::new(rig.events.clone()), 64 * 1024);
    let ingest = Arc::new(ingest.keeping_refused(Arc::new(rig.refused.clone())));
    (Arc::clone(&ingest), router(ingest, "/hooks"))
}

async fn post(router: &axum::Router, signature: Option<&str>, body: &str) -> (StatusCode, String, String) {
    let mut request = Request::post("/hooks/g");
    if let Some(signature) = signature {
        request = request.header("x-hub-signature-256", signature);
    }
    let response = router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let challenge = response.headers().get("www-authenticate").map_or("", |value| value.to_str().unwrap()).to_owned();
    let status = response.status();
    let text = String::from_utf8(to_bytes(response.into_body(), 4096).await.unwrap().to_vec()).unwrap();
    (status, challenge, text)
}

#[tokio::test]
async fn the_front_door_refuses_what_is_not_verified_counts_it_and_keeps_it_with_its_reason() {
    let rig = Rig::new().await;
    let (ingest, router) = front_door(&rig, "scheme = \"github\", secret = \"key\"").await;
    let (status, challenge, text) = post(&router, Some("sha256=00"), "{\"k\":1}").await;
    assert_eq!((status, challenge.as_str()), (StatusCode::UNAUTHORIZED, "Signature"), "{text}");
    assert!(text.contains("x-hub-signature-256") && !text.contains(KEY), "{text}");
    assert_eq!(post(&router, None, "{\"k\":1}").await.0, StatusCode::UNAUTHORIZED);
    let right = github("{\"k\":1}");
    assert_eq!(post(&router, Some(&right), "{\"k\":1}").await.0, StatusCode::ACCEPTED);
    assert_eq!((ingest.accepted(), ingest.refused()), (1, 2));
    assert_eq!(
        rig.events.browse(None, 10).await.unwrap().len(),
        1,
        "what was refused is in no queue that is worked on"
    );

    let kept = rig.refused.browse(None, 10).await.unwrap();
    let letters: Vec<DeadLetter> = kept.iter().map(|kept| DeadLetter::read(&kept.attributes).unwrap()).collect();
    assert_eq!(letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["unverified"; 2]);
    assert!(letters[1].detail.contains("is missing"), "{}", letters[1].detail);
    assert_eq!((letters[0].route.as_deref(), kept[0].group.as_str()), (Some("g"), "g/1"));
}

#[tokio::test]
async fn what_was_refused_can_be_sent_on_and_is_verified_again() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let (_, router) = front_door(&rig, "scheme = \"github\", secret = \"token\"").await;
    assert_eq!(post(&router, Some(&github("{}")), "{}").await.0, StatusCode::UNAUTHORIZED);
    let kept = rig.refused.browse(None, 1).await.unwrap().remove(0);
    let letter = DeadLetter::read(&kept.attributes).unwrap();
    let stored = Stored { id: &kept.id, group: &kept.group, body: &kept.body, attributes: &kept.attributes };
    for (secret, delivered) in [("token", 0), ("key", 1)] {
        let mut back = letter.send_back(&stored);
        back.dedup_id = Some(secret.into());
        rig.events.send(back).await.unwrap();
        let verify = format!("scheme = \"github\", secret = \"{secret}\"");
        rig.run(&rig.pipeline(&verified(&target.url, &verify))).await;
        assert_eq!(target.calls().len(), delivered, "with the secret {secret:?}");
    }
}

#[tokio::test]
async fn a_route_that_is_verified_in_the_pipeline_stores_whatever_comes() {
    let rig = Rig::new().await;
    let (ingest, router) = front_door(&rig, "scheme = \"github\", secret = \"key\", at = \"pipeline\"").await;
    assert_eq!(post(&router, Some("sha256=00"), "{}").await.0, StatusCode::ACCEPTED);
    assert_eq!((ingest.refused(), rig.refused.browse(None, 1).await.unwrap().len()), (0, 0));
}
