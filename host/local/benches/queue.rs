//! Benchmarks the local queue: durable round trips, and the cost of a receive with a backlog.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use towpath_local::{DedupScope, LocalQueue, QueueSettings, Store};
use towpath_types::clock::Clock;
use towpath_types::queue::{Handle, NewMessage, Queue, Receive};

/// How many sends the producer keeps in flight, like an ingest with that many concurrent senders.
const IN_FLIGHT: u64 = 64;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A store in a temporary folder. Set `TMPDIR` to a folder on a disk, not in memory.
async fn queue() -> (TempDir, LocalQueue) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), Clock::wall()).unwrap();
    let settings = QueueSettings { dedup_scope: DedupScope::MessageGroup, ..QueueSettings::default() };
    let queue = store.queue("bench.fifo", settings).await.unwrap();
    (folder, queue)
}

fn message(number: u64) -> NewMessage {
    NewMessage {
        group: format!("group-{}", number % 50).into(),
        dedup_id: Some(format!("{number}-{}", std::process::id()).into()),
        body: "x".repeat(600).into(),
        attributes: Default::default(),
    }
}

/// Sends `count` messages, at most [`IN_FLIGHT`] at a time.
async fn produce(queue: LocalQueue, first: u64, count: u64) {
    let mut sends = JoinSet::new();
    for number in first..first + count {
        if sends.len() as u64 >= IN_FLIGHT {
            sends.join_next().await;
        }
        let queue = queue.clone();
        sends.spawn(async move { queue.send(message(number)).await.unwrap() });
    }
    while sends.join_next().await.is_some() {}
}

/// Receives and deletes `count` messages.
async fn consume(queue: LocalQueue, count: u64) {
    let mut done = 0;
    while done < count {
        let wait = Duration::from_secs(1);
        let batch = queue.receive(Receive { wait, ..Receive::default() }).await.unwrap();
        let handles: Vec<Handle> = batch.into_iter().map(|message| message.handle).collect();
        queue.delete(&handles).await.into_iter().for_each(|result| result.unwrap());
        done += handles.len() as u64;
    }
}

fn round_trips(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("local queue");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(10));
    group.bench_function("send, receive, delete (durable, one producer, one consumer)", |bencher| {
        let (_folder, queue) = runtime.block_on(queue());
        let mut next = 0;
        bencher.iter_custom(|count| {
            let started = Instant::now();
            runtime.block_on(async {
                let mut tasks = JoinSet::new();
                tasks.spawn(produce(queue.clone(), next, count));
                tasks.spawn(consume(queue.clone(), count));
                while let Some(ended) = tasks.join_next().await {
                    ended.unwrap();
                }
            });
            next += count;
            started.elapsed()
        });
    });
    group.bench_function("send (durable, alone)", |bencher| {
        let (_folder, queue) = runtime.block_on(queue());
        let mut next = 0;
        bencher.to_async(&runtime).iter(|| {
            next += 1;
            queue.send(message(next))
        });
    });
    group.finish();
}

/// A store with `messages` in `groups`, filled by SQL: a million sends would take minutes.
async fn backlog(messages: u64, groups: u64) -> (TempDir, LocalQueue) {
    let (folder, queue) = queue().await;
    let connection = Connection::open(queue.store().file()).unwrap();
    let fill = format!(
        "BEGIN;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {messages})
        INSERT INTO messages (queue, grp, id, dedup_id, sent_at, retained_from, visible_at, attributes, body)
        SELECT q.id, 1 + i % {groups}, 'm-' || i, 'd-' || i, t.now + i, t.now + i, t.now, '{{}}',
            hex(randomblob(300))
        FROM n, (SELECT id FROM queues WHERE name = 'bench.fifo') q,
            (SELECT cast(unixepoch('subsec') * 1000 AS INTEGER) - 10000000 AS now) t;
        INSERT INTO groups (id, queue, name, head, ready_at)
        SELECT grp, queue, 'group-' || grp, min(seq), min(visible_at) FROM messages GROUP BY grp;
        COMMIT;"
    );
    connection.execute_batch(&fill).unwrap();
    (folder, queue)
}

fn receive_with_a_backlog(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("receive of 10 and giving back");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    for (messages, groups) in [(1_000, 100), (1_000_000, 100_000)] {
        let (_folder, queue) = runtime.block_on(backlog(messages, groups));
        group.bench_function(format!("{messages} messages in {groups} groups"), |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let batch = queue.receive(Receive::default()).await.unwrap();
                assert_eq!(batch.len(), 10);
                let back: Vec<_> = batch.into_iter().rev().map(|message| (message.handle, Duration::ZERO)).collect();
                queue.change_visibility(&back).await
            });
        });
    }
    group.finish();
}

criterion_group!(benches, round_trips, receive_with_a_backlog);
criterion_main!(benches);
