//! The endpoint over a store that another process also has open.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;
use towpath_local::{QueueSettings, Store};
use towpath_types::clock::Clock;
use towpath_types::queue::{Queue as _, Receive};

use crate::{Endpoint, router};

const NAME: &str = "q.fifo";

struct Here {
    endpoint: Arc<Endpoint>,
    /// The same store, as another process has it open.
    there: Store,
    _folder: TempDir,
}

impl Here {
    async fn with(settings: QueueSettings) -> Here {
        let folder = TempDir::new().expect("folder");
        let store = || Store::open(folder.path(), Clock::wall()).expect("store");
        let here = store();
        let there = store();
        here.set_queue(NAME, settings).await.expect("queue");
        Here { endpoint: Endpoint::new(here, Vec::new(), None).await.expect("endpoint"), there, _folder: folder }
    }

    async fn post(&self, action: &str, mut body: Value) -> (u16, Value) {
        body["QueueUrl"] = json!(NAME);
        let request = Request::post("/").header("x-amz-target", format!("AmazonSQS.{action}"));
        let request = request.body(Body::from(body.to_string())).expect("request");
        let answer = router(Arc::clone(&self.endpoint)).oneshot(request).await.expect("answer");
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), usize::MAX).await.expect("body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    async fn bodies(&self) -> Vec<usize> {
        let queue = self.there.find(NAME).await.expect("read").expect("queue");
        let received = queue.receive(Receive::default()).await.expect("receive");
        received.into_iter().map(|message| message.body.len()).collect()
    }
}

fn entry(id: &str, length: usize) -> Value {
    json!({ "Id": id, "MessageBody": "x".repeat(length), "MessageGroupId": "g", "MessageDeduplicationId": id })
}

#[tokio::test]
async fn an_entry_is_checked_against_the_current_settings_and_the_batch_keeps_its_order() {
    let here = Here::with(QueueSettings { max_message_bytes: 1024, ..QueueSettings::default() }).await;
    here.there.set_queue(NAME, QueueSettings::default()).await.expect("set");
    let batch = json!({ "Entries": [entry("a", 1), entry("b", 2000), entry("c", 3)] });
    let (status, answer) = here.post("SendMessageBatch", batch).await;
    assert_eq!((status, answer.get("Failed")), (200, None), "{answer}");
    assert_eq!(here.bodies().await, [1, 2000, 3]);
}

#[tokio::test]
async fn a_batch_without_ids_is_rejected_whole_once_content_based_deduplication_is_off() {
    let here = Here::with(QueueSettings { content_based_dedup: true, ..QueueSettings::default() }).await;
    here.there.set_queue(NAME, QueueSettings::default()).await.expect("set");
    let mut unnamed = entry("b", 2);
    unnamed.as_object_mut().expect("an entry").remove("MessageDeduplicationId");
    let (status, answer) = here.post("SendMessageBatch", json!({ "Entries": [entry("a", 1), unnamed] })).await;
    assert_eq!(status, 400, "{answer}");
    assert!(here.bodies().await.is_empty());
}

#[tokio::test]
async fn a_batch_without_valid_entries_fails_if_its_queue_was_removed() {
    let here = Here::with(QueueSettings::default()).await;
    let queue = here.there.find(NAME).await.expect("read").expect("queue");
    here.there.remove(queue).await.expect("removed");
    for action in ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"] {
        let (status, answer) = here.post(action, json!({ "Entries": [{ "Id": "a" }] })).await;
        assert_eq!((status, answer["__type"].as_str()), (400, Some("com.amazonaws.sqs#QueueDoesNotExist")), "{action}");
        let queue = here.there.set_queue(NAME, QueueSettings::default()).await.expect("queue");
        here.endpoint.store.find(NAME).await.expect("read").expect("it is cached again");
        here.there.remove(queue).await.expect("removed");
    }
}
