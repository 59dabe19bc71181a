//! Benchmarks the archive: what keeping an event costs the process that settles it.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;
use towpath_archive::{Segments, Settings};
use towpath_types::archive::{Archive, Archived, Ending};
use towpath_types::clock::Clock;
use towpath_types::envelope::Webhook;
use towpath_types::outcome::{Answer, Attempt};

/// As the pipeline makes it of a webhook with a body of this length.
fn event(number: u64, body: usize) -> Archived {
    let headers = [
        ("content-type", "application/json"),
        ("user-agent", "curl/8.5.0"),
        ("webhook-id", "msg_2b3f0f2e8c1d"),
        ("webhook-timestamp", "1767225600"),
        ("webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec();
    let line = format!("{{\"id\":{number},\"status\":\"failed\",\"customer\":\"c-{}\"}},", number * 7919 % 10_007);
    let body = line.bytes().cycle().take(body).collect();
    let now = Clock::wall().now();
    let answer = Answer::Status { status: 200, excerpt: String::new() };
    let id = format!("0198c0de-0000-7000-8000-{number:012x}");
    Archived {
        id: id.as_str().into(),
        webhook_id: id.as_str().into(),
        group: format!("crm/{}", number % 50).into(),
        dedup_id: Some(format!("{number:032x}{number:032x}").into()),
        sequence: Some(number.to_string()),
        route: "crm".to_owned(),
        plugin: Some("tickets".to_owned()),
        digest: Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned()),
        sent_at: now - Duration::from_millis(3),
        ended_at: now,
        receive_count: 1,
        ending: Ending::Delivered,
        reason: None,
        attempts: vec![Attempt {
            target: "sss".to_owned(),
            method: "POST".to_owned(),
            path: "/tickets".to_owned(),
            answer,
            millis: 2,
        }],
        attributes: Default::default(),
        redacted: false,
        body: Webhook { headers, body, ..Webhook::default() }.into(),
    }
}

fn keep(c: &mut Criterion) {
    let mut group = c.benchmark_group("archive/keep");
    for body in [200, 7_000] {
        let folder = TempDir::new().unwrap();
        let settings = Settings {
            folder: folder.path().to_owned(),
            keep: Duration::from_secs(7 * 24 * 3600),
            max_size: 256 * 1024 * 1024,
        };
        let archive = Segments::new(settings, |_| ());
        let kept = event(1, body);
        let mut left = 0_u32;
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{body} B"), |bench| {
            bench.iter(|| {
                // Otherwise the benchmark would fill the disk. It adds nothing to most iterations.
                if left == 0 {
                    archive.tidy(Clock::wall().now()).unwrap();
                    left = 200_000;
                }
                left -= 1;
                archive.keep(black_box(kept.clone()));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, keep);
criterion_main!(benches);
