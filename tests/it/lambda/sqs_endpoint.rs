//! An endpoint that records what the SDK asks of SQS (AWS JSON 1.0) and fails what it is told to fail.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use towpath_tests::server::Server;

#[derive(Default)]
struct Shared {
    calls: Mutex<Vec<(String, Value)>>,
    failing: Mutex<Option<String>>,
    rejected: Mutex<Vec<String>>,
}

/// The endpoint. It ends when it is dropped.
pub(super) struct SqsEndpoint {
    /// Its URL.
    pub(super) url: String,
    shared: Arc<Shared>,
    _server: Server,
}

impl SqsEndpoint {
    pub(super) async fn start() -> SqsEndpoint {
        let shared = Arc::new(Shared::default());
        let server = Server::start(Router::new().fallback(answer).with_state(Arc::clone(&shared))).await;
        SqsEndpoint { url: server.url.clone(), shared, _server: server }
    }

    /// What succeeded, by action.
    pub(super) fn calls(&self) -> Vec<(String, Value)> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// The messages that were sent.
    pub(super) fn sent(&self) -> Vec<Value> {
        let calls = self.calls().into_iter();
        calls.filter(|(action, _)| action == "SendMessage").map(|(_, request)| request).collect()
    }

    /// Handles and seconds of the visibility changes, in order.
    pub(super) fn visibility_changes(&self) -> Vec<(String, u64)> {
        let calls = self.calls().into_iter().filter(|(action, _)| action == "ChangeMessageVisibilityBatch");
        let entries = calls.flat_map(|(_, request)| request["Entries"].as_array().cloned().unwrap_or_default());
        let pair = |entry: Value| {
            let handle = entry["ReceiptHandle"].as_str().unwrap().to_owned();
            (handle, entry["VisibilityTimeout"].as_u64().unwrap())
        };
        entries.map(pair).collect()
    }

    /// From now on this action fails.
    pub(super) fn fail(&self, action: &str) {
        *self.shared.failing.lock().unwrap() = Some(action.to_owned());
    }

    /// From now on the entry with this handle fails in batches.
    pub(super) fn reject(&self, handle: &str) {
        self.shared.rejected.lock().unwrap().push(handle.to_owned());
    }

    /// Nothing fails any more.
    pub(super) fn recover(&self) {
        *self.shared.failing.lock().unwrap() = None;
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let target = headers.get("x-amz-target").map_or("", |target| target.to_str().unwrap());
    let action = target.rsplit('.').next().unwrap_or_default().to_owned();
    let request: Value = serde_json::from_str(&body).unwrap();
    if shared.failing.lock().unwrap().as_deref() == Some(action.as_str()) {
        let error = json!({ "__type": "com.amazonaws.sqs#ServiceUnavailable", "message": "failed on purpose" });
        return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response();
    }
    let answer = match action.as_str() {
        "SendMessage" => json!({ "MessageId": "new-id", "MD5OfMessageBody": md5_is_not_checked() }),
        "GetQueueAttributes" => json!({ "Attributes": {
            "MessageRetentionPeriod": "1209600",
            "RedrivePolicy": "{\"deadLetterTargetArn\":\"arn:aws:sqs:eu-west-1:1:dead.fifo\",\"maxReceiveCount\":900}",
        } }),
        _ => {
            let rejected = shared.rejected.lock().unwrap().clone();
            let is_rejected = |entry: &&Value| {
                entry["ReceiptHandle"].as_str().is_some_and(|handle| rejected.iter().any(|r| r == handle))
            };
            let entries = request["Entries"].as_array().unwrap();
            let (failed, done): (Vec<&Value>, Vec<&Value>) = entries.iter().partition(is_rejected);
            let failed = failed.iter().map(|entry| {
                json!({ "Id": entry["Id"], "SenderFault": true, "Code": "InvalidParameterValue", "Message": "expired" })
            });
            json!({ "Successful": done.iter().map(|entry| json!({ "Id": entry["Id"] })).collect::<Vec<_>>(), "Failed": failed.collect::<Vec<_>>() })
        }
    };
    shared.calls.lock().unwrap().push((action, request));
    ([("content-type", "application/x-amz-json-1.0")], answer.to_string()).into_response()
}

/// The host trusts TLS for what a checksum could tell.
fn md5_is_not_checked() -> &'static str {
    "00000000000000000000000000000000"
}
