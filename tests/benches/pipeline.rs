//! What one message costs: the plugin call by itself, and the host around plugin call and HTTP exchange.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use towpath_config::plugin::Settings;
use towpath_engine::pipeline::Settlement;
use towpath_plugin::{Engine, Plugin};
use towpath_runtime::lease::Lease;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route, received};
use towpath_tests::server::Server;
use towpath_types::message::Message;
use towpath_types::queue::{MAX_VISIBILITY, Received};

/// One small approval event, as in `plugins/approval/cases/submitted`.
const EVENT: &str = r#"{"event":"approval.submitted","event_id":"evt-9001","occurred_at":"2026-03-02T09:14:58Z","workflow":{"id":"WF-1042","title":"Discount of 12 % for Nordhafen Logistik","applicant":{"id":"u-311"},"amount":{"value":1250000,"currency":"JPY"}}}"#;

/// The host on one thread and the target on another: both benchmarks then wake the same threads.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn server_runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn approval() -> Plugin {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/approval"));
    Plugin::load(&Engine::new().unwrap(), Settings::at("approval", folder)).expect("run `make plugins` first")
}

fn plugin_call(criterion: &mut Criterion) {
    let message = Message::read(&received("approval/WF-1042", EVENT), "bench").unwrap();
    let plugin = approval();
    criterion.bench_function("plugin: store, instantiate, call, drop (approval)", |bencher| {
        bencher.iter(|| plugin.transform(&message, plugin.limits()).verdict.unwrap());
    });
}

/// Two benchmarks whose difference is the host: plugin call and exchange one after the other, bare, and the
/// whole pipeline. (The sum of both measured alone would not do: an exchange in a tight loop finds every
/// thread awake.)
fn host_overhead(criterion: &mut Criterion) {
    let runtime = runtime();
    let elsewhere = server_runtime();
    let rig = runtime.block_on(Rig::new());
    // One that records grows, and the later benchmark would pay for it.
    let url = elsewhere.block_on(Server::plain());
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&one_route(&url).replace("300ms", "10s"));
    let message: Received = received("g/1", EVENT);
    let mut group = criterion.benchmark_group("one message, forwarding guest");
    group.measurement_time(Duration::from_secs(12));
    let plugin = pipeline.plugins.get("guest").unwrap();
    let unpacked = Message::read(&message, "bench").unwrap();
    let client = reqwest::Client::builder().tcp_nodelay(true).build().unwrap();
    let url = format!("{url}/t");
    let bare = move || {
        let client = client.clone();
        let url = url.clone();
        let plugin = plugin.clone();
        let unpacked = unpacked.clone();
        async move {
            plugin.transform(&unpacked, plugin.limits()).verdict.unwrap();
            let request = client.post(&url).header("webhook-id", "m-1").header("idempotency-key", "m-1/0");
            let request = request.header("webhook-timestamp", "1772442900").header("user-agent", "towpath/0.1.0");
            let response = request.timeout(Duration::from_secs(10)).body(EVENT).send().await.unwrap();
            response.bytes().await.unwrap();
        }
    };
    group.bench_function("plugin call and http exchange, bare", |bencher| bencher.to_async(&runtime).iter(&bare));
    let whole = move || {
        let pipeline = pipeline.clone();
        let message = message.clone();
        async move {
            let settlement = pipeline.group(Lease::of(MAX_VISIBILITY)).next(&message).await;
            assert_eq!(settlement, Settlement::Ack);
        }
    };
    group.bench_function("whole pipeline", |bencher| bencher.to_async(&runtime).iter(&whole));
    group.finish();
}

/// The host without any exchange: a guest that skips, called bare and through the pipeline.
fn host_without_exchange(criterion: &mut Criterion) {
    let runtime = runtime();
    let rig = runtime.block_on(Rig::new());
    rig.write("guest", Guest::skip("quiet"));
    let pipeline = rig.pipeline(&one_route("http://127.0.0.1:1"));
    let message: Received = received("g/1", EVENT);
    let plugin = pipeline.plugins.get("guest").unwrap();
    let unpacked = Message::read(&message, "bench").unwrap();
    let mut group = criterion.benchmark_group("one message, skipping guest");
    group.bench_function("plugin call, bare", |bencher| {
        bencher.iter(|| plugin.transform(&unpacked, plugin.limits()).verdict.unwrap());
    });
    group.bench_function("whole pipeline", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            let settlement = pipeline.group(Lease::of(MAX_VISIBILITY)).next(&message).await;
            assert_eq!(settlement, Settlement::Ack);
        });
    });
    group.finish();
}

criterion_group!(benches, plugin_call, host_without_exchange, host_overhead);
criterion_main!(benches);
