//! Requests that are no events, routes of any method and path, and acknowledgements.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use tower::ServiceExt as _;
use towpath_engine::pipeline::Settlement;
use towpath_intake::{Ingest, router};
use towpath_tests::guest::Guest;
use towpath_tests::rig::{KEY, Rig, TOKEN};
use towpath_tests::target::Target;
use towpath_types::envelope;

/// A config with this route.
fn with(route: &str) -> String {
    format!(
        "[[route]]\nplugin = \"guest\"\n{route}\n[plugin.guest]\npath = \"guest.wasm\"\n\
         [target.sss]\nurl = \"http://127.0.0.1:9\"\nallow_private = true\n"
    )
}

struct Door {
    rig: Rig,
    router: axum::Router,
}

struct Answered {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }
}

impl Door {
    async fn of(route: &str) -> Door {
        let rig = Rig::new().await;
        let config = rig.config(&with(route));
        let ingest = Ingest::new(config.routes, Arc::new(rig.events.clone()), 64 * 1024);
        let ingest = ingest.keeping_refused(Arc::new(rig.refused.clone()));
        Door { router: router(Arc::new(ingest), "/hooks"), rig }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        let mut request = Request::builder().method(method).uri(format!("/hooks/{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        let headers = response.headers().iter().map(header).collect();
        let body = to_bytes(response.into_body(), 65536).await.unwrap();
        Answered { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// The webhooks that are stored.
    async fn stored(&self) -> Vec<envelope::Webhook> {
        let messages = self.rig.events.browse(None, 100).await.unwrap();
        messages.iter().map(|message| std::sync::Arc::unwrap_or_clone(message.body.webhook().unwrap())).collect()
    }
}

const META: &str = r#"
path = "meta"
group = "meta/{json:/entry/0/id}"
verify = { scheme = "github", secret = "key" }
ack = { status = 200 }
[[route.answer]]
when = { method = "GET", present = ["query:hub.challenge"], equal = { "query:hub.mode" = "subscribe" } }
token = "query:hub.verify_token"
secret = "token"
body = "{query:hub.challenge}"
"#;

#[tokio::test]
async fn a_challenge_in_the_query_is_echoed_to_who_knows_the_token() {
    let door = Door::of(META).await;
    let asked = |mode: &str, challenge: &str, token: &str| {
        format!("meta?hub.mode={mode}&hub.challenge={challenge}&hub.verify_token={token}")
    };
    let right = door.ask("GET", &asked("subscribe", "1158201444", TOKEN), &[], "").await;
    assert_eq!((right.status, right.body.as_str()), (200, "1158201444"));
    assert_eq!(right.header("content-type"), "text/plain; charset=utf-8");

    let wrong = door.ask("GET", &asked("subscribe", "1158201444", "guessed"), &[], "").await;
    assert_eq!(wrong.status, 403);
    assert!(!wrong.body.contains("1158201444") && !wrong.body.contains(TOKEN), "{}", wrong.body);
    let other_mode = door.ask("GET", &asked("denied", "1158201444", TOKEN), &[], "").await;
    assert_eq!((other_mode.status, other_mode.header("allow")), (405, "POST, GET"));
    assert_eq!(door.ask("GET", "meta?hub.mode=subscribe", &[], "").await.status, 405);

    let script = door.ask("GET", &asked("subscribe", "%3Cscript%3E1%3C%2Fscript%3E", TOKEN), &[], "").await;
    assert_eq!(script.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(script.header("x-content-type-options"), "nosniff");
    let long = "1".repeat(513);
    assert_eq!(door.ask("GET", &asked("subscribe", &long, TOKEN), &[], "").await.status, 400);
    assert_eq!(door.ask("GET", &asked("subscribe", "a%0d%0ab", TOKEN), &[], "").await.status, 400);
    assert_eq!(door.stored().await, []);
}

#[tokio::test]
async fn the_event_after_a_handshake_is_stored_and_answered_as_the_route_says() {
    let door = Door::of(META).await;
    let body = r#"{"entry":[{"id":"P1"}]}"#;
    let mac = towpath_verify::mac(towpath_config::value::Digest::Sha256, KEY.as_bytes(), &[body.as_bytes()]);
    let signature = format!("sha256={}", hex::encode(mac));
    let stored = door.ask("POST", "meta", &[("x-hub-signature-256", &signature)], body).await;
    assert_eq!((stored.status, stored.body.as_str()), (200, ""));
    assert_eq!(door.stored().await.len(), 1);
    assert_eq!(door.ask("POST", "meta", &[("x-hub-signature-256", "sha256=00")], body).await.status, 401);
}

#[tokio::test]
async fn an_answer_can_be_json_and_headers_of_the_request() {
    let door = Door::of(
        r#"
path = "x"
group = "x/{json:/id}"
[[route.answer]]
when = { equal = { "json:/type" = "url_verification" } }
json = { challenge = "{json:/challenge}", at = "{raw:/n}", list = [1, "{json:/type}"] }
[[route.answer]]
when = { present = ["header:x-hook-secret"] }
status = 204
headers = { x-hook-secret = "{header:x-hook-secret}" }
[[route.answer]]
when = { method = ["GET", "HEAD"], empty = true }
[[route.answer]]
when = { method = "OPTIONS", present = ["header:webhook-request-origin"] }
headers = { webhook-allowed-origin = "{header:webhook-request-origin}", webhook-allowed-rate = "*" }
"#,
    )
    .await;
    let slack = r#"{"type":"url_verification","challenge":"a\"b","n":1.50}"#;
    let answer = door.ask("POST", "x", &[], slack).await;
    assert_eq!(answer.body, r#"{"at":1.50,"challenge":"a\"b","list":[1,"url_verification"]}"#);
    assert_eq!(answer.header("content-type"), "application/json");
    let asana = door.ask("POST", "x", &[("x-hook-secret", "s-1")], "").await;
    assert_eq!((asana.status, asana.header("x-hook-secret")), (204, "s-1"));
    assert_eq!(door.ask("HEAD", "x", &[], "").await.status, 200);
    assert_eq!(door.ask("GET", "x", &[], "").await.status, 200);
    let origin = [("webhook-request-origin", "eventemitter.example.com")];
    let options = door.ask("OPTIONS", "x", &origin, "").await;
    assert_eq!(options.header("webhook-allowed-origin"), "eventemitter.example.com");
    assert_eq!(door.ask("PUT", "x", &[], "{}").await.status, 405);
    assert_eq!(door.stored().await, []);
    assert_eq!(door.ask("POST", "x", &[], r#"{"id":1}"#).await.status, 202);
    assert_eq!(door.stored().await.len(), 1);
}

#[tokio::test]
async fn nobody_can_have_an_event_signed_by_a_handshake() {
    let door = Door::of(
        r#"
path = "x"
group = "x/{json:/id}"
verify = { scheme = "github", secret = "key" }
[[route.answer]]
when = { method = "GET", present = ["query:code"] }
secret = "key"
json = { code = "{query:code}", response = "{query:code|hmac-sha256|hex}" }
[[route.answer]]
when = { equal = { "json:/type" = "VERIFY" } }
verified = true
secret = "key"
json = { response = "{json:/challenge|hmac-sha256|hex}" }
"#,
    )
    .await;
    let mac = towpath_verify::mac(towpath_config::value::Digest::Sha256, KEY.as_bytes(), &[b"890e4665-4dfe"]);
    let hex = hex::encode(mac);
    let answer = door.ask("GET", "x?code=890e4665-4dfe", &[], "").await;
    assert_eq!(answer.body, format!(r#"{{"code":"890e4665-4dfe","response":"{hex}"}}"#));
    for event in ["%7B%22id%22%3A1%7D", "a%20b", "%5B1%5D", &"1".repeat(257), ""] {
        let answer = door.ask("GET", &format!("x?code={event}"), &[], "").await;
        assert!(answer.status >= 400, "{event}: {} {}", answer.status, answer.body);
    }
    // Where the sender signs, nobody else gets a MAC.
    let unsigned = door.ask("POST", "x", &[], r#"{"type":"VERIFY","challenge":"abc"}"#).await;
    assert_eq!(unsigned.status, 401);
    assert_eq!(door.stored().await, []);
}

#[tokio::test]
async fn what_came_reaches_keys_and_envelope() {
    let door = Door::of(
        r#"
path = "tenants/{tenant}/crm/*"
methods = ["POST", "PUT", "GET"]
group = "crm/{path:tenant}/{query:id}"
dedup = "header:x-id"
"#,
    )
    .await;
    let answer = door.ask("PUT", "tenants/a%20b/crm/v1/deals?id=7&x=%2F", &[], "body").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let without_rest = door.ask("GET", "tenants/acme/crm/?id=8", &[], "").await;
    assert_eq!(without_rest.status, 202, "{}", without_rest.body);
    assert!(without_rest.body.contains("crm/acme/8"), "{}", without_rest.body);
    for missing in ["tenants", "tenants/a", "tenants//crm/x", "tenants/a/b/crm"] {
        assert_eq!(door.ask("POST", missing, &[], "").await.status, 404, "{missing}");
    }
    let stored = door.stored().await;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(stored[0].method, "PUT");
    assert_eq!(stored[0].path, [pair("tenant", "a%20b"), pair("*", "v1/deals")]);
    assert_eq!(stored[0].query, "id=7&x=%2F");
    assert_eq!(stored[1].path, [pair("tenant", "acme")]);
}

#[tokio::test]
async fn a_token_in_query_or_body_is_seen_by_nobody_else() {
    let target = Target::fine().await;
    for (token, path, body, delivered) in [
        ("query:key", format!("x?a=1&key={TOKEN}"), r#"{"id":1}"#.to_owned(), r#"{"id":1}"#),
        (
            "json:/token",
            "x".to_owned(),
            format!(r#"{{"id":1,"token":"{TOKEN}","b":2}}"#),
            r#"{"id":1,"token":"***","b":2}"#,
        ),
    ] {
        let route = format!(
            "path = \"x\"\ngroup = \"g/{{json:/id}}\"\nverify = {{ scheme = \"token\", token = \"{token}\", secret = \"token\" }}"
        );
        let door = Door::of(&route).await;
        door.rig.write("guest", Guest::forward());
        let pipeline = door.rig.pipeline(&with(&route).replace("http://127.0.0.1:9", &target.url));
        assert_eq!(door.ask("POST", "x", &[], r#"{"id":1,"token":"guessed"}"#).await.status, 401);
        assert_eq!(door.ask("POST", &path, &[], &body).await.status, 202);
        assert_eq!(door.rig.run(&pipeline).await, [Settlement::Ack]);
        assert_eq!(target.bodies().last().map(String::as_str), Some(delivered));
    }
}

#[tokio::test]
async fn an_ack_that_cannot_be_made_of_an_event_stores_it_all_the_same() {
    let door = Door::of(
        r#"
path = "x"
group = "x/{json:/id}"
ack = { status = 200, headers = { x-request = "{header:x-request}" }, json = { id = "{json:/request}" } }
"#,
    )
    .await;
    let whole = door.ask("POST", "x", &[("x-request", "r-1")], r#"{"id":1,"request":"q"}"#).await;
    assert_eq!((whole.status, whole.header("x-request"), whole.body.as_str()), (200, "r-1", r#"{"id":"q"}"#));
    let lacking = door.ask("POST", "x", &[], r#"{"id":1}"#).await;
    assert_eq!((StatusCode::from_u16(lacking.status).unwrap(), lacking.body.as_str()), (StatusCode::OK, ""));
    assert_eq!(door.stored().await.len(), 2);
}

#[tokio::test]
async fn keys_and_plugin_see_what_is_inside_and_the_proof_covers_what_came() {
    let target = Target::fine().await;
    let route = r#"
path = "x"
group = "x/{json:/id}"
unwrap = "json:/Message"
verify = { scheme = "github", secret = "key" }
"#;
    let door = Door::of(route).await;
    door.rig.write("guest", Guest::forward());
    let pipeline = door.rig.pipeline(&with(route).replace("http://127.0.0.1:9", &target.url));
    // What the zstd tool makes of {"Message":"{\"id\":7}"}.
    let packed = hex::decode(ZSTD).unwrap();
    let mac = towpath_verify::mac(towpath_config::value::Digest::Sha256, KEY.as_bytes(), &[&packed]);
    let signature = format!("sha256={}", hex::encode(mac));
    let post = |encoding: &str, signature: &str| {
        let request = Request::post("/hooks/x").header("content-encoding", encoding);
        let request = request.header("x-hub-signature-256", signature).body(Body::from(packed.clone())).unwrap();
        door.router.clone().oneshot(request)
    };
    assert_eq!(post("zstd", "sha256=00").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let stored = post("zstd", &signature).await.unwrap();
    assert_eq!(stored.status(), StatusCode::ACCEPTED);
    let body = to_bytes(stored.into_body(), 4096).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("\"x/7\""), "{body:?}");
    assert_eq!(door.stored().await[0].body, packed);
    assert_eq!(door.rig.run(&pipeline).await, [Settlement::Ack]);
    assert_eq!(target.bodies(), [r#"{"id":7}"#]);
}

const ZSTD: &str = "28b52ffd0458c100007b224d657373616765223a227b5c2269645c223a377d227dd0a5bc0b";

#[tokio::test]
async fn what_a_stranger_sends_is_not_unpacked() {
    let door = Door::of(META).await;
    // Nine megabytes of zeros, by the zstd tool.
    let bomb = hex::decode(BOMB).unwrap();
    let mac = towpath_verify::mac(towpath_config::value::Digest::Sha256, KEY.as_bytes(), &[&bomb]);
    for (signature, status) in [("00".to_owned(), 401), (hex::encode(mac), 413)] {
        let request = Request::post("/hooks/meta").header("content-encoding", "zstd");
        let request = request.header("x-hub-signature-256", format!("sha256={signature}"));
        let answer = door.router.clone().oneshot(request.body(Body::from(bomb.clone())).unwrap()).await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
    assert_eq!(door.stored().await, []);
}

const BOMB: &str = "28b52ffd04684c000008000100fcff3910020200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100002001000020010000200100003a20a003c754145";

#[tokio::test]
async fn a_proof_counts_once_in_each_place_that_keys_read() {
    let door = Door::of(
        r#"
path = "{tenant}/x"
group = "x/{path:tenant}/{query:id}"
verify = { scheme = "slack", secret = "key" }
"#,
    )
    .await;
    let at = (towpath_types::clock::Clock::wall().now().0 / 1000).to_string();
    let mac = towpath_verify::mac(
        towpath_config::value::Digest::Sha256,
        KEY.as_bytes(),
        &[format!("v0:{at}:{{}}").as_bytes()],
    );
    let signature = format!("v0={}", hex::encode(mac));
    let headers = [("x-slack-request-timestamp", at.as_str()), ("x-slack-signature", signature.as_str())];
    for place in ["a/x?id=1", "a/x?id=1", "b/x?id=1", "a/x?id=2"] {
        assert_eq!(door.ask("POST", place, &headers, "{}").await.status, 202, "{place}");
    }
    assert_eq!(door.stored().await.len(), 3);
}
