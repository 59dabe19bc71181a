//! `record`: cases from what waits, from dead letters and from what is posted, without personal data.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route};
use towpath_tests::target::{Answer, Target};
use towpath_types::envelope::{self, Webhook};

use super::serve::client;
use super::{err, out, towpath};

const EVENT: &str = r#"{"who": {"name": "Ada Example", "mail": "ada@mail.example"},  "id": 7}"#;

async fn record(rig: &Rig, args: &[&str]) -> Value {
    let folder = rig.path().to_owned();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || {
        let common = ["record", "--to", "cases", "--json", "--redact", "/who/name"];
        let args: Vec<&str> = common.into_iter().chain(args.iter().map(String::as_str)).collect();
        towpath(&folder, &args)
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{}", err(&output));
    serde_json::from_str(&out(&output)).unwrap()
}

/// A recorder that listens. It is killed when it is dropped.
pub(super) struct Recorder {
    process: Child,
    pub(super) url: String,
}

impl Recorder {
    pub(super) fn start(folder: &Path, args: &[&str]) -> Recorder {
        let mut command = Command::new(towpath_tests::binary::binary("towpath"));
        command.args(["record", "--to", "cases", "--listen", "127.0.0.1:0"]).args(args).current_dir(folder);
        let mut process = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = said.find(|line| line.contains("recording what is posted to")).expect("it tells where");
        // Keep reading, so that it never waits for us.
        std::thread::spawn(move || said.count());
        let address = line.split("http://").nth(1).unwrap().trim();
        Recorder { process, url: format!("http://{}", address.replace("PATH", "crm")) }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder.join("cases")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn read(folder: &Path, saved: &Value) -> (String, Value) {
    let file = folder.join(saved["case"].as_str().unwrap()).join("message.json");
    let text = std::fs::read_to_string(file).unwrap();
    let json = serde_json::from_str(&text).unwrap();
    (text, json)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_becomes_cases_without_what_is_personal() {
    let rig = Rig::new().await;
    for (group, body) in [("g/a", EVENT), ("g/b", "not JSON"), ("h/c", EVENT)] {
        rig.send(group, body).await;
    }
    let store = rig.path().display().to_string();
    let saved = record(&rig, &["--store", &store, "--group", "g/*"]).await;
    assert_eq!(saved.as_array().unwrap().len(), 2);
    let (text, event) = read(rig.path(), &saved[0]);
    assert!(!text.contains("Ada") && !text.contains("ada@"), "{text}");
    assert!(text.contains("},  \"id\": 7}"), "not a space was moved: {text}");
    assert!(event["body"]["who"]["mail"].as_str().unwrap().ends_with("@example.com"));
    assert_eq!((&event["group"], &event["path"]), (&"g/a".into(), &"g".into()));
    // The same event again is the same case, and equal values have equal replacements in another command too.
    let again = record(&rig, &["--store", &store]).await;
    assert_eq!((&again[0]["case"], &again[0]["known"]), (&saved[0]["case"], &true.into()));
    let (_, other) = read(rig.path(), &again[2]);
    assert_eq!(other["body"]["who"], event["body"]["who"]);
    assert_eq!(rig.events.depth().await.unwrap().messages, 3, "nothing was taken");
    // JSON with a line break behind it, as curl sends a file, stays as it is.
    rig.send("i/d", "{}\n").await;
    let saved = record(&rig, &["--store", &store, "--group", "i/d"]).await;
    assert_eq!(read(rig.path(), &saved[0]).1["body_text"], "{}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_has_the_path_that_it_can_be_posted_to() {
    let rig = Rig::new().await;
    let route = "path = \"tenants/{tenant}/crm\"\ngroup = \"crm/{path:tenant}\"";
    let config = one_route("http://127.0.0.1:9").replace("path = \"g\"\n        group = \"g/{json:/k}\"", route);
    assert!(config.contains("tenants"), "{config}");
    std::fs::write(rig.path().join("towpath.toml"), config).unwrap();
    let path = vec![("tenant".to_owned(), "acme".to_owned())];
    let webhook = Webhook { path, body: b"{}".to_vec(), ..Webhook::default() };
    rig.send_raw("crm/acme", envelope::encode(&webhook)).await;
    let store = rig.path().display().to_string();
    let saved = record(&rig, &["--store", &store]).await;
    assert_eq!(read(rig.path(), &saved[0]).1["path"], "tenants/acme/crm");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_become_cases() {
    let target = Target::answering(|_| Answer::Status(404, String::new())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    rig.send("g/a", EVENT).await;
    let pipeline = rig.pipeline(&one_route(&target.url));
    rig.run(&pipeline).await;
    let store = rig.path().display().to_string();
    let saved = record(&rig, &["--dead", "--store", &store]).await;
    let (text, event) = read(rig.path(), &saved[0]);
    assert!(!text.contains("Ada"), "{text}");
    assert_eq!(event["body"]["id"], 7);
    assert_eq!(rig.letters().await.len(), 1, "the letter stays");
    // Groups are named as everywhere: one, or with a star, and one that no route can make is a typo.
    std::fs::write(rig.path().join("towpath.toml"), one_route(&target.url)).unwrap();
    for (group, code) in [("g/a", 0), ("g/*", 0), ("g/b", 1), ("h/a", 2), ("h/*", 2)] {
        for dead in [&["--dead"][..], &[]] {
            let args = [&["record", "--to", "cases", "--store", &store, "--group", group], dead].concat();
            let output = towpath(rig.path(), &args);
            let code = if dead.is_empty() { code.max(1) } else { code };
            assert_eq!(output.status.code(), Some(code), "{args:?}: {}", err(&output));
            assert_eq!(err(&output).contains("known are: g/{json:/k}"), code == 2, "{}", err(&output));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_posted_becomes_cases_until_there_is_enough() {
    let rig = Rig::new().await;
    let mut recorder = Recorder::start(rig.path(), &["--limit", "1"]);
    assert_eq!(client().get(&recorder.url).send().await.unwrap().status(), 405, "only a POST is an event");
    let post = client().post(&recorder.url).header("x-hub-signature-256", "sha256=abc").body(EVENT);
    assert_eq!(post.send().await.unwrap().status(), 202);
    assert!(recorder.process.wait().unwrap().success());
    let cases = cases(rig.path());
    let text = std::fs::read_to_string(cases[0].join("message.json")).unwrap();
    assert!(text.contains("redacted-") && !text.contains("sha256=abc"), "{text}");
    assert!(text.contains("\"path\": \"crm\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_in_front_of_a_live_ingest_hands_on_and_answers_as_the_ingest_does() {
    let rig = Rig::new().await;
    let mut ingest = Target::answering(|_| Answer::Status(202, "{\"id\": \"m-1\"}".to_owned())).await;
    let recorder = Recorder::start(rig.path(), &["--limit", "1", "--forward", &ingest.url]);
    let post = async |body: &'static str| {
        let request = client().post(format!("{}?a=1", recorder.url)).header("x-signature", "abc").body(body);
        request.send().await.unwrap()
    };
    let answer = post(EVENT).await;
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), (202, "{\"id\": \"m-1\"}".to_owned()));
    ingest.answer(|_| Answer::Header(503, "retry-after", "5".to_owned()));
    let answer = post("{}").await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"5".parse().unwrap()));
    let calls = ingest.calls();
    assert_eq!(calls[0].path, "/hooks/crm?a=1");
    assert_eq!(calls[0].header("x-signature"), "abc", "the ingest verifies what the sender signed");
    assert_eq!(ingest.bodies(), [EVENT, "{}"], "what is not recorded any more is handed on too");
    ingest.stop().await;
    assert_eq!(post(EVENT).await.status(), 502, "nothing is accepted that is not stored");
    let text = std::fs::read_to_string(cases(rig.path())[0].join("message.json")).unwrap();
    assert!(!text.contains("abc") && !text.contains("ada@"), "{text}");
    assert_eq!(cases(rig.path()).len(), 1);
}
