use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use tower::ServiceExt as _;
use towpath_core::config::{Config, Secrets};
use towpath_core::queue::{Handle, MessageId, Receive, Received, Sent};

use super::*;

/// A queue that keeps what is sent, or fails as a full disk does.
#[derive(Default)]
struct Recorder {
    sent: Mutex<Vec<NewMessage>>,
    full: bool,
}

#[async_trait]
impl Queue for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    async fn send(&self, message: NewMessage) -> Result<Sent, QueueError> {
        if self.full {
            return Err(QueueError::Unavailable { queue: "recorder".into(), source: "disk full".into() });
        }
        self.sent.lock().unwrap().push(message);
        Ok(Sent { id: MessageId::from("m-1"), sequence: Some("1".into()) })
    }

    async fn receive(&self, _: Receive) -> Result<Vec<Received>, QueueError> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: &[Handle]) -> Vec<Result<(), QueueError>> {
        Vec::new()
    }

    async fn change_visibility(&self, _: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        Vec::new()
    }
}

const LIMIT: usize = 64 * 1024;

fn front_door(full: bool) -> (Arc<Recorder>, Arc<Ingest>, Router) {
    let text = r#"
        [[route]]
        path = "crm/events"
        group = "crm/{json:/customer}"
        dedup = "header:x-event-id"
        plugin = "crm"
        [plugin.crm]
        path = "crm.wasm"
    "#;
    let config = Config::parse(text, Path::new("towpath.toml"), &Secrets::of([])).expect("config");
    let recorder = Arc::new(Recorder { full, ..Recorder::default() });
    let ingest = Arc::new(Ingest::new(config.routes, recorder.clone(), LIMIT));
    let router = router(Arc::clone(&ingest), "/hooks");
    (recorder, ingest, router)
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
    let (recorder, ingest, router) = front_door(false);
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
    assert_eq!(json["id"], "m-1");
    assert_eq!(ingest.accepted(), 1);
    let sent = recorder.sent.lock().unwrap();
    assert_eq!(sent[0].dedup_id, "e-7");
    let webhook = envelope::decode(&sent[0].body).expect("envelope");
    assert_eq!(webhook.body, body);
    let twice: Vec<_> = webhook.headers.iter().filter(|(name, _)| name == "x-twice").map(|(_, v)| v.clone()).collect();
    assert_eq!(twice, [b"a, \"b\"".to_vec(), b"caf\xe9".to_vec()]);
}

#[tokio::test]
async fn the_group_comes_from_the_body_and_each_post_is_its_own_message_without_a_dedup_id() {
    let (recorder, _, router) = front_door(false);
    for _ in 0..2 {
        answer(&router, post("/hooks/crm/events/", &[], r#"{"customer":"C-1"}"#)).await;
    }
    let sent = recorder.sent.lock().unwrap();
    assert_eq!(sent[0].group.as_str(), "crm/C-1");
    assert_ne!(sent[0].dedup_id, sent[1].dedup_id);
}

#[tokio::test]
async fn what_cannot_be_stored_is_never_answered_2xx() {
    let (recorder, ingest, router) = front_door(false);
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
    assert!(recorder.sent.lock().unwrap().is_empty());
    assert_eq!(ingest.accepted(), 0);
    let (_, ingest, router) = front_door(true);
    assert_eq!(answer(&router, post("/hooks/crm/events", &[], "{}")).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ingest.accepted(), 0);
}

#[tokio::test]
async fn odd_bodies_are_stored_like_any_other() {
    let (recorder, _, router) = front_door(false);
    for body in [b"".to_vec(), b"\xff\xfe\x00".to_vec(), vec![b'['; LIMIT]] {
        let (status, text) = answer(&router, post("/hooks/crm/events", &[], body.clone())).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{text}");
        let stored = recorder.sent.lock().unwrap().pop().expect("stored");
        assert_eq!(envelope::decode(&stored.body).expect("envelope").body, body);
    }
}

#[tokio::test]
async fn health_and_readiness_tell_draining_apart_from_dead() {
    let (_, ingest, router) = front_door(false);
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(answer(&router, get("/healthz")).await.0, StatusCode::OK);
    assert_eq!(answer(&router, get("/readyz")).await.0, StatusCode::OK);
    ingest.drain();
    assert_eq!(answer(&router, get("/healthz")).await.0, StatusCode::OK);
    assert_eq!(answer(&router, get("/readyz")).await.0, StatusCode::SERVICE_UNAVAILABLE);
}
