//! `record --listen`: saves posted webhooks as cases, and forwards them to an ingest with `--forward`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use towpath_compose::server::{self, Guard};
use towpath_compose::signals;
use towpath_operate::record::Recorder;
use towpath_types::clock::Clock;
use towpath_types::envelope::Webhook;
use towpath_types::message::Message;

use super::know;
use crate::args::Record;
use crate::output::Output;

/// How long the last answers may take to be sent.
const GRACE: Duration = Duration::from_secs(2);

/// Headers that belong to one connection, not to the event (RFC 9110, section 7.6.1); the client sets its own.
const OF_A_CONNECTION: [HeaderName; 7] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
];

/// A posted message, and the request that waits until it is saved.
struct Posted {
    message: Message,
    saved: oneshot::Sender<()>,
}

/// What handles a request.
#[derive(Clone)]
struct Front {
    recorder: mpsc::Sender<Posted>,
    onward: Option<Onward>,
}

/// The ingest to forward to.
#[derive(Clone)]
struct Onward {
    client: reqwest::Client,
    base: String,
}

/// Records posted webhooks until there are enough of them or Ctrl-C is pressed. A recorder that forwards them to an ingest runs until
/// Ctrl-C, because live events pass through it.
pub(super) async fn listen(
    recorder: &mut Recorder,
    args: &Record,
    address: SocketAddr,
    output: &Output,
) -> anyhow::Result<()> {
    let config = args.place.wanted().config().await?;
    know(recorder, config.as_ref(), output);
    if !address.ip().is_loopback() {
        output.note(
            "anybody who reaches this address can write cases: bind 127.0.0.1 behind a tunnel instead, and name the tunnel with \
            --allow-host NAME",
        );
    }
    let onward = args.forward.as_deref().map(Onward::to).transpose()?;
    let forwards = onward.is_some();
    let listener = tokio::net::TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    let (sender, mut posted) = mpsc::channel(16);
    let router = Router::new().fallback(take).with_state(Front { recorder: sender, onward });
    output.note(format!("recording what is posted to http://{}/hooks/PATH", listener.local_addr()?));
    let guard = Guard::of(&args.names.allowed);
    let enough = CancellationToken::new();
    let server = server::serve(listener, router, guard, enough.clone());
    tokio::pin!(server);
    let stop = signals::first();
    tokio::pin!(stop);
    while forwards || !recorder.is_full() {
        tokio::select! {
            () = &mut server => return Ok(()),
            stopped = &mut stop => {
                stopped?;
                break;
            }
            Some(Posted { message, saved }) = posted.recv() => {
                note_down(recorder, &message, forwards, output)?;
                // The sender may be gone; the case is saved.
                let _ = saved.send(());
            }
        }
    }
    // Saved requests are answered before the end; others in flight are rejected.
    posted.close();
    enough.cancel();
    let _ = tokio::time::timeout(GRACE, server).await;
    Ok(())
}

fn note_down(recorder: &mut Recorder, message: &Message, forwards: bool, output: &Output) -> anyhow::Result<()> {
    let before = recorder.saved.len();
    match recorder.save(message) {
        Ok(()) => {}
        // A full disk must not keep events from the ingest.
        Err(error) if forwards => output.error(&error.context("recording an event, which is forwarded anyway")),
        Err(error) => return Err(error),
    }
    for saved in recorder.saved.iter().skip(before) {
        output.say(saved.case.display());
    }
    if forwards && recorder.is_full() && recorder.saved.len() > before {
        output.note("--limit is reached; events are still forwarded until Ctrl-C");
    }
    Ok(())
}

async fn take(State(front): State<Front>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let recorded = method == Method::POST && front.record(&uri, &headers, &body).await;
    match &front.onward {
        Some(onward) => onward.forward(method, &uri, headers, body).await,
        None if method != Method::POST => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        None if recorded => StatusCode::ACCEPTED.into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

impl Front {
    async fn record(&self, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> bool {
        let path = uri.path().trim_matches('/');
        let path = path.strip_prefix("hooks/").unwrap_or(path);
        let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
        let query = uri.query().unwrap_or_default().to_owned();
        let message = Message {
            id: uuid::Uuid::new_v4().to_string().into(),
            group: if path.is_empty() { "test" } else { path }.into(),
            dedup_id: None,
            sequence: None,
            receive_count: 1,
            sent_at: Clock::wall().now(),
            source: "record".to_owned(),
            aws_trace: None,
            replayed_at: None,
            webhook: Webhook { query, headers: headers.collect(), body: body.to_vec(), ..Webhook::default() }.into(),
        };
        let (saved, is_saved) = oneshot::channel();
        self.recorder.send(Posted { message, saved }).await.is_ok() && is_saved.await.is_ok()
    }
}

impl Onward {
    fn to(base: &str) -> anyhow::Result<Onward> {
        let client = towpath_operate::post::client()?;
        Ok(Onward { client, base: base.trim_end_matches('/').to_owned() })
    }

    /// Sends the same request to the ingest and returns its answer: the sender gets a 202 only if the event is stored.
    async fn forward(&self, method: Method, uri: &Uri, mut headers: HeaderMap, body: Bytes) -> Response {
        for name in OF_A_CONNECTION {
            headers.remove(name);
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = self.client.request(method, format!("{}{path}", self.base)).headers(headers).body(body);
        let answered = async {
            let answer = request.send().await?;
            let status = answer.status();
            let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
            let retry_after = answer.headers().get(header::RETRY_AFTER).cloned();
            Ok::<_, reqwest::Error>((status, kind, retry_after, answer.bytes().await?))
        };
        match answered.await {
            Ok((status, kind, retry_after, body)) => {
                let mut response = (status, body).into_response();
                response.headers_mut().remove(header::CONTENT_TYPE);
                response.headers_mut().extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
                response.headers_mut().extend(retry_after.map(|after| (header::RETRY_AFTER, after)));
                response
            }
            Err(error) => {
                tracing::warn!(to = self.base, error = %error.without_url(), "forwarding an event failed, answering 502 so that the sender retries");
                StatusCode::BAD_GATEWAY.into_response()
            }
        }
    }
}
