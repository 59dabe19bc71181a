//! `replay`, from a running host's archive to its targets.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use towpath_tests::binary::binary;
use towpath_tests::endpoint::{Refused, SqsServer};
use towpath_tests::guest::Guest;
use towpath_tests::target::{Call, Target};

use super::serve::{Server, client, project};
use super::{err, out, towpath};

const REPLAYED_AT: &str = "towpath-replayed-at";

/// A host whose events `A1`, `B2`, … were delivered, and which has stopped.
struct Station {
    folder: TempDir,
    target: Target,
    other: Target,
    first: Vec<Call>,
}

impl Station {
    async fn of(events: &[&str]) -> Station {
        Station::with("", events).await
    }

    async fn with(config: &str, events: &[&str]) -> Station {
        let target = Target::fine().await;
        let other = Target::fine().await;
        let folder = project(&target.url, Guest::forward());
        let file = folder.path().join("towpath.toml");
        let text = std::fs::read_to_string(&file).unwrap()
            + &format!("[target.other]\nurl = \"{}/new\"\nallow_private = true\n{config}", other.url);
        std::fs::write(file, text).unwrap();
        let mut station = Station { folder, target, other, first: Vec::new() };
        station.post(events).await;
        station.first = station.target.calls();
        station
    }

    /// Posts events to a host, and stops it once all are delivered.
    async fn post(&self, events: &[&str]) {
        let before = self.target.calls().len();
        let server = self.start(&["serve"]);
        for event in events {
            post(&server, event).await;
        }
        self.target.called(before + events.len()).await;
        server.stop();
    }

    fn start(&self, args: &[&str]) -> Server {
        Server::start(self.folder.path(), args)
    }

    /// Delivers what waits: this many requests to this target, after those that it had.
    async fn deliver(&self, target: &Target, before: usize, requests: usize) -> Vec<Call> {
        let server = self.start(&["serve"]);
        target.called(before + requests).await;
        server.stop();
        let calls = target.calls().split_off(before);
        assert_eq!(calls.len(), requests, "{:?}", bodies(&calls));
        calls
    }

    async fn run(&self, args: &[&str], code: i32) -> Output {
        let folder = self.folder.path().to_owned();
        let args: Vec<String> = [&["replay"], args].concat().iter().map(|arg| (*arg).to_owned()).collect();
        let shown = args.join(" ");
        let run = move || towpath(&folder, &args.iter().map(String::as_str).collect::<Vec<_>>());
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{shown}\n{}\n{}", out(&output), err(&output));
        output
    }

    async fn json(&self, args: &[&str], code: i32) -> Value {
        serde_json::from_str(&out(&self.run(&[args, &["--json"]].concat(), code).await)).unwrap()
    }

    fn spawn(&self, args: &[&str]) -> Child {
        let mut command = Command::new(binary("towpath"));
        let command = command.arg("replay").args(args).current_dir(self.folder.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The file of the only run, once this many events were sent.
    async fn sent(&self, events: u64) -> Value {
        loop {
            if let Some(record) = record(&self.folder.path().join(".towpath"))
                && record["sent"] == events
            {
                return record;
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn post(server: &Server, event: &str) {
    let body = body(event);
    let answer = client().post(&server.url).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
}

/// `A1` is of group `g/A`.
fn body(event: &str) -> String {
    let (key, number) = event.split_at(1);
    format!("{{\"k\":\"{key}\",\"n\":{number},\"mail\":\"{event}@example.com\"}}")
}

fn record(folder: &Path) -> Option<Value> {
    let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_record = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("replay-") && name.ends_with(".json")
    };
    let file = files.find(is_record)?;
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).ok()
}

fn bodies(calls: &[Call]) -> Vec<String> {
    calls.iter().map(|call| String::from_utf8_lossy(&call.body).into_owned()).collect()
}

/// The bodies of each group in the order in which they came, with their ids.
fn by_group(calls: &[Call], header: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut groups = BTreeMap::<String, Vec<_>>::new();
    for call in calls {
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        let entry = (body.to_string(), call.header(header).to_owned());
        groups.entry(body["k"].to_string()).or_default().push(entry);
    }
    groups
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_route_arrive_again_in_order_with_their_ids_past_deduplication() {
    let mut station = Station::of(&[]).await;
    let file = station.folder.path().join("towpath.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("plugin = \"guest\"", "plugin = \"guest\"\ndedup = \"json:/n\"", 1)).unwrap();
    station.post(&["A1", "B2", "A3", "B4", "A5", "B6"]).await;
    station.first = station.target.calls();
    let plan = station.json(&["--route", "g", "--plan"], 0).await;
    assert_eq!((&plan["events"], &plan["groups"], &plan["overtaken"]), (&6.into(), &2.into(), &Value::Array(vec![])));
    for round in 0..2 {
        let report = station.json(&["--route", "g", "--since", "1h"], 0).await;
        assert_eq!((&report["state"], &report["sent"]), (&"complete".into(), &6.into()));
        let again = station.deliver(&station.target, 6 * (1 + round), 6).await;
        assert_eq!(by_group(&again, "webhook-id"), by_group(&station.first, "webhook-id"));
        for call in &again {
            let at = call.header(REPLAYED_AT);
            assert!(at.len() == 24 && at.starts_with("20") && at.ends_with('Z'), "RFC 3339: {at:?}");
        }
        // What was replayed is in the archive too, and is not replayed again.
        let plan = station.json(&["--route", "g", "--plan"], 0).await;
        assert_eq!((&plan["events"], &plan["replays"]), (&6.into(), &(6 * (1 + round)).into()));
        assert_eq!(plan["overtaken"], Value::Array(vec![]), "a replay is no later event");
    }
    assert!(station.first.iter().all(|call| call.header(REPLAYED_AT).is_empty()));
    let listed = station.json(&["list"], 0).await;
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let audit = std::fs::read_to_string(station.folder.path().join(".towpath/audit.jsonl")).unwrap();
    assert_eq!(audit.matches("\"action\":\"replay\"").count(), 2, "{audit}");
    assert!(audit.contains("\"routes\":[\"g\"]"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_ids_make_other_events_of_them_and_another_target_gets_all_their_requests() {
    let station = Station::of(&["A1", "A2", "B3"]).await;
    let refused = station.run(&["--route", "g", "--to", "nowhere"], 2).await;
    assert!(err(&refused).contains("no target \"nowhere\"; known are: other, sss"), "{}", err(&refused));
    station.run(&["--route", "g", "--to", "other", "--new-ids"], 0).await;
    let calls = station.deliver(&station.other, 0, 3).await;
    assert_eq!(station.target.calls().len(), 3, "nothing goes to the target of the mapping");
    assert!(calls.iter().all(|call| call.path == "/new/t"), "the mapping is the route's");
    let ids = |calls: &[Call]| by_group(calls, "webhook-id").into_values().flatten().map(|(_, id)| id).collect();
    let before: std::collections::BTreeSet<String> = ids(&station.first);
    let after: std::collections::BTreeSet<String> = ids(&calls);
    assert_eq!((before.len(), after.len(), before.intersection(&after).count()), (3, 3, 0));
    let order = |calls: &[Call]| {
        let groups = by_group(calls, "x").into_iter();
        groups.map(|(group, rows)| (group, rows.into_iter().map(|(body, _)| body).collect())).collect()
    };
    let (before, after): (BTreeMap<String, Vec<String>>, BTreeMap<_, _>) = (order(&station.first), order(&calls));
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_replayed_without_a_filter_and_a_time_alone_is_one() {
    let station = Station::of(&["A1"]).await;
    for args in [&[][..], &["--plan"], &["--overtaken", "--rate", "5/s"]] {
        let refused = station.run(args, 2).await;
        assert!(err(&refused).contains("no events selected"), "{}", err(&refused));
        assert!(err(&refused).contains("give a filter"), "{}", err(&refused));
    }
    for args in [&["--since", "1h", "--plan"][..], &["--until", "0s", "--plan"], &["--where", "/n=1", "--plan"]] {
        assert_eq!(station.json(args, 0).await["events"], 1, "{args:?}");
    }
    let typo = station.run(&["--route", "x"], 2).await;
    assert!(err(&typo).contains("no route \"x\""), "{}", err(&typo));
    assert_eq!(station.json(&["list"], 0).await, Value::Array(vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_with_later_events_is_replayed_only_if_that_is_accepted() {
    let station = Station::of(&["A1", "A2", "B3"]).await;
    let later = station.run(&["--where", "/n=1"], 2).await;
    assert!(err(&later).contains("g/A: 1 delivered later, 0 waiting"), "{}", err(&later));
    assert!(err(&later).contains("--overtaken"), "{}", err(&later));
    let door = station.start(&["serve", "--ingest-only"]);
    post(&door, "B4").await;
    door.stop();
    let waiting = station.run(&["--group", "g/B"], 2).await;
    assert!(err(&waiting).contains("g/B: 0 delivered later, 1 waiting"), "{}", err(&waiting));
    assert_eq!(station.json(&["list"], 0).await, Value::Array(vec![]));
    station.run(&["--where", "/n=1", "--overtaken"], 0).await;
    station.run(&["--group", "g/B", "--overtaken"], 0).await;
    let calls = station.deliver(&station.target, 3, 3).await;
    let groups = by_group(&calls, "x");
    let of = |key: &str| groups[key].iter().map(|(body, _)| body.clone()).collect::<Vec<_>>();
    let json = |event: &str| serde_json::from_str::<Value>(&body(event)).unwrap().to_string();
    assert_eq!(of("\"A\""), [json("A1")]);
    assert_eq!(of("\"B\""), [json("B4"), json("B3")], "behind what waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_goes_on_and_sends_each_event_once() {
    let station = Station::of(&["A1", "B2", "A3", "B4", "A5"]).await;
    let mut process = station.spawn(&["--route", "g", "--rate", "1/h"]);
    let record = station.sent(1).await;
    process.kill().unwrap();
    process.wait().unwrap();
    let run = record["run"].as_str().unwrap();
    assert_eq!(station.json(&["list"], 0).await[0]["state"], "interrupted");
    // As if the crash had come between the send and the file.
    let file = station.folder.path().join(format!(".towpath/replay-{run}.json"));
    let mut before: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    before["sent"] = 0.into();
    before["position"] = Value::Null;
    std::fs::write(&file, before.to_string()).unwrap();
    let report = station.json(&["--resume", run, "--rate", "1000/s"], 0).await;
    assert_eq!((&report["state"], &report["sent"]), (&"complete".into(), &5.into()));
    let again = station.deliver(&station.target, 5, 5).await;
    assert_eq!(by_group(&again, "webhook-id"), by_group(&station.first, "webhook-id"));
    let complete = station.run(&["--resume", run], 2).await;
    assert!(err(&complete).contains("is complete"), "{}", err(&complete));
    for unknown in ["nothere", "../x", "a/b"] {
        let unknown = station.run(&["--resume", unknown], 2).await;
        assert!(err(&unknown).contains("there is no replay"), "{}", err(&unknown));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_a_run_between_two_batches_and_says_how_to_go_on() {
    let station = Station::of(&["A1", "B2", "A3"]).await;
    let process = station.spawn(&["--route", "g", "--rate", "1/h"]);
    station.sent(1).await;
    assert_eq!(station.json(&["list"], 0).await[0]["state"], "running");
    let second = station.run(&["--route", "g"], 2).await;
    assert!(err(&second).contains("another replay runs"), "{}", err(&second));
    let sent = Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let ended = process.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    let record = station.sent(1).await;
    let run = record["run"].as_str().unwrap();
    assert_eq!(record["state"], "stopped");
    assert!(err(&ended).contains(&format!("towpath replay --resume {run}")), "{}", err(&ended));
    let report = station.json(&["--resume", run, "--rate", "1000/s"], 0).await;
    assert_eq!((&report["sent"], &report["events"], &report["sent_now"]), (&3.into(), &3.into(), &2.into()));
    let again = station.deliver(&station.target, 3, 3).await;
    assert_eq!(by_group(&again, "webhook-id"), by_group(&station.first, "webhook-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_its_whole_body_is_left_out_and_counted() {
    let station = Station::with("[archive]\nredact = [\"/mail\"]\n", &["A1", "B2"]).await;
    let plan = station.json(&["--route", "g", "--plan"], 0).await;
    assert_eq!((&plan["events"], &plan["redacted"]), (&0.into(), &2.into()));
    let ran = station.run(&["--route", "g"], 0).await;
    assert!(err(&ran).contains("left out: 2 redacted"), "{}", err(&ran));
    station.post(&["A3"]).await;
    assert_eq!(station.target.calls().len(), 3, "nothing was sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_compared_on_archived_events_without_a_request() {
    let station = Station::of(&["A1", "B2"]).await;
    let file = station.folder.path().join("candidate.wasm");
    let compare = async |code| {
        let args = ["--since", "1h", "--plugin", "candidate.wasm", "--plan"];
        (station.json(&args, code).await, out(&station.run(&args, code).await))
    };
    std::fs::write(&file, Guest::forward().build()).unwrap();
    let (alike, _) = compare(0).await;
    assert_eq!((&alike["events"], &alike["differ"]), (&2.into(), &0.into()));
    let code = |difference: &str| difference.to_owned();
    for (candidate, difference) in [
        (Guest::skip("old"), code("verdict: deliver becomes skip old")),
        (
            Guest::deliver(&[towpath_tests::guest::Request { path: "/u", ..Default::default() }]),
            code("request 0: path"),
        ),
        (Guest::error("no"), code("verdict: deliver becomes plugin-error")),
    ] {
        std::fs::write(&file, candidate.build()).unwrap();
        let (differs, text) = compare(1).await;
        assert_eq!((&differs["events"], &differs["differ"]), (&2.into(), &2.into()));
        assert_eq!(differs["rows"][0]["difference"], difference);
        assert!(text.contains(&difference), "{text}");
    }
    let alone = station.run(&["--since", "1h", "--plugin", "candidate.wasm"], 2).await;
    assert!(err(&alone).contains("--plan"), "{}", err(&alone));
    assert_eq!(station.target.calls().len(), 2);
    assert_eq!(station.json(&["list"], 0).await, Value::Array(vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_fails_ends_the_run_which_keeps_its_place() {
    let station = Station::of(&["A1", "B2", "A3"]).await;
    let refused = Refused::default();
    let guard = refused.clone();
    let sqs = SqsServer::start_behind(move |router| guard.guard(router)).await;
    for name in ["events.fifo", "dead.fifo"] {
        sqs.store.queue(name, towpath_local::QueueSettings::default()).await.unwrap();
    }
    let archive = station.folder.path().join(".towpath/archive");
    let file = station.folder.path().join("towpath.toml");
    let queue = format!(
        "[queue]\nurl = \"{}\"\ndead_letter_url = \"{}\"\n",
        sqs.queue_url("events.fifo"),
        sqs.queue_url("dead.fifo")
    );
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}{queue}")).unwrap();
    let folder = archive.display().to_string();
    let args = ["--route", "g", "--folder", &folder];
    let unproven = station.run(&[&args[..], &["--to", "other"]].concat(), 2).await;
    assert!(err(&unproven).contains("note_key"), "{}", err(&unproven));
    refused.set(&["SendMessage", "SendMessageBatch"]);
    let failed = station.json(&args, 1).await;
    assert_eq!((&failed["state"], &failed["sent"]), (&"failed".into(), &0.into()));
    refused.set(&[]);
    let run = failed["run"].as_str().unwrap();
    let report = station.json(&["--resume", run], 0).await;
    assert_eq!((&report["state"], &report["sent"]), (&"complete".into(), &3.into()));
    let queue = sqs.store.queue("events.fifo", towpath_local::QueueSettings::default()).await.unwrap();
    let sent = queue.browse(None, 10).await.unwrap();
    let bodies: Vec<String> =
        sent.iter().map(|sent| String::from_utf8(sent.body.webhook().unwrap().body.clone()).unwrap()).collect();
    assert_eq!(bodies, ["A1", "B2", "A3"].map(body));
}
