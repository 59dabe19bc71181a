//! Events in the form of AWS's documentation, with what differs between the kinds of front ends.

use axum::body::to_bytes;
use serde_json::{Value, json};

use super::*;

/// A request through an HTTP API, version 2.0.
fn http_api(method: &str, path: &str, query: &str) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "ANY /hooks/{tenant}/crm",
        "rawPath": path,
        "rawQueryString": query,
        "headers": { "content-type": "application/json", "host": "a1b2.execute-api.eu-west-1.amazonaws.com", "x-id": "1" },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2",
            "domainName": "a1b2.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "a1b2",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7", "userAgent": "crm" },
            "requestId": "JKJaXmPLvHcESHA=",
            "stage": "$default",
            "time": "12/Mar/2026:19:03:58 +0000",
            "timeEpoch": 1_773_342_238_390_u64
        },
        "pathParameters": { "tenant": "acme" },
        "body": "{\"id\":1}",
        "isBase64Encoded": false
    })
}

/// A request through a function URL: version 2.0 too, but nothing is decoded.
fn function_url(path: &str) -> Value {
    let mut event = http_api("POST", path, "");
    event["requestContext"]["domainName"] = "x1y2.lambda-url.eu-west-1.on.aws".into();
    event
}

/// A request through a REST API, version 1.0.
fn rest_api(method: &str, path: &str) -> Value {
    json!({
        "resource": "/hooks/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": { "Content-Type": "application/json", "X-Id": "2" },
        "multiValueHeaders": { "Content-Type": ["application/json"], "X-Id": ["1", "2"] },
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": { "proxy": "crm" },
        "stageVariables": null,
        "requestContext": {
            "resourceId": "1a2b3c",
            "path": format!("/prod{path}"),
            "httpMethod": method,
            "stage": "prod",
            "domainName": "c3d4.execute-api.eu-west-1.amazonaws.com",
            "identity": { "sourceIp": "192.0.2.8", "userAgent": null }
        },
        "body": null,
        "isBase64Encoded": false
    })
}

fn request(event: Value) -> Request {
    read(event).unwrap()
}

fn read(event: Value) -> Result<Request, Invalid> {
    serde_json::from_value::<Event>(event).unwrap().request("/hooks")
}

fn url(event: Value) -> String {
    request(event).uri().to_string()
}

fn header<'a>(request: &'a Request, name: &str) -> Vec<&'a [u8]> {
    request.headers().get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

async fn body(request: Request) -> Vec<u8> {
    to_bytes(request.into_body(), usize::MAX).await.unwrap().to_vec()
}

#[tokio::test]
async fn method_path_headers_body_and_sender_are_those_of_the_request() {
    for method in ["POST", "PUT", "GET", "HEAD", "OPTIONS", "DELETE", "PATCH", "LINK"] {
        let request = request(http_api(method, "/hooks/acme/crm", ""));
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), (method, "/hooks/acme/crm"));
        assert_eq!(header(&request, "X-Id"), [b"1"]);
        assert_eq!(request.extensions().get::<Peer>(), Some(&Peer("192.0.2.7".parse().unwrap())));
        assert_eq!(body(request).await, b"{\"id\":1}");
        let rest = self::request(rest_api(method, "/hooks/crm"));
        assert_eq!((rest.method().as_str(), rest.uri().to_string().as_str()), (method, "/hooks/crm"));
        assert_eq!(rest.extensions().get::<Peer>(), Some(&Peer("192.0.2.8".parse().unwrap())));
        assert_eq!(body(rest).await, b"");
    }
}

#[test]
fn the_name_of_a_stage_is_no_part_of_the_path() {
    let staged = |stage: &str, path: &str| {
        let mut event = http_api("POST", path, "a=1");
        event["requestContext"]["stage"] = stage.into();
        url(event)
    };
    for (stage, path, expected) in [
        ("prod", "/prod/hooks/crm", "/hooks/crm?a=1"),
        ("prod", "/hooks/crm", "/hooks/crm?a=1"),
        ("prod", "/prod/healthz", "/healthz?a=1"),
        ("pro", "/prod/crm", "/prod/crm?a=1"),
        ("hooks", "/hooks/hooks/crm", "/hooks/crm?a=1"),
        ("hooks", "/hooks/crm", "/hooks/crm?a=1"),
        ("$default", "/hooks/$default/crm", "/hooks/$default/crm?a=1"),
    ] {
        assert_eq!(staged(stage, path), expected, "{stage} {path}");
    }
    // The path of a REST API never has it.
    assert_eq!(url(rest_api("POST", "/hooks/prod/x")), "/hooks/prod/x");
    let no_prefix = |path| without_stage(path, Some("prod"), "");
    assert_eq!((no_prefix("/prod/crm"), no_prefix("/crm")), ("/crm", "/crm"));
}

#[test]
fn a_path_that_was_decoded_is_one_path_again() {
    let mut one = http_api("POST", "/hooks/a b/100%/é?x=1#y/\"q\"", "sig=1%2F2");
    let expected = "/hooks/a%20b/100%25/%C3%A9%3Fx=1%23y/%22q%22?sig=1%2F2";
    assert_eq!(url(one.clone()), expected);
    one["version"] = "1.0".into();
    assert_eq!(url(one), expected);
    assert_eq!(url(http_api("POST", "/hooks/a@b:c,d;e=f+g!", "")), "/hooks/a@b:c,d;e=f+g!");
    // A dot segment stays one: nothing is resolved.
    assert_eq!(url(http_api("POST", "/hooks/../healthz", "")), "/hooks/../healthz");
}

#[test]
fn a_path_that_was_not_decoded_stays_as_it_is() {
    let path = "/hooks/a%20b/100%25/%C3%A9%3Fx%2F";
    assert_eq!(url(function_url(path)), path);
    assert_eq!(url(rest_api("POST", path)), path);
    assert_eq!(url(rest_api("POST", "/hooks/a|b")), "/hooks/a|b");
}

#[test]
fn a_raw_query_is_kept_byte_for_byte() {
    for query in ["a=1&a=2&b", "b=%2f&a=%2F+%20", "x=a|b^{c}`\\", "hub.mode=subscribe&&=", "q=?/:@"] {
        assert_eq!(url(http_api("GET", "/hooks/x", query)), format!("/hooks/x?{query}"));
    }
    assert_eq!(url(http_api("GET", "/hooks/x", "a=é b<\"#>")), "/hooks/x?a=%C3%A9%20b%3C%22%23%3E");
}

#[test]
fn the_parameters_of_version_1_become_a_query_that_means_the_same() {
    let mut event = rest_api("GET", "/hooks/x");
    event["queryStringParameters"] = json!({ "b": "2", "a[x]": "1/2 3+4&=é" });
    assert_eq!(url(event.clone()), "/hooks/x?a%5Bx%5D=1%2F2%203%2B4%26%3D%C3%A9&b=2");
    event["multiValueQueryStringParameters"] = json!({ "b": ["2", "1"], "a": [""] });
    assert_eq!(url(event), "/hooks/x?a=&b=2&b=1");
}

#[test]
fn duplicate_headers_stay_two_where_they_arrive_as_two() {
    let rest = request(rest_api("POST", "/hooks/x"));
    assert_eq!(header(&rest, "x-id"), [b"1", b"2"]);
    let mut joined = http_api("POST", "/hooks/x", "");
    joined["headers"]["x-id"] = "1,2".into();
    assert_eq!(header(&request(joined), "x-id"), [b"1,2"]);
    let mut only_single = rest_api("POST", "/hooks/x");
    only_single["multiValueHeaders"] = Value::Null;
    assert_eq!(header(&request(only_single), "x-id"), [b"2"]);
    let mut text = http_api("POST", "/hooks/x", "");
    text["headers"]["x-name"] = "ümlaut \"q\"".into();
    assert_eq!(header(&request(text), "x-name"), ["ümlaut \"q\"".as_bytes()]);
}

#[test]
fn cookies_are_one_header_again() {
    let mut event = http_api("POST", "/hooks/x", "");
    event["cookies"] = json!(["a=1", "b=\"2\""]);
    assert_eq!(header(&request(event.clone()), "cookie"), [b"a=1; b=\"2\""]);
    event["cookies"] = json!([]);
    assert!(header(&request(event), "cookie").is_empty());
}

#[tokio::test]
async fn a_body_in_base64_is_decoded() {
    let all: Vec<u8> = (0..=255).collect();
    for mut event in [http_api("POST", "/hooks/x", ""), rest_api("POST", "/hooks/x")] {
        event["body"] = BASE64.encode(&all).into();
        event["isBase64Encoded"] = true.into();
        assert_eq!(body(request(event)).await, all);
    }
}

#[test]
fn what_is_no_request_is_refused_without_a_panic() {
    let broken = |change: fn(&mut Value)| {
        let mut event = http_api("POST", "/hooks/x", "");
        change(&mut event);
        read(event).err()
    };
    let base64 = broken(|event| {
        event["body"] = "no base64".into();
        event["isBase64Encoded"] = true.into();
    });
    assert_eq!(base64, Some(Invalid::Body));
    let name = broken(|event| event["headers"]["a b"] = "1".into());
    assert_eq!(name, Some(Invalid::Header("a b".to_owned())));
    let value = broken(|event| event["headers"]["a"] = "1\r\nb: 2".into());
    assert_eq!(value, Some(Invalid::Header("a".to_owned())));
    let method = broken(|event| event["requestContext"]["http"]["method"] = "A B".into());
    assert_eq!(method, Some(Invalid::Method("A B".to_owned())));
    assert_eq!(broken(|event| event["rawPath"] = "".into()), Some(Invalid::Url));
    // Neither can stop the function, as it once did.
    assert_eq!(broken(|event| event["headers"]["host"] = "a b".into()), None);
    assert_eq!(broken(|event| event["headers"]["x-forwarded-proto"] = "https,http".into()), None);
    assert!(serde_json::from_value::<Event>(json!({ "Records": [] })).is_err());
}
