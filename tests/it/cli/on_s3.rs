//! `archive` and `replay` over what Firehose wrote to S3: unordered, repeated, torn, in folders by date.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;
use towpath_local::QueueSettings;
use towpath_tests::binary::binary;
use towpath_tests::endpoint::SqsServer;
use towpath_tests::guest::Guest;
use towpath_tests::leaks::{KEY, TOKEN};
use towpath_tests::s3::S3Server;
use towpath_types::body::Body;
use towpath_types::envelope::Webhook;
use towpath_types::message::webhook_id;
use towpath_types::replay::replay_of;

use super::{err, out};

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

/// The longest wait for what a command does.
const PATIENCE: Duration = Duration::from_secs(60);

/// The number of an event `A0`. Those of `A9` and `A10` have 19 and 20 digits.
const FIRST: u64 = 9_999_999_999_999_999_990;

/// A deployment on AWS, and its operator's folder.
struct Deployment {
    folder: TempDir,
    s3: S3Server,
}

impl Deployment {
    /// Its queues are at this URL, and its config names this folder of S3.
    async fn new(queues: &str, bucket: &str) -> Deployment {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("guest.wasm"), Guest::forward().build()).unwrap();
        let config = format!(
            "[queue]\nurl = \"{queues}/000000000000/events.fifo\"\ndead_letter_url = \"{queues}/000000000000/dead.fifo\"\n\
            [archive]\nstream = \"events\"\n{bucket}\n[[route]]\npath = \"g\"\ngroup = \"g/{{json:/k}}\"\nplugin = \"guest\"\n\
            [plugin.guest]\npath = \"guest.wasm\"\n[target.sss]\nurl = \"https://sss.example\"\n"
        );
        std::fs::write(folder.path().join("towpath.toml"), config).unwrap();
        Deployment { folder, s3: S3Server::start().await }
    }

    async fn with_archive(queues: &str) -> Deployment {
        Deployment::new(queues, "bucket = \"s3://acme/towpath/events\"").await
    }

    /// Puts a file there, below the folder of the archive.
    fn put(&self, name: &str, content: impl Into<Vec<u8>>, written: &str) {
        self.s3.put(&format!("/acme/towpath/events/{name}"), content.into(), written);
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary("towpath"));
        command.args(args).current_dir(self.folder.path()).env_remove("TOWPATH_CONFIG");
        command.env("TOWPATH_SECRET_KEY", KEY).env("TOWPATH_SECRET_TOKEN", TOKEN);
        command.env("AWS_ENDPOINT_URL_S3", &self.s3.url).env("AWS_REGION", "eu-west-1");
        command.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "x");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn run(&self, args: &[&str], code: i32) -> Output {
        let mut command = self.command(args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{}\n{}", out(&output), err(&output));
        output
    }

    async fn json(&self, args: &[&str], code: i32) -> Value {
        serde_json::from_str(&out(&self.run(&[args, &["--json"]].concat(), code).await)).unwrap()
    }

    /// The ids of the events that are listed with these options.
    async fn listed(&self, options: &[&str]) -> Vec<String> {
        let events = self.json(&[&["archive", "list"], options].concat(), 0).await;
        events.as_array().unwrap().iter().map(|event| event["queue_id"].as_str().unwrap().to_owned()).collect()
    }

    fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).spawn().unwrap()
    }

    fn record_of(&self, run: &str) -> PathBuf {
        self.folder.path().join(format!(".towpath/replay-{run}.json"))
    }

    /// The file of the only run, once this many events were sent.
    async fn sent(&self, events: u64) -> Value {
        let sent = async {
            loop {
                if let Some(record) = self.only_record().filter(|record| record["sent"] == events) {
                    return record;
                }
                tokio::task::yield_now().await;
            }
        };
        let sent = tokio::time::timeout(PATIENCE, sent).await;
        sent.unwrap_or_else(|_| panic!("{events} events are not sent: {:?}", self.only_record()))
    }

    fn only_record(&self) -> Option<Value> {
        let entries = std::fs::read_dir(self.folder.path().join(".towpath")).into_iter().flatten();
        let mut files = entries.map(|entry| entry.unwrap().path());
        let file = files.find(|file| file.extension().is_some_and(|extension| extension == "json"))?;
        serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()
    }
}

/// The line of an event `A7`: the one with the number 7 of its queue, in the group `g/A`, stored in this minute of a morning.
fn line(event: &str, minute: u32, change: impl FnOnce(&mut Value)) -> String {
    let (key, number) = event.split_at(1);
    let at = |second| format!("2026-03-02T09:{minute:02}:{second:02}.000Z");
    let webhook = Webhook { body: body(event).into_bytes(), query: "q=1".to_owned(), ..Webhook::default() };
    let mut line = json!({
        "id": format!("m-{event}"), "webhook_id": format!("w-{event}"), "group": format!("g/{key}"),
        "sequence": (FIRST + number.parse::<u64>().unwrap()).to_string(), "route": "g", "sent_at": at(0), "ended_at": at(1),
        "receive_count": 1, "ending": "delivered", "body": Body::from(webhook).into_text(),
        "attributes": { "towpath-webhook-id": { "data_type": "String", "value": { "text": format!("w-{event}") } } },
    });
    change(&mut line);
    format!("{line}\n")
}

fn event(event: &str, minute: u32) -> String {
    line(event, minute, |_| {})
}

fn body(event: &str) -> String {
    let (key, number) = event.split_at(1);
    format!("{{\"k\":\"{key}\",\"n\":{number}}}")
}

fn gzip(lines: &[String]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(lines.concat().as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Six events in files as Firehose leaves them.
async fn deployed(queues: &str) -> Deployment {
    let deployment = Deployment::with_archive(queues).await;
    let before = line("A3", 3, |line| {
        line["ended_at"] = "2026-03-02T09:03:00.500Z".into();
        line["ending"] = "skipped".into();
    });
    deployment.put("2026/03/02/e-1-09-10.gz", gzip(&[event("A3", 3), event("B2", 2)]), "2026-03-02T09:11:00.000Z");
    deployment.put("2026/03/02/e-1-09-11.gz", gzip(&[event("A1", 1), before]), "2026-03-02T09:12:00.000Z");
    let torn = event("B9", 9)[..100].to_owned() + "\n";
    let plain = [torn, event("B4", 4), event("A10", 10)].concat();
    deployment.put("2026/03/02/e-1-09-20", plain, "2026-03-02T09:21:00.000Z");
    deployment.put("2026/03/03/e-1-00-01.gz", gzip(&[event("B2", 2), event("A11", 11)]), "2026-03-03T00:02:00.000Z");
    deployment
}

const ALL: [&str; 6] = ["m-A1", "m-B2", "m-A3", "m-B4", "m-A10", "m-A11"];

#[tokio::test(flavor = "multi_thread")]
async fn events_on_s3_are_listed_in_order_each_once_and_found_by_the_same_filters() {
    let deployment = deployed(NOWHERE).await;
    assert_eq!(deployment.listed(&[]).await, ALL);
    let cases: [(&[&str], &[&str]); 9] = [
        (&["--limit", "2"], &["m-A10", "m-A11"]),
        (&["--group", "g/B"], &["m-B2", "m-B4"]),
        (&["--route", "g", "--where", "/n=4"], &["m-B4"]),
        (&["--contains", "\"n\":1"], &["m-A1", "m-A10", "m-A11"]),
        (&["--outcome", "skipped"], &[]),
        (&["--id", "w-A3"], &["m-A3"]),
        (&["--since", "2026-03-02T09:04:00Z"], &["m-B4", "m-A10", "m-A11"]),
        (&["--until", "2026-03-02T09:02:00Z"], &["m-A1"]),
        (&["--since", "2026-03-02T09:05:00Z", "--until", "2026-03-02T09:09:00Z"], &[]),
    ];
    for (options, expected) in cases {
        assert_eq!(deployment.listed(options).await, expected, "{options:?}");
    }
    let table = deployment.run(&["archive", "list"], 0).await;
    assert!(out(&table).starts_with("ID") && out(&table).lines().count() == 7, "{}", out(&table));
    assert!(err(&table).contains("1 damaged records, frames or lines"), "{}", err(&table));
    assert!(err(&table).contains("reading 4 files") && err(&table).contains("--since reads fewer"), "{}", err(&table));
    let narrow = deployment.run(&["archive", "list", "--since", "2026-03-02T09:04:00Z"], 0).await;
    assert!(!err(&narrow).contains("reads fewer"), "{}", err(&narrow));
    let shown = deployment.json(&["archive", "show", "m-A3"], 0).await;
    assert_eq!((&shown["outcome"], &shown["query"]), (&"delivered".into(), &"q=1".into()), "the last repeat counts");
    assert_eq!(out(&deployment.run(&["archive", "show", "w-B4", "--body"], 0).await), body("B4"));
    let none = deployment.run(&["archive", "show", "m-B9"], 2).await;
    assert!(err(&none).contains("no event m-B9 in the archive, and 1 damaged records"), "{}", err(&none));
    let several = deployment.run(&["archive", "show", "m-A"], 2).await;
    assert!(err(&several).contains("names several events"), "{}", err(&several));
    assert_eq!(
        deployment.json(&["archive", "show", "m-A1"], 0).await["queue_id"],
        "m-A1",
        "not the beginning of m-A10"
    );
    let later = deployment.run(&["archive", "show", "m-B2", "--since", "2026-03-02T09:03:00Z"], 2).await;
    assert!(err(&later).contains("there is no event m-B2"), "{}", err(&later));
    let stats = deployment.json(&["archive", "stats"], 0).await;
    assert_eq!((&stats["events"], &stats["segments"], &stats["damaged"]), (&8.into(), &4.into(), &1.into()));
    assert_eq!(stats["oldest_ended_at"], "2026-03-02T09:01:01.000Z");
    assert!(stats["dropped"].is_null() && stats["bytes"].as_u64().unwrap() > 500, "{stats}");
    let stats = out(&deployment.run(&["archive", "stats"], 0).await);
    assert!(stats.starts_with("archive s3://acme/towpath/events/\n"), "{stats}");
    let typo = deployment.run(&["archive", "list", "--route", "x"], 2).await;
    assert!(err(&typo).contains("there is no route \"x\""), "{}", err(&typo));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_that_may_have_the_events_are_read() {
    let deployment = deployed(NOWHERE).await;
    deployment.put("2026/02/27/e-1-12-00.gz", gzip(&[event("C1", 1)]), "2026-02-27T12:01:00.000Z");
    deployment.put("2026/03/17/e-1-12-00.gz", gzip(&[event("C2", 2)]), "2026-03-17T12:01:00.000Z");
    deployment.put("2026/03/18/e-1-12-00.gz", gzip(&[event("C3", 3)]), "2026-03-18T12:01:00.000Z");
    let read = async |options: &[&str]| -> Vec<String> {
        deployment.s3.take_read();
        deployment.run(&[&["archive", "list"], options].concat(), 0).await;
        let names = deployment.s3.take_read().into_iter();
        names.map(|path| path.strip_prefix("/acme/towpath/events/2026/").unwrap().to_owned()).collect()
    };
    assert_eq!(read(&[]).await.len(), 7);
    let late = ["03/03/e-1-00-01.gz", "03/17/e-1-12-00.gz", "03/18/e-1-12-00.gz"];
    let expected = [&["03/02/e-1-09-20"][..], &late].concat();
    assert_eq!(read(&["--since", "2026-03-02T10:15:00Z"]).await, expected, "written an hour before, or later");
    let expected =
        ["02/27/e-1-12-00.gz", "03/02/e-1-09-10.gz", "03/02/e-1-09-11.gz", "03/02/e-1-09-20", late[0], late[1]];
    assert_eq!(read(&["--until", "2026-03-02T12:00:00Z"]).await, expected, "an event may wait for fourteen days");
    assert_eq!(read(&["--since", "2026-03-20T00:00:00Z"]).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_missing_is_named() {
    let cases = [
        ("ListObjectsV2", "Access Denied", "allow s3:ListBucket"),
        ("GetObject", "Access Denied", "allow s3:GetObject"),
        ("GetObject", "not authorized to perform: kms:Decrypt on resource: k", "allow kms:Decrypt on the key"),
    ];
    for (api, message, expected) in cases {
        let deployment = deployed(NOWHERE).await;
        deployment.s3.deny(api, message);
        for command in [&["archive", "list"][..], &["archive", "stats"], &["replay", "--route", "g", "--plan"]] {
            let denied = deployment.run(command, 2).await;
            let said = err(&denied);
            assert!(said.contains("s3://acme/towpath/events/") && said.contains(expected), "{command:?}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_s3_says_what_to_do() {
    let cases = [
        ("ListObjectsV2", "AccessDenied", "or name the folder that it allows, the output archive_url"),
        ("ListObjectsV2", "NoSuchBucket", "name the bucket of the output archive_url"),
        ("ListObjectsV2", "PermanentRedirect", "the bucket is in another region"),
        ("GetObject", "InvalidObjectState", "restore it, or read a window without it"),
    ];
    for (api, code, expected) in cases {
        let deployment = deployed(NOWHERE).await;
        deployment.s3.fail(api, code, "wrong");
        let said = err(&deployment.run(&["archive", "list"], 2).await);
        assert!(said.contains(&format!("{code}: wrong; ")) && said.contains(expected), "{api}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_may_be_empty_or_elsewhere() {
    let empty = Deployment::with_archive(NOWHERE).await;
    for _ in 0..2 {
        let listed = empty.run(&["archive", "list"], 0).await;
        assert_eq!(out(&listed), "no events\n");
        assert!(err(&listed).contains("no files at all"), "{}", err(&listed));
        // The S3 console makes an object for a folder.
        empty.put("", "", "2026-03-02T09:11:00.000Z");
    }
    assert_eq!(empty.json(&["archive", "stats"], 0).await["events"], 0);
    assert_eq!(empty.json(&["replay", "--route", "g", "--plan"], 0).await["events"], 0);
    let deployment = deployed(NOWHERE).await;
    deployment.put("", "", "2026-03-02T09:11:00.000Z");
    let later = deployment.run(&["archive", "list", "--since", "2026-03-20T00:00:00Z"], 0).await;
    assert!(!err(&later).contains("no files at all"), "{}", err(&later));
    for options in
        [&["--bucket", "s3://acme"][..], &["--bucket", "s3://acme/towpath", "--since", "2026-03-02T00:00:00Z"]]
    {
        let wrong = deployment.run(&[&["archive", "list"], options].concat(), 2).await;
        assert!(err(&wrong).contains("no folders by date"), "{}", err(&wrong));
    }
    assert_eq!(deployment.listed(&["--bucket", "s3://acme/towpath/events/", "--config", "towpath.toml"]).await, ALL);
    let unnamed = Deployment::new(NOWHERE, "").await;
    for command in [&["archive", "list"][..], &["replay", "--route", "g", "--plan"]] {
        let said = err(&unnamed.run(command, 2).await);
        assert!(said.contains("archive.stream but not archive.bucket") && said.contains("give --bucket"), "{said}");
    }
    let both = unnamed.run(&["archive", "list", "--folder", ".", "--bucket", "s3://acme"], 2).await;
    assert!(err(&both).contains("cannot be used with"), "{}", err(&both));
}

/// The queues of a deployment.
async fn queues(guard: impl FnOnce(axum::Router) -> axum::Router) -> SqsServer {
    let sqs = SqsServer::start_behind(guard).await;
    for name in ["events.fifo", "dead.fifo"] {
        sqs.store.queue(name, QueueSettings::default()).await.unwrap();
    }
    sqs
}

/// Where each message is in the queue: its group, its body, its `webhook-id`, and the run that sent it.
async fn waiting(sqs: &SqsServer) -> Vec<(String, String, String, String)> {
    let queue = sqs.store.queue("events.fifo", QueueSettings::default()).await.unwrap();
    let messages = queue.browse(None, 100).await.unwrap();
    let row = |message: &towpath_local::Browsed| {
        let body = String::from_utf8(message.body.webhook().unwrap().body.clone()).unwrap();
        let run = replay_of(&message.attributes).unwrap().run;
        (message.group.to_string(), body, webhook_id(&message.id, &message.attributes).to_string(), run)
    };
    messages.iter().map(row).collect()
}

/// The rows of these events.
fn rows(events: &[&str], run: &str) -> Vec<(String, String, String, String)> {
    let row = |event: &&str| (format!("g/{}", &event[..1]), body(event), format!("w-{event}"), run.to_owned());
    events.iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_on_s3_go_to_the_queue_again_in_order_with_their_ids() {
    let sqs = queues(|router| router).await;
    let deployment = deployed(&sqs.url).await;
    let plan = deployment.json(&["replay", "--route", "g", "--plan"], 0).await;
    assert_eq!((&plan["events"], &plan["groups"], &plan["lags"]), (&6.into(), &2.into(), &true.into()));
    assert_eq!(plan["damaged"], 1);
    assert!(waiting(&sqs).await.is_empty());
    let later = deployment.run(&["replay", "--where", "/n=1", "--until", "2026-03-02T09:01:30Z"], 2).await;
    assert!(err(&later).contains("g/A: 3 delivered later"), "{}", err(&later));
    let report = deployment.json(&["replay", "--route", "g", "--note", "again"], 0).await;
    assert_eq!((&report["state"], &report["sent"]), (&"complete".into(), &6.into()));
    let run = report["run"].as_str().unwrap();
    let all = ["A1", "B2", "A3", "B4", "A10", "A11"];
    assert_eq!(waiting(&sqs).await, rows(&all, run));
    // Past the deduplication of the first run, by ids of its own.
    let again = deployment.json(&["replay", "--group", "g/B", "--new-ids"], 0).await;
    let rows = waiting(&sqs).await.split_off(6);
    assert_eq!(rows.iter().map(|row| row.1.as_str()).collect::<Vec<_>>(), [body("B2"), body("B4")]);
    assert!(rows.iter().all(|row| row.2.starts_with("msg_") && row.3 == again["run"]), "{rows:?}");
    let audit = std::fs::read_to_string(deployment.folder.path().join(".towpath/audit.jsonl")).unwrap();
    assert_eq!(audit.matches("\"action\":\"replay\"").count(), 2, "{audit}");
    let plan = out(&deployment.run(&["replay", "--route", "g", "--plan"], 0).await);
    assert!(plan.contains("events reach S3 after a minute or more"), "{plan}");
    assert!(plan.contains("check towpath.archive.dropped"), "{plan}");
    assert!(plan.contains("1 damaged records, frames or lines"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_without_events_reads_the_files_once_and_starts_no_run() {
    let deployment = deployed(NOWHERE).await;
    deployment.s3.take_read();
    let none = deployment.run(&["replay", "--route", "g", "--where", "/n=99"], 0).await;
    assert!(err(&none).contains("nothing to send"), "{}", err(&none));
    assert_eq!(deployment.s3.take_read().len(), 4);
    assert!(!deployment.folder.path().join(".towpath").exists());
    assert_eq!(deployment.json(&["replay", "--route", "g", "--where", "/n=99"], 0).await["events"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_only_with_the_queue_and_the_archive_of_its_start() {
    let sends = Arc::default();
    let sqs = counting(&sends, |send| (send == 1).then_some(Stop::Refuse)).await;
    let deployment = deployed(&sqs.url).await;
    let failed = deployment.run(&["replay", "--route", "g", "-c", "towpath.toml", "--json"], 1).await;
    let run = deployment.only_record().unwrap()["run"].as_str().unwrap().to_owned();
    let command = format!("`towpath replay --resume {run} --config towpath.toml` goes on");
    assert!(err(&failed).contains(&command), "{}", err(&failed));
    let file = deployment.folder.path().join("towpath.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    for (here, there) in
        [("000000000000/events.fifo", "000000000000/others.fifo"), ("acme/towpath/events", "acme/others")]
    {
        std::fs::write(deployment.folder.path().join("other.toml"), config.replace(here, there)).unwrap();
        let said = err(&deployment.run(&["replay", "--resume", &run, "-c", "other.toml"], 2).await);
        assert!(said.contains(here) && said.contains(there), "{said}");
        assert!(said.contains("with which it was started"), "{said}");
    }
    assert_eq!(sends.load(Ordering::SeqCst), 2, "nothing was sent");
    // A run of an older version names neither.
    let mut record = deployment.only_record().unwrap();
    record.as_object_mut().unwrap().remove("places").unwrap();
    std::fs::write(deployment.record_of(&run), record.to_string()).unwrap();
    deployment.run(&["replay", "--resume", &run], 0).await;
    assert_eq!(waiting(&sqs).await, rows(&["A1", "B2", "A3", "B4", "A10", "A11"], &run));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_a_run_over_sqs_between_two_events() {
    let (is_sending, sending) = tokio::sync::watch::channel(false);
    let (interrupt, is_interrupted) = tokio::sync::watch::channel(false);
    let held = move |router: axum::Router| {
        router.layer(from_fn(move |request: Request, next: Next| {
            let (is_sending, mut is_interrupted) = (is_sending.clone(), is_interrupted.clone());
            async move {
                if request.headers().get("x-amz-target").is_some_and(|action| action == "AmazonSQS.SendMessage") {
                    is_sending.send_replace(true);
                    is_interrupted.wait_for(|is| *is).await.unwrap();
                }
                next.run(request).await
            }
        }))
    };
    let sqs = queues(held).await;
    let deployment = deployed(&sqs.url).await;
    let process = deployment.spawn(&["replay", "--route", "g"]);
    let mut sending = sending;
    tokio::time::timeout(PATIENCE, sending.wait_for(|is| *is)).await.expect("it sends").unwrap();
    assert!(Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap().success());
    interrupt.send_replace(true);
    let ended = tokio::task::spawn_blocking(|| process.wait_with_output().unwrap()).await.unwrap();
    assert_eq!(ended.status.code(), Some(130), "{}", err(&ended));
    let record = deployment.only_record().unwrap();
    assert!(record["state"] == "stopped" && record["sent"].as_u64().unwrap() < 6, "{record}");
    let run = record["run"].as_str().unwrap();
    deployment.run(&["replay", "--resume", run], 0).await;
    assert_eq!(waiting(&sqs).await, rows(&["A1", "B2", "A3", "B4", "A10", "A11"], run));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_from_s3_that_was_killed_goes_on_and_sends_each_event_once() {
    let sqs = queues(|router| router).await;
    let deployment = deployed(&sqs.url).await;
    let bucket = ["--bucket", "s3://acme/towpath/events/"];
    let mut process = deployment.spawn(&[&["replay", "--route", "g", "--rate", "1/h"], &bucket[..]].concat());
    let record = deployment.sent(1).await;
    process.kill().unwrap();
    process.wait().unwrap();
    let run = record["run"].as_str().unwrap();
    assert_eq!(waiting(&sqs).await, rows(&["A1"], run));
    // As if the crash had come between the send and the file.
    let mut before = record.clone();
    before["sent"] = 0.into();
    before["position"] = Value::Null;
    std::fs::write(deployment.record_of(run), before.to_string()).unwrap();
    // Firehose writes once more what it wrote before.
    deployment.put("2026/03/03/e-1-00-09.gz", gzip(&[event("A1", 1), event("B4", 4)]), "2026-03-03T00:10:00.000Z");
    let report = deployment.json(&["replay", "--resume", run, "--rate", "1000/s"], 0).await;
    assert_eq!((&report["state"], &report["sent"]), (&"complete".into(), &6.into()));
    assert_eq!(waiting(&sqs).await, rows(&["A1", "B2", "A3", "B4", "A10", "A11"], run));
}

/// Queues that see each send with its number, from 0 on, and refuse it or leave it unanswered if `stop` says so.
async fn counting(
    sends: &Arc<AtomicUsize>,
    stop: impl Fn(usize) -> Option<Stop> + Clone + Send + Sync + 'static,
) -> SqsServer {
    let sends = Arc::clone(sends);
    queues(move |router| {
        router.layer(from_fn(move |request: Request, next: Next| {
            let is_send = request.headers().get("x-amz-target").is_some_and(|action| action == "AmazonSQS.SendMessage");
            let stop = if is_send { stop(sends.fetch_add(1, Ordering::SeqCst)) } else { None };
            async move {
                match stop {
                    Some(Stop::Refuse) => {
                        (StatusCode::BAD_REQUEST, "{\"__type\": \"AccessDeniedException\"}").into_response()
                    }
                    Some(Stop::Hang) => std::future::pending().await,
                    None => next.run(request).await,
                }
            }
        }))
    })
    .await
}

enum Stop {
    Refuse,
    Hang,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_within_a_batch_costs_at_most_the_event_that_is_being_sent() {
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let sends = Arc::default();
    let hangs = move |send| (send >= 2 && !over.load(Ordering::SeqCst)).then_some(Stop::Hang);
    let sqs = counting(&sends, hangs).await;
    let deployment = deployed(&sqs.url).await;
    let mut process = deployment.spawn(&["replay", "--route", "g"]);
    let record = deployment.sent(2).await;
    assert_eq!(record["state"], "running", "its place is known before the batch is over");
    process.kill().unwrap();
    process.wait().unwrap();
    is_over.store(true, Ordering::SeqCst);
    let before = sends.load(Ordering::SeqCst);
    let run = record["run"].as_str().unwrap();
    let report = deployment.json(&["replay", "--resume", run], 0).await;
    assert_eq!((&report["state"], &report["sent_now"]), (&"complete".into(), &4.into()));
    assert_eq!(sends.load(Ordering::SeqCst) - before, 4, "what SQS confirmed is not sent again");
    assert_eq!(waiting(&sqs).await, rows(&["A1", "B2", "A3", "B4", "A10", "A11"], run));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_behind_an_event_that_sqs_refuses_until_it_is_sent() {
    let sends = Arc::default();
    let sqs = counting(&sends, |send| (send == 2).then_some(Stop::Refuse)).await;
    let deployment = deployed(&sqs.url).await;
    let failed = deployment.json(&["replay", "--route", "g"], 1).await;
    assert_eq!((&failed["state"], &failed["sent"]), (&"failed".into(), &2.into()));
    assert_eq!(sends.load(Ordering::SeqCst), 3);
    let run = failed["run"].as_str().unwrap();
    assert_eq!(waiting(&sqs).await, rows(&["A1", "B2"], run));
    let record: Value = serde_json::from_str(&std::fs::read_to_string(deployment.record_of(run)).unwrap()).unwrap();
    assert_eq!(record["position"]["ids"], json!(["m-B2"]));
    deployment.put("2026/03/03/e-1-00-09.gz", gzip(&[event("A0", 0), event("B5", 5)]), "2026-03-03T00:10:00.000Z");
    let resumed = deployment.run(&["replay", "--resume", run, "--json"], 0).await;
    assert!(err(&resumed).contains("left out: 1 that reached the archive after"), "{}", err(&resumed));
    let report: Value = serde_json::from_str(&out(&resumed)).unwrap();
    assert_eq!((&report["state"], &report["sent"], &report["sent_now"]), (&"complete".into(), &7.into(), &5.into()));
    assert_eq!(report["late"], 1);
    assert_eq!(sends.load(Ordering::SeqCst), 8, "none was sent twice");
    assert_eq!(waiting(&sqs).await, rows(&["A1", "B2", "A3", "B4", "B5", "A10", "A11"], run));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_compared_on_events_of_s3_without_a_queue() {
    let deployment = deployed(NOWHERE).await;
    let candidate = deployment.folder.path().join("candidate.wasm");
    let args = ["replay", "--since", "2026-03-02T09:02:00Z", "--plugin", "candidate.wasm", "--plan"];
    std::fs::write(&candidate, Guest::forward().build()).unwrap();
    let alike = deployment.json(&args, 0).await;
    assert_eq!((&alike["events"], &alike["differ"], &alike["damaged"]), (&5.into(), &0.into(), &1.into()));
    std::fs::write(&candidate, Guest::skip("old").build()).unwrap();
    let differs = deployment.json(&args, 1).await;
    assert_eq!((&differs["events"], &differs["differ"]), (&5.into(), &5.into()));
    assert_eq!(differs["rows"][0]["difference"], "verdict: deliver becomes skip old");
    assert!(!deployment.folder.path().join(".towpath").exists());
}
