//! Runs `host/sqs/cases`: requests, and SQS's responses to them. Each case names its source.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;
use towpath_local::{QueueSettings, Store};
use towpath_types::clock::Clock;

use crate::{Endpoint, router};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// The queue that a host uses.
const IN_USE: &str = "in-use.fifo";

/// Every case starts with a standard queue, a FIFO queue and a FIFO queue that a host uses. Their URLs are `{standard}`,
/// `{fifo}` and `{in_use}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    source: String,
    step: Vec<Step>,
}

/// A request, and what is known of its response.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    action: String,
    /// The request body. `{name}` is replaced by the value kept under that name, `{64*x}` by 64 times `x`.
    #[serde(default = "empty")]
    body: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The seconds that pass before the request.
    #[serde(default)]
    pass: u64,
    #[serde(default = "ok")]
    status: u16,
    /// The error code that SDKs report.
    code: Option<String>,
    /// The complete error message.
    message: Option<String>,
    /// JSON that the response must contain at least.
    answer: Option<String>,
    /// JSON pointers that the response must not have.
    #[serde(default)]
    absent: Vec<String>,
    /// Values to keep for later steps: JSON pointers by name.
    #[serde(default)]
    keep: BTreeMap<String, String>,
}

fn empty() -> String {
    "{}".to_owned()
}

fn ok() -> u16 {
    200
}

struct Server {
    router: Router,
    ahead: &'static AtomicU64,
    kept: BTreeMap<String, String>,
    _folder: TempDir,
}

impl Server {
    async fn start() -> Server {
        let folder = TempDir::new().expect("folder");
        let ahead: &'static AtomicU64 = Box::leak(Box::default());
        let store = Store::open(folder.path(), Clock::wall().shifted(ahead)).expect("store");
        store.set_queue(IN_USE, QueueSettings::default()).await.expect("queue");
        let endpoint = Endpoint::new(store.clone(), vec![IN_USE.to_owned()], None).await.expect("endpoint");
        let mut server = Server { router: router(endpoint), ahead, kept: BTreeMap::new(), _folder: folder };
        server.keep("in_use", &json!(format!("http://sqs.test/000000000000/{IN_USE}")));
        for (name, body) in [
            ("standard", json!({ "QueueName": "standard" })),
            ("fifo", json!({ "QueueName": "fifo.fifo", "Attributes": { "FifoQueue": "true" } })),
        ] {
            let (status, _, answer) = server.post("CreateQueue", body.to_string(), &BTreeMap::new()).await;
            assert_eq!(status, 200, "{answer}");
            server.keep(name, &answer["QueueUrl"]);
        }
        server
    }

    fn keep(&mut self, name: &str, value: &Value) {
        let text = value.as_str().unwrap_or_else(|| panic!("no {name} to keep"));
        self.kept.insert(name.to_owned(), text.to_owned());
    }

    async fn post(&self, action: &str, body: String, more: &BTreeMap<String, String>) -> (u16, HeaderMap, Value) {
        let mut request =
            Request::post("/").header("host", "sqs.test").header("x-amz-target", format!("AmazonSQS.{action}"));
        for (name, value) in more {
            request = request.header(name, value);
        }
        let answer =
            self.router.clone().oneshot(request.body(Body::from(body)).expect("request")).await.expect("answer");
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("body");
        let json = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{action}: {error}: {body:?}"));
        (parts.status.as_u16(), parts.headers, json)
    }

    /// Replaces the placeholders in a text.
    fn filled(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            filled.push_str(before);
            let name = behind.split_once('}').filter(|(name, _)| !name.contains(['"', '{', ' ']));
            let value = name.and_then(|(name, _)| match name.split_once('*') {
                Some((count, text)) => Some(text.repeat(count.parse().ok()?)),
                None => self.kept.get(name).cloned(),
            });
            rest = match (name, value) {
                (Some((_, behind)), Some(value)) => {
                    filled.push_str(&value);
                    behind
                }
                _ => {
                    filled.push('{');
                    behind
                }
            };
        }
        filled + rest
    }

    /// Runs a step, and returns what is wrong with the response.
    async fn run(&mut self, step: &Step) -> Vec<String> {
        self.ahead.fetch_add(step.pass * 1000, Ordering::SeqCst);
        let (status, headers, answer) = self.post(&step.action, self.filled(&step.body), &step.headers).await;
        let mut wrong = Vec::new();
        let mut check = |what: &str, found: String, wanted: String| {
            if found != wanted {
                wrong.push(format!("{what}: {found}\n      wanted: {wanted}"));
            }
        };
        check("status", status.to_string(), step.status.to_string());
        if let Some(code) = &step.code {
            let found = headers.get("x-amzn-query-error").map_or("", |value| value.to_str().expect("text"));
            check("code", found.to_owned(), format!("{code};Sender"));
        }
        if let Some(message) = &step.message {
            check("message", answer["message"].as_str().unwrap_or("").to_owned(), self.filled(message));
        }
        let kind = headers.get("content-type").map_or("", |value| value.to_str().expect("text"));
        check("content-type", kind.to_owned(), "application/x-amz-json-1.0".to_owned());
        if headers.get("x-amzn-requestid").is_none() {
            check("x-amzn-RequestId", "none".to_owned(), "one".to_owned());
        }
        let wanted = step.answer.as_ref().map(|text| self.filled(text));
        let wanted: Option<Value> =
            wanted.map(|text| serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}")));
        if let Some(wanted) = wanted.filter(|wanted| !holds(&answer, wanted)) {
            check("answer", answer.to_string(), format!("at least {wanted}"));
        }
        for pointer in &step.absent {
            check(pointer, answer.pointer(pointer).unwrap_or(&Value::Null).to_string(), "null".to_owned());
        }
        for (name, pointer) in &step.keep {
            match answer.pointer(pointer).and_then(Value::as_str) {
                Some(text) => drop(self.kept.insert(name.clone(), text.to_owned())),
                None => wrong.push(format!("nothing at {pointer}: {answer}")),
            }
        }
        wrong
    }
}

/// Whether a value contains `wanted`. Objects may have more fields; lists must have the same length.
fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| found.get(key).is_some_and(|found| holds(found, wanted)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| holds(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}

fn cases() -> Vec<Case> {
    let files = fs::read_dir(Path::new(CASES)).expect("cases").map(|entry| entry.expect("file").path());
    let read = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).expect("text");
        let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        file.case
    };
    files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).flat_map(read).collect()
}

#[tokio::test]
async fn requests_are_answered_as_sqs_answers_them() {
    let cases = cases();
    assert!(cases.len() > 60, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        assert!(!case.source.is_empty() && !case.step.is_empty(), "{}", case.name);
        let mut server = Server::start().await;
        for (number, step) in case.step.iter().enumerate() {
            let found = server.run(step).await;
            if !found.is_empty() {
                let number = number + 1;
                let action = &step.action;
                wrong.push(format!("{}\n    step {number}, {action}\n    {}", case.name, found.join("\n    ")));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases\n\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

#[test]
fn no_case_has_the_name_of_another() {
    let mut names: Vec<String> = cases().into_iter().map(|case| case.name).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[tokio::test]
async fn every_response_has_a_unique_request_id() {
    let folder = TempDir::new().expect("folder");
    let store = Store::open(folder.path(), Clock::wall()).expect("store");
    let secret = Some(towpath_config::Secret::new("a-token-of-16-letters"));
    let guarded = Endpoint::new(store.clone(), Vec::new(), secret).await.expect("endpoint");
    let open = Endpoint::new(store, Vec::new(), None).await.expect("endpoint");
    let mut ids = std::collections::BTreeSet::new();
    let ask = |endpoint: &Arc<Endpoint>, request: Request<Body>| router(Arc::clone(endpoint)).oneshot(request);
    let requests = [
        (&open, Request::get("/").body(Body::empty()), 200),
        (&open, Request::get("/nowhere").body(Body::empty()), 404),
        (&open, Request::delete("/").body(Body::empty()), 405),
        (&open, Request::post("/").body(Body::empty()), 404),
        (&open, Request::post("/").header("x-amz-target", "AmazonSQS.Nonsense").body(Body::empty()), 400),
        (&open, Request::post("/").header("x-amz-target", "AmazonSQS.ListQueues").body(Body::from("{")), 400),
        (&open, Request::post("/").body(Body::from(vec![b'x'; crate::router::MAX_REQUEST + 1])), 413),
        (&guarded, Request::post("/").header("x-amz-target", "AmazonSQS.ListQueues").body(Body::empty()), 403),
    ];
    let count = requests.len();
    for (endpoint, request, status) in requests {
        let answer = ask(endpoint, request.expect("request")).await.expect("answer");
        assert_eq!(answer.status().as_u16(), status);
        let id = answer.headers().get("x-amzn-requestid").unwrap_or_else(|| panic!("{status}: no id"));
        assert!(uuid::Uuid::parse_str(id.to_str().expect("text")).is_ok(), "{id:?}");
        ids.insert(id.clone().to_str().expect("text").to_owned());
    }
    assert_eq!(ids.len(), count);
}
