//! Every GET of the API is answered in the shape that the document gives it.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::dead_letter::DeadLetter;
use towpath_types::envelope::Webhook;
use towpath_types::outcome::{Answer, Attempt};
use towpath_types::queue::{NewMessage, Queue as _};

use crate::Role;
use crate::pages::plugins::tests::setup;
use crate::trying::{Trying, pass};

/// Checks values against the schemas of a document: types, fields and items. A field that its schema does not have is as wrong as one that is
/// missing.
struct Shapes<'a>(&'a Value);

impl<'a> Shapes<'a> {
    /// What is wrong with a value, each with its place.
    fn wrong(&self, schema: &'a Value, value: &Value, at: &str) -> Vec<String> {
        let mut parts = Vec::new();
        self.parts(schema, &mut parts);
        let mut wrong = Vec::new();
        for part in &parts {
            for choices in ["oneOf", "anyOf"].iter().filter_map(|name| part[*name].as_array()) {
                let tried: Vec<_> = choices.iter().map(|choice| self.wrong(choice, value, at)).collect();
                if tried.iter().all(|wrong| !wrong.is_empty()) {
                    wrong.extend(tried.into_iter().flatten());
                }
            }
            if !is_of(&part["type"], value) {
                wrong.push(format!("{at}: {value} is no {}", part["type"]));
            }
            if part["enum"].as_array().is_some_and(|all| !all.contains(value)) {
                wrong.push(format!("{at}: {value} is none of {}", part["enum"]));
            }
            for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                wrong.extend(self.wrong(&part["items"], item, &format!("{at}/{number}")));
            }
        }
        if let Some(fields) = value.as_object() {
            self.fields(&parts, fields, at, &mut wrong);
        }
        wrong
    }

    /// The schemas that a value must fit, without references and `allOf`, which is what flattened fields become.
    fn parts(&self, schema: &'a Value, into: &mut Vec<&'a Value>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let meant = self.0.pointer(reference.trim_start_matches('#')).expect("the reference resolves");
            return self.parts(meant, into);
        }
        into.push(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.parts(part, into);
        }
    }

    fn fields(&self, parts: &[&'a Value], fields: &Map<String, Value>, at: &str, wrong: &mut Vec<String>) {
        let own = |name: &'static str| parts.iter().filter_map(move |part| part.get(name));
        let has_choices = own("oneOf").chain(own("anyOf")).next().is_some();
        let is_open = has_choices || own("additionalProperties").any(|more| *more != json!(false));
        let is_untold = own("properties").next().is_none();
        for (name, value) in fields {
            let at = format!("{at}/{name}");
            let mut known = own("properties").filter_map(|all| all.get(name)).peekable();
            if known.peek().is_none() && !is_open && !is_untold {
                wrong.push(format!("{at} is not described"));
            }
            for schema in known {
                wrong.extend(self.wrong(schema, value, &at));
            }
            for schema in own("additionalProperties").filter(|more| more.is_object() && is_untold) {
                wrong.extend(self.wrong(schema, value, &at));
            }
        }
        for name in own("required").filter_map(Value::as_array).flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                wrong.push(format!("{at}/{name} is missing"));
            }
        }
    }
}

/// Whether a value is of this type, or of one of these; null allows every type.
fn is_of(kind: &Value, value: &Value) -> bool {
    match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| is_of(kind, value)),
        Value::String(kind) => match kind.as_str() {
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "null" => value.is_null(),
            other => panic!("a type that no schema has: {other}"),
        },
        _ => true,
    }
}

/// A letter with a value in each of its fields.
fn letter(id: &str, reason: &str) -> DeadLetter {
    let excerpt = "no".to_owned();
    let attempt = |answer| Attempt {
        target: "sss".to_owned(),
        method: "PUT".to_owned(),
        path: "/a".to_owned(),
        answer,
        millis: 7,
    };
    DeadLetter {
        v: 1,
        id: id.to_owned(),
        reason: reason.to_owned(),
        detail: "it said no".to_owned(),
        status: Some(422),
        excerpt: excerpt.clone(),
        attempts: vec![
            attempt(Answer::None { problem: "no answer".to_owned() }),
            attempt(Answer::Status { status: 422, excerpt }),
        ],
        trace: vec!["f".to_owned()],
        stderr: "panicked".to_owned(),
        route: Some("crm".to_owned()),
        plugin: Some("p".to_owned()),
        digest: Some("9f86d081884c7d65".to_owned()),
        cut: vec!["story".to_owned()],
        secret_header: Some("x-secret".to_owned()),
        parks: true,
        verified: true,
        sequence: Some("18".to_owned()),
        receive_count: 3,
        source: "events.fifo".to_owned(),
        sent_at: Timestamp(1_000),
        failed_at: Clock::wall().now(),
        mac: None,
    }
}

const DEAD: &str = "11111111-dead";
const SENT_BACK: &str = "22222222-sent-back";

/// A console over a store with something for every GET; the id of an event that waits, and that of a job.
async fn full() -> (Trying, String, String) {
    let trying = Trying::new().await;
    let headers = vec![("x-secret".to_owned(), b"hush".to_vec())];
    let webhook = Webhook { headers, body: br#"{"id":7}"#.to_vec(), ..Webhook::default() };
    let message = NewMessage {
        group: "crm/7".into(),
        dedup_id: Some("1".into()),
        body: webhook.clone().into(),
        attributes: Default::default(),
    };
    let id = trying.queues.events.send(message).await.expect("sent").id.to_string();
    for (queue, id, reason) in [
        (&trying.queues.dead_letters, DEAD, "rejected"),
        (&trying.queues.dead_letters, SENT_BACK, "refused"),
        (&trying.queues.refused, "33333333-refused", "unverified"),
    ] {
        let carried = letter(id, reason).carried_by(id.into(), webhook.clone().into(), Default::default());
        queue.send(carried).await.expect("sent");
    }
    trying.tell(&[pass(&id, "unavailable", "no answer"), pass(DEAD, "rejected", "no")]);
    let build = trying.folder.path().join("builds/crm-2");
    std::fs::create_dir_all(&build).expect("made");
    std::fs::write(build.join("plugin.wasm"), b"no component").expect("written");
    let done = async |path: &str, order: Value| {
        let answer = trying.json(&format!("/api/v1{path}"), order).await;
        assert!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.text);
        answer
    };
    done("/targets/sss/hold", json!({ "reason": "release", "length_seconds": 60 })).await;
    done("/groups/crm%2F7/retry", json!({ "head": id, "note": "ticket 7" })).await;
    done("/views", json!({ "name": "mine", "filter": { "reason": "refused" } })).await;
    let plan = done("/letters/redrive/plan", json!({ "filter": { "reason": "refused" } })).await.json();
    let plan = json!({ "filter": plan["filter"], "letters": 1, "plan": plan["plan"]["digest"], "note": "ticket 7" });
    let job = done("/letters/redrive", plan).await.json()["job"].as_str().expect("an id").to_owned();
    while trying.get(&format!("/api/v1/jobs/{job}")).await.json()["ended_at"].is_null() {
        tokio::task::yield_now().await;
    }
    (trying, id, job)
}

#[tokio::test]
async fn every_get_is_answered_in_the_shape_that_the_document_gives_it() {
    let (trying, id, job) = full().await;
    let requests = [
        ("/openapi.json", "/openapi.json".to_owned()),
        ("/status", "/status".to_owned()),
        ("/status", "/status?groups=5".to_owned()),
        ("/targets", "/targets".to_owned()),
        ("/history", "/history".to_owned()),
        ("/session", "/session".to_owned()),
        ("/letters", "/letters?limit=1".to_owned()),
        ("/letters", "/letters?refused=true".to_owned()),
        ("/letters/stats", "/letters/stats".to_owned()),
        ("/letters/{id}", format!("/letters/{DEAD}")),
        ("/letters/{id}/body", format!("/letters/{DEAD}/body")),
        ("/jobs/{id}", format!("/jobs/{job}")),
        ("/views", "/views".to_owned()),
        ("/audit", "/audit".to_owned()),
        ("/builds", "/builds".to_owned()),
        ("/groups", "/groups?limit=1".to_owned()),
        ("/groups/{group}", "/groups/crm%2F7".to_owned()),
        ("/events/{id}", format!("/events/{id}")),
        ("/events/{id}", format!("/events/{DEAD}")),
        ("/events/{id}", format!("/events/{SENT_BACK}")),
        ("/events/{id}/body", format!("/events/{id}/body")),
        ("/events/{id}/body", format!("/events/{DEAD}/body?as=raw")),
        ("/tail", "/tail?follow=false".to_owned()),
    ];
    let (registry, one, two) = setup(Role::Viewer).await;
    let of_registry = [
        ("/plugins", "/plugins".to_owned()),
        ("/plugins/{name}", "/plugins/crm".to_owned()),
        ("/plugins/{name}", "/plugins/local".to_owned()),
        ("/plugins/{name}/difference", format!("/plugins/crm/difference?old={one}&new={two}")),
        ("/providers", "/providers?search=git".to_owned()),
        ("/providers/{name}", "/providers/github".to_owned()),
    ];
    let requests = requests.map(|request| (request, &trying)).into_iter();
    let requests: Vec<_> = requests.chain(of_registry.map(|request| (request, &registry))).collect();
    let document = trying.get("/api/v1/openapi.json").await.json();
    let shapes = Shapes(&document);
    for (path, item) in document["paths"].as_object().expect("paths") {
        let Some(get) = item.get("get") else { continue };
        assert!(requests.iter().any(|((of, _), _)| of == path), "GET {path} has no request in this test");
        for ((_, request), place) in requests.iter().filter(|((of, _), _)| of == path) {
            let answer = place.get(&format!("/api/v1{request}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{request}: {}", answer.text);
            let kind = answer.headers["content-type"].to_str().expect("text");
            let kind = kind.split(';').next().unwrap_or_default();
            let content = &get["responses"]["200"]["content"][kind];
            assert!(content.is_object(), "{request}: {kind} is not described");
            if kind == "application/json" {
                let wrong = shapes.wrong(&content["schema"], &answer.json(), "");
                assert_eq!(wrong, Vec::<String>::new(), "{request}: {}", answer.text);
            }
        }
    }
}

#[test]
fn a_value_of_another_shape_is_found() {
    let document = json!({ "one": { "type": "object", "required": ["a"], "properties": { "a": { "type": ["integer", "null"] } } } });
    let shapes = Shapes(&document);
    let list = json!({ "type": "array", "items": { "$ref": "#/one" } });
    let both =
        json!({ "allOf": [{ "$ref": "#/one" }, { "type": "object", "properties": { "b": { "enum": ["x"] } } }] });
    let either = json!({ "oneOf": [{ "type": "string" }, { "$ref": "#/one" }] });
    for (schema, value, wrong) in [
        (&list, json!([{ "a": 1 }, { "a": null }]), 0),
        (&list, json!([{ "a": "1" }, {}, { "a": 1, "c": 2 }]), 3),
        (&list, json!({}), 1),
        (&both, json!({ "a": 1, "b": "x" }), 0),
        (&both, json!({ "a": 1, "b": "y", "c": 1 }), 2),
        (&either, json!("x"), 0),
        (&either, json!({ "a": 1 }), 0),
        (&either, json!(7), 2),
    ] {
        let found = shapes.wrong(schema, &value, "");
        assert_eq!(found.len(), wrong, "{value}: {found:?}");
    }
}
