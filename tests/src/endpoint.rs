//! The SQS endpoint over a store of its own, on a free port.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::{Json, Router};
use serde_json::{Value, json};
use tempfile::TempDir;
use towpath_local::Store;
use towpath_sqs::{Endpoint, router};
use towpath_types::clock::Clock;

use crate::server::Server;

/// The endpoint. It ends when it is dropped.
pub struct SqsServer {
    /// Its URL.
    pub url: String,
    /// The store beneath it.
    pub store: Store,
    ahead: &'static AtomicU64,
    server: Server,
    _folder: TempDir,
}

impl SqsServer {
    /// Starts one.
    pub async fn start() -> SqsServer {
        SqsServer::start_behind(|router| router).await
    }

    /// Starts one with this in front of its router.
    pub async fn start_behind(guard: impl FnOnce(Router) -> Router) -> SqsServer {
        let folder = TempDir::new().unwrap();
        let ahead: &'static AtomicU64 = Box::leak(Box::default());
        let store = Store::open(folder.path(), Clock::wall().shifted(ahead)).unwrap();
        let endpoint = Endpoint::new(store.clone(), Vec::new(), None).await.unwrap();
        let server = Server::start(guard(router(endpoint))).await;
        SqsServer { url: server.url.clone(), store, ahead, server, _folder: folder }
    }

    /// Puts its clock forward.
    pub fn pass(&self, time: Duration) {
        self.ahead.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Ends it: from now on connections to its address are refused.
    pub async fn stop(&mut self) {
        self.server.stop().await;
    }

    /// The URL of a queue.
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/000000000000/{name}", self.url)
    }
}

/// Actions that an endpoint refuses, as with a policy that lacks them.
#[derive(Clone, Default)]
pub struct Refused(Arc<Mutex<Vec<&'static str>>>);

impl Refused {
    /// From now on these are refused, and no others.
    pub fn set(&self, actions: &[&'static str]) {
        *self.0.lock().unwrap() = actions.to_vec();
    }

    /// The endpoint's router with a guard in front.
    pub fn guard(&self, router: Router) -> Router {
        let refused = self.clone();
        router.layer(from_fn(move |request: Request, next: Next| {
            let action = request.headers().get("x-amz-target").map(|action| action.to_str().unwrap().to_owned());
            let is = |refused: &&str| action.as_deref() == Some(&format!("AmazonSQS.{refused}"));
            let refuse = refused.0.lock().unwrap().iter().any(is);
            async move {
                if refuse {
                    (StatusCode::BAD_REQUEST, "{\"__type\": \"AccessDeniedException\"}").into_response()
                } else {
                    next.run(request).await
                }
            }
        }))
    }
}

/// Fails one entry of a batch of sends, as SQS may: the others of the batch are stored.
#[derive(Clone, Default)]
pub struct FailingEntry(Arc<Mutex<Failing>>);

#[derive(Default)]
struct Failing {
    after: Option<usize>,
    /// Whether the answer names no failure.
    is_silent: bool,
}

impl FailingEntry {
    /// Fails the entry that comes after this many.
    pub fn after(&self, entries: usize) {
        *self.0.lock().unwrap() = Failing { after: Some(entries), is_silent: false };
    }

    /// Does the same, and the answer leaves the entry out.
    pub fn silently_after(&self, entries: usize) {
        *self.0.lock().unwrap() = Failing { after: Some(entries), is_silent: true };
    }

    /// The endpoint's router with the failure in front.
    pub fn guard(&self, router: Router) -> Router {
        let left = Arc::clone(&self.0);
        router.layer(from_fn(move |request: Request, next: Next| {
            let left = Arc::clone(&left);
            async move {
                let action = request.headers().get("x-amz-target").cloned();
                if action.is_none_or(|action| action != "AmazonSQS.SendMessageBatch") {
                    return next.run(request).await;
                }
                let (mut parts, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap();
                let mut batch: Value = serde_json::from_slice(&body).unwrap();
                let entries = batch["Entries"].as_array_mut().unwrap();
                let (failing, is_silent) = {
                    let mut left = left.lock().unwrap();
                    (fails_at(&mut left.after, entries.len()).map(|at| entries.remove(at)), left.is_silent)
                };
                let told: Vec<Value> = failing.iter().filter(|_| !is_silent).map(failed).collect();
                if entries.is_empty() {
                    return Json(json!({ "Successful": [], "Failed": told })).into_response();
                }
                parts.headers.remove("content-length");
                let answer = next.run(Request::from_parts(parts, batch.to_string().into())).await;
                if told.is_empty() {
                    return answer;
                }
                let stored = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
                let mut stored: Value = serde_json::from_slice(&stored).unwrap();
                stored["Failed"] = json!(told);
                Json(stored).into_response()
            }
        }))
    }
}

/// The position of the failing entry, if it is in a batch of this size.
fn fails_at(left: &mut Option<usize>, entries: usize) -> Option<usize> {
    let at = left.take()?;
    if at < entries {
        return Some(at);
    }
    *left = Some(at - entries);
    None
}

fn failed(entry: &Value) -> Value {
    json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false, "Message": "on purpose" })
}
