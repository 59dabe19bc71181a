//! Plugins of each language: what it takes to load one, to call it, and how much memory it needs. `towpath plugin build`
//! must have run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and prints what criterion cannot measure"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::Value;
use towpath_config::plugin::{Limits, Settings};
use towpath_plugin::{Cache, Engine, Plugin, precompile};
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;
use towpath_types::message::Message;

/// A plugin of each language with one of its cases.
const PLUGINS: [(&str, &str); 3] = [("approval", "submitted"), ("js-calendly", "booked"), ("python-shopify", "paid")];

fn folder(plugin: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(plugin)
}

fn message(plugin: &str, case: &str) -> Message {
    let file = folder(plugin).join("cases").join(case).join("message.json");
    let event: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let header = |pair: &Value| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().as_bytes().to_vec());
    Message {
        id: "m-1".to_owned().into(),
        group: "g".into(),
        dedup_id: None,
        sequence: None,
        receive_count: 1,
        sent_at: Timestamp(0),
        source: "bench".to_owned(),
        aws_trace: None,
        replayed_at: None,
        webhook: Arc::new(Webhook {
            headers: event["headers"].as_array().unwrap().iter().map(header).collect(),
            body: event["body"].to_string().into_bytes(),
            ..Webhook::default()
        }),
    }
}

/// The resident memory of this process, in KiB.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The least memory limit, to the page of 64 KiB, at which the call still gives a verdict.
fn least_memory(plugin: &Plugin, message: &Message) -> usize {
    let fits = |pages: usize| {
        let limits = Limits { memory: pages * 64 * 1024, ..plugin.limits() };
        plugin.transform(message, limits).verdict.is_ok()
    };
    let mut too_few = 0;
    let mut enough = 1024;
    while enough - too_few > 1 {
        let middle = (enough + too_few) / 2;
        if fits(middle) { enough = middle } else { too_few = middle }
    }
    enough * 64
}

fn languages(criterion: &mut Criterion) {
    let engine = Engine::new().unwrap();
    let mut group = criterion.benchmark_group("languages");
    group.sample_size(10);
    for (name, case) in PLUGINS {
        let message = message(name, case);
        let native = tempfile::TempDir::new().unwrap();
        let file = native.path().join("plugin.cwasm");
        let wasm = std::fs::read(folder(name).join("plugin.wasm")).unwrap();
        let started = std::time::Instant::now();
        let (cwasm, manifest) = precompile(&wasm, None).unwrap();
        let compiling = started.elapsed();
        std::fs::write(&file, &cwasm).unwrap();
        std::fs::write(file.with_added_extension("json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
        let before = resident();
        let plugin = Plugin::load(&engine, Settings::at(name, &file)).unwrap();
        plugin.transform(&message, plugin.limits()).verdict.unwrap();
        println!(
            "{name}: component {} KiB, native {} KiB, compiled in {compiling:.1?}, a call needs {} KiB, process grew by {} KiB",
            wasm.len() / 1024,
            cwasm.len() / 1024,
            least_memory(&plugin, &message),
            resident() - before
        );
        group.bench_function(format!("{name}: load precompiled, check and start"), |bencher| {
            bencher.iter(|| Plugin::load(&engine, Settings::at(name, &file)).unwrap());
        });
        let kept = tempfile::TempDir::new().unwrap();
        let cache = Cache::open(&kept.path().join("compiled"), &kept.path().join("key")).unwrap();
        let cached = Engine::with_slots(64).unwrap().with_cache(cache);
        Plugin::load(&cached, Settings::at(name, folder(name))).unwrap();
        group.bench_function(
            format!("{name}: load a component that was compiled before, check and start"),
            |bencher| {
                bencher.iter(|| Plugin::load(&cached, Settings::at(name, folder(name))).unwrap());
            },
        );
        group.bench_function(format!("{name}: one call"), |bencher| {
            bencher.iter(|| plugin.transform(&message, plugin.limits()).verdict.unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, languages);
criterion_main!(benches);
