//! What is counted and traced, where it is read: a collector, a function's log, and the table in the docs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use towpath_plugin::precompile;
use towpath_tests::guest::Guest;
use towpath_tests::runtime_api::Function;
use towpath_tests::target::{Answer, Target};

use super::cli::serve::{Server, client, project};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The spans that a collector got.
fn spans(collector: &Target) -> Vec<Span> {
    let calls = collector.calls().into_iter().filter(|call| call.path == "/v1/traces");
    let requests = calls.map(|call| ExportTraceServiceRequest::decode(call.body).unwrap());
    let scopes = requests.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// The names of the metrics that a collector got.
fn metrics(collector: &Target) -> BTreeSet<String> {
    let calls = collector.calls().into_iter().filter(|call| call.path == "/v1/metrics");
    let requests = calls.map(|call| ExportMetricsServiceRequest::decode(call.body).unwrap());
    let scopes = requests.flat_map(|request| request.resource_metrics).flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_a_span_for_each_pass_in_the_trace_of_its_webhook_and_the_metrics() {
    let target = Target::fine().await;
    let collector = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    let server = Server::start_with(folder.path(), &["serve"], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)]);
    let post = client().post(&server.url).header("traceparent", PARENT).header("tracestate", "congo=t61rcWkgMzE");
    let post = post.body("{\"k\":7}");
    assert_eq!(post.send().await.unwrap().status(), 202);
    target.until(|calls| !calls.is_empty()).await;
    server.stop();
    let spans = spans(&collector);
    let [span] = spans.as_slice() else { panic!("{spans:#?}") };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!((span.name.as_str(), hex(&span.trace_id).as_str()), ("message", TRACE));
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    let attributes = format!("{:?}", span.attributes);
    assert!(attributes.contains("\"g/7\"") && attributes.contains("message_id"), "{attributes}");
    let told = target.calls()[0].header("traceparent").to_owned();
    assert_eq!(told, format!("00-{TRACE}-{}-01", hex(&span.span_id)), "the target goes on with the span");
    assert_eq!(target.calls()[0].header("tracestate"), "congo=t61rcWkgMzE");
    let metrics = metrics(&collector);
    for name in ["towpath.messages", "towpath.attempts", "towpath.plugin.fuel", "towpath.webhooks"] {
        assert!(metrics.contains(name), "{name} is not in {metrics:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_holds_up_no_message() {
    let target = Target::fine().await;
    let collector = Target::answering(|_| Answer::Hang).await;
    let folder = project(&target.url, Guest::forward());
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let server = Server::start_with(folder.path(), &["serve"], &variables);
    client().post(&server.url).body("{\"k\":-1}").send().await.unwrap();
    // It has the first span, and keeps whoever sent it waiting.
    collector.until(|calls| !calls.is_empty()).await;
    for n in 0..50 {
        let answer = client().post(&server.url).body(format!("{{\"k\":{n}}}")).send().await.unwrap();
        assert_eq!(answer.status(), 202);
    }
    target.until(|calls| calls.len() == 51).await;
}

/// A function with this guest and this target; its config, and the folder that it lies in.
fn function(target: &Target, guest: Guest) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let (code, manifest) = precompile(&guest.build(), None).unwrap();
    fs::write(folder.path().join("guest.cwasm"), code).unwrap();
    fs::write(folder.path().join("guest.cwasm.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    let config = format!(
        "[queue]\nurl = \"http://127.0.0.1:1/1/e.fifo\"\ndead_letter_url = \"http://127.0.0.1:1/1/d.fifo\"\n\
        [[route]]\npath = \"g\"\ngroup = \"g/{{json:/k}}\"\nplugin = \"guest\"\n[plugin.guest]\npath = \"guest.cwasm\"\n\
        [target.sss]\nurl = \"{}\"\nallow_private = true\n",
        target.url
    );
    let file = folder.path().join("towpath.toml");
    fs::write(&file, config).unwrap();
    (folder, file)
}

/// Two messages of one group, in a trace of AWS.
fn event() -> Value {
    let record = |id: &str| {
        json!({
            "messageId": id, "receiptHandle": "h", "body": "{\"k\":1}", "messageAttributes": {},
            "attributes": { "MessageGroupId": "g/1", "ApproximateReceiveCount": "1", "SentTimestamp": "1795641491000",
                "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1" },
        })
    };
    json!({ "Records": [record("m-1"), record("m-2")] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_a_collector_keeps_waiting_answers_in_time() {
    let target = Target::fine().await;
    let collector = Target::answering(|_| Answer::Hang).await;
    let (_folder, file) = function(&target, Guest::forward());
    let mut command = Function::command(&file, "http://127.0.0.1:1");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    let mut function = Function::spawn(command).await;
    let (answer, left) = function.invoke_timed(&event(), Duration::from_secs(20)).await;
    assert_eq!(answer.unwrap()["batchItemFailures"], json!([]));
    assert!(left > Duration::from_secs(11), "a collector has 10 s by default, here it has less: {left:?} are left");
    assert!(!collector.calls().is_empty(), "it was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_writes_its_metrics_as_cloudwatch_reads_them_before_it_answers() {
    let target = Target::fine().await;
    let (folder, file) = function(&target, Guest::forward());
    let log = folder.path().join("log");
    let command = Function::command(&file, "http://127.0.0.1:1");
    let mut function = Function::spawn_logging(command, fs::File::create(&log).unwrap()).await;
    for expected in [2.0, 2.0] {
        let before = fs::read_to_string(&log).unwrap().len();
        function.invoke(&event(), Duration::from_secs(30)).await.unwrap();
        let text = fs::read_to_string(&log).unwrap().split_off(before);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let emf = |metric: &str| {
            lines.iter().find(|line| line["_aws"].is_object() && !line[metric].is_null()).cloned().unwrap()
        };
        let messages = emf("towpath.messages");
        assert_eq!((&messages["towpath.messages"], &messages["outcome"]), (&json!(expected), &json!("delivered")));
        let directive = &messages["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Towpath");
        assert_eq!(
            directive["Dimensions"],
            json!([["service"], ["decision", "outcome", "plugin", "route", "service"]])
        );
        assert_eq!((&messages["service"], messages["digest"].is_string()), (&json!("towpath"), true));
        let duration = &emf("towpath.attempt.duration")["towpath.attempt.duration"];
        assert_eq!(duration["Count"], 2);
        let counts = duration["Counts"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap());
        assert_eq!(
            (counts.sum::<u64>(), duration["Values"].as_array().map(Vec::len)),
            (2, duration["Counts"].as_array().map(Vec::len))
        );
        let passes = lines.iter().filter(|line| line["target"] == "towpath.story").count();
        assert_eq!(passes, 2, "and what tail and trace read");
    }
    let told = target.calls()[0].header("traceparent").to_owned();
    assert_eq!(told, "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_writes_no_metrics_where_they_are_off_and_tells_of_a_value_that_it_does_not_know() {
    let target = Target::fine().await;
    let (folder, file) = function(&target, Guest::forward());
    for (value, lines_of_metrics, told) in [("off", false, false), ("no", true, true)] {
        let log = folder.path().join(value);
        let mut command = Function::command(&file, "http://127.0.0.1:1");
        command.env("TOWPATH_EMF", value);
        let mut function = Function::spawn_logging(command, fs::File::create(&log).unwrap()).await;
        function.invoke(&event(), Duration::from_secs(30)).await.unwrap();
        let text = fs::read_to_string(&log).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.iter().any(|line| line["_aws"].is_object()), lines_of_metrics, "{text}");
        assert_eq!(text.contains("TOWPATH_EMF is invalid"), told, "{text}");
        assert!(lines.iter().any(|line| line["target"] == "towpath.story"), "the lines for tail are still written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_moved_to_a_thread_of_its_own_is_counted_and_logged_once() {
    let target = Target::fine().await;
    // The first call of a plugin runs in place, and is broken off after 10 ms; this one takes several times as long.
    let slow = "(local $i i32) (call $log (i32.const 2) (i32.const 8192) (i32.const 4) (i32.const 0) (i32.const 0))
        (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50000000))))";
    let (folder, file) = function(&target, Guest::forward().with_code(slow));
    let log = folder.path().join("log");
    let command = Function::command(&file, "http://127.0.0.1:1");
    let mut function = Function::spawn_logging(command, fs::File::create(&log).unwrap()).await;
    let answer = function.invoke(&event(), Duration::from_secs(30)).await.unwrap();
    assert_eq!(answer["batchItemFailures"], json!([]));
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let duration = lines.iter().find(|line| !line["towpath.plugin.duration"].is_null()).unwrap();
    assert_eq!(duration["towpath.plugin.duration"]["Count"], 2, "two messages, two calls");
    assert_eq!(text.matches("plugin_says").count(), 2, "{text}");
}

#[test]
fn every_metric_is_in_the_table_and_nothing_else() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let names = |text: &str, quote: char| -> BTreeSet<String> {
        let quoted = text.split(quote).skip(1).step_by(2).filter(|text| text.starts_with("towpath."));
        quoted.map(str::to_owned).filter(|name| name != "towpath.story").collect()
    };
    let source = fs::read_to_string(format!("{root}/host/metrics/src/lib.rs")).unwrap();
    let source: String = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let table = fs::read_to_string(format!("{root}/docs/operate/telemetry.md")).unwrap();
    let table: String = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| format!("`{name}` "))
        .collect();
    let documented = names(&table, '`');
    assert!(documented.len() > 10, "{documented:?}");
    assert_eq!(documented, names(&source, '"'));
    for file in ["dashboard.tf", "alarms.tf"] {
        let used = names(&fs::read_to_string(format!("{root}/terraform/{file}")).unwrap(), '"');
        assert!(!used.is_empty() && used.is_subset(&documented), "{file}: {used:?}");
    }
}

#[test]
fn what_the_benchmarks_say_of_scale_is_what_the_formulas_give() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../BENCHMARKS.md")).unwrap();
    assert!(text.contains(&towpath_proof::scale::markdown()), "BENCHMARKS.md is old: run `make bench`");
}
