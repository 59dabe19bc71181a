//! Dead letters by command, on a local store and over the SQS endpoint: the same commands, the same results.

use std::process::Output;

use serde_json::Value;
use towpath_engine::pipeline::Settlement;
use towpath_engine::poll::by_group;
use towpath_runtime::lease::Lease;
use towpath_sqs::{Endpoint, router};
use towpath_tests::endpoint::Refused;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route};
use towpath_tests::server::Server;
use towpath_tests::target::{Answer, Target};
use towpath_types::dead_letter::DeadLetter;
use towpath_types::queue::{Queue as _, Receive};

use super::{err, out, towpath};

mod edited;

/// A rig with letters in it, and where its commands find them.
struct Station {
    rig: Rig,
    target: Target,
    place: Vec<String>,
    sqs: bool,
    /// What its endpoint refuses.
    refused: Refused,
    _server: Option<Server>,
}

/// Both places, each with the letters of these bodies: `A1` is of group `g/A`.
async fn stations(bodies: &[&str]) -> Vec<Station> {
    let mut stations = Vec::new();
    for sqs in [false, true] {
        let rig = Rig::new().await;
        let target = Target::answering(|_| Answer::Status(404, "no such ticket".to_owned())).await;
        rig.write("guest", Guest::forward());
        let mut config = one_route(&target.url);
        if sqs {
            config += "[dead_letters]\nnote_key = \"token\"\n";
        }
        std::fs::write(rig.path().join("towpath.toml"), config).unwrap();
        for body in bodies {
            rig.send(&format!("g/{}", &body[..1]), body).await;
        }
        let refused = Refused::default();
        let mut server = None;
        let place = if sqs {
            let endpoint = Endpoint::new(rig.store.clone(), Vec::new(), None).await.unwrap();
            let started = server.insert(Server::start(refused.guard(router(endpoint))).await);
            vec!["--queue-url".to_owned(), format!("{}/000000000000/events-dead.fifo", started.url)]
        } else {
            vec!["--store".to_owned(), rig.path().display().to_string()]
        };
        let station = Station { rig, target, place, sqs, refused, _server: server };
        station.work().await;
        assert_eq!(station.rig.letters().await.len(), bodies.len());
        stations.push(station);
    }
    stations
}

impl Station {
    /// Runs a `dlq` command; it may end with these codes.
    async fn dlq(&self, args: &[&str], codes: &[i32]) -> Output {
        let folder = self.rig.path().to_owned();
        let args: Vec<String> =
            std::iter::once("dlq").chain(args.iter().copied()).map(str::to_owned).chain(self.place.clone()).collect();
        let shown = args.join(" ");
        let run = move || towpath(&folder, &args.iter().map(String::as_str).collect::<Vec<_>>());
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        let code = output.status.code().unwrap();
        assert!(codes.contains(&code), "{shown}: {code}\n{}\n{}", out(&output), err(&output));
        output
    }

    async fn json(&self, args: &[&str], codes: &[i32]) -> Value {
        let output = self.dlq(&[args, &["--json"]].concat(), codes).await;
        serde_json::from_str(&out(&output)).unwrap()
    }

    async fn redrive(&self, args: &[&str], codes: &[i32]) -> Value {
        let to = self.place[1].replace("events-dead", "events");
        let to: &[&str] = if self.sqs { &["--to", &to] } else { &[] };
        self.json(&[&["redrive"], args, to].concat(), codes).await
    }

    /// Takes everything that waits through the pipeline.
    async fn work(&self) {
        let pipeline = self.rig.pipeline(&std::fs::read_to_string(self.rig.path().join("towpath.toml")).unwrap());
        loop {
            let batch = self.rig.events.receive(Receive::default()).await.unwrap();
            if batch.is_empty() {
                return;
            }
            for group in by_group(batch) {
                let mut run = pipeline.group(Lease::of(std::time::Duration::from_secs(60)));
                for message in &group {
                    if !matches!(run.next(message).await, Settlement::Retry(_)) {
                        self.rig.events.delete(std::slice::from_ref(&message.handle)).await.remove(0).unwrap();
                    }
                }
            }
        }
    }

    fn fine_from_now_on(&self) {
        self.target.answer(|_| Answer::Status(200, String::new()));
    }

    /// How often its letters were received, and that none is left invisible.
    async fn receives(&self) -> Vec<u32> {
        let depth = self.rig.dead_letters.depth().await.unwrap();
        assert_eq!(depth.invisible, 0, "a look leaves nothing invisible");
        let letters = self.rig.dead_letters.browse(None, 100).await.unwrap();
        letters.iter().map(|letter| letter.receive_count).collect()
    }
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|row| row["message_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_listed_filtered_shown_and_counted() {
    for station in stations(&["A1", "A2", "B1"]).await {
        let all = station.json(&["list"], &[0]).await;
        assert_eq!(ids(&all).len(), 3);
        let count = async |args: &[&str]| ids(&station.json(&[&["list"], args].concat(), &[0]).await).len();
        for (args, expected) in [
            (&["--group", "g/A"][..], 2),
            (&["--group", "g/*"], 3),
            (&["--reason", "refused", "--status", "404"], 3),
            (&["--reason", "expired"], 0),
            (&["--status", "500"], 0),
            (&["--route", "g", "--since", "1h"], 3),
            (&["--until", "2020-01-01T00:00:00Z"], 0),
            (&["--text", "B"], 1),
            (&["--limit", "1"], 1),
        ] {
            assert_eq!(count(args).await, expected, "{args:?}");
        }
        let id = ids(&all)[0].clone();
        let shown = out(&station.dlq(&["show", &id[..12]], &[0]).await);
        for part in [id.as_str(), "refused", "sss: POST", "404", "no such ticket", "A1", "guest ("] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        let stats = station.json(&["stats"], &[1]).await;
        assert_eq!(
            (&stats[0]["route"], &stats[0]["reason"], &stats[0]["letters"]),
            (&"g".into(), &"refused".into(), &3.into())
        );
        let looks = if station.sqs { 12 } else { 0 };
        assert!(station.receives().await.into_iter().all(|receives| receives <= looks));
    }
    let rig = Rig::new().await;
    let empty = towpath(rig.path(), &["dlq", "stats", "--store", "."]);
    assert_eq!((empty.status.code(), out(&empty).trim()), (Some(0), "no dead letters"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_keeps_order_ids_and_bodies() {
    for station in stations(&["A1", "A2", "B1", "A3"]).await {
        let first: Vec<String> =
            station.target.calls().iter().map(|call| call.header("webhook-id").to_owned()).collect();
        let plan = station.redrive(&["--all", "--plan"], &[0]).await;
        assert_eq!((&plan["letters"], &plan["groups"], &plan["reasons"]["refused"]), (&4.into(), &2.into(), &4.into()));
        assert_eq!(station.rig.letters().await.len(), 4, "a plan moves nothing");
        station.fine_from_now_on();
        let report = station.redrive(&["--group", "g/A", "--rate", "1000/s", "--note", "ticket 7"], &[0]).await;
        assert_eq!((&report["moved"], &report["failed"]), (&3.into(), &Value::Array(Vec::new())));
        station.work().await;
        assert_eq!(station.target.bodies()[4..], ["A1", "A2", "A3"]);
        let again: Vec<String> =
            station.target.calls().iter().skip(4).map(|call| call.header("webhook-id").to_owned()).collect();
        assert!(again.iter().all(|id| first.contains(id)), "a redriven message keeps its first id");
        assert_eq!(station.rig.letters().await.len(), 1);
        assert!(!station.rig.path().join(".towpath/redrive-events-dead.fifo.jsonl").exists(), "the journal is closed");
        station.receives().await;
        let audit = station.json(&["audit"], &[0]).await;
        let notes: Vec<&Value> = audit.as_array().unwrap().iter().map(|entry| &entry["note"]).collect();
        assert_eq!(notes, ["ticket 7"; 3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_dies_again_at_once_can_be_redriven_again() {
    for station in stations(&["A1"]).await {
        for _ in 0..2 {
            let report = station.redrive(&["--all"], &[0]).await;
            assert_eq!(report["moved"], 1);
            station.work().await;
            assert_eq!(station.rig.letters().await.len(), 1, "it died again, and is stored");
        }
        assert_eq!(station.target.calls().len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_over_sqs_that_was_cut_off_goes_on_and_loses_nothing() {
    let station = stations(&["A1", "A2", "A3"]).await.remove(1);
    let letters = station.rig.dead_letters.browse(None, 10).await.unwrap();
    // As if it had been killed: A1 was sent and not deleted, A2 perhaps sent, an hour ago.
    let line = |step: &str, id: &str| format!("{{\"letter\":\"{id}\",\"step\":\"{step}\",\"at\":1000}}\n");
    let journal = [
        line("sending", letters[0].id.as_str()),
        line("sent", letters[0].id.as_str()),
        line("sending", letters[1].id.as_str()),
    ];
    std::fs::create_dir_all(station.rig.path().join(".towpath")).unwrap();
    std::fs::write(station.rig.path().join(".towpath/redrive-events-dead.fifo.jsonl"), journal.concat()).unwrap();
    station.fine_from_now_on();
    let report = station.redrive(&["--all"], &[0]).await;
    assert_eq!(report["moved"], 3);
    let second = DeadLetter::read(&letters[1].attributes).unwrap();
    assert_eq!(report["perhaps_twice"], serde_json::json!([second.id]), "and it says so");
    station.work().await;
    assert_eq!(station.target.bodies()[3..], ["A2", "A3"], "A1 had been sent before");
    assert!(station.rig.letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_stops_at_max_failures() {
    let station = stations(&["A1", "B1", "C1"]).await.remove(1);
    let nowhere = station.place[1].replace("events-dead", "nowhere");
    let output = station.dlq(&["redrive", "--all", "--to", &nowhere], &[2]).await;
    assert!(err(&output).contains("does not exist"), "{}", err(&output));
    assert_eq!(station.rig.letters().await.len(), 3);
    // A queue that takes no message: each send fails, nothing is deleted.
    let small = towpath_local::QueueSettings { max_message_bytes: 16, ..Default::default() };
    station.rig.store.queue("small.fifo", small).await.unwrap();
    let small = station.place[1].replace("events-dead", "small");
    let report =
        station.json(&["redrive", "--all", "--to", &small, "--max-failures", "1", "--rate", "10/s"], &[1]).await;
    assert_eq!((&report["moved"], &report["stopped"]), (&0.into(), &true.into()));
    assert_eq!(report["failed"].as_array().unwrap().len(), 2);
    assert_eq!(station.rig.letters().await.len(), 3);
    station.receives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_over_sqs_lets_no_letter_overtake_one_that_could_not_be_sent() {
    let long = "A1".repeat(400);
    let station = stations(&[&long, "A2", "B1", "A3"]).await.remove(1);
    // A queue that takes A2 and A3, and not A1.
    let small = towpath_local::QueueSettings { max_message_bytes: 1024, ..Default::default() };
    let sent = station.rig.store.queue("small.fifo", small).await.unwrap();
    let small = station.place[1].replace("events-dead", "small");
    // Cut off and run again, it still does not.
    for moved in [1, 0] {
        let report = station.json(&["redrive", "--all", "--to", &small, "--rate", "10/s"], &[1]).await;
        assert_eq!(report["moved"], moved);
        let failed: Vec<&str> =
            report["failed"].as_array().unwrap().iter().map(|f| f["problem"].as_str().unwrap()).collect();
        assert_eq!(failed.len(), 3, "{report}");
        assert!(failed[0].contains("Message must be shorter than 1024 bytes"), "{report}");
        assert!(failed[1..].iter().all(|why| why.contains("a letter before it in its group")), "{report}");
        assert_eq!(sent.browse(None, 10).await.unwrap().len(), 1, "B1 alone");
    }
    assert_eq!(station.rig.letters().await.len(), 3);
    station.receives().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nothing_has_is_an_error_and_what_is_known_is_told() {
    for station in stations(&["A1", "B1"]).await {
        let note = ["--note", "x"];
        let cases: [(&[&str], &str); 13] = [
            (&["redrive", "deadbeef"], "there is no dead letter deadbeef: `towpath dlq list` shows"),
            (&["redrive", "deadbeef", "--plan"], "there is no dead letter deadbeef"),
            (&["drop", "deadbeef", note[0], note[1]], "there is no dead letter deadbeef"),
            (&["edit", "deadbeef", "--set", "/a=1", note[0], note[1]], "there is no dead letter deadbeef"),
            (&["show", "deadbeef"], "there is no dead letter deadbeef"),
            (&["list", "--reason", "nosuch"], "there is no reason \"nosuch\"; known are: bad-request, expired, "),
            (&["list", "--route", "nosuch"], "there is no route \"nosuch\"; known are: g"),
            (&["list", "--group", "h/A"], "there is no route with a group \"h/A\"; known are: g/{json:/k}"),
            (
                &["redrive", "--group", "h/*", "--plan"],
                "there is no route with a group \"h/*\"; known are: g/{json:/k}",
            ),
            (&["redrive", "--route", "nosuch"], "there is no route \"nosuch\"; known are: g"),
            (&["drop", "--reason", "nosuch", note[0], note[1]], "there is no reason \"nosuch\""),
            (
                &["diff", "--plugin", "guest.wasm", "--name", "nosuch"],
                "there is no plugin \"nosuch\"; known are: guest",
            ),
            (&["diff", "--plugin", "guest.wasm", "--name", "guest", "deadbeef"], "there is no dead letter deadbeef"),
        ];
        for (args, says) in cases {
            let output = station.dlq(args, &[2]).await;
            assert!(err(&output).contains(says), "{args:?}: {}", err(&output));
        }
        // What is known and has no letters is no error; a route that left the config is known by its letters.
        assert_eq!(ids(&station.json(&["list", "--reason", "expired"], &[0]).await).len(), 0);
        assert_eq!(ids(&station.json(&["list", "--group", "g/C"], &[0]).await).len(), 0);
        let config = station.rig.path().join("towpath.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace("path = \"g\"", "path = \"h\"")).unwrap();
        assert_eq!(ids(&station.json(&["list", "--route", "g"], &[0]).await).len(), 2);
        assert_eq!(ids(&station.json(&["list", "--route", "h"], &[0]).await).len(), 0);
        // What there is is done, and what there is not is told.
        let all = ids(&station.json(&["list"], &[0]).await);
        let to = station.place[1].replace("events-dead", "events");
        let to: &[&str] = if station.sqs { &["--to", &to] } else { &[] };
        let some = station.dlq(&[&["redrive", &all[0], "deadbeef"], to].concat(), &[2]).await;
        assert!(out(&some).contains("sent back: 1") && err(&some).contains("deadbeef"), "{}{}", out(&some), err(&some));
        assert_eq!(station.rig.letters().await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_letter_is_written_down_whole() {
    for station in stations(&["A1", "B1"]).await {
        station.dlq(&["drop", "--group", "g/A", "--note", "test event"], &[0]).await;
        assert_eq!(station.rig.letters().await.len(), 1);
        let audit = station.json(&["audit"], &[0]).await;
        assert_eq!(
            (&audit[0]["action"], &audit[0]["note"], &audit[0]["group"]),
            (&"drop".into(), &"test event".into(), &"g/A".into())
        );
        let body = audit[0]["body"].as_str().unwrap();
        assert_eq!(towpath_types::envelope::decode(body).unwrap().body, b"A1");
        assert_eq!(station.dlq(&["drop", "--group", "g/A", "--note", "x"], &[1]).await.status.code(), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_shows_what_another_build_would_say() {
    for station in stations(&["A1", "B1"]).await {
        std::fs::write(station.rig.path().join("new.wasm"), Guest::code("(unreachable)").build()).unwrap();
        let rows = station.json(&["diff", "--plugin", "new.wasm", "--name", "guest"], &[0]).await;
        assert_eq!(rows.as_array().unwrap().len(), 2);
        assert_eq!((&rows[0]["changed"], &rows[0]["new"]["fault"]["kind"]), (&true.into(), &"trap".into()));
        assert!(rows[0]["now"]["deliver"].is_array());
        let same = station.dlq(&["diff", "--plugin", "guest.wasm", "--name", "guest"], &[0]).await;
        assert!(out(&same).contains("letters 2, changed 0, would be delivered 2"), "{}", out(&same));
        assert_eq!(station.target.calls().len(), 2, "nothing is sent");
        station.receives().await;
    }
}
