//! Who may send to a route, and how fast: decided at the front door.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use tower::ServiceExt as _;
use towpath_config::value::Digest;
use towpath_intake::{Ingest, Peer, router};
use towpath_tests::rig::{KEY, Rig, one_route};

fn front_door(rig: &Rig, keys: &str) -> axum::Router {
    let config = one_route("http://127.0.0.1:9").replace("plugin = \"guest\"", &format!("plugin = \"guest\"\n{keys}"));
    let config = rig.config(&format!("{config}\n[ingest]\ntrusted_proxies = [\"10.0.0.0/8\"]\n"));
    let ingest = Ingest::new(config.routes, Arc::new(rig.events.clone()), 1024).behind(config.ingest.trusted_proxies);
    router(Arc::new(ingest.keeping_refused(Arc::new(rig.refused.clone()))), "/hooks")
}

async fn post(router: &axum::Router, from: Option<&str>, headers: &[(&str, &str)], body: &str) -> Response {
    let request =
        headers.iter().fold(Request::post("/hooks/g"), |request, (name, value)| request.header(*name, *value));
    let mut request = request.body(Body::from(body.to_owned())).unwrap();
    if let Some(from) = from {
        request.extensions_mut().insert(Peer(from.parse().unwrap()));
    }
    router.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn only_addresses_of_the_list_may_send() {
    let rig = Rig::new().await;
    let router = front_door(&rig, "allow_from = [\"203.0.113.0/24\", \"2001:db8::/32\"]");
    let told = |address| [("x-forwarded-for", address)];
    let cases = [
        (Some("203.0.113.9"), None, StatusCode::ACCEPTED),
        (Some("2001:db8::1"), None, StatusCode::ACCEPTED),
        (Some("10.1.2.3"), Some("203.0.113.9"), StatusCode::ACCEPTED),
        (Some("198.51.100.1"), None, StatusCode::FORBIDDEN),
        // Only a trusted proxy may tell where a request comes from.
        (Some("198.51.100.1"), Some("203.0.113.9"), StatusCode::FORBIDDEN),
        (Some("10.1.2.3"), Some("203.0.113.9, 198.51.100.1"), StatusCode::FORBIDDEN),
        (Some("10.1.2.3"), Some("203.0.113.9, ?"), StatusCode::FORBIDDEN),
        (Some("10.1.2.3"), None, StatusCode::FORBIDDEN),
        (None, None, StatusCode::FORBIDDEN),
    ];
    for (number, (from, forwarded, expected)) in cases.into_iter().enumerate() {
        let headers: Vec<_> = forwarded.into_iter().flat_map(told).collect();
        let answer = post(&router, from, &headers, &format!("{{\"k\":{number}}}")).await;
        assert_eq!(answer.status(), expected, "{from:?} {forwarded:?}");
    }
    assert_eq!(rig.events.browse(None, 10).await.unwrap().len(), 3);
    assert!(rig.refused.browse(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn events_beyond_the_rate_are_asked_to_come_again_and_strangers_use_none_of_it() {
    let rig = Rig::new().await;
    let router = front_door(&rig, "rate = 0.01\nverify = { scheme = \"github\", secret = \"key\" }");
    let signed = |body: &str| {
        let mac = towpath_verify::mac(Digest::Sha256, KEY.as_bytes(), &[body.as_bytes()]);
        format!("sha256={}", mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    for _ in 0..3 {
        assert_eq!(post(&router, None, &[], "{}").await.status(), StatusCode::UNAUTHORIZED);
    }
    let mut answers = Vec::new();
    for body in ["{\"k\":1}", "{\"k\":2}"] {
        answers.push(post(&router, None, &[("x-hub-signature-256", &signed(body))], body).await);
    }
    assert_eq!(answers[0].status(), StatusCode::ACCEPTED);
    assert_eq!(answers[1].status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = answers[1].headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=100).contains(&wait), "{wait}");
    assert_eq!(rig.events.browse(None, 10).await.unwrap().len(), 1);
}
