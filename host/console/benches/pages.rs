//! Benchmarks the first page of each list, as the server answers it, over a store with little in it and over one with much: the time must not grow with
//! what the store holds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use criterion::{Criterion, criterion_group, criterion_main};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use towpath_config::{Config, Secrets};
use towpath_console::{Access, Console, Role, Session};
use towpath_local::LocalQueue;
use towpath_operate::place::{Backend, Found};
use towpath_operate::queues::Queues;
use towpath_operate::story::StoryPlace;
use towpath_types::clock::Clock;
use towpath_types::dead_letter::{DeadLetter, Seen};
use towpath_types::queue::{MessageId, NewMessage, Queue as _};

const CONFIG: &str =
    "[[route]]\npath = 'crm'\ngroup = 'crm/{json:/id}'\ntarget = 'sss'\n[target.sss]\nurl = 'https://sss.test'\n";

const REASONS: [&str; 5] = ["refused", "rejected", "plugin-trap", "waited-too-long", "expired"];

/// How many groups wait in a store, each with one event, and how many letters it has; as many again were turned away by ingest.
struct Size {
    groups: u64,
    letters: u64,
}

const LITTLE: Size = Size { groups: 100, letters: 1_000 };
const MUCH: Size = Size { groups: 10_000, letters: 100_000 };

/// How many sends are in flight while a store is filled.
const IN_FLIGHT: usize = 64;

struct Served {
    pages: Router,
    /// An event that waits.
    event: MessageId,
    _folder: TempDir,
}

fn body(number: u64) -> String {
    format!("{{\"id\":{number},\"text\":\"{}\"}}", "x".repeat(180))
}

fn event(number: u64) -> NewMessage {
    let dedup_id = Some(number.to_string().into());
    let group = format!("crm/{number}").into();
    NewMessage { group, dedup_id, body: body(number).into(), attributes: Default::default() }
}

fn letter(number: u64) -> NewMessage {
    let seen = Seen { route: Some("crm"), ..Seen::default() };
    let reason = REASONS[usize::try_from(number).unwrap() % REASONS.len()];
    let now = Clock::wall().now();
    let letter = DeadLetter::refused_at_ingest(format!("{number:08x}-letter"), seen, reason, "no".to_owned(), now);
    letter.carried_by(format!("crm/{}", number % 10_000).into(), body(number).into(), Default::default())
}

/// Sends all of these, many at a time.
async fn fill(queue: &LocalQueue, count: u64, message: fn(u64) -> NewMessage) {
    let mut sends = JoinSet::new();
    for number in 0..count {
        if sends.len() >= IN_FLIGHT {
            sends.join_next().await.unwrap().unwrap();
        }
        let queue = queue.clone();
        sends.spawn(async move { drop(queue.send(message(number)).await.unwrap()) });
    }
    while let Some(sent) = sends.join_next().await {
        sent.unwrap();
    }
}

async fn served(size: &Size) -> Served {
    let folder = TempDir::new().unwrap();
    let queues = Queues::open(folder.path()).await.unwrap();
    fill(&queues.events, size.groups, event).await;
    fill(&queues.dead_letters, size.letters, letter).await;
    fill(&queues.refused, size.letters, letter).await;
    let event = queues.events.browse(None, 1).await.unwrap().remove(0).id;
    let config = Config::parse(CONFIG, Path::new("towpath.toml"), &Secrets::placeholders()).unwrap();
    let found = Found::new(Backend::Local(Box::new(queues)), Some(config));
    let store = Some(folder.path().to_owned());
    let story = StoryPlace { config: "towpath.toml".into(), config_was_named: false, store, file: None, logs: None };
    let console = Console::new(found, story, CancellationToken::new());
    let session = Session { by: "ann".to_owned(), role: Role::Operator };
    let pages = towpath_console::router(console, Access::by_token("token".to_owned(), session));
    Served { pages, event, _folder: folder }
}

async fn get(served: &Served, path: &str) -> usize {
    let request = Request::get(path).header("authorization", "Bearer token").body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(served.pages.clone(), request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    to_bytes(response.into_body(), usize::MAX).await.unwrap().len()
}

fn pages(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    for (name, size) in [("little", LITTLE), ("much", MUCH)] {
        let served = runtime.block_on(served(&size));
        let mut group = criterion.benchmark_group(format!("console/{name}"));
        group.sample_size(20).measurement_time(Duration::from_secs(3));
        let event = format!("/events/{}", served.event);
        for (name, path) in [
            ("overview", "/"),
            ("groups", "/groups"),
            ("groups by name", "/groups?begins=crm%2F9"),
            ("letters", "/letters"),
            ("letters of a reason", "/letters?reason=expired"),
            ("letters of a text that none has", "/letters?text=nowhere"),
            ("refused", "/refused"),
            ("event", &event),
        ] {
            group.bench_function(name, |bencher| bencher.iter(|| runtime.block_on(get(&served, path))));
        }
        group.finish();
    }
}

criterion_group!(benches, pages);
criterion_main!(benches);
