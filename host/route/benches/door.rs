//! What the front door computes for one webhook: its proof (HMAC-SHA-256), its group and its deduplication key.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use towpath_config::value::Digest;
use towpath_config::{Config, Secrets};
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;
use towpath_verify::Evidence;

const CONFIG: &str = r#"
    [[route]]
    path = "crm"
    group = "crm/{json:/deal/id}"
    dedup = "json:/event"
    plugin = "p"
    verify = { scheme = "github", secret = "hook" }
    [plugin.p]
    path = "p"
"#;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// The values that are pointed at stand at the end, so that all of the body is read.
fn body(bytes: usize) -> Vec<u8> {
    let end = r#""deal":{"id":4711},"event":"e-1"}"#;
    let item = r#"{"name":"a field","value":"some text with \"escapes\"","amount":12.50,"tags":["x","y"]},"#;
    let count = bytes.saturating_sub(end.len()) / item.len();
    format!("{{\"items\":[{}null],{end}", item.repeat(count)).into_bytes()
}

fn door(criterion: &mut Criterion) {
    let secrets = Secrets::of([("hook".to_owned(), KEY.to_owned())]);
    let config = Config::parse(CONFIG, Path::new("towpath.toml"), &secrets).unwrap();
    let route = config.routes.by_path("crm").unwrap();
    let verification = route.verify.as_ref().unwrap();
    let mut group = criterion.benchmark_group("proof and keys");
    for bytes in [200, 7 * 1024, 64 * 1024] {
        let body = body(bytes);
        let mac = towpath_verify::mac(Digest::Sha256, KEY.as_bytes(), &[&body]);
        let signature = format!("sha256={}", mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let headers = vec![("x-hub-signature-256".to_owned(), signature.into_bytes())];
        let webhook = Webhook { headers, body, ..Webhook::default() };
        group.throughput(Throughput::Bytes(webhook.body.len() as u64));
        group.bench_function(format!("{bytes} bytes"), |bencher| {
            bencher.iter(|| {
                let evidence = Evidence::arriving(black_box(&webhook), Timestamp(0));
                towpath_verify::check(verification, evidence).unwrap();
                towpath_route::keys(route, &webhook)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, door);
criterion_main!(benches);
