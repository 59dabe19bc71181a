use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::whole;
use crate::trying::Trying;

fn document() -> Value {
    serde_json::to_value(whole()).expect("JSON")
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
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 6, "{paths:?}");
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("operations") {
            let name = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{name} has a summary");
            assert!(operation["responses"]["default"]["content"]["application/problem+json"].is_object(), "{name}");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let path = format!("/api/v1{}", path.replace(['{', '}'], ""));
            let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
            let (status, ..) = trying.begun(request).await;
            assert!(status != StatusCode::METHOD_NOT_ALLOWED, "{name}: {status}");
            assert!(status != StatusCode::NOT_FOUND, "{name}: {status}");
        }
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
    for file in fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let text = text.replace("OpenApiRouter::new()", "");
        assert!(!text.contains("Router::new()") && !text.contains(".route("), "{}: use routes!", file.display());
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
