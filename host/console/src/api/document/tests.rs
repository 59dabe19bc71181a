use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::whole;
use crate::Role;
use crate::trying::Trying;

fn document() -> Value {
    serde_json::to_value(whole()).expect("JSON")
}

/// Every operation of a document: its method, its path, and what is said of it.
fn operations(document: &Value) -> Vec<(Method, &str, &Value)> {
    let mut all = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            all.push((method, path.as_str(), operation));
        }
    }
    all
}

/// The answer to a request without a body, whose parts in braces are named after themselves.
async fn asked(trying: &Trying, method: &Method, path: &str) -> (StatusCode, Body) {
    let path = format!("/api/v1{}", path.replace(['{', '}'], ""));
    let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
    let (status, _, body) = trying.begun(request).await;
    (status, body)
}

/// Every reference of a document.
fn references(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            into.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| references(value, into));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, into)),
        _ => {}
    }
}

#[tokio::test]
async fn every_route_of_the_document_is_served_and_says_how_it_fails() {
    let trying = Trying::new().await;
    let document = trying.get("/api/v1/openapi.json").await.json();
    assert_eq!(
        (&document["servers"][0]["url"], &document["security"]),
        (&json!("/api/v1"), &json!([{ "bearer": [] }]))
    );
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{document}");
    let operations = operations(&document);
    assert!(operations.len() >= 30, "{}", operations.len());
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations {
        let name = format!("{method} {path}");
        assert!(operation["summary"].is_string() && operation["tags"][0].is_string(), "{name}: {operation}");
        assert!(ids.insert(operation["operationId"].to_string()), "{name} has an id of its own: {operation}");
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let is_success = status.starts_with('2');
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(*schema == "#/components/schemas/Problem", !is_success, "{name}: {status}");
            assert!(response["description"].is_string() || is_success, "{name}: {status}");
        }
        let (status, body) = asked(&trying, &method, path).await;
        assert!(operation["responses"][status.as_str()].is_object(), "{name}: {status} is not described");
        if status == StatusCode::NOT_FOUND {
            let bytes = body.collect().await.expect("a body").to_bytes();
            assert!(!String::from_utf8_lossy(&bytes).contains("nothing at this address"), "{name} is not served");
        }
    }
}

#[tokio::test]
async fn who_may_only_look_is_refused_where_the_document_says_so() {
    let trying = Trying::as_role(Role::Viewer).await;
    for (method, path, operation) in operations(&document()) {
        let (status, _) = asked(&trying, &method, path).await;
        let is_described = operation["responses"]["403"].is_object();
        assert_eq!(status == StatusCode::FORBIDDEN, is_described, "{method} {path}: {status}");
    }
}

#[test]
fn every_reference_of_the_document_resolves() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Status"), "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn no_route_of_the_api_is_added_without_its_description() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api");
    let files = fs::read_dir(&folder).expect("a folder").map(|file| file.expect("a file").path());
    for file in files.chain([folder.with_extension("rs")]) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let text = text.replace("OpenApiRouter::new()", "");
        for other in ["Router::new()", ".route(", "OpenApiRouter::from"] {
            assert!(!text.contains(other), "{} has {other}: use routes!", file.display());
        }
    }
}

#[tokio::test]
async fn who_asks_again_is_told_that_nothing_has_changed() {
    let trying = Trying::new().await;
    let first = trying.get("/api/v1/targets").await;
    let tag = first.headers["etag"].to_str().expect("text").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    let again = async |known: &str| {
        let request = Request::get("/api/v1/targets").header("if-none-match", known).body(Body::empty());
        trying.answered(request.expect("a request")).await
    };
    for known in [tag.as_str(), &format!("\"other\", {tag}"), tag.trim_start_matches("W/"), "*"] {
        let again = again(known).await;
        assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{known}");
        assert_eq!(again.headers["etag"], tag, "{known}");
    }
    trying.json("/api/v1/targets/sss/hold", json!({ "reason": "release" })).await;
    assert_eq!(again(&tag).await.status, StatusCode::OK);
    assert!(!trying.get("/api/v1/nothing").await.headers.contains_key("etag"));
}
