//! The front door over a real store.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use tower::ServiceExt as _;
use towpath_intake::{Ingest, router};
use towpath_local::Browsed;
use towpath_runtime::health::Health;
use towpath_tests::rig::Rig;

const LIMIT: usize = 64 * 1024;

const CONFIG: &str = r#"
    [[route]]
    path = "crm/events"
    group = "crm/{json:/customer}"
    dedup = "header:x-event-id"
    plugin = "crm"
    [plugin.crm]
    path = "crm.wasm"
"#;

async fn front_door() -> (Rig, Arc<Ingest>, Router) {
    let rig = Rig::new().await;
    let ingest = Arc::new(Ingest::new(rig.config(CONFIG).routes, Arc::new(rig.events.clone()), LIMIT));
    let router = router(Arc::clone(&ingest), "/hooks");
    (rig, ingest, router)
}

async fn stored(rig: &Rig) -> Vec<Browsed> {
    rig.events.browse(None, 100).await.expect("browse")
}

fn post(path: &str, headers: &[(&str, &[u8])], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).expect("request")
}

async fn answer(router: &Router, request: Request<Body>) -> (StatusCode, String) {
    let response = router.clone().oneshot(request).await.expect("infallible");
    let status = response.status();
    let body = to_bytes(response.into_body(), LIMIT).await.expect("body");
    (status, String::from_utf8(body.into()).expect("text"))
}

#[tokio::test]
async fn a_webhook_is_stored_byte_for_byte_under_its_group_and_dedup_id() {
    let (rig, ingest, router) = front_door().await;
    let body = b"{\"customer\": \"C-1\"}\r\n \xff".to_vec();
    let headers: [(&str, &[u8]); 4] = [
        ("x-event-id", b"e-7"),
        ("X-Twice", b"a, \"b\""),
        ("x-twice", b"caf\xe9"),
        ("content-type", b"application/json"),
    ];
    let (status, text) = answer(&router, post("/hooks/crm/events", &headers, body.clone())).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).expect("json");
    assert_eq!(ingest.accepted(), 1);
    let sent = stored(&rig).await;
    assert_eq!(json["id"], sent[0].id.as_str());
    let webhook = sent[0].body.webhook().expect("envelope");
    assert_eq!(webhook.body, body);
    let twice: Vec<_> = webhook.headers.iter().filter(|(name, _)| name == "x-twice").map(|(_, v)| v.clone()).collect();
    assert_eq!(twice, [b"a, \"b\"".to_vec(), b"caf\xe9".to_vec()]);
    let (status, again) = answer(&router, post("/hooks/crm/events", &headers, body)).await;
    assert_eq!((status, again), (StatusCode::ACCEPTED, text), "the same event again is the same message");
    assert_eq!(stored(&rig).await.len(), 1);
}

#[tokio::test]
async fn the_group_comes_from_the_body_and_each_post_is_its_own_message_without_a_dedup_id() {
    let (rig, _, router) = front_door().await;
    for _ in 0..2 {
        answer(&router, post("/hooks/crm/events/", &[], r#"{"customer":"C-1"}"#)).await;
    }
    let sent = stored(&rig).await;
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].group.as_str(), "crm/C-1");
}

#[tokio::test]
async fn what_cannot_be_stored_is_never_answered_2xx() {
    let (rig, ingest, router) = front_door().await;
    let long = "x".repeat(LIMIT + 1);
    let cases = [
        ("unknown path", post("/hooks/other", &[], "{}"), StatusCode::NOT_FOUND),
        ("too long", post("/hooks/crm/events", &[], long.clone()), StatusCode::PAYLOAD_TOO_LARGE),
        (
            "too long as announced",
            post("/hooks/crm/events", &[("content-length", b"99999999")], "{}"),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (
            "wrong method",
            Request::get("/hooks/crm/events").body(Body::empty()).unwrap(),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
    ];
    for (name, request, expected) in cases {
        assert_eq!(answer(&router, request).await.0, expected, "{name}");
    }
    assert!(stored(&rig).await.is_empty());
    assert_eq!(ingest.accepted(), 0);
}

#[tokio::test]
async fn a_full_disk_is_answered_503_and_what_was_answered_202_is_there() {
    let (rig, ingest, router) = front_door().await;
    rig.store.limit_pages(40).await.expect("limit");
    let mut accepted = 0;
    let refused = loop {
        let (status, text) = answer(&router, post("/hooks/crm/events", &[], "x".repeat(8 * 1024))).await;
        match status {
            StatusCode::ACCEPTED => accepted += 1,
            other => break (other, text),
        }
    };
    assert_eq!(refused.0, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.1);
    assert!(accepted > 0);
    assert_eq!(stored(&rig).await.len(), accepted);
    assert_eq!(ingest.accepted(), accepted as u64);
    rig.store.limit_pages(10_000).await.expect("limit");
    assert_eq!(answer(&router, post("/hooks/crm/events", &[], "{}")).await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn odd_bodies_are_stored_like_any_other() {
    let (rig, _, router) = front_door().await;
    for body in [b"".to_vec(), b"\xff\xfe\x00".to_vec(), vec![b'['; LIMIT]] {
        let (status, text) = answer(&router, post("/hooks/crm/events", &[], body.clone())).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{text}");
        let stored = stored(&rig).await.pop().expect("stored");
        assert_eq!(stored.body.webhook().expect("envelope").body, body);
    }
}

#[tokio::test]
async fn health_and_readiness_tell_draining_apart_from_dead() {
    let rig = Rig::new().await;
    let ingest = Ingest::new(rig.config(CONFIG).routes, Arc::new(rig.events.clone()), LIMIT);
    let health = Arc::new(Health::default());
    let router = router(Arc::new(ingest.ready_with(Arc::clone(&health))), "/hooks");
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(answer(&router, get("/healthz")).await.0, StatusCode::OK);
    assert_eq!(answer(&router, get("/readyz")).await.0, StatusCode::OK);
    health.drain();
    assert_eq!(answer(&router, get("/healthz")).await.0, StatusCode::OK);
    assert_eq!(answer(&router, get("/readyz")).await.0, StatusCode::SERVICE_UNAVAILABLE);
}
