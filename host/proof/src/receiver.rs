//! The test target: accepts, refuses or misbehaves on command, and records every request.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::event::{Event, Kind};
use crate::journal::{Call, Journal};

/// Longer than the hosts' timeout.
const SLOW: Duration = Duration::from_secs(4);

/// How the target behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    /// It accepts what it should.
    Well,
    /// One request in this many fails, in a random way.
    Shaky(u32),
    /// It answers everything with this status.
    Away(u16),
    /// It accepts everything and answers too late.
    Slow,
    /// It accepts everything and drops the connection within its answers.
    Torn,
}

/// How one request is disturbed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reply {
    Status(u16),
    Slow,
    Torn,
}

/// A target that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    journal: Arc<Journal>,
    state: Mutex<(Mood, fastrand::Rng)>,
}

impl Receiver {
    /// Starts on a free port.
    pub(crate) async fn start(journal: Arc<Journal>, seed: u64) -> anyhow::Result<Receiver> {
        let shared = Arc::new(Shared { journal, state: Mutex::new((Mood::Well, fastrand::Rng::with_seed(seed))) });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("starting the target")?;
        let address = listener.local_addr().context("starting the target")?;
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Receiver { address, shared, _server: server })
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.shared.state.lock().0 = mood;
    }
}

impl Shared {
    fn next(&self) -> Option<Reply> {
        let mut state = self.state.lock();
        let (mood, random) = &mut *state;
        match *mood {
            Mood::Well => None,
            Mood::Shaky(one_in) if random.u32(..one_in) > 0 => None,
            Mood::Shaky(_) => random.choice([
                Reply::Status(500),
                Reply::Status(503),
                Reply::Status(429),
                Reply::Status(408),
                Reply::Torn,
            ]),
            Mood::Away(status) => Some(Reply::Status(status)),
            Mood::Slow => Some(Reply::Slow),
            Mood::Torn => Some(Reply::Torn),
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let webhook_id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let event = Event::read(&body);
    // An event that it refuses is refused in every mood.
    let takes = if event.is_some_and(|event| event.kind == Kind::Refuse) { 400 } else { 200 };
    // Each host has a path of its own.
    let by = uri.path().split('/').nth(1).and_then(|host| host.parse().ok());
    let replayed = headers.contains_key("towpath-replayed-at");
    let called = |status, trouble| {
        shared.journal.called(Call { at: Duration::ZERO, event, webhook_id, status, trouble, by, replayed });
    };
    match shared.next() {
        Some(Reply::Status(status)) => {
            called(status, None);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let mut answer = (status, "not now\n").into_response();
            if status == StatusCode::TOO_MANY_REQUESTS {
                answer.headers_mut().insert("retry-after", axum::http::HeaderValue::from_static("1"));
            }
            answer
        }
        Some(Reply::Slow) => {
            called(takes, Some("answered too late"));
            tokio::time::sleep(SLOW).await;
            whole(takes)
        }
        Some(Reply::Torn) => {
            called(takes, Some("its answer broken off"));
            let pieces = [Ok(Bytes::from_static(b"{\"half\":")), Err(std::io::Error::other("broken off"))];
            let torn = Body::from_stream(futures_util::stream::iter(pieces));
            (StatusCode::from_u16(takes).unwrap_or_default(), torn).into_response()
        }
        None => {
            called(takes, None);
            whole(takes)
        }
    }
}

fn whole(status: u16) -> Response {
    (StatusCode::from_u16(status).unwrap_or_default(), "{}\n").into_response()
}
