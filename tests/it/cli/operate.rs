//! `poll`, `hold`, `resume`, `status`, and groups that are parked.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use towpath_config::signature::Encoding;
use towpath_config::value::Digest;
use towpath_local::{LocalQueue, QueueSettings};
use towpath_tests::binary::binary;
use towpath_tests::endpoint::SqsServer;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{KEY, Rig, one_route};
use towpath_tests::target::{Answer, Target};
use towpath_types::queue::{Queue as _, Receive};

use super::serve::client;
use super::{err, out, towpath};

const PATIENCE: Duration = Duration::from_secs(60);

/// A running `towpath poll`. It is killed when it is dropped.
pub(super) struct Poller {
    process: Child,
    pub(super) health: String,
}

impl Poller {
    pub(super) async fn start(folder: &Path, args: &[&str]) -> Poller {
        let mut process = Command::new(binary("towpath"))
            .arg("poll")
            .args(args)
            .args(["--health", "127.0.0.1:0", "--wait", "1s", "--visibility", "3s"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let read = move || {
            let lines = stdout.by_ref_lines();
            lines.into_iter().find_map(|line| line.strip_prefix("health: ").map(str::to_owned))
        };
        let line = tokio::task::spawn_blocking(read).await.unwrap().expect("it tells where its health is");
        let health = line.split("/healthz").next().unwrap().to_owned();
        Poller { process, health }
    }

    async fn ready(&self) -> u16 {
        client().get(format!("{}/readyz", self.health)).send().await.unwrap().status().as_u16()
    }

    async fn until_ready(&self, status: u16) {
        let reached = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            while self.ready().await != status {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("it gets there");
    }

    fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    async fn exit_code(mut self) -> Option<i32> {
        tokio::task::spawn_blocking(move || self.process.wait().unwrap().code()).await.unwrap()
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first lines of a process's output.
trait FirstLines {
    fn by_ref_lines(&mut self) -> Vec<String>;
}

impl<R: std::io::Read> FirstLines for BufReader<R> {
    fn by_ref_lines(&mut self) -> Vec<String> {
        self.lines().map_while(Result::ok).take(2).collect()
    }
}

/// Queues behind an endpoint, and a folder with a config for them.
pub(super) struct Setup {
    server: SqsServer,
    events: LocalQueue,
    pub(super) rig: Rig,
}

pub(super) async fn setup(target: &Target) -> Setup {
    let server = SqsServer::start().await;
    let dead = server.store.queue("events-dead.fifo", QueueSettings::default()).await.unwrap();
    let events = server.store.queue("events.fifo", QueueSettings::default()).await.unwrap();
    let mut rig = Rig::new().await;
    rig.events = events.clone();
    rig.dead_letters = dead;
    rig.write("guest", Guest::forward());
    let url = server.queue_url("events.fifo");
    let dead_url = server.queue_url("events-dead.fifo");
    let config = format!("[queue]\nurl = \"{url}\"\ndead_letter_url = \"{dead_url}\"\n");
    let config = config + &one_route(&target.url).replace("300ms", "30s");
    std::fs::write(rig.path().join("towpath.toml"), config).unwrap();
    Setup { server, events, rig }
}

async fn empty(queue: &LocalQueue) {
    let drained = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while queue.depth().await.unwrap().messages > 0 {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, drained).await.expect("the queue drains");
}

#[tokio::test(flavor = "multi_thread")]
async fn poll_carries_messages_from_sqs_in_order_and_says_how_it_is() {
    let target = Target::answering(|call| match call.body.as_ref() {
        b"bad" => Answer::Status(404, String::new()),
        _ => Answer::Status(200, String::new()),
    })
    .await;
    let Setup { mut server, events, rig } = setup(&target).await;
    for (group, body) in [("g/a", "a1"), ("g/a", "bad"), ("g/b", "b1"), ("g/a", "a2")] {
        rig.send(group, body).await;
    }
    let poller = Poller::start(rig.path(), &["--workers", "2"]).await;
    empty(&events).await;
    let of_a: Vec<String> = target.bodies().into_iter().filter(|body| body != "b1").collect();
    assert_eq!(of_a, ["a1", "bad", "a2"]);
    assert_eq!(rig.letters().await[0].reason, "refused");
    assert_eq!(poller.ready().await, 200);
    assert!(client().get(format!("{}/healthz", poller.health)).send().await.unwrap().status().is_success());
    server.stop().await;
    poller.until_ready(503).await;
    poller.terminate();
    assert_eq!(poller.exit_code().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn poll_keeps_what_it_settles_only_where_the_config_names_a_folder() {
    let target = Target::fine().await;
    let Setup { server: _server, events, rig } = setup(&target).await;
    let file = rig.path().join("towpath.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    for (folder, kept) in [("", None), ("[archive]\nfolder = \"kept\"\n", Some(1))] {
        std::fs::write(&file, format!("{config}{folder}")).unwrap();
        rig.send("g/a", "a1").await;
        let poller = Poller::start(rig.path(), &[]).await;
        empty(&events).await;
        drop(poller);
        let listed = towpath(rig.path(), &["archive", "list", "--json"]);
        let events = serde_json::from_slice::<Value>(&listed.stdout).ok();
        assert_eq!(events.and_then(|events| Some(events.as_array()?.len())), kept, "{}", err(&listed));
    }
}

/// Scenario 26.
#[tokio::test(flavor = "multi_thread")]
async fn a_poller_that_is_told_to_stop_finishes_what_runs_and_gives_the_rest_back() {
    let target = Target::answering(|_| Answer::Wait).await;
    let Setup { server, events, rig } = setup(&target).await;
    for body in ["1", "2", "3"] {
        rig.send("g/a", body).await;
    }
    let poller = Poller::start(rig.path(), &[]).await;
    target.called(1).await;
    poller.terminate();
    poller.until_ready(503).await;
    target.release();
    assert_eq!(poller.exit_code().await, Some(0));
    assert_eq!(target.bodies(), ["1"]);
    let left = events.receive(Receive::default()).await.unwrap();
    assert_eq!(left.len(), 2, "at once, not when a visibility timeout runs out");
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poller_that_is_killed_loses_nothing() {
    let target = Target::answering(|_| Answer::Wait).await;
    let Setup { server, events, rig } = setup(&target).await;
    for body in ["1", "2"] {
        rig.send("g/a", body).await;
    }
    let poller = Poller::start(rig.path(), &[]).await;
    target.called(1).await;
    drop(poller);
    target.answer(|_| Answer::Status(200, String::new()));
    let _next = Poller::start(rig.path(), &[]).await;
    empty(&events).await;
    assert_eq!(target.bodies(), ["1", "1", "2"], "in order, after the visibility timeout");
    drop(server);
}

async fn run(rig: &Rig, args: &[&str]) -> Output {
    let folder = rig.path().to_owned();
    let args = args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let run = move || towpath(&folder, &args.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

async fn status(rig: &Rig) -> Value {
    let output = run(rig, &["status", "--json", "--store", "."]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    serde_json::from_str(&out(&output)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn hold_status_and_resume_tell_the_same_story() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    std::fs::write(rig.path().join("towpath.toml"), one_route(&target.url)).unwrap();
    for body in ["1", "2"] {
        rig.send("g/a", body).await;
    }
    rig.send("g/b", "1").await;
    let before = status(&rig).await;
    assert_eq!((&before["targets"][0]["name"], &before["targets"][0]["state"]), (&"sss".into(), &"ok".into()));
    assert_eq!((&before["queue"]["messages"], &before["queue"]["groups"]), (&3.into(), &2.into()));
    assert_eq!((&before["groups"][0]["group"], &before["groups"][0]["messages"]), (&"g/a".into(), &2.into()));
    let held = run(&rig, &["hold", "sss", "--for", "45m", "--reason", "release 4.2", "--store", "."]).await;
    assert!(out(&held).contains("sss is on hold for 45m"), "{}{}", out(&held), err(&held));
    let during = status(&rig).await;
    assert_eq!(
        (&during["targets"][0]["state"], &during["targets"][0]["hold"]["reason"]),
        (&"held".into(), &"release 4.2".into())
    );
    let shown = out(&run(&rig, &["status", "--store", "."]).await);
    for part in ["sss", "held", "release 4.2", "g/a", "OLDEST"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    let resumed = run(&rig, &["resume", "sss", "--rate", "600/m", "--store", "."]).await;
    assert!(out(&resumed).contains("sss is resumed"), "{}", out(&resumed));
    let after = status(&rig).await;
    assert_eq!(
        (&after["targets"][0]["state"], &after["targets"][0]["drain"]["per_second"]),
        (&"draining".into(), &10.0.into())
    );
    // Once nothing of what was stored before is left the drain is over.
    rig.events.purge().await.unwrap();
    rig.send("g/a", "3").await;
    let over = status(&rig).await;
    assert_eq!((&over["targets"][0]["state"], &over["targets"][0]["drain"]), (&"ok".into(), &Value::Null));
    assert!(out(&run(&rig, &["resume", "sss", "--store", "."]).await).contains("was not on hold"));
    // A hold that is over by itself is none.
    run(&rig, &["hold", "sss", "--for", "1s", "--store", "."]).await;
    let ended = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        while status(&rig).await["targets"][0]["state"] != "ok" {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("it ends");
    assert!(out(&run(&rig, &["resume", "sss", "--store", "."]).await).contains("was not on hold"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_the_config_holds_is_not_resumed_and_resume_says_so() {
    let rig = Rig::new().await;
    let config = one_route("https://sss.example");
    std::fs::write(rig.path().join("towpath.toml"), config + "hold = true\n").unwrap();
    assert_eq!(status(&rig).await["targets"][0]["state"], "held");
    for args in [&["resume", "sss", "--store", "."][..], &["resume", "sss", "--rate", "2/s", "--store", "."]] {
        let resumed = run(&rig, args).await;
        assert_eq!(resumed.status.code(), Some(1));
        let said = format!("{}{}", out(&resumed), err(&resumed));
        assert!(said.contains("stays on hold") && said.contains("hold = true"), "{said}");
        assert!(!said.contains("was not on hold") && !said.contains("is resumed;"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_config_only_targets_that_were_held_are_known() {
    let rig = Rig::new().await;
    let unknown = run(&rig, &["resume", "sss", "--store", "."]).await;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("there is no target \"sss\""), "{}", err(&unknown));
    let held = run(&rig, &["hold", "sss", "--store", "."]).await;
    assert!(held.status.success() && err(&held).contains("is not checked"), "{}", err(&held));
    assert!(out(&run(&rig, &["resume", "sss", "--store", "."]).await).contains("sss is resumed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_was_never_verified_stays_when_its_parked_group_goes_back() {
    let target = Target::answering(|_| Answer::Status(404, String::new())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let keys = "plugin = \"guest\"\non_dead_letter = \"park\"\nverify = { scheme = \"github\", secret = \"key\" }";
    let config = one_route(&target.url).replace("plugin = \"guest\"", keys);
    std::fs::write(rig.path().join("towpath.toml"), &config).unwrap();
    let pipeline = rig.pipeline(&config);
    rig.send("g/A", "stranger").await;
    for body in ["A1", "A2"] {
        let mac = towpath_verify::mac(Digest::Sha256, KEY.as_bytes(), &[body.as_bytes()]);
        let signature = format!("sha256={}", Encoding::Hex.encode(&mac));
        rig.send_webhook("g/A", &[("x-hub-signature-256", &signature)], body.as_bytes()).await;
    }
    rig.run(&pipeline).await;
    let reasons = async || rig.letters().await.into_iter().map(|letter| letter.reason).collect::<Vec<_>>();
    assert_eq!(reasons().await, ["unverified", "refused", "parked"]);
    target.answer(|_| Answer::Status(200, String::new()));
    let redriven = run(&rig, &["dlq", "redrive", "--reason", "refused", "--store", "."]).await;
    assert!(out(&redriven).contains("sent back: 2"), "{}{}", out(&redriven), err(&redriven));
    assert_eq!(reasons().await, ["unverified"]);
    // Alone, it is verified again.
    let alone = run(&rig, &["dlq", "redrive", "--all", "--store", "."]).await;
    assert!(out(&alone).contains("sent back: 1"), "{}{}", out(&alone), err(&alone));
    rig.run(&pipeline).await;
    assert_eq!(target.bodies()[1..], ["A1", "A2"]);
    assert_eq!(reasons().await, ["unverified"]);
}

/// Scenario 31.
#[tokio::test(flavor = "multi_thread")]
async fn a_parked_group_goes_back_as_a_whole_before_what_came_later() {
    let target = Target::answering(|call| match call.body.as_ref() {
        b"A1" => Answer::Status(404, String::new()),
        _ => Answer::Status(200, String::new()),
    })
    .await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let config = one_route(&target.url).replace("plugin = \"guest\"", "plugin = \"guest\"\non_dead_letter = \"park\"");
    std::fs::write(rig.path().join("towpath.toml"), &config).unwrap();
    let pipeline = rig.pipeline(&config);
    for (group, body) in [("g/A", "A1"), ("g/A", "A2"), ("g/B", "B1"), ("g/A", "A3")] {
        rig.send(group, body).await;
    }
    rig.run(&pipeline).await;
    assert_eq!(target.bodies(), ["A1", "B1"]);
    let reasons: Vec<String> = rig.letters().await.into_iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, ["refused", "parked", "parked"]);
    // A4 waits in the queue when the letters go back; a message of the group that is being worked on stops it.
    rig.send("g/A", "A4").await;
    let held = rig.receive().await;
    let busy = run(&rig, &["dlq", "redrive", "--reason", "refused", "--store", "."]).await;
    assert_eq!(busy.status.code(), Some(1));
    assert!(out(&busy).contains("is being worked on"), "{}", out(&busy));
    assert_eq!(rig.letters().await.len(), 3);
    rig.events.change_visibility(&[(held[0].handle.clone(), Duration::ZERO)]).await.remove(0).unwrap();
    let plan = run(&rig, &["dlq", "redrive", "--reason", "refused", "--plan", "--json", "--store", "."]).await;
    let plan: Value = serde_json::from_str(&out(&plan)).unwrap();
    assert_eq!((&plan["letters"], &plan["parked_along"]), (&1.into(), &2.into()));
    target.answer(|_| Answer::Status(200, String::new()));
    let redriven = run(&rig, &["dlq", "redrive", "--reason", "refused", "--store", "."]).await;
    assert!(out(&redriven).contains("sent back: 3"), "{}{}", out(&redriven), err(&redriven));
    rig.run(&pipeline).await;
    assert_eq!(target.bodies()[2..], ["A1", "A2", "A3", "A4"]);
    rig.send("g/A", "A5").await;
    rig.run(&pipeline).await;
    assert_eq!(target.bodies().last().map(String::as_str), Some("A5"), "the group is parked no more");
    assert!(rig.letters().await.is_empty());
}
