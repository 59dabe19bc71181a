//! What a host may still do with a message when its lease may be over: nothing that others can see.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use towpath_engine::lambda::Host;
use towpath_engine::pipeline::Settlement;
use towpath_runtime::lease::Lease;
use towpath_runtime::time::wall_clock;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route, received};
use towpath_tests::target::{Answer, Target};

const HOUR: u64 = 3_600_000;

/// A target that answers so, behind a machine that is suspended for an hour while it does.
async fn suspending(ahead: &'static AtomicU64, code: u16, body: &'static str) -> Target {
    let answer = move |_: &_| {
        ahead.fetch_add(HOUR, Ordering::SeqCst);
        Answer::Status(code, body.to_owned())
    };
    Target::answering(answer).await
}

/// A lease of a minute, by a clock that a test sets.
fn minute(ahead: &'static AtomicU64) -> Lease {
    Lease::since(wall_clock().shifted(ahead).moment(), Duration::from_secs(60))
}

#[tokio::test]
async fn no_request_goes_out_once_the_lease_is_over() {
    static AHEAD: AtomicU64 = AtomicU64::new(0);
    let target = Target::fine().await;
    // The machine sleeps while a token is fetched: after every other check, before the request.
    let endpoint = suspending(&AHEAD, 200, r#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let auth =
        format!("{{ scheme = 'oauth2', token_url = '{}/token', client_id = 'c', secret = 'token' }}", endpoint.url);
    let pipeline = rig.pipeline(&format!("{}\nauth = {auth}\nbreaker = {{ failures = 1 }}", one_route(&target.url)));
    let message = received("g/1", "{}");
    assert_eq!(pipeline.group(minute(&AHEAD)).next(&message).await, Settlement::Retry(Duration::ZERO));
    assert_eq!((endpoint.calls().len(), target.calls().len()), (1, 0));
    assert_eq!(pipeline.group(minute(&AHEAD)).next(&message).await, Settlement::Ack, "its breaker did not count it");
    assert_eq!(target.calls().len(), 1);
}

#[tokio::test]
async fn no_dead_letter_is_sent_once_the_lease_is_over() {
    static AHEAD: AtomicU64 = AtomicU64::new(0);
    let target = suspending(&AHEAD, 404, "").await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&one_route(&target.url));
    let mut run = pipeline.group(minute(&AHEAD));
    assert_eq!(run.next(&received("g/1", "{}")).await, Settlement::Retry(Duration::ZERO));
    assert!(rig.letters().await.is_empty(), "whoever has the message now decides on it");
}

#[tokio::test]
async fn nothing_is_tried_on_a_lease_that_is_over() {
    static AHEAD: AtomicU64 = AtomicU64::new(0);
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&one_route(&target.url));
    let mut run = pipeline.group(minute(&AHEAD));
    AHEAD.store(HOUR, Ordering::SeqCst);
    assert_eq!(run.next(&received("g/1", "{}")).await, Settlement::Retry(Duration::ZERO), "not even the first");
    assert!(target.calls().is_empty());
}

#[tokio::test]
async fn an_invocation_that_was_frozen_past_its_deadline_begins_no_other_message() {
    static AHEAD: AtomicU64 = AtomicU64::new(0);
    let target = suspending(&AHEAD, 200, "").await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let mut pipeline = Arc::into_inner(rig.pipeline(&one_route(&target.url))).unwrap();
    pipeline.clock = wall_clock().shifted(&AHEAD);
    let deadline = pipeline.clock.now() + Duration::from_secs(60);
    let host = Host { pipeline, queue: Arc::new(rig.events.clone()), watch: None, extends_visibility: false };
    let record = |id: &str| json!({ "messageId": id, "receiptHandle": id, "body": id, "attributes": { "MessageGroupId": "g/1" } });
    let event = json!({ "Records": [record("m-1"), record("m-2"), record("m-3")] });
    let answer = json!(host.handle(&event, deadline).await.unwrap());
    assert_eq!(target.bodies(), ["m-1"]);
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "m-2" }, { "itemIdentifier": "m-3" }] }));
}
