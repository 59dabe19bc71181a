//! `dev --lambda`: the local queue drives a Lambda function as SQS does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use towpath_local::{LocalQueue, Store};
use towpath_tests::binary::binary;
use towpath_tests::guest::Guest;
use towpath_tests::target::{Answer, Target};
use towpath_types::clock::Clock;
use towpath_types::dead_letter::DeadLetter;

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
        base = os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2018-06-01/runtime/invocation/'\n\
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
        (respond("{\"batchItemFailures\": [{\"itemIdentifier\": \"unknown\"}]}"), 1, "not a message of the batch"),
        (respond("not JSON"), 1, "the response is not JSON"),
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

/// Another user of the machine finds the port, and plays the function.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_the_path_of_the_runtime_api_can_neither_take_nor_answer_an_invocation() {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    let told = folder.path().join("told.txt");
    // The function answers once somebody has written to this.
    let go = told.with_added_extension("go");
    assert!(std::process::Command::new("mkfifo").arg(&go).status().unwrap().success());
    let wait = format!(
        "open('{0}.new', 'w').write(base + ' ' + id)\n    os.rename('{0}.new', '{0}')\n    \
        open('{0}.go').read()\n    {1}",
        told.display(),
        respond("{}")
    );
    let function = answering(folder.path(), &wait);
    let args = [
        "dev",
        "--sqs",
        "127.0.0.1:0",
        "--real-targets",
        "--lambda-timeout",
        "60s",
        "--lambda-concurrency",
        "1",
        "--lambda",
    ];
    let server = Server::start(folder.path(), &[&args[..], &[&function.display().to_string()]].concat());
    post(&server, "{}").await;
    let wait = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while !told.exists() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("it is invoked");
    let told_text = std::fs::read_to_string(&told).unwrap();
    let (base, id) = told_text.split_once(' ').unwrap();
    let (address, path) = base.trim_start_matches("http://").split_once('/').unwrap();
    let (key, rest) = path.split_once('/').unwrap();
    assert!(key.len() >= 32 && rest.starts_with("2018-06-01/"), "{base}");
    let attacks = ["", "/x", "/00000000000000000000000000000000", &format!("/{}", &key[1..])];
    for prefix in attacks {
        let of = |what: &str| format!("http://{address}{prefix}/2018-06-01/runtime/{what}");
        let answer = format!("invocation/{id}/response");
        for what in [answer.as_str(), &format!("invocation/{id}/error"), "init/error"] {
            let sent = client().post(of(what)).body("{\"batchItemFailures\":[]}").send().await.unwrap();
            assert_eq!(sent.status(), 404, "{prefix} {what}");
        }
        assert_eq!(client().get(of("invocation/next")).send().await.unwrap().status(), 404, "{prefix}");
    }
    // Nobody finds it out in the command line either, and a page that guesses it is still a page.
    let command = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    assert!(!command.into_iter().any(|line| String::from_utf8_lossy(&line).contains(key)));
    let page = client().post(format!("{base}{id}/response")).header("origin", "http://evil.example").body("{}");
    assert_eq!(page.send().await.unwrap().status(), 403);
    let events = queue(folder.path(), "events.fifo").await;
    assert_eq!(events.depth().await.unwrap().messages, 1, "nobody answered");
    std::fs::write(go, "").unwrap();
    until(&events, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_does_not_start_is_told_loudly() {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    let function = folder.path().join("function");
    std::fs::write(&function, "#!/bin/sh\nexit 3\n").unwrap();
    std::fs::set_permissions(&function, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (function, says) in
        [("./function", "its process exited before it was ready"), ("./nowhere", "cargo build -p towpath-lambda")]
    {
        let folder = folder.path().to_owned();
        let args = ["dev", "--sqs", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--no-build", "--lambda", function];
        let output = tokio::task::spawn_blocking(move || towpath(&folder, &args)).await.unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains(says), "{}", err(&output));
    }
}
