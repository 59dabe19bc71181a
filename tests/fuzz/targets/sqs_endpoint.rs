//! Requests to the SQS endpoint: the first byte is the action, the rest its JSON. Every answer is one of SQS.
#![no_main]

use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use towpath_local::{QueueSettings, Store};
use towpath_sqs::{Endpoint, router};
use towpath_types::clock::Clock;

const ACTIONS: [&str; 22] = [
    "CreateQueue",
    "DeleteQueue",
    "GetQueueUrl",
    "ListQueues",
    "GetQueueAttributes",
    "SetQueueAttributes",
    "PurgeQueue",
    "ListDeadLetterSourceQueues",
    "TagQueue",
    "UntagQueue",
    "ListQueueTags",
    "SendMessage",
    "SendMessageBatch",
    "ReceiveMessage",
    "DeleteMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "StartMessageMoveTask",
    "ListMessageMoveTasks",
    "CancelMessageMoveTask",
    "Nonsense",
];

struct Server {
    runtime: Runtime,
    router: Router,
    _folder: TempDir,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
    let folder = TempDir::new().expect("folder");
    let router = runtime.block_on(async {
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        store.queue("q.fifo", QueueSettings::default()).await.expect("queue");
        router(Endpoint::new(store, vec!["q.fifo".to_owned()], None).await.expect("endpoint"))
    });
    Server { runtime, router, _folder: folder }
});

fuzz_target!(|bytes: &[u8]| {
    let Some((first, body)) = bytes.split_first() else { return };
    let action = ACTIONS[usize::from(*first) % ACTIONS.len()];
    // A long poll waits for its message.
    if action == "ReceiveMessage" && String::from_utf8_lossy(body).contains("Wait") {
        return;
    }
    let request = Request::post("/").header("x-amz-target", format!("AmazonSQS.{action}"));
    let request = request.body(Body::from(body.to_vec())).expect("request");
    SERVER.runtime.block_on(async {
        let answer = SERVER.router.clone().oneshot(request).await.expect("an answer");
        let status = answer.status().as_u16();
        assert!(matches!(status, 200 | 400 | 403 | 404 | 503), "{action}: {status}");
        let body = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
        let json: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(json.get("__type").is_some(), status != 200, "{json}");
        assert_ne!(status, 503, "{action}: {json}");
    });
});
