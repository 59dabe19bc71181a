//! `record`: cases from what waits, from dead letters and from what is posted, without personal data.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route};
use towpath_tests::target::{Answer, Target};

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
    let saved = record(&rig, &["--store", &store, "--group", "g/"]).await;
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
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_posted_becomes_cases_until_there_is_enough() {
    let rig = Rig::new().await;
    let mut command = Command::new(towpath_tests::binary::binary("towpath"));
    command.args(["record", "--to", "cases", "--listen", "127.0.0.1:0", "--limit", "1"]).current_dir(rig.path());
    let mut recorder = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(recorder.stderr.take().unwrap()).lines().map_while(Result::ok);
    let line = said.find(|line| line.contains("recording what is posted to")).expect("it tells where");
    let url = line.split("http://").nth(1).unwrap().trim().replace("PATH", "crm");
    let client = client();
    let post = client.post(format!("http://{url}")).header("x-hub-signature-256", "sha256=abc").body(EVENT);
    assert_eq!(post.send().await.unwrap().status(), 202);
    assert!(recorder.wait().unwrap().success());
    let cases: Vec<_> = std::fs::read_dir(rig.path().join("cases")).unwrap().collect();
    let text = std::fs::read_to_string(cases[0].as_ref().unwrap().path().join("message.json")).unwrap();
    assert!(text.contains("redacted-") && !text.contains("sha256=abc"), "{text}");
    assert!(text.contains("\"path\": \"crm\""), "{text}");
}
