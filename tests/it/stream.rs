//! The archive on AWS: what the function keeps, what it sends to Firehose, and what that may cost an invocation.

mod firehose_endpoint;

use std::fs;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;
use towpath_aws::{Firehose, firehose};
use towpath_engine::lambda::Host;
use towpath_plugin::precompile;
use towpath_runtime::time::wall_clock;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, received};
use towpath_tests::runtime_api::Function;
use towpath_types::archive::{Archive, Archived, Ending};
use towpath_types::outcome::Outcome;
use towpath_types::verdict::Reason;

use firehose_endpoint::{Answer, FirehoseEndpoint};

/// An archive that only keeps books, and flushes as a test says.
struct Books {
    kept: Mutex<Vec<String>>,
    /// What was kept before each flush.
    flushed: Mutex<Vec<Vec<String>>>,
    flush: Flush,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Flush {
    Fine,
    Hang,
    Panic,
}

#[async_trait]
impl Archive for Books {
    fn keep(&self, event: Archived) {
        self.kept.lock().unwrap().push(event.id.as_str().to_owned());
    }

    async fn flush(&self) {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap());
        self.flushed.lock().unwrap().push(kept);
        match self.flush {
            Flush::Fine => {}
            Flush::Hang => pending().await,
            Flush::Panic => panic!("on purpose"),
        }
    }
}

/// A function with a plugin that skips and one that rejects: neither needs a network.
async fn function(flush: Option<Flush>) -> (Host, Arc<Books>, Rig) {
    let rig = Rig::new().await;
    rig.write("skip", Guest::skip("old"));
    rig.write("reject", Guest::reject("bad"));
    let route = |name: &str| {
        format!(
            "[[route]]\npath = \"{name}\"\ngroup = \"{name}/{{json:/k}}\"\nplugin = \"{name}\"\n[plugin.{name}]\npath = \"{name}.wasm\"\n"
        )
    };
    let config = format!("{}{}[target.sss]\nurl = \"https://sss.example\"\n", route("skip"), route("reject"));
    let mut pipeline = Arc::into_inner(rig.pipeline(&config)).unwrap();
    let books =
        Arc::new(Books { kept: Mutex::default(), flushed: Mutex::default(), flush: flush.unwrap_or(Flush::Fine) });
    pipeline.archive = flush.map(|_| Arc::clone(&books) as Arc<dyn Archive>);
    let host = Host { pipeline, queue: Arc::new(rig.events.clone()), watch: None, extends_visibility: false };
    (host, books, rig)
}

/// A batch of these ids, each in the group that is its name without the number.
fn batch(ids: &[&str]) -> Value {
    let record = |id: &&str| {
        let group = format!("{}/1", id.split('-').next().unwrap());
        json!({ "messageId": id, "receiptHandle": id, "body": "{}", "attributes": { "MessageGroupId": group } })
    };
    json!({ "Records": ids.iter().map(record).collect::<Vec<_>>() })
}

/// Invokes a host that has this much time left. Returns the response, and how long it took.
async fn invoke(host: &Host, event: &Value, left: Duration) -> (Value, Duration) {
    let began = Instant::now();
    let response = json!(host.handle(event, host.pipeline.clock.now() + left).await.unwrap());
    (response, began.elapsed())
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn each_invocation_flushes_what_it_acknowledged_before_it_answers() {
    let (host, books, _rig) = function(Some(Flush::Fine)).await;
    let (response, _) = invoke(&host, &batch(&["skip-1", "reject-1", "skip-2"]), MINUTE).await;
    assert_eq!(response, json!({ "batchItemFailures": [] }));
    invoke(&host, &batch(&["skip-3"]), MINUTE).await;
    assert_eq!(*books.flushed.lock().unwrap(), [vec!["skip-1", "skip-2"], vec!["skip-3"]], "a dead letter is not kept");
}

#[tokio::test(start_paused = true)]
async fn an_archive_that_hangs_or_panics_changes_no_response_and_costs_200_ms_at_most() {
    let event = batch(&["skip-1", "reject-1", "skip-2"]);
    let (host, _, _rig) = function(None).await;
    let (without, took) = invoke(&host, &event, MINUTE).await;
    assert_eq!(took, Duration::ZERO, "otherwise the times below are not those of the flush");
    for (flush, most) in [(Flush::Fine, 0), (Flush::Panic, 0), (Flush::Hang, 200)] {
        let (host, books, _rig) = function(Some(flush)).await;
        let (with, took) = invoke(&host, &event, MINUTE).await;
        assert_eq!((with, books.flushed.lock().unwrap().len()), (without.clone(), 1), "{flush:?}");
        assert!(took.abs_diff(Duration::from_millis(most)) <= Duration::from_millis(2), "{flush:?} took {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn near_the_deadline_the_archive_gets_only_what_is_left() {
    let (host, books, _rig) = function(Some(Flush::Hang)).await;
    // 500 ms are for the response, so 60 ms are left.
    let (_, took) = invoke(&host, &batch(&["skip-1"]), Duration::from_millis(560)).await;
    assert!(took <= Duration::from_millis(62), "{took:?}");
    let (_, took) = invoke(&host, &batch(&["skip-1"]), Duration::from_millis(400)).await;
    assert!(took <= Duration::from_millis(2), "{took:?}");
    assert_eq!(books.flushed.lock().unwrap().len(), 2);
}

/// An entry with this id.
fn entry(id: &str) -> Archived {
    let reason = Reason { code: "old".to_owned(), message: "too old".to_owned() };
    let received = towpath_types::queue::Received { id: id.into(), ..received("skip/1", "{}") };
    Archived::of(&received, &Outcome::Skipped(reason), "skip", None, wall_clock().now()).unwrap()
}

fn ids(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| firehose::read(line).unwrap().id.as_str().to_owned()).collect()
}

#[tokio::test]
async fn records_that_firehose_refuses_are_sent_once_more_and_no_others() {
    let endpoint =
        FirehoseEndpoint::answering(|call| if call == 0 { Answer::Refuse(&[0, 2]) } else { Answer::Fine }).await;
    let archive = Firehose::new(endpoint.client(), "events".to_owned());
    for id in ["m-1", "m-2", "m-3"] {
        archive.keep(entry(id));
    }
    archive.flush().await;
    assert_eq!(endpoint.calls(), [3, 2]);
    assert_eq!(ids(&endpoint.call(1)), ["m-1", "m-3"]);
    assert_eq!(ids(&endpoint.accepted()), ["m-2", "m-1", "m-3"]);
    archive.flush().await;
    assert_eq!(endpoint.calls().len(), 2, "nothing is left");
}

#[tokio::test]
async fn a_call_that_fails_is_made_once_more_and_then_its_records_are_dropped() {
    let endpoint = FirehoseEndpoint::answering(|call| if call < 3 { Answer::Fail } else { Answer::Fine }).await;
    let archive = Firehose::new(endpoint.client(), "events".to_owned());
    archive.keep(entry("m-1"));
    archive.flush().await;
    archive.keep(entry("m-2"));
    archive.flush().await;
    assert_eq!(endpoint.calls(), [1; 4]);
    assert_eq!(ids(&endpoint.accepted()), ["m-2"]);
}

#[tokio::test]
async fn a_flush_of_many_events_keeps_to_the_limits_of_a_call() {
    let endpoint = FirehoseEndpoint::answering(|_| Answer::Fine).await;
    let archive = Firehose::new(endpoint.client(), "events".to_owned());
    for number in 0..501 {
        archive.keep(entry(&format!("m-{number}")));
    }
    let large = |bytes: usize| Archived { body: "x".repeat(bytes).into(), ..entry("large") };
    for _ in 0..5 {
        archive.keep(large(1_000_000));
    }
    archive.keep(large(1_024_000));
    archive.flush().await;
    assert_eq!(endpoint.accepted().len(), 506, "a record above 1,000 KiB is dropped: {:?}", endpoint.calls());
}

/// The config of a function whose plugin skips, and that archives.
fn config(folder: &Path) -> PathBuf {
    let (code, manifest) = precompile(&Guest::skip("old").build(), None).unwrap();
    fs::write(folder.join("skip.cwasm"), code).unwrap();
    fs::write(folder.join("skip.cwasm.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    let config = "[queue]\nurl = \"http://127.0.0.1:1/1/e.fifo\"\ndead_letter_url = \"http://127.0.0.1:1/1/d.fifo\"\n\
        [archive]\nstream = \"events\"\nredact = [\"/mail\"]\n[[route]]\npath = \"skip\"\ngroup = \"skip/{json:/k}\"\nplugin = \"skip\"\n\
        [plugin.skip]\npath = \"skip.cwasm\"\n[target.sss]\nurl = \"https://sss.example\"\n";
    let file = folder.join("towpath.toml");
    fs::write(&file, config).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_archives_each_batch_and_reports_what_it_dropped() {
    let answer = |call| match call {
        0 => Answer::Fine,
        1 | 2 => Answer::Fail,
        _ => Answer::Hang,
    };
    let endpoint = FirehoseEndpoint::answering(answer).await;
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    let mut command = Function::command(&config(folder.path()), "http://127.0.0.1:1");
    command.env("AWS_ENDPOINT_URL_FIREHOSE", &endpoint.url);
    let mut function = Function::spawn_logging(command, fs::File::create(&log).unwrap()).await;
    for (first, second, dropped) in [("skip-1", "skip-2", 0.0), ("skip-3", "skip-4", 2.0), ("skip-5", "skip-6", 2.0)] {
        let before = fs::read_to_string(&log).unwrap().len();
        let response = function.invoke(&batch(&[first, second]), MINUTE).await;
        assert_eq!(response, Ok(json!({ "batchItemFailures": [] })), "{first}");
        let text = fs::read_to_string(&log).unwrap().split_off(before);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let logged = lines.iter().filter(|line| line.to_string().contains("archive-dropped")).count();
        assert_eq!(logged, usize::from(dropped > 0.0), "once for a flush: {text}");
        let counted = lines.iter().find(|line| !line["towpath.archive.dropped"].is_null());
        assert_eq!(counted.map_or(0.0, |line| line["towpath.archive.dropped"].as_f64().unwrap()), dropped, "{text}");
        if let Some(line) = counted {
            assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["service"]]));
        }
    }
    let kept: Vec<Archived> = endpoint.accepted().iter().map(|line| firehose::read(line).unwrap()).collect();
    let kept: Vec<_> = kept.iter().map(|event| (event.id.as_str(), event.route.as_str(), event.ending)).collect();
    assert_eq!(kept, [("skip-1", "skip", Ending::Skipped), ("skip-2", "skip", Ending::Skipped)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_redacted_does_not_reach_firehose() {
    let endpoint = FirehoseEndpoint::answering(|_| Answer::Fine).await;
    let folder = TempDir::new().unwrap();
    let mut command = Function::command(&config(folder.path()), "http://127.0.0.1:1");
    command.env("AWS_ENDPOINT_URL_FIREHOSE", &endpoint.url);
    let mut function = Function::spawn(command).await;
    let mut event = batch(&["skip-1", "skip-2"]);
    event["Records"][0]["body"] = json!({ "mail": "ada@example.com", "n": 1 }).to_string().into();
    assert_eq!(function.invoke(&event, MINUTE).await, Ok(json!({ "batchItemFailures": [] })));
    let lines = endpoint.accepted();
    assert!(!lines.concat().contains("example.com"), "{lines:?}");
    let kept: Vec<Archived> = lines.iter().map(|line| firehose::read(line).unwrap()).collect();
    let kept: Vec<_> = kept.iter().map(|event| (event.redacted, event.body.text().into_owned())).collect();
    assert_eq!(kept, [(true, "{\"mail\":\"[redacted]\",\"n\":1}".to_owned()), (false, "{}".to_owned())]);
}
