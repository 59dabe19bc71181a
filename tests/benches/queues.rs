//! Queues over HTTP: the SQS endpoint, `poll` over it beside the sum of its parts, and a redrive under traffic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use towpath_aws::{SqsQueue, client};
use towpath_engine::pipeline::Pipeline;
use towpath_engine::poll::{self, Options};
use towpath_local::{DedupScope, LocalQueue, QueueSettings};
use towpath_plugin::Plugin;
use towpath_tests::binary::binary;
use towpath_tests::endpoint::SqsServer;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route};
use towpath_tests::server::Server;
use towpath_types::dead_letter::{DEAD_LETTER_ATTRIBUTE, DeadLetter};
use towpath_types::message::Message;
use towpath_types::queue::{Attribute, Handle, NewMessage, Queue, Receive};

/// Clients at the same time.
const CLIENTS: u64 = 8;

/// Messages that wait when `poll` begins.
const BACKLOG: u64 = 1_000;

/// Groups that messages are spread over.
const GROUPS: u64 = 100;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn queue(server: &SqsServer, name: &str) -> LocalQueue {
    let settings = QueueSettings { dedup_scope: DedupScope::MessageGroup, ..QueueSettings::default() };
    server.store.queue(name, settings).await.unwrap()
}

/// One of many: no two messages are alike.
fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn body() -> String {
    "x".repeat(600)
}

async fn call(client: &reqwest::Client, url: &str, action: &str, request: Value) -> Value {
    let call = client.post(url).header("x-amz-target", format!("AmazonSQS.{action}"));
    let answer = call.body(request.to_string()).send().await.unwrap();
    assert!(answer.status().is_success(), "{action}");
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// Ten messages sent, ten received, ten deleted, as often as it takes for `count` messages.
async fn round_trips(client: reqwest::Client, url: String, queue_url: String, count: u64) {
    let mut deleted = 0;
    while deleted < count {
        let entries: Vec<Value> = (0..10)
            .map(|id| {
                let number = number();
                json!({ "Id": id.to_string(), "MessageBody": body(), "MessageGroupId": format!("g{number}"),
                    "MessageDeduplicationId": number.to_string() })
            })
            .collect();
        call(&client, &url, "SendMessageBatch", json!({ "QueueUrl": queue_url, "Entries": entries })).await;
        let ask = json!({ "QueueUrl": queue_url, "MaxNumberOfMessages": 10, "AttributeNames": ["All"] });
        let received = call(&client, &url, "ReceiveMessage", ask).await;
        let messages = received["Messages"].as_array().cloned().unwrap_or_default();
        let entry =
            |(id, message): (usize, &Value)| json!({ "Id": id.to_string(), "ReceiptHandle": message["ReceiptHandle"] });
        let entries: Vec<Value> = messages.iter().enumerate().map(entry).collect();
        call(&client, &url, "DeleteMessageBatch", json!({ "QueueUrl": queue_url, "Entries": entries })).await;
        deleted += entries.len() as u64;
    }
}

fn endpoint(criterion: &mut Criterion) {
    towpath_runtime::install_crypto();
    let runtime = runtime();
    let server = runtime.block_on(SqsServer::start());
    runtime.block_on(queue(&server, "bench.fifo"));
    let mut group = criterion.benchmark_group("SQS endpoint over HTTP, durable");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(10));
    for clients in [1, CLIENTS] {
        let name = format!("send, receive, delete, ten a batch, {clients} clients");
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| {
                let started = Instant::now();
                runtime.block_on(async {
                    let mut tasks = JoinSet::new();
                    for _ in 0..clients {
                        let client = reqwest::Client::new();
                        let url = server.url.clone();
                        tasks.spawn(round_trips(client, url, server.queue_url("bench.fifo"), count.div_ceil(clients)));
                    }
                    while let Some(ended) = tasks.join_next().await {
                        ended.unwrap();
                    }
                });
                started.elapsed()
            });
        });
    }
    group.finish();
}

async fn fill(queue: &LocalQueue, count: u64) {
    let mut messages = Vec::new();
    for _ in 0..count {
        let number = number();
        let group = format!("g/{}", number % GROUPS).into();
        let message = NewMessage {
            group,
            dedup_id: Some(number.to_string().into()),
            body: body().into(),
            attributes: Default::default(),
        };
        messages.push((message, Default::default()));
    }
    queue.send_all(messages).await.unwrap();
}

/// The parts of `poll`, bare: receives of ten, a plugin call and an exchange for each message, and deletes of
/// ten, by as many tasks as `poll` works on groups.
async fn parts(sqs: Arc<SqsQueue>, plugin: Arc<Plugin>, url: String, count: u64) {
    let done = Arc::new(AtomicU64::new(0));
    let client = reqwest::Client::builder().tcp_nodelay(true).build().unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let sqs = sqs.clone();
        let plugin = plugin.clone();
        let url = url.clone();
        let done = done.clone();
        let client = client.clone();
        tasks.spawn(async move {
            while done.load(Ordering::Relaxed) < count {
                let batch = sqs.receive(Receive::default()).await.unwrap();
                for message in &batch {
                    let message = Message::read(message, "bench").unwrap();
                    plugin.transform(&message, plugin.limits()).verdict.unwrap();
                    client.post(&url).body(message.webhook.body.clone()).send().await.unwrap().bytes().await.unwrap();
                }
                let handles: Vec<Handle> = batch.into_iter().map(|message| message.handle).collect();
                sqs.delete(&handles).await.into_iter().for_each(|result| result.unwrap());
                done.fetch_add(handles.len() as u64, Ordering::Relaxed);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

/// Waits until so many were delivered. It costs nothing: counting what is left would look at every message.
async fn delivered(pipeline: &Pipeline, count: u64) {
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    while pipeline.totals().delivered < count {
        ticks.tick().await;
    }
}

fn poll_over_the_endpoint(criterion: &mut Criterion) {
    let runtime = runtime();
    let server = runtime.block_on(SqsServer::start());
    let events = runtime.block_on(queue(&server, "events.fifo"));
    let url = runtime.block_on(Server::plain());
    let rig = runtime.block_on(Rig::new());
    rig.write("guest", Guest::forward());
    let pipeline = runtime.block_on(async { rig.pipeline(&one_route(&url).replace("300ms", "10s")) });
    let plugin = pipeline.plugins.get("guest").unwrap();
    let queue_url = server.queue_url("events.fifo");
    let sqs = Arc::new(SqsQueue::new(runtime.block_on(client::sqs(&queue_url)), queue_url));
    let mut group = criterion.benchmark_group("poll over the SQS endpoint, a backlog in 100 groups");
    group.throughput(Throughput::Elements(BACKLOG)).sample_size(10).measurement_time(Duration::from_secs(15));
    group.bench_function("the sum of its parts, bare", |bencher| {
        bencher.iter_custom(|times| {
            runtime.block_on(async {
                let count = times * BACKLOG;
                fill(&events, count).await;
                let started = Instant::now();
                parts(sqs.clone(), plugin.clone(), format!("{url}/t"), count).await;
                started.elapsed()
            })
        });
    });
    group.bench_function("poll", |bencher| {
        bencher.iter_custom(|times| {
            runtime.block_on(async {
                let count = times * BACKLOG;
                fill(&events, count).await;
                let before = pipeline.totals().delivered;
                let stop = CancellationToken::new();
                let mut tasks = JoinSet::new();
                let started = Instant::now();
                let options = Options { wait: Duration::from_secs(1), ..Options::default() };
                tasks.spawn(poll::run(sqs.clone(), pipeline.clone(), options, Arc::default(), stop.clone()));
                delivered(&pipeline, before + count).await;
                let elapsed = started.elapsed();
                stop.cancel();
                while let Some(ended) = tasks.join_next().await {
                    ended.unwrap().unwrap();
                }
                assert_eq!(events.depth().await.unwrap().messages, 0);
                elapsed
            })
        });
    });
    group.finish();
}

/// Letters of a death by 404.
async fn letters(rig: &Rig, count: u64) {
    let mut letters = Vec::new();
    for _ in 0..count {
        let number = number();
        let death =
            DeadLetter { v: 1, reason: "refused".to_owned(), id: format!("m-{number}"), ..DeadLetter::default() };
        let letter = Attribute::text(serde_json::to_string(&death).unwrap());
        let message = NewMessage {
            group: format!("g/{}", number % GROUPS).into(),
            dedup_id: Some(number.to_string().into()),
            body: body().into(),
            attributes: [(DEAD_LETTER_ATTRIBUTE.to_owned(), letter)].into(),
        };
        letters.push((message, Default::default()));
    }
    rig.dead_letters.send_all(letters).await.unwrap();
}

fn redrive_under_traffic(criterion: &mut Criterion) {
    let runtime = runtime();
    let rig = runtime.block_on(Rig::new());
    rig.write("guest", Guest::forward());
    let url = runtime.block_on(Server::plain());
    let pipeline = runtime.block_on(async { rig.pipeline(&one_route(&url).replace("300ms", "10s")) });
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let towpath = binary("towpath");
    runtime.block_on(async {
        // A host at work, and an ingest that never rests.
        let queue = Arc::new(rig.events.clone());
        let driver = poll::run(queue, pipeline, Options::default(), Arc::default(), stop.clone());
        tasks.spawn(async { driver.await.unwrap() });
        let events = rig.events.clone();
        let stopped = stop.clone();
        tasks.spawn(async move {
            while !stopped.is_cancelled() {
                fill(&events, 1).await;
            }
        });
    });
    let mut group = criterion.benchmark_group("redrive with traffic flowing");
    group.sample_size(10).measurement_time(Duration::from_secs(20));
    group.bench_function("10,000 letters in 100 groups, local store", |bencher| {
        bencher.iter_custom(|count| {
            let mut elapsed = Duration::ZERO;
            for _ in 0..count {
                runtime.block_on(letters(&rig, 10_000));
                let mut redrive = Command::new(&towpath);
                redrive.args(["dlq", "redrive", "--all", "--json", "--store"]).arg(rig.path());
                let started = Instant::now();
                let output = redrive.output().unwrap();
                elapsed += started.elapsed();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                let report: Value = serde_json::from_slice(&output.stdout).unwrap();
                assert_eq!(report["moved"], 10_000, "{report}");
            }
            elapsed
        });
    });
    group.finish();
    stop.cancel();
    runtime.block_on(async { while tasks.join_next().await.is_some() {} });
}

criterion_group!(benches, endpoint, poll_over_the_endpoint, redrive_under_traffic);
criterion_main!(benches);
