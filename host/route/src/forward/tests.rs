use std::path::Path;

use http::Method;
use proptest::prelude::*;
use towpath_config::{Config, Secrets};
use towpath_types::envelope::REST;

use super::*;

fn config(route: &str, target: &str) -> Config {
    let text = format!(
        "[[route]]\npath = 'in/{{tenant}}/*'\ngroup = 'g/{{path:tenant}}'\nmethods = ['GET', 'POST', 'PUT', 'DELETE']\ntarget = 'sss'\n{route}\n\
         [target.sss]\nurl = 'https://sss.example/api'\n{target}\n"
    );
    Config::parse(&text, Path::new("towpath.toml"), &Secrets::placeholders()).expect("a config")
}

fn verdict(config: &Config, webhook: &Webhook) -> Verdict {
    let route = config.routes.iter().next().expect("a route");
    let forward = route.mapping.forward().expect("forwards");
    let target = config.targets.get("sss").and_then(|target| target.http()).expect("a target");
    forwarded(route, forward, target, webhook)
}

fn request(config: &Config, webhook: &Webhook) -> Request {
    match verdict(config, webhook) {
        Verdict::Deliver(requests) => requests.into_iter().next().expect("a request"),
        other => panic!("{other:?}"),
    }
}

fn rejected(config: &Config, webhook: &Webhook) -> String {
    match verdict(config, webhook) {
        Verdict::Reject(reason) => format!("{}: {}", reason.code, reason.message),
        other => panic!("{other:?}"),
    }
}

fn webhook(tenant: &str, rest: &str, query: &str, headers: &[(&str, &[u8])]) -> Webhook {
    Webhook {
        method: Method::PUT,
        path: vec![("tenant".to_owned(), tenant.to_owned()), (REST.to_owned(), rest.to_owned())],
        query: query.to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect(),
        body: br#"{"id":7,"none":null,"empty":""}"#.to_vec(),
    }
}

fn text(name: &str, value: &str) -> (String, HeaderValue) {
    (name.to_owned(), HeaderValue::Text(value.to_owned()))
}

#[test]
fn what_came_is_forwarded_as_it_came() {
    let headers: [(&str, &[u8]); 9] = [
        ("content-type", b"application/json"),
        ("x-github-event", b"push"),
        ("x-twice", b"1"),
        ("x-twice", b"2"),
        ("x-latin", b"caf\xe9"),
        ("authorization", b"Bearer s3cret"),
        ("x-hub-signature-256", b"sha256=00"),
        ("x-forwarded-host", b"evil.test"),
        ("not a header", b"1"),
    ];
    let webhook = webhook("a%2Fb", "x/y%20z", "q=%20&r", &headers);
    let made = request(&config("", ""), &webhook);
    assert_eq!((made.method.as_str(), made.path.as_str()), ("PUT", "/x/y%20z?q=%20&r"));
    let passed = vec![
        text("content-type", "application/json"),
        text("x-github-event", "push"),
        text("x-twice", "1"),
        text("x-twice", "2"),
        ("x-latin".to_owned(), HeaderValue::Bytes(b"caf\xe9".to_vec())),
    ];
    assert_eq!((made.headers, made.body, made.idempotency_key), (passed, Payload::Unchanged, None));
    let bare = Webhook { query: String::new(), path: Vec::new(), ..webhook };
    assert_eq!(request(&config("", ""), &bare).path, "", "the target's URL itself");
}

#[test]
fn the_proof_and_what_the_target_sets_are_not_passed_on() {
    let route =
        "verify = { scheme = 'hmac', header = 'x-seal', secret = 's' }\nforward = { headers = { x-kind = 'new' } }";
    let target = "headers = { x-api-version = '3' }\nauth = { scheme = 'header', name = 'x-door', secret = 't' }";
    let headers: [(&str, &[u8]); 5] =
        [("x-seal", b"00"), ("x_api_version", b"1"), ("x-door", b"1"), ("x-kind", b"old"), ("x-stays", b"1")];
    let made = request(&config(route, target), &webhook("t", "", "", &headers));
    assert_eq!(made.headers, [text("x-stays", "1"), text("x-kind", "new")]);
}

#[test]
fn templates_take_the_place_of_what_came() {
    let forward = |text: &str| config(&format!("forward = {{ {text} }}"), "");
    let webhook = webhook("a%2F..%3Fb", "x/y", "q=1&r=a%26b", &[("x-kind", b"push")]);
    let cases = [
        ("method = 'POST'", "POST /x/y?q=1&r=a%26b"),
        ("path = '/v1/{path:tenant}/events'", "PUT /v1/a%2F..%3Fb/events?q=1&r=a%26b"),
        ("path = '/v1/{path}'", "PUT /v1/x/y?q=1&r=a%26b"),
        ("path = '/v1?id={json:/id}&r={query:r}'", "PUT /v1?id=7&r=a%26b"),
        ("path = '/v1?{query}'", "PUT /v1?q=1&r=a%26b"),
        ("path = '/v1/{json:/missing|optional}x'", "PUT /v1/x?q=1&r=a%26b"),
    ];
    for (text, expected) in cases {
        let made = request(&forward(text), &webhook);
        assert_eq!(format!("{} {}", made.method, made.path), expected, "{text}");
    }
    let made = request(&forward("headers = { x-source = 'of {header:x-kind}' }"), &webhook);
    assert_eq!(made.headers, [text("x-kind", "push"), text("x-source", "of push")]);
}

#[test]
fn a_webhook_without_a_value_of_a_template_is_rejected_and_the_value_named() {
    let cases = [
        ("path = '/v1/{json:/missing}'", "forward.path of the route needs {json:/missing} of the webhook: missing"),
        ("path = '/v1/{json:/none}'", "forward.path of the route needs {json:/none} of the webhook: null"),
        ("path = '/v1/{json:/empty}'", "forward.path of the route needs {json:/empty} of the webhook: empty"),
        (
            "headers = { x-a = '{header:x-kind}' }",
            "forward.headers.x-a of the route needs {header:x-kind} of the webhook: missing",
        ),
    ];
    for (text, says) in cases {
        let config = config(&format!("forward = {{ {text} }}"), "");
        assert_eq!(rejected(&config, &webhook("t", "", "", &[])), format!("missing-value: {says}"), "{text}");
    }
}

proptest! {
    #[test]
    fn a_value_stays_in_its_segment(value in "[/.%?#\\\\a-c \u{ff0e}\u{e9}&=;]{1,12}") {
        let config = config("forward = { path = '/v1/{header:x-value}/end' }", "");
        let made = request(&config, &webhook("t", "", "", &[("x-value", value.as_bytes())]));
        let segments: Vec<&str> = made.path.split('/').collect();
        prop_assert_eq!(segments.len(), 4, "{}", made.path);
        prop_assert!(!made.path.contains(['?', '#', '\\', ' ']), "{}", made.path);
        let decoded = percent_encoding::percent_decode_str(segments[2]).decode_utf8().expect("UTF-8");
        prop_assert_eq!(&*decoded, value.as_str());
    }
}
