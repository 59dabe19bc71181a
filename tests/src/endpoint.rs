//! The SQS endpoint over a store of its own, on a free port.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
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
        let folder = TempDir::new().unwrap();
        let ahead: &'static AtomicU64 = Box::leak(Box::default());
        let store = Store::open(folder.path(), Clock::wall().shifted(ahead)).unwrap();
        let endpoint = Endpoint::new(store.clone(), Vec::new(), None).await.unwrap();
        let server = Server::start(router(endpoint)).await;
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
