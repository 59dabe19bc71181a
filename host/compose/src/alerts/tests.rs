//! Notices on their way to a target, look by look.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use towpath_config::Secrets;
use towpath_operate::queues::Queues;
use towpath_types::holds::{Change, Hold};

use super::*;
use crate::parts::Parts;
use crate::plugins::engine;

/// A target that answers a status and keeps what it got.
#[derive(Default)]
struct Ops {
    status: AtomicU16,
    got: Mutex<Vec<(HeaderMap, String)>>,
}

async fn ops() -> (Arc<Ops>, String, JoinSet<()>) {
    let ops = Arc::new(Ops { status: AtomicU16::new(200), ..Ops::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let keep = async |State(ops): State<Arc<Ops>>, headers: HeaderMap, body: String| {
        ops.got.lock().push((headers, body));
        StatusCode::from_u16(ops.status.load(Ordering::SeqCst)).expect("a status")
    };
    let router = Router::new().fallback(keep).with_state(Arc::clone(&ops));
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.expect("served") });
    (ops, url, server)
}

static AHEAD: AtomicU64 = AtomicU64::new(0);

async fn watcher(folder: &TempDir, url: &str) -> (Watcher, Queues) {
    let text = format!(
        "[target.sss]\nurl = \"{url}\"\nallow_private = true\n[target.ops]\nurl = \"{url}\"\nallow_private = true\n\
        auth = {{ scheme = \"standard-webhooks\", secret = \"ops\" }}\nbreaker = {{ failures = 0 }}\n\
        [[notify]]\non = \"target-held\"\nto = \"ops\"\nfor = \"10m\"\n"
    );
    let secret = format!("whsec_{}", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=");
    let secrets = Secrets::of([("ops".to_owned(), secret)]);
    let config = Config::parse(&text, &folder.path().join("towpath.toml"), &secrets).expect("config");
    let queues = Queues::open(folder.path()).await.expect("store");
    let clock = Clock::wall().shifted(&AHEAD);
    let rules = Rules::of(&config).expect("rules");
    let parts = Parts::new(engine(1).expect("engine"), config, None, None, clock).await.expect("parts");
    let (pipeline, _) = parts.pipeline(Arc::new(queues.dead_letters.clone()), "events.fifo".to_owned());
    let holds: Arc<dyn Holds> = Arc::new(queues.events.store().clone());
    (rules.watch(Arc::new(pipeline), Some(holds), || 0, clock), queues)
}

#[tokio::test]
async fn a_long_hold_is_told_to_the_target_signed_and_again_until_the_target_takes_it() {
    let folder = TempDir::new().expect("folder");
    let (ops, url, _server) = ops().await;
    let (mut watcher, queues) = watcher(&folder, &url).await;
    let hold = Hold { since: watcher.clock.now(), until: None, reason: "release".to_owned(), by: "ann".to_owned() };
    let holds = queues.events.store().clone();
    holds.change(Change::Hold("sss".to_owned(), hold)).await.expect("held");
    assert_eq!(watcher.look().await, [], "it has not lasted yet");

    AHEAD.fetch_add(11 * 60 * 1000, Ordering::SeqCst);
    let mut outbox = Outbox::new(Arc::clone(&watcher.pipeline), watcher.clock);
    ops.status.store(503, Ordering::SeqCst);
    outbox.waiting.extend(watcher.look().await);
    outbox.flush().await;
    ops.status.store(200, Ordering::SeqCst);
    outbox.waiting.extend(watcher.look().await);
    outbox.flush().await;
    outbox.flush().await;
    let got = std::mem::take(&mut *ops.got.lock());
    let ids: Vec<_> = got.iter().map(|(headers, _)| headers.get("webhook-id").cloned()).collect();
    assert_eq!(got.len(), 2, "once refused, once taken: {got:?}");
    assert!(ids[0] == ids[1] && ids[0].is_some(), "a target can tell that it is the same: {ids:?}");
    let (headers, body) = &got[1];
    assert!(headers.contains_key("webhook-signature"), "{headers:?}");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["data"]["state"], "firing");
    assert!(body["data"]["summary"].as_str().is_some_and(|text| text.contains("release")), "{body}");

    holds.change(Change::Resume("sss".to_owned(), None)).await.expect("resumed");
    outbox.waiting.extend(watcher.look().await);
    outbox.flush().await;
    let got = std::mem::take(&mut *ops.got.lock());
    assert_eq!(got.len(), 1);
    assert!(got[0].1.contains("resolved"), "{got:?}");

    AHEAD.fetch_add(11 * 60 * 1000, Ordering::SeqCst);
    ops.status.store(503, Ordering::SeqCst);
    let hold = Hold { since: Timestamp(0), until: None, reason: String::new(), by: String::new() };
    holds.change(Change::Hold("sss".to_owned(), hold)).await.expect("held");
    AHEAD.fetch_add(5 * 3600 * 1000, Ordering::SeqCst);
    outbox.waiting.extend(watcher.look().await);
    outbox.flush().await;
    assert_eq!(outbox.waiting.len(), 1, "it is kept for an hour");
    AHEAD.fetch_add(61 * 60 * 1000, Ordering::SeqCst);
    outbox.flush().await;
    assert_eq!((outbox.waiting.len(), ops.got.lock().len()), (0, 1), "and then dropped without a request");
}
