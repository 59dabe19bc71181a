//! `erase`, next to a host that takes and delivers events meanwhile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;
use towpath_tests::binary::binary;
use towpath_tests::guest::Guest;
use towpath_tests::leaks::KEY;
use towpath_tests::target::{Answer, Call, Target};

use super::serve::{Server, client, project};
use super::{err, out, towpath};

/// Is in the body, a header, the query, the group and the deduplication id of each of a person's events, and nowhere else.
const PERSON: &str = "zqPersonqz";

/// A host whose target refuses `dead`, is not available for `later`, and keeps `slow` waiting until it is released.
struct Station {
    folder: TempDir,
    target: Target,
}

impl Station {
    async fn new() -> Station {
        let target = Target::answering(|call| match call {
            call if has(call, "dead") => Answer::Status(404, format!("no {PERSON}")),
            call if has(call, "later") => Answer::Status(503, String::new()),
            call if has(call, "slow") => Answer::Wait,
            _ => Answer::Status(200, String::new()),
        })
        .await;
        let folder = project(&target.url, Guest::forward());
        let file = folder.path().join("towpath.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let dedup = "plugin = \"guest\"\ndedup = \"json:/n\"";
        let text = text.replacen("plugin = \"guest\"", dedup, 1)
            + "[[route]]\npath = \"v\"\ngroup = \"v/{json:/k}\"\nplugin = \"guest\"\n\
               verify = { scheme = \"github\", secret = \"key\" }\n";
        std::fs::write(file, text).unwrap();
        Station { folder, target }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self) -> Server {
        Server::start_with(self.path(), &["serve"], &[("TOWPATH_SECRET_KEY", KEY)])
    }

    fn store(&self) -> PathBuf {
        self.path().join(".towpath")
    }

    async fn run(&self, args: &[&str], code: i32) -> Output {
        let folder = self.path().to_owned();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
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
        let command = command.args(args).current_dir(self.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until the host has settled everything but what waits for `later`.
    async fn waits(&self, messages: u64) {
        while self.json(&["status"], 0).await["queue"]["messages"] != messages {
            tokio::task::yield_now().await;
        }
    }

    /// The files of the store and its archive in which something of the person is left, compressed or not.
    fn files_with_the_person(&self) -> Vec<PathBuf> {
        let folders = [self.store(), self.store().join("archive")];
        let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
        let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        files.filter(|path| self.has_the_person(path)).collect()
    }

    fn has_the_person(&self, path: &Path) -> bool {
        let Ok(bytes) = std::fs::read(path) else { return false };
        let plain = zstd::stream::decode_all(&bytes[..]).unwrap_or_default();
        [bytes, plain].iter().any(|bytes| bytes.windows(PERSON.len()).any(|window| window == PERSON.as_bytes()))
    }

    /// The file of a replay of the person's events.
    fn replayed(&self) {
        let record = json!({
            "run": "0a1b2c3d", "by": "ops", "started_at": 1, "updated_at": 2, "events": 1, "sent": 1, "position": null,
            "request": { "filter": { "groups": [format!("g/{PERSON}")] }, "note": "" }, "state": "complete",
        });
        std::fs::write(self.store().join("replay-0a1b2c3d.json"), record.to_string()).unwrap();
    }

    /// Waits until the files of the store are such that this holds.
    async fn until(&self, holds: impl Fn(&[String]) -> bool) {
        loop {
            let folders = [self.store(), self.store().join("archive")];
            let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
            let names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
            if holds(&names) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn has(call: &Call, text: &str) -> bool {
    call.body.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Posts an event of the person.
async fn post_person(url: &str, number: u32, text: &str, status: u16) {
    let body = format!(
        "{{\"k\":\"{PERSON}\",\"n\":\"{PERSON}-{number}\",\"mail\":\"{PERSON}@example.com\",\"text\":\"{text}\"}}"
    );
    let request = client().post(format!("{url}?q={PERSON}")).header("x-person", PERSON).body(body);
    assert_eq!(request.send().await.unwrap().status(), status);
}

async fn post_other(url: &str, group: u32, number: u32, text: &str) {
    let body = format!("{{\"k\":\"other-{group}\",\"n\":{number},\"text\":\"{text}\"}}");
    assert_eq!(client().post(url).body(body).send().await.unwrap().status(), 202);
}

/// The numbers of the events of others that a target got, by group, each once.
fn others(calls: &[Call]) -> BTreeMap<String, Vec<u64>> {
    let mut groups = BTreeMap::<String, Vec<u64>>::new();
    for call in calls.iter().filter(|call| !has(call, PERSON) && !has(call, "later")) {
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        groups.entry(body["k"].to_string()).or_default().push(body["n"].as_u64().unwrap());
    }
    groups.values_mut().for_each(|numbers| numbers.dedup());
    groups
}

/// Events of the person everywhere: in closed and live segments, dead letters, waiting, and turned away; of all sizes.
async fn scatter(station: &Station) -> Server {
    let first = station.start();
    post_person(&first.url, 1, "short", 202).await;
    post_person(&first.url, 2, &"long ".repeat(700), 202).await;
    post_person(&first.url, 3, &"longer ".repeat(40_000), 202).await;
    post_person(&first.url, 4, "dead", 202).await;
    post_other(&first.url, 0, 0, "first").await;
    station.waits(0).await;
    first.stop();
    let host = station.start();
    // The segment of the first host.
    station.until(|names| names.iter().any(|name| name.ends_with(".zst"))).await;
    post_person(&host.url, 5, "short", 202).await;
    post_person(&host.url, 6, &format!("dead {}", "long ".repeat(60_000)), 202).await;
    post_person(&host.url.replace("/hooks/g", "/hooks/v"), 7, "turned away", 401).await;
    station.waits(0).await;
    post_person(&host.url, 8, &format!("later {}", "long ".repeat(60_000)), 202).await;
    post_person(&host.url, 9, "behind it", 202).await;
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_a_person_is_left_next_to_a_running_host_and_others_lose_nothing() {
    let station = Station::new().await;
    let host = scatter(&station).await;
    // The person's name in the audit and in a replay.
    let letter = station.json(&["dlq", "list"], 0).await[0]["message_id"].as_str().unwrap().to_owned();
    station.run(&["dlq", "drop", &letter, "--note", "bad"], 0).await;
    station.replayed();
    let group = format!("g/{PERSON}");
    let plan = station.json(&["erase", "--group", &group], 0).await;
    let found = &plan["found"];
    assert_eq!(
        (&found["waiting"], &found["dead_letters"], &found["archived"]),
        (&2.into(), &1.into(), &4.into()),
        "{plan}"
    );
    assert!(found["story_lines"].as_u64() > Some(9) && found["audit_entries"].as_u64() >= Some(1), "{plan}");
    assert_eq!(found["replays"], 1, "{plan}");
    assert!(station.files_with_the_person().len() >= 5, "a plan changes nothing");
    let stop = AtomicBool::new(false);
    let posting = async {
        let mut number = 1;
        while !stop.load(Ordering::SeqCst) {
            for group in 0..3 {
                post_other(&host.url, group, number, "x").await;
            }
            number += 1;
        }
        u64::from(number)
    };
    let erasing = async {
        station.target.until(|calls| others(calls).len() == 3).await;
        let report = station.json(&["erase", "--group", &group, "--yes", "--note", "request 7"], 0).await;
        assert_eq!((&report["complete"], &report["store_rewritten"]), (&true.into(), &true.into()), "{report}");
        // What ingest turned away has the group of another route, and is found by what it says.
        let report = station.json(&["erase", "--match", &format!("/mail={PERSON}@example.com"), "--yes"], 0).await;
        assert_eq!((&report["erased"]["refused"], &report["complete"]), (&1.into(), &true.into()), "{report}");
        assert_eq!(station.files_with_the_person(), Vec::<PathBuf>::new());
        stop.store(true, Ordering::SeqCst);
    };
    let (posted, ()) = tokio::join!(posting, erasing);
    station.waits(0).await;
    let expected: Vec<u64> = (1..posted).collect();
    for (group, mut numbers) in others(&station.target.calls()) {
        numbers.retain(|number| *number > 0);
        assert_eq!(numbers, expected, "{group}");
    }
    assert!(!station.target.calls().iter().any(|call| has(call, "behind it")), "it was never delivered");
    assert_eq!(station.files_with_the_person(), Vec::<PathBuf>::new());
    host.stop();
    let next = station.start();
    station.waits(0).await;
    next.stop();
    assert_eq!(station.files_with_the_person(), Vec::<PathBuf>::new(), "also once all segments are closed");
    let events = station.json(&["archive", "list", "--limit", "100000"], 0).await;
    assert_eq!(events.as_array().unwrap().len() as u64, 3 * (posted - 1) + 1, "those of others are all there");
    let audit = std::fs::read_to_string(station.store().join("audit.jsonl")).unwrap();
    assert!(
        audit.contains("request 7") && audit.contains("\"action\":\"drop\"") && audit.contains("\"erased\":true"),
        "{audit}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_delivered_is_waited_for_and_erased_with_what_its_delivery_left() {
    let station = Station::new().await;
    let host = station.start();
    post_person(&host.url, 1, "slow", 202).await;
    station.target.called(1).await;
    let group = format!("g/{PERSON}");
    assert_eq!(station.json(&["erase", "--group", &group], 0).await["in_flight"], 1);
    let erase = station.spawn(&["erase", "--group", &group, "--yes", "--json"]);
    station.until(|names| names.iter().any(|name| name == "erasing.json")).await;
    station.target.release();
    let output = tokio::task::spawn_blocking(|| erase.wait_with_output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    assert_eq!(station.target.calls().len(), 1, "delivered once");
    assert_eq!(station.files_with_the_person(), Vec::<PathBuf>::new());
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_is_killed_is_completed_by_a_later_run() {
    let station = Station::new().await;
    let host = scatter(&station).await;
    let mail = format!("/mail={PERSON}@example.com");
    let args = ["erase", "--match", &mail, "--yes"];
    let mut erase = station.spawn(&args);
    station.until(|names| names.iter().any(|name| name == "erasing.json")).await;
    erase.kill().unwrap();
    erase.wait().unwrap();
    let plan = station.run(&["erase", "--group", "none"], 0).await;
    assert!(err(&plan).contains("was interrupted: --yes completes it first"), "{}", err(&plan));
    // Once the audit has its begin; once lines of the story are erased. It may have ended by then.
    let text = |file: &str| std::fs::read_to_string(station.store().join(file)).unwrap_or_default();
    let moments: [&dyn Fn() -> bool; 2] =
        [&|| text("audit.jsonl").matches("\"begin\"").count() >= 2, &|| text("story.jsonl").contains("\n     ")];
    for moment in moments {
        let mut erase = station.spawn(&args);
        while !moment() && erase.try_wait().unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        erase.kill().unwrap();
        erase.wait().unwrap();
    }
    station.run(&args, 0).await;
    assert_eq!(station.files_with_the_person(), Vec::<PathBuf>::new());
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_others_in_the_same_group_are_delivered_in_order() {
    let station = Station::new().await;
    let host = station.start();
    let body = |n: u32, text: &str| format!("{{\"k\":\"shared\",\"n\":{n},\"text\":\"{text}\"}}");
    let post = async |n, text| {
        assert_eq!(client().post(&host.url).body(body(n, text)).send().await.unwrap().status(), 202);
    };
    post(1, "later").await;
    for (n, text) in [(2, "a"), (3, "gone"), (4, "b"), (5, "gone"), (6, "c")] {
        post(n, text).await;
    }
    station.run(&["erase", "--match", "/text=gone", "--yes"], 0).await;
    assert_eq!(station.json(&["status"], 0).await["queue"]["messages"], 4);
    // The head too: the group continues.
    station.run(&["erase", "--group", "g/shared", "--match", "/text=later", "--yes"], 0).await;
    station.waits(0).await;
    let delivered: Vec<String> = station.target.bodies().into_iter().filter(|body| !body.contains("later")).collect();
    assert_eq!(delivered, [body(2, "a"), body(4, "b"), body(6, "c")]);
    host.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_erased_is_listed_with_its_expiry() {
    let station = Station::new().await;
    let host = station.start();
    let refused = station.run(&["erase", "--yes"], 2).await;
    assert!(
        err(&refused).contains("no events selected") && err(&refused).contains("give --group"),
        "{}",
        err(&refused)
    );
    let unknown = station.run(&["erase", "--group", "typo/1"], 0).await;
    assert!(err(&unknown).contains("no route of the config makes a group \"typo/1\""), "{}", err(&unknown));
    assert!(out(&unknown).contains("backups and other copies"), "{}", out(&unknown));
    let unknown = station.run(&["erase", "--group", "typo/1", "--yes", "--json"], 0).await;
    assert!(err(&unknown).contains("no route of the config makes a group \"typo/1\""), "{}", err(&unknown));
    let report: Value = serde_json::from_str(&out(&unknown)).unwrap();
    assert_eq!(report["store_rewritten"], false, "no host waits for a typo: {report}");
    // Nobody has this one now, but it could have been one.
    let report = station.json(&["erase", "--group", "g/none", "--yes"], 0).await;
    assert_eq!(report["store_rewritten"], true, "{report}");
    host.stop();
    let config = "[queue]\nurl = \"https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo\"\n\
        dead_letter_url = \"https://sqs.eu-west-1.amazonaws.com/123456789012/dead.fifo\"\n";
    let file = station.path().join("towpath.toml");
    std::fs::write(&file, config.to_owned() + &std::fs::read_to_string(&file).unwrap()).unwrap();
    let journal = station.store().join("behind-dead.fifo.jsonl");
    std::fs::write(journal, "").unwrap();
    let plan = station.json(&["erase", "--group", "g/1"], 0).await;
    let beyond = plan["unreachable"].as_array().unwrap();
    let about = |text: &str| beyond.iter().find(|item| item["what"].as_str().unwrap().contains(text)).expect(text);
    assert!(about("events.fifo")["expires_at"].as_str().unwrap().ends_with('Z'), "{plan}");
    assert!(about("behind-dead.fifo.jsonl")["expires"].as_str().unwrap().contains("redrive"), "{plan}");
    assert!(about("CloudWatch")["expires"].as_str().unwrap().contains("log_retention"), "{plan}");
    let report = station.json(&["erase", "--group", "g/1", "--yes"], 1).await;
    assert_eq!((&report["complete"], &report["queues_searched"]), (&false.into(), &false.into()), "{report}");
}
