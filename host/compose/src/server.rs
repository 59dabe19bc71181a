//! The HTTP server in front of a router, with limits that hold however clients behave.
//!
//! A connection costs memory, so their number is limited. At the limit, the connection that the server has waited for longest (for a request
//! or the rest of one) is evicted: a healthy client always gets in, and an idle or slow one keeps nobody out. A complete request is never cut
//! off, not even when its client hangs up: what it asks of the store counts until it is done.

mod connections;
mod guard;
mod tracked;
mod work;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request};
use axum::middleware;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use towpath_intake::Peer;
use towpath_runtime::tasks::log_panic;
use tracing::{debug, warn};

use connections::{Connections, Seat};
pub use guard::{Guard, HostName};
use tracked::Tracked;
use work::Work;

/// The most connections at a time, if the system allows that many open files.
const MAX_CONNECTIONS: usize = 2048;

/// The most bytes of bodies of all connections, from their arrival to the response.
const MAX_HELD: usize = 128 * 1024 * 1024;

/// How long a client may take to send the head of its next request. Longer than the minute for which load balancers keep idle connections, or
/// they would find them closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest head of a request.
const MAX_HEAD: usize = 64 * 1024;

/// How long to wait after the system could not accept a connection.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves requests that the guard allows, until `stop`; then finishes those in flight.
pub async fn serve(listener: TcpListener, router: Router, guard: Guard, stop: CancellationToken) {
    serve_unless(listener, router, guard, stop, |_, _| false).await;
}

/// Like [`serve`], but a request for which `only_for_client` returns true is dropped when its client hangs up: only the response is wanted.
pub async fn serve_unless(
    listener: TcpListener,
    router: Router,
    guard: Guard,
    stop: CancellationToken,
    only_for_client: fn(&Method, &HeaderMap) -> bool,
) {
    let router = router.layer(middleware::from_fn_with_state(guard, guard::guard));
    let connections = Connections::new(capacity(), MAX_HELD);
    let host = Host { router, stop: stop.clone(), heirs: TaskTracker::new(), only_for_client };
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let tcp = match accepted {
            Ok((tcp, _)) => tcp,
            // The client gave up, or the system is out of file descriptors.
            Err(error) => {
                warn!(error = %error, "accept failed");
                connections.make_room();
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(seat) = stop.run_until_cancelled(connections.seat()).await else { break };
        tasks.spawn(talk(tcp, seat, host.clone()));
        while let Some(ended) = tasks.try_join_next() {
            log_panic("connection", ended);
        }
    }
    drop(listener);
    connections.close_idle();
    while let Some(ended) = tasks.join_next().await {
        log_panic("connection", ended);
    }
    host.heirs.close();
    host.heirs.wait().await;
}

/// What all connections of a server share.
#[derive(Clone)]
struct Host {
    router: Router,
    stop: CancellationToken,
    /// The work of clients that have hung up.
    heirs: TaskTracker,
    only_for_client: fn(&Method, &HeaderMap) -> bool,
}

/// As many connections as open files are allowed, less some for the store, targets and queues.
fn capacity() -> usize {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(256);
    let spare = usize::try_from(files / 2).unwrap_or(MAX_CONNECTIONS);
    spare.clamp(16, MAX_CONNECTIONS)
}

/// Serves one connection until it ends.
async fn talk(tcp: TcpStream, seat: Seat, host: Host) {
    let _ = tcp.set_nodelay(true);
    let source = tcp.peer_addr().ok().map(|peer| Peer(peer.ip()));
    let seat = Arc::new(seat);
    let handed = Arc::clone(&seat);
    let stop = host.stop.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(source) = source {
            request.extensions_mut().insert(source);
        }
        let router = host.router.clone();
        let seat = Arc::clone(&handed);
        let heirs = (!(host.only_for_client)(request.method(), request.headers())).then(|| host.heirs.clone());
        async move {
            let body = |body| Body::new(Tracked::new(body, Arc::clone(&seat), BODY_TIMEOUT));
            let answer = router.oneshot(request.map(body));
            let answer = Work::new(answer, Arc::clone(&seat), heirs).await;
            // hyper writes the response before it yields, so no eviction can come between the two.
            seat.wait();
            answer
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let connection = builder.serve_connection(TokioIo::new(tcp), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = seat.evicted() => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // Complete requests are answered; incomplete ones are not waited for.
            tokio::select! {
                ended = &mut connection => ended,
                () = seat.evicted() => return,
            }
        }
    };
    if let Err(error) = ended {
        debug!(error = %error, "connection failed");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use towpath_config::{Config, Secrets};
    use towpath_intake::Ingest;
    use towpath_local::{QueueSettings, Store};
    use towpath_types::clock::Clock;

    use super::*;

    /// What an ingest answers to these bytes. Time is paused, so it passes as soon as nothing else can happen.
    async fn answer(bytes: &[u8]) -> String {
        let folder = TempDir::new().expect("folder");
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        let queue = store.queue("q.fifo", QueueSettings::default()).await.expect("queue");
        let text = "[[route]]\npath = 'g'\ngroup = 'g/x'\nplugin = 'p'\n[plugin.p]\npath = 'p'\n";
        let config = Config::parse(text, Path::new("towpath.toml"), &Secrets::placeholders()).expect("config");
        let ingest = Ingest::new(config.routes, Arc::new(queue), 1024);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let address = listener.local_addr().expect("address");
        let router = towpath_intake::router(Arc::new(ingest), "/hooks");
        let client = async {
            let mut stream = TcpStream::connect(address).await.expect("connect");
            stream.write_all(bytes).await.expect("write");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("the server ends it");
            answer
        };
        tokio::select! {
            answer = client => answer,
            () = serve(listener, router, Guard::default().for_any_host(), CancellationToken::new()) => unreachable!("it serves for ever"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_go_on_is_not_waited_for() {
        let head = "POST /hooks/g HTTP/1.1\r\nhost: a\r\n";
        assert_eq!(answer(b"").await, "", "no request at all");
        assert_eq!(answer(head.as_bytes()).await, "", "half a head");
        let slow = answer(format!("{head}content-length: 10\r\n\r\n{{").as_bytes()).await;
        assert!(slow.starts_with("HTTP/1.1 408 "), "half a body: {slow}");
        let whole = answer(format!("{head}content-length: 2\r\n\r\n{{}}").as_bytes()).await;
        assert!(whole.starts_with("HTTP/1.1 202 "), "{whole}");
    }
}
