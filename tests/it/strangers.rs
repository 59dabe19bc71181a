//! Somebody who can post, and cannot prove anything: what is real must come through all the same.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;
use towpath_config::value::Digest;
use towpath_engine::pipeline::Settlement;
use towpath_intake::{Ingest, Peer, router};
use towpath_tests::guest::Guest;
use towpath_tests::rig::{KEY, Rig, one_route};
use towpath_tests::target::Target;
use towpath_types::clock::Clock;
use towpath_types::queue::Queue as _;

/// A config whose one route has these keys.
fn with(url: &str, keys: &str) -> String {
    one_route(url).replace("plugin = \"guest\"", &format!("plugin = \"guest\"\n{keys}"))
}

fn front_door(rig: &Rig, config: &str) -> Router {
    let ingest = Ingest::new(rig.config(config).routes, Arc::new(rig.events.clone()), 2 * 1024 * 1024);
    router(Arc::new(ingest.keeping_refused(Arc::new(rig.refused.clone()))), "/hooks")
}

async fn post(router: &Router, headers: &[(&str, &str)], body: &str) -> (StatusCode, Value) {
    let request =
        headers.iter().fold(Request::post("/hooks/g"), |request, (name, value)| request.header(*name, *value));
    let response = router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let status = response.status();
    let text = to_bytes(response.into_body(), 4096).await.unwrap();
    (status, serde_json::from_slice(&text).unwrap_or_default())
}

fn mac(pieces: &[&str]) -> String {
    let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
    towpath_verify::mac(Digest::Sha256, KEY.as_bytes(), &pieces).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn github(body: &str) -> String {
    format!("sha256={}", mac(&[body]))
}

/// The headers of a webhook that Slack signs now, so many seconds off.
fn slack(body: &str, off_s: i64) -> [(&'static str, String); 2] {
    let at = (Clock::wall().now().0 / 1000).saturating_add_signed(off_s).to_string();
    let signature = format!("v0={}", mac(&["v0:", &at, ":", body]));
    [("x-slack-request-timestamp", at), ("x-slack-signature", signature)]
}

fn and<'a>(signed: &'a [(&'static str, String)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    signed.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied()).collect()
}

#[tokio::test]
async fn who_knows_the_key_of_an_event_that_is_to_come_does_not_take_its_place() {
    let body = r#"{"k":1,"id":"e-1"}"#;
    for (dedup, at) in [("json:/id", ""), ("header:x-id", ""), ("json:/id", "pipeline"), ("header:x-id", "pipeline")] {
        let target = Target::fine().await;
        let rig = Rig::new().await;
        rig.write("guest", Guest::forward());
        let at = if at.is_empty() { String::new() } else { format!(", at = \"{at}\"") };
        let keys = format!("dedup = \"{dedup}\"\nverify = {{ scheme = \"github\", secret = \"key\"{at} }}");
        let config = with(&target.url, &keys);
        let router = front_door(&rig, &config);
        let forged = r#"{"k":1,"id":"e-1","amount":0}"#;
        let wrong = format!("sha256={}", "0".repeat(64));
        let right = github(body);
        // All that a stranger can copy of it, with and without a signature.
        for (headers, body) in [
            (vec![("x-id", "e-1")], forged),
            (vec![("x-id", "e-1"), ("x-hub-signature-256", wrong.as_str())], body),
            (vec![("x-id", "e-1")], body),
        ] {
            post(&router, &headers, body).await;
        }
        let real = [("x-id", "e-1"), ("x-hub-signature-256", right.as_str())];
        let (status, first) = post(&router, &real, body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{dedup}{at}");
        // A sender that tries again is still known by its key.
        assert_eq!(post(&router, &real, body).await.1["id"], first["id"], "{dedup}{at}");
        rig.run(&rig.pipeline(&config)).await;
        assert_eq!(target.bodies(), [body], "{dedup}{at}");
    }
}

#[tokio::test]
async fn a_stranger_neither_parks_nor_blocks_what_is_real() {
    for policy in ["park", "block"] {
        let target = Target::fine().await;
        let rig = Rig::new().await;
        rig.write("guest", Guest::forward());
        let verify = "verify = { scheme = \"github\", secret = \"key\" }";
        let pipeline = rig.pipeline(&with(&target.url, &format!("on_dead_letter = \"{policy}\"\n{verify}")));
        rig.send_webhook("g/1", &[], b"unsigned").await;
        // What cannot even be unpacked.
        rig.send_raw("g/1", "{\"v\":1,\"headers\":[".to_owned()).await;
        rig.send_raw("g/1", "{\"v\":9,\"headers\":[]}".to_owned()).await;
        for body in ["first", "second"] {
            rig.send_webhook("g/1", &[("x-hub-signature-256", &github(body))], body.as_bytes()).await;
        }
        let settled = rig.run(&pipeline).await;
        assert_eq!(settled[..3], [Settlement::Buried; 3], "{policy}");
        assert_eq!(target.bodies(), ["first", "second"], "{policy}");
        let letters = rig.letters().await;
        assert!(letters.iter().all(|letter| letter.reason == "unverified" && !letter.parks), "{policy}: {letters:?}");
    }
}

#[tokio::test]
async fn the_letter_of_a_stranger_parks_nobody_and_that_of_a_real_event_does() {
    let rig = Rig::new().await;
    let group = "g/1".into();
    rig.write("guest", Guest::forward());
    let target = Target::answering(|_| towpath_tests::target::Answer::Status(404, String::new())).await;
    let keys = "on_dead_letter = \"park\"\nverify = { scheme = \"github\", secret = \"key\" }";
    let pipeline = rig.pipeline(&with(&target.url, keys));
    rig.send_webhook("g/1", &[], b"unsigned").await;
    rig.run(&pipeline).await;
    assert_eq!(rig.dead_letters.has_group(&group).await.unwrap(), Some(false), "it parks nobody");
    for body in ["first", "second"] {
        rig.send_webhook("g/1", &[("x-hub-signature-256", &github(body))], body.as_bytes()).await;
    }
    rig.run(&pipeline).await;
    assert_eq!(target.bodies(), ["first"], "a real one parks those behind it");
    assert_eq!(rig.dead_letters.has_group(&group).await.unwrap(), Some(true));
    let reasons: Vec<String> = rig.letters().await.into_iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, ["unverified", "refused", "parked"]);
}

#[tokio::test]
async fn a_proof_is_good_for_one_event_whatever_is_not_signed_beside_it() {
    let rig = Rig::new().await;
    let keys = "dedup = \"header:x-id\"\nverify = { scheme = \"slack\", secret = \"key\" }";
    let config = with("http://127.0.0.1:9", keys);
    let body = r#"{"k":1}"#;
    let signed = slack(r#"{"k":1}"#, 0);
    let (status, first) = post(&front_door(&rig, &config), &and(&signed, &[("x-id", "1")]), body).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    for id in ["2", "3", ""] {
        // A host that was started anew has it in its store.
        let (status, again) = post(&front_door(&rig, &config), &and(&signed, &[("x-id", id)]), body).await;
        assert_eq!((status, &again["id"]), (StatusCode::ACCEPTED, &first["id"]), "{id:?}");
    }
    // The signature may be written in other ways.
    let [at, (name, signature)] = &signed;
    let padded = format!("v0=00,{signature}");
    let (_, again) = post(&front_door(&rig, &config), &[(at.0, &at.1), (name, &padded), ("x-id", "4")], body).await;
    assert_eq!(again["id"], first["id"]);
    // The sender signs it anew: the same event by its key. That proof is remembered, too.
    let anew = slack(body, -1);
    let (_, again) = post(&front_door(&rig, &config), &and(&anew, &[("x-id", "1")]), body).await;
    assert_eq!(again["id"], first["id"]);
    let (_, again) = post(&front_door(&rig, &config), &and(&anew, &[("x-id", "5")]), body).await;
    assert_eq!(again["id"], first["id"]);
    // Another event of the same content at another time.
    let (_, other) = post(&front_door(&rig, &config), &and(&slack(body, -2), &[("x-id", "6")]), body).await;
    assert_ne!(other["id"], first["id"]);
    assert_eq!(rig.events.browse(None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn without_a_key_what_was_signed_tells_a_repeat_where_the_sender_signs_the_time() {
    let rig = Rig::new().await;
    let timed = front_door(&rig, &with("http://127.0.0.1:9", "verify = { scheme = \"slack\", secret = \"key\" }"));
    let signed = slack("{}", 0);
    let (_, first) = post(&timed, &and(&signed, &[]), "{}").await;
    assert_eq!(post(&timed, &and(&signed, &[]), "{}").await.1["id"], first["id"]);
    // Two equal events without a time may be two.
    let untimed = front_door(&rig, &with("http://127.0.0.1:9", "verify = { scheme = \"github\", secret = \"key\" }"));
    let signature = github("{}");
    let one = post(&untimed, &[("x-hub-signature-256", &signature)], "{}").await.1;
    assert_ne!(post(&untimed, &[("x-hub-signature-256", &signature)], "{}").await.1["id"], one["id"]);
}

#[tokio::test]
async fn one_post_to_two_routes_with_one_secret_is_two_events() {
    let rig = Rig::new().await;
    let verify = "verify = { scheme = \"slack\", secret = \"key\" }";
    let other = format!("[[route]]\npath = 'h'\ngroup = 'h/{{json:/k}}'\nplugin = 'guest'\n{verify}\n");
    let config = other + &with("http://127.0.0.1:9", verify);
    let router = front_door(&rig, &config);
    let signed = slack("{}", 0);
    for path in ["g", "h"] {
        let request = Request::post(format!("/hooks/{path}"));
        let request = signed.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let answer = router.clone().oneshot(request.body(Body::from("{}")).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{path}");
    }
    assert_eq!(rig.events.browse(None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn where_only_the_pipeline_verifies_a_repeat_is_known_by_its_proof() {
    for dedup in ["", "dedup = \"header:x-id\"\n"] {
        let rig = Rig::new().await;
        let verify = format!("{dedup}verify = {{ scheme = \"slack\", secret = \"key\", at = \"pipeline\" }}");
        let router = front_door(&rig, &with("http://127.0.0.1:9", &verify));
        let signed = slack("{}", 0);
        let (_, first) = post(&router, &and(&signed, &[("x-id", "1")]), "{}").await;
        let (_, again) = post(&router, &and(&signed, &[("x-id", "2")]), "{}").await;
        assert_eq!(again["id"], first["id"], "{dedup:?}");
        let (_, forged) = post(&router, &[("x-id", "1")], "{}").await;
        assert_ne!(forged["id"], first["id"], "{dedup:?}");
    }
}

#[tokio::test]
async fn a_copy_of_its_body_does_not_stand_for_the_real_one_in_the_safety_net() {
    let rig = Rig::new().await;
    // Our secret is wrong: that is what the net is for.
    let config = with("http://127.0.0.1:9", "verify = { scheme = \"github\", secret = \"token\" }");
    let router = front_door(&rig, &config);
    let body = "{\"k\":1}";
    let junk = format!("sha256={}", "0".repeat(64));
    let right = github(body);
    for signature in [&junk, &right, &right] {
        assert_eq!(post(&router, &[("x-hub-signature-256", signature)], body).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(rig.refused.browse(None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_the_door_took_at_the_edge_of_its_tolerance_is_not_too_old_a_moment_later() {
    for (verify, delivered) in [("", 1), (", at = \"pipeline\"", 0)] {
        let target = Target::fine().await;
        let rig = Rig::new().await;
        rig.write("guest", Guest::forward());
        let verify = format!("verify = {{ scheme = \"slack\", secret = \"key\"{verify} }}");
        let pipeline = rig.pipeline(&with(&target.url, &verify));
        let signed = slack("{}", -330);
        let headers: Vec<(&str, &str)> = and(&signed, &[]);
        rig.send_webhook("g/1", &headers, b"{}").await;
        rig.run(&pipeline).await;
        assert_eq!(target.calls().len(), delivered, "{verify}");
    }
}

#[tokio::test]
async fn the_safety_net_of_refused_webhooks_has_room_for_others_when_one_sender_floods_it() {
    let rig = Rig::new().await;
    let config = with("http://127.0.0.1:9", "verify = { scheme = \"github\", secret = \"key\" }");
    let router = front_door(&rig, &config);
    let from = |router: Router, address: &str, body: String| {
        let mut request = Request::post("/hooks/g").body(Body::from(body)).unwrap();
        request.extensions_mut().insert(Peer(address.parse().unwrap()));
        async move { router.oneshot(request).await.unwrap().status() }
    };
    for n in 0..20 {
        let body = format!("{n}{}", "x".repeat(1024 * 1024));
        assert_eq!(from(router.clone(), "203.0.113.1", body).await, StatusCode::UNAUTHORIZED);
    }
    let kept = rig.refused.browse(None, 100).await.unwrap().len();
    assert!((8..16).contains(&kept), "{kept} of 1.4 MiB each in 16 MiB");
    // The same failure of the same event, again and again, is kept once.
    for _ in 0..3 {
        from(router.clone(), "203.0.113.9", "the real one".to_owned()).await;
    }
    assert_eq!(rig.refused.browse(None, 100).await.unwrap().len(), kept + 1);
    // A process that was started anew knows what is kept.
    let anew = front_door(&rig, &config);
    for n in 0..60 {
        let address = format!("198.51.100.{n}");
        let body = format!("{n}{}", "y".repeat(1024 * 1024));
        from(anew.clone(), &address, body).await;
    }
    let held = rig.refused.holdings().await.unwrap().expect("it tells");
    let bytes = held.routes["g"].bytes;
    assert!(bytes < 64 * 1024 * 1024 && bytes > 60 * 1024 * 1024, "{bytes} bytes of 64 MiB");
}
