//! Routes without a plugin: what came is forwarded, from the front door to the target.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use tower::ServiceExt as _;
use towpath_config::value::Digest;
use towpath_engine::pipeline::{Pipeline, Settlement};
use towpath_intake::{Ingest, router};
use towpath_tests::rig::{KEY, Rig};
use towpath_tests::target::{Answer, Call, Target};

/// A host with one route that forwards to `sss`.
struct Host {
    rig: Rig,
    door: axum::Router,
    pipeline: Arc<Pipeline>,
}

fn config(route: &str, url: &str, target: &str) -> String {
    format!(
        "[[route]]\npath = \"in/{{tenant}}/*\"\nmethods = [\"GET\", \"POST\", \"PUT\", \"DELETE\"]\n\
         group = \"in/{{path:tenant}}\"\ntarget = \"sss\"\n{route}\n\
         [target.sss]\nurl = \"{url}/api\"\nallow_private = true\nbreaker = {{ failures = 0 }}\n{target}\n"
    )
}

impl Host {
    async fn of(text: &str) -> Host {
        let rig = Rig::new().await;
        let ingest = Ingest::new(rig.config(text).routes, Arc::new(rig.events.clone()), 64 * 1024);
        let pipeline = rig.pipeline(text);
        Host { door: router(Arc::new(ingest), "/hooks"), pipeline, rig }
    }

    async fn take(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let request = Request::builder().method(method).uri(format!("/hooks/{path}"));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = self.door.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{method} {path}");
    }

    async fn run(&self) -> Vec<Settlement> {
        self.rig.run(&self.pipeline).await
    }

    /// Reason and detail of each dead letter.
    async fn letters(&self) -> Vec<String> {
        self.rig.letters().await.iter().map(|letter| format!("{}: {}", letter.reason, letter.detail)).collect()
    }
}

fn lines(calls: &[Call]) -> Vec<String> {
    calls.iter().map(|call| format!("{} {}", call.method, call.path)).collect()
}

fn seal(body: &str) -> String {
    let mac = towpath_verify::mac(Digest::Sha256, KEY.as_bytes(), &[body.as_bytes()]);
    mac.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn method_path_query_headers_and_body_arrive_as_they_came_and_secrets_do_not() {
    let target = Target::fine().await;
    let verify = "verify = { scheme = \"hmac\", header = \"x-seal\", secret = \"key\" }";
    let host = Host::of(&config(verify, &target.url, "headers = { x-api-version = \"3\" }")).await;
    let body = "{\"n\": 1.10,  \"é\":\"\\u00e9\"}";
    let seal = seal(body);
    let headers = [
        ("x-seal", seal.as_str()),
        ("content-type", "application/vnd.crm+json"),
        ("x-event", "changed"),
        ("x-api-version", "1"),
        ("authorization", "Bearer abc"),
        ("cookie", "a=b"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-gitlab-token", "abc"),
        ("x-hub-signature", "sha1=00"),
        ("accept-encoding", "gzip"),
    ];
    host.take("PUT", "in/acme/a%2Fb/c?x=1&y=%20", &headers, body).await;
    assert_eq!(host.run().await, [Settlement::Ack]);
    let calls = target.calls();
    assert_eq!(lines(&calls), ["PUT /api/a%2Fb/c?x=1&y=%20"]);
    let call = &calls[0];
    assert_eq!(call.body, body.as_bytes());
    let names: Vec<&str> = call.headers.keys().map(|name| name.as_str()).collect();
    for (name, value) in [("content-type", "application/vnd.crm+json"), ("x-event", "changed"), ("x-api-version", "3")]
    {
        assert_eq!(call.headers.get_all(name).iter().collect::<Vec<_>>(), [value], "{name}");
    }
    for name in ["x-seal", "authorization", "cookie", "x-forwarded-for", "x-gitlab-token", "x-hub-signature"] {
        assert!(!names.contains(&name), "{names:?}");
    }
    assert!(call.header("webhook-id").len() > 8 && call.header("idempotency-key").ends_with("/0"), "{names:?}");
}

#[tokio::test]
async fn a_token_in_the_query_is_not_forwarded() {
    let target = Target::fine().await;
    let verify = "verify = { scheme = \"token\", token = \"query:key\", secret = \"key\" }";
    let host = Host::of(&config(verify, &target.url, "")).await;
    host.take("POST", &format!("in/acme?a=1&key={KEY}&b=2"), &[], "{}").await;
    assert_eq!(host.run().await, [Settlement::Ack]);
    assert_eq!(lines(&target.calls()), ["POST /api?a=1&b=2"]);
}

#[tokio::test]
async fn events_that_differ_only_in_method_or_query_are_all_forwarded() {
    let target = Target::fine().await;
    let verify = "verify = { scheme = \"hmac\", header = \"x-seal\", timestamp = \"x-time\", signed = \"{timestamp}.{body}\", secret = \"key\" }";
    let host = Host::of(&config(verify, &target.url, "")).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().to_string();
    let seal = seal(&format!("{now}."));
    for (method, path) in [("PUT", "in/acme/1"), ("DELETE", "in/acme/1"), ("DELETE", "in/acme/1?n=2")] {
        host.take(method, path, &[("x-seal", &seal), ("x-time", &now)], "").await;
        // The same again is a repeat.
        host.take(method, path, &[("x-seal", &seal), ("x-time", &now)], "").await;
    }
    host.run().await;
    assert_eq!(lines(&target.calls()), ["PUT /api/1", "DELETE /api/1", "DELETE /api/1?n=2"]);
}

#[tokio::test]
async fn a_failing_event_is_retried_and_its_group_waits_behind_it() {
    let target = Target::answering(|call| match &call.body[..] {
        b"a1" => Answer::Status(503, String::new()),
        b"b1" => Answer::Status(404, String::new()),
        _ => Answer::Status(200, String::new()),
    })
    .await;
    let host = Host::of(&config("", &target.url, "")).await;
    for (tenant, body) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("b", "b2")] {
        host.take("POST", &format!("in/{tenant}"), &[], body).await;
    }
    let settlements = host.run().await;
    let kinds: Vec<bool> = settlements.iter().map(|settlement| matches!(settlement, Settlement::Retry(_))).collect();
    assert_eq!(kinds, [true, true, false, false], "{settlements:?}");
    assert_eq!(target.bodies(), ["a1", "b1", "b2"], "a2 waits behind a1");
    let letters = host.rig.letters().await;
    assert_eq!((letters.len(), letters[0].reason.as_str(), letters[0].plugin.as_deref()), (1, "refused", None));
    assert_eq!(letters[0].route.as_deref(), Some("in/{tenant}/*"));
}

#[tokio::test]
async fn a_value_of_a_template_that_is_missing_is_a_dead_letter_that_names_it() {
    let target = Target::fine().await;
    let forward = "forward = { method = \"POST\", path = \"/v1/{path:tenant}/{json:/id}\", \
        headers = { x-source = \"{header:x-event}\" } }";
    let host = Host::of(&config(forward, &target.url, "")).await;
    host.take("PUT", "in/a%2Fb/rest?q", &[("x-event", "e")], "{\"id\":\"7/8?\"}").await;
    host.take("PUT", "in/a%2Fb", &[("x-event", "e")], "{\"id\":null}").await;
    host.take("PUT", "in/a%2Fb", &[], "{\"id\":7}").await;
    assert_eq!(host.run().await, [Settlement::Ack, Settlement::Buried, Settlement::Buried]);
    let calls = target.calls();
    assert_eq!(lines(&calls), ["POST /api/v1/a%2Fb/7%2F8%3F?q"]);
    assert_eq!(calls[0].header("x-source"), "e");
    let letters = host.letters().await;
    assert!(letters[0].contains("missing-value: forward.path of the route needs {json:/id} of the webhook: null"));
    assert!(
        letters[1].contains("forward.headers.x-source of the route needs {header:x-event} of the webhook: missing"),
        "{letters:?}"
    );
}

#[tokio::test]
async fn no_path_leaves_the_url_of_the_target() {
    let target = Target::fine().await;
    let plain = Host::of(&config("", &target.url, "")).await;
    let climbing =
        ["a/../../admin", "%2e%2e/admin", "a%2f..%2f..%2fadmin", "%252e%252e/admin", "..;/admin", "a%5c..%5cb"];
    for path in climbing {
        plain.take("POST", &format!("in/t/{path}"), &[], "{}").await;
    }
    let templated = Host::of(&config("forward = { path = \"/v1/{json:/id}/x\" }", &target.url, "")).await;
    for id in ["..", ".", "a/../..", "..%2f..", "\\\\..\\\\.."] {
        templated.take("POST", "in/t", &[], &format!("{{\"id\":\"{id}\"}}")).await;
    }
    for (host, count) in [(&plain, climbing.len()), (&templated, 5)] {
        assert_eq!(host.run().await, vec![Settlement::Buried; count]);
        let letters = host.letters().await;
        assert!(letters.iter().all(|letter| letter.starts_with("bad-request: ")), "{letters:?}");
    }
    assert_eq!(lines(&target.calls()), [""; 0]);
}

#[tokio::test]
async fn a_plugin_must_not_set_a_header_of_its_target() {
    use towpath_tests::guest::{Guest, Request};
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::deliver(&[Request { header: Some(("X_Api_Version", "2")), ..Request::default() }]));
    let text = towpath_tests::rig::one_route(&target.url) + "\nheaders = { x-api-version = \"3\" }";
    rig.send("g/1", "{}").await;
    assert_eq!(rig.run(&rig.pipeline(&text)).await, [Settlement::Buried]);
    assert!(rig.letters().await[0].detail.contains("X_Api_Version"), "{:?}", rig.letters().await);
    rig.write("guest", Guest::forward());
    rig.send("g/1", "{}").await;
    assert_eq!(rig.run(&rig.pipeline(&text)).await, [Settlement::Ack]);
    assert_eq!(target.calls()[0].header("x-api-version"), "3");
}
