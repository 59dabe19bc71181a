//! The keys of a webhook: its group, its deduplication key, and the `webhook-id` that its target sees.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;
use towpath_engine::pipeline::Settlement;
use towpath_intake::{Ingest, router};
use towpath_local::Browsed;
use towpath_runtime::time::wall_clock;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route};
use towpath_tests::target::{Answer, Target};
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::{DeadLetter, Stored};
use towpath_types::message::Note;
use towpath_types::queue::Queue as _;
use towpath_verify::note_keys::{NoteKeys, Seal};

/// The rig's route, with a deduplication key.
fn config(url: &str) -> String {
    one_route(url).replace("plugin = \"guest\"", "dedup = \"json:/id\"\nplugin = \"guest\"")
}

fn front_door(rig: &Rig, config: &str) -> (Arc<Ingest>, Router) {
    let ingest = Ingest::new(rig.config(config).routes, Arc::new(rig.events.clone()), 2 * 1024 * 1024);
    let ingest = Arc::new(ingest.keeping_refused(Arc::new(rig.refused.clone())));
    (Arc::clone(&ingest), router(ingest, "/hooks"))
}

async fn post(router: &Router, body: impl Into<Vec<u8>>) -> (StatusCode, Value) {
    let request = Request::post("/hooks/g").body(Body::from(body.into())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    (status, serde_json::from_slice(&to_bytes(response.into_body(), 4096).await.unwrap()).unwrap())
}

async fn accepted(router: &Router, body: impl Into<Vec<u8>>) -> Value {
    let (status, answer) = post(router, body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    answer
}

async fn stored(rig: &Rig) -> Vec<Browsed> {
    rig.events.browse(None, 1000).await.unwrap()
}

#[tokio::test]
async fn forms_and_xml_have_keys_too() {
    let rig = Rig::new().await;
    let cases = [
        ("form:From|lower", "application/x-www-form-urlencoded", "From=Ada%40Example.org&n=1", "ada@example.org"),
        ("xml:/order/@id", "text/xml", "<order id='7&amp;8'><n>1</n></order>", "7&8"),
        ("body|sha1|hex", "text/plain", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ];
    for (value, content_type, body, key) in cases {
        let config = one_route("http://127.0.0.1:9")
            .replace("plugin = \"guest\"", &format!("dedup = \"{value}\"\nplugin = \"guest\""))
            .replace("{json:/k}", &format!("{{{value}}}"));
        let (_, router) = front_door(&rig, &config);
        let mut answers = Vec::new();
        for _ in 0..2 {
            let request = Request::post("/hooks/g").header("content-type", content_type).body(Body::from(body));
            let response = router.clone().oneshot(request.unwrap()).await.unwrap();
            let answer = to_bytes(response.into_body(), 4096).await.unwrap();
            answers.push(serde_json::from_slice::<Value>(&answer).unwrap());
        }
        assert!(answers[0]["group"].as_str().unwrap().ends_with(key), "{value}: {}", answers[0]);
        assert_eq!(answers[0]["id"], answers[1]["id"], "{value}: the same event is stored once");
    }
    assert_eq!(stored(&rig).await.len(), 3);
}

#[tokio::test]
async fn a_number_is_a_key_as_it_is_written() {
    let rig = Rig::new().await;
    let (_, router) = front_door(&rig, &config("http://127.0.0.1:9"));
    let numbers =
        ["100000000000000000001", "100000000000000000002", "1.1", "1.10", "1e400", "1E400", "100", "1E2", "-0"];
    for number in numbers {
        let by_id = accepted(&router, format!(r#"{{"k":"a","id":{number}}}"#)).await;
        let again = accepted(&router, format!(r#"{{"k":"a","id":{number},"again":true}}"#)).await;
        assert_eq!(by_id["id"], again["id"], "{number} is the same event again");
        let by_group = accepted(&router, format!(r#"{{"k":{number},"id":"g-{number}"}}"#)).await;
        assert_eq!(by_group["group"], format!("g/{number}"));
    }
    assert_eq!(stored(&rig).await.len(), 2 * numbers.len(), "none of them is another");
}

#[tokio::test]
async fn an_awkward_value_elsewhere_changes_neither_group_nor_deduplication() {
    let rig = Rig::new().await;
    let (_, router) = front_door(&rig, &config("http://127.0.0.1:9"));
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let bodies: Vec<Vec<u8>> = vec![
        br#"{"k":"b","id":0}"#.to_vec(),
        br#"{"k":"b","id":1,"title":"cut \ud83d"}"#.to_vec(),
        "\u{feff}{\"k\":\"b\",\"id\":2}".into(),
        br#"{"x":1e400,"k":"b","id":3}"#.to_vec(),
        br#"{"x":NaN,"k":"b","id":4}"#.to_vec(),
        b"{\"x\":\"caf\xe9\",\"k\":\"b\",\"id\":5}".to_vec(),
        format!(r#"{{"x":{},"k":"b","id":6}}"#, nested(200)).into(),
        format!(r#"{{"k":"b","id":7,"x":{}}}"#, nested(400_000)).into(),
        br#"{"\ud83d":1,"k":"b","id":8}"#.to_vec(),
        br#"{"k":"a","id":0,"\u006b":"b","id":9}"#.to_vec(),
    ];
    for body in &bodies {
        let first = accepted(&router, body.clone()).await;
        assert_eq!(first["group"], "g/b", "{}", String::from_utf8_lossy(&body[..body.len().min(60)]));
        assert_eq!(accepted(&router, body.clone()).await, first);
    }
    assert_eq!(stored(&rig).await.len(), bodies.len());
}

#[tokio::test]
async fn strings_that_are_no_text_are_keys_of_their_own() {
    let rig = Rig::new().await;
    let (_, router) = front_door(&rig, &config("http://127.0.0.1:9"));
    let ids: [&[u8]; 5] =
        [br#""\ud83d""#, br#""\ud83e""#, b"\"caf\xe9\"", b"\"caf\xe8\"", "\"caf\u{fffd}\"".as_bytes()];
    let mut groups = HashSet::new();
    for id in ids {
        let body = [b"{\"k\":", id, b",\"id\":", id, b"}"].concat();
        let first = accepted(&router, body.clone()).await;
        assert_eq!(accepted(&router, body).await, first, "the same event again");
        groups.insert(first["group"].to_string());
    }
    assert_eq!((groups.len(), stored(&rig).await.len()), (ids.len(), ids.len()));
}

#[tokio::test]
async fn an_event_that_is_cut_off_keeps_its_group_and_is_never_taken_for_a_duplicate() {
    let rig = Rig::new().await;
    let (_, router) = front_door(&rig, &config("http://127.0.0.1:9"));
    let bodies =
        [r#"{"k":"b","id":"e","x":"cut"#, r#"{"k":"b","id":"e","x":"cut"#, r#"{"k":"b","id":"e","x":"whole"}"#];
    for body in bodies {
        assert_eq!(accepted(&router, body).await["group"], "g/b", "{body}");
    }
    let stored = stored(&rig).await;
    let bodies_stored: Vec<_> = stored.iter().map(|message| message.body.webhook().unwrap().body.clone()).collect();
    assert_eq!(bodies_stored, bodies.map(|body| body.as_bytes().to_vec()));
}

#[tokio::test]
async fn a_route_may_refuse_what_lacks_a_key_and_keeps_it_with_the_reason() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let refusing = config(&target.url).replace("path = \"g\"", "path = \"g\"\non_missing_key = \"refuse\"");
    let (ingest, router) = front_door(&rig, &refusing);
    let cases = [
        (r#"{"id":1}"#, "group json:/k: missing"),
        (r#"{"k":null,"id":1}"#, "group json:/k: null"),
        (r#"{"k":"","id":1}"#, "group json:/k: empty"),
        (r#"{"k":NaN,"id":1}"#, "group json:/k: the value is not JSON"),
        (r#"{"k":"b"}"#, "dedup json:/id: missing"),
        (
            r#"{"k":"b","id":1"#,
            "group json:/k: the body is not JSON from byte 15 on; dedup json:/id: the body is not JSON from byte 15 on",
        ),
    ];
    for (body, why) in cases {
        let (status, answer) = post(&router, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(answer["error"], format!("a key of the event cannot be read: {why}"));
    }
    accepted(&router, r#"{"k":"b","id":1}"#).await;
    assert_eq!((ingest.refused(), ingest.accepted(), stored(&rig).await.len()), (6, 1, 1));
    let kept = rig.refused.browse(None, 10).await.unwrap();
    let letters: Vec<DeadLetter> = kept.iter().map(|kept| DeadLetter::read(&kept.attributes).unwrap()).collect();
    let told: Vec<_> = letters.iter().map(|letter| (letter.reason.as_str(), letter.detail.as_str())).collect();
    assert_eq!(told, cases.map(|(_, why)| ("missing-key", why)));
    // An operator may send it on after all.
    let stored =
        Stored { id: &kept[4].id, group: &kept[4].group, body: &kept[4].body, attributes: &kept[4].attributes };
    rig.events.send(letters[4].send_back(&stored)).await.unwrap();
    rig.run(&rig.pipeline(&refusing)).await;
    assert_eq!(target.bodies(), [r#"{"k":"b","id":1}"#, r#"{"k":"b"}"#]);
}

#[tokio::test]
async fn without_more_words_what_lacks_its_keys_is_stored() {
    let rig = Rig::new().await;
    let (_, router) = front_door(&rig, &config("http://127.0.0.1:9"));
    let bodies = ["not json", "", "{}", r#"{"k":null,"id":null}"#, "{}"];
    let groups: HashSet<String> = {
        let mut groups = HashSet::new();
        for body in bodies {
            groups.insert(accepted(&router, body).await["group"].to_string());
        }
        groups
    };
    assert_eq!((groups.len(), stored(&rig).await.len()), (1, bodies.len()));
}

/// How far the clock of the test with that of the store is put forward.
static AHEAD: AtomicU64 = AtomicU64::new(0);

#[tokio::test]
async fn an_event_that_is_sent_again_after_five_minutes_carries_the_same_webhook_id() {
    let target = Target::fine().await;
    let rig = Rig::with_clock(wall_clock().shifted(&AHEAD)).await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&config(&target.url));
    let (_, router) = front_door(&rig, &config(&target.url));
    let mut answers = Vec::new();
    for body in [
        r#"{"k":1,"id":"e-1"}"#,
        r#"{"k":1,"id":"e-1","again":true}"#,
        r#"{"k":2,"id":"e-1"}"#,
        r#"{"k":1,"id":"e-2"}"#,
    ] {
        answers.push(accepted(&router, body).await);
        rig.run(&pipeline).await;
        AHEAD.fetch_add(301_000, Ordering::SeqCst);
    }
    let ids: HashSet<_> = answers.iter().map(|answer| answer["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 4, "each is a message of its own");
    let seen: Vec<_> = target.calls().iter().map(|call| call.header("webhook-id").to_owned()).collect();
    assert_eq!(seen, answers.iter().map(|answer| answer["webhook_id"].as_str().unwrap()).collect::<Vec<_>>());
    assert_eq!(seen[0], seen[1], "the same event");
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 3, "another group or another key is another event");
    assert!(seen[0].starts_with("msg_") && seen[0].len() == 36, "{}", seen[0]);
    let keys: Vec<_> = target.calls().iter().map(|call| call.header("idempotency-key").to_owned()).collect();
    assert_eq!(keys, seen.iter().map(|id| format!("{id}/0")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_that_came_past_ingest_has_the_webhook_id_that_ingest_would_have_given_it() {
    let target = Target::answering(|_| Answer::Status(404, String::new())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&config(&target.url));
    let (_, router) = front_door(&rig, &config(&target.url));
    let body = r#"{"k":1,"id":"e-1"}"#;
    let expected = accepted(&router, body).await["webhook_id"].as_str().unwrap().to_owned();
    rig.send_raw("g/1", body.to_owned()).await;
    rig.send_raw("g/1", r#"{"k":1}"#.to_owned()).await;
    let ids: Vec<_> = stored(&rig).await.into_iter().map(|message| String::from(message.id)).collect();
    assert_eq!(rig.run(&pipeline).await, [Settlement::Buried; 3]);
    // As letters, too, and on a route that has no deduplication key any more.
    target.answer(|_| Answer::Status(200, String::new()));
    for kept in rig.dead_letters.browse(None, 3).await.unwrap() {
        let letter = DeadLetter::read(&kept.attributes).unwrap();
        let stored = Stored { id: &kept.id, group: &kept.group, body: &kept.body, attributes: &kept.attributes };
        rig.events.send(letter.send_back(&stored)).await.unwrap();
    }
    rig.run(&rig.pipeline(&one_route(&target.url))).await;
    let seen: Vec<_> = target.calls().iter().map(|call| call.header("webhook-id").to_owned()).collect();
    let derived = expected.as_str();
    assert_eq!(seen, [derived, derived, &ids[2], derived, derived, &ids[2]]);
}

#[tokio::test]
async fn a_webhook_id_outlives_death_an_edit_a_redrive_and_a_change_of_the_config() {
    let target = Target::answering(|_| Answer::Status(404, String::new())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let (_, router) = front_door(&rig, &config(&target.url));
    let answer = accepted(&router, r#"{"k":1,"id":"e-1"}"#).await;
    assert_eq!(rig.run(&rig.pipeline(&config(&target.url))).await, [Settlement::Buried]);
    let kept = rig.dead_letters.browse(None, 1).await.unwrap().remove(0);
    let letter = DeadLetter::read(&kept.attributes).unwrap();
    assert_eq!(letter.id, answer["id"], "the letter is found by the id that the sender was told");
    let stored = Stored { id: &kept.id, group: &kept.group, body: &kept.body, attributes: &kept.attributes };
    let note = Note { at: Timestamp(1), by: "ops".to_owned(), text: "the key was wrong".to_owned(), unverified: false };
    let seal = Seal { keys: &NoteKeys::default(), group: &kept.group, route: "g" };
    let (body, attributes) = seal.edit(&letter, &stored, br#"{"k":1,"id":"e-9"}"#.to_vec(), note);
    rig.events.send(letter.send_back(&Stored { body: &body, attributes: &attributes, ..stored })).await.unwrap();
    target.answer(|_| Answer::Status(200, String::new()));
    // The route has no deduplication key any more.
    assert_eq!(rig.run(&rig.pipeline(&one_route(&target.url))).await, [Settlement::Ack]);
    let seen: Vec<_> = target.calls().iter().map(|call| call.header("webhook-id").to_owned()).collect();
    assert_eq!(seen, [answer["webhook_id"].as_str().unwrap(); 2]);
}
