//! `dev --lambda`: the local queue drives a Lambda function as SQS does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use towpath_core::clock::Clock;
use towpath_core::dead_letter::DeadLetter;
use towpath_local::{LocalQueue, Store};
use towpath_tests::binary::binary;
use towpath_tests::guest::Guest;
use towpath_tests::target::{Answer, Target};

use super::serve::{Server, client, project};
use super::{err, towpath};

fn dev(folder: &Path, function: &Path) -> Server {
    let function = function.display().to_string();
    let args = ["dev", "--sqs", "127.0.0.1:0", "--real-targets", "--lambda-timeout", "5s", "--lambda", &function];
    Server::start(folder, &args)
}

async fn post(server: &Server, body: &str) {
    let sent = client().post(&server.url).body(body.to_owned()).send().await.unwrap();
    assert_eq!(sent.status(), 202);
}

async fn queue(folder: &Path, name: &str) -> LocalQueue {
    Store::open(&folder.join(".towpath"), Clock::wall()).unwrap().find(name).await.unwrap().unwrap()
}

async fn until(queue: &LocalQueue, messages: u64) {
    let reached = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while queue.depth().await.unwrap().messages != messages {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.expect("it gets there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_function_carries_what_ingest_stores() {
    let target = Target::answering(|call| match call.body.as_ref() {
        br#"{"k":1,"n":2}"# => Answer::Status(404, String::new()),
        _ => Answer::Status(200, String::new()),
    })
    .await;
    let folder = project(&target.url, Guest::forward());
    let server = dev(folder.path(), &binary("towpath-lambda"));
    for number in 1..=3 {
        post(&server, &format!("{{\"k\":1,\"n\":{number}}}")).await;
    }
    let events = queue(folder.path(), "events.fifo").await;
    until(&events, 0).await;
    assert_eq!(target.bodies(), [r#"{"k":1,"n":1}"#, r#"{"k":1,"n":2}"#, r#"{"k":1,"n":3}"#]);
    let dead = queue(folder.path(), "events-dead.fifo").await;
    let letters = dead.browse(None, 10).await.unwrap();
    assert_eq!(DeadLetter::read(&letters[0].attributes).unwrap().reason, "refused");
    server.signal("-TERM");
    server.logs("stopped");
}

/// A function that gives this answer to everything.
fn answering(folder: &Path, answer: &str) -> PathBuf {
    let script = format!(
        "#!/usr/bin/env python3\nimport os\nfrom urllib.request import Request, urlopen\n\
        base = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2018-06-01/runtime/invocation/'\n\
        while True:\n    with urlopen(base + 'next') as event:\n        \
        id = event.headers['lambda-runtime-aws-request-id']\n        event.read()\n    {answer}\n"
    );
    let path = folder.join("function");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn respond(text: &str) -> String {
    format!("urlopen(Request(base + id + '/response', data=b'''{text}''')).close()")
}

/// Scenario 33.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_deletes_the_batch_or_gives_it_back() {
    let target = Target::fine().await;
    for (answer, left, log) in [
        (respond("{}"), 0, "failed=0"),
        (respond("null"), 0, "failed=0"),
        (respond("{\"failures\": []}"), 1, "no key batchItemFailures"),
        (respond("{\"batchItemFailures\": [{\"itemIdentifier\": \"unknown\"}]}"), 1, "no message of the batch"),
        (respond("not JSON"), 1, "no JSON"),
        ("os._exit(1)".to_owned(), 1, "the function's process ended"),
    ] {
        let folder = project(&target.url, Guest::forward());
        let function = answering(folder.path(), &answer);
        let server = dev(folder.path(), &function);
        post(&server, "{}").await;
        server.logs(log);
        until(&queue(folder.path(), "events.fifo").await, left).await;
    }
    assert!(target.calls().is_empty(), "the function alone handles messages");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_does_not_start_is_told_loudly() {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    let function = folder.path().join("function");
    std::fs::write(&function, "#!/bin/sh\nexit 3\n").unwrap();
    std::fs::set_permissions(&function, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (function, says) in
        [("./function", "its process ended before it was ready"), ("./nowhere", "cargo build -p towpath-lambda")]
    {
        let folder = folder.path().to_owned();
        let args = ["dev", "--sqs", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--no-build", "--lambda", function];
        let output = tokio::task::spawn_blocking(move || towpath(&folder, &args)).await.unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains(says), "{}", err(&output));
    }
}
