//! A target: a real HTTP server on a free port that records what it gets and answers by script.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::sync::{Notify, watch};

use crate::server::Server;

/// What a target answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This status with this body.
    Status(u16, String),
    /// This status with this header.
    Header(u16, &'static str, String),
    /// Never.
    Hang,
    /// A 200 whose body never ends.
    Endless,
    /// 200, but only when somebody says [`Target::release`].
    Wait,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Call {
    /// A header as text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// All its headers as text.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        self.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }
}

/// What is answered to which call.
type Script = Box<dyn FnMut(&Call) -> Answer + Send>;

struct Shared {
    calls: watch::Sender<Vec<Call>>,
    script: Mutex<Script>,
    release: Notify,
}

/// The server. It ends when it is dropped.
pub struct Target {
    /// Its base URL.
    pub url: String,
    shared: Arc<Shared>,
    server: Server,
}

impl Target {
    /// A target that answers 200 to everything.
    pub async fn fine() -> Target {
        Target::answering(|_| Answer::Status(200, "{}".to_owned())).await
    }

    /// A target that answers as the script says.
    pub async fn answering(script: impl FnMut(&Call) -> Answer + Send + 'static) -> Target {
        let shared = Arc::new(Shared {
            calls: watch::Sender::new(Vec::new()),
            script: Mutex::new(Box::new(script)),
            release: Notify::new(),
        });
        let server = Server::start(Router::new().fallback(answer).with_state(Arc::clone(&shared))).await;
        Target { url: server.url.clone(), shared, server }
    }

    /// From now on it answers as this script says.
    pub fn answer(&self, script: impl FnMut(&Call) -> Answer + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// Ends it when all that it was asked is answered: connections that are kept open end too, and new ones are refused.
    pub async fn stop(&mut self) {
        self.server.finish().await;
    }

    /// What it was asked for, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.borrow().clone()
    }

    /// The bodies of what it was asked for, as text.
    pub fn bodies(&self) -> Vec<String> {
        self.calls().iter().map(|call| String::from_utf8_lossy(&call.body).into_owned()).collect()
    }

    /// Waits until it was asked so many times.
    pub async fn called(&self, times: usize) {
        let mut calls = self.shared.calls.subscribe();
        calls.wait_for(|calls| calls.len() >= times).await.unwrap();
    }

    /// Waits until its calls are such that this holds.
    pub async fn until(&self, mut holds: impl FnMut(&[Call]) -> bool) {
        let mut calls = self.shared.calls.subscribe();
        calls.wait_for(|calls| holds(calls)).await.unwrap();
    }

    /// Lets one waiting answer out, now or when there is one.
    pub fn release(&self) {
        self.shared.release.notify_one();
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call { method, path: uri.to_string(), headers, body };
    let answer = (shared.script.lock().unwrap())(&call);
    shared.calls.send_modify(|calls| calls.push(call));
    let status = |code: u16| StatusCode::from_u16(code).unwrap();
    match answer {
        Answer::Status(code, body) => (status(code), body).into_response(),
        Answer::Header(code, name, value) => (status(code), [(name, value)]).into_response(),
        Answer::Hang => std::future::pending().await,
        Answer::Endless => Body::from_stream(Endless).into_response(),
        Answer::Wait => {
            shared.release.notified().await;
            StatusCode::OK.into_response()
        }
    }
}

/// A body that never ends.
struct Endless;

impl futures_util::Stream for Endless {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(Some(Ok(Bytes::from_static(&[b'x'; 8192]))))
    }
}

/// A timeout short enough to wait for, long enough for a loopback exchange on a busy machine.
pub const SHORT: Duration = Duration::from_millis(300);
