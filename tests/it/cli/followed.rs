//! `/metrics`, `tail` and `trace` beside a running `serve`.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use towpath_tests::binary::binary;
use towpath_tests::guest::Guest;
use towpath_tests::leaks::TOKEN;
use towpath_tests::target::{Answer, Target};

use super::serve::{Server, client, project};
use super::{err, out, towpath};

/// A target that fails first, and refuses what is odd.
async fn moody() -> Target {
    let mut calls = 0;
    Target::answering(move |call| {
        calls += 1;
        match (calls, call.body.ends_with(b"\"odd\"}")) {
            (_, true) => Answer::Status(400, "no".to_owned()),
            (1, _) => Answer::Status(503, "not now".to_owned()),
            _ => Answer::Status(200, String::new()),
        }
    })
    .await
}

async fn post(server: &Server, body: &'static str) -> String {
    let answer = client().post(&server.url).body(body).send().await.unwrap().bytes().await.unwrap();
    serde_json::from_slice::<Value>(&answer).unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_followed_from_its_storage_to_its_end() {
    let target = moody().await;
    let folder = project(&target.url, Guest::forward());
    let early = towpath(folder.path(), &["trace", "8f3c"]);
    assert!(early.status.code() == Some(2) && err(&early).contains("nothing is known of 8f3c"), "{}", err(&early));
    let server = Server::start(folder.path(), &["serve", "--metrics", "127.0.0.1:0"]);
    let mut tail = Command::new(binary("towpath"))
        .args(["tail", "--failed"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let good = post(&server, "{\"k\":1}").await;
    target.until(|calls| calls.len() >= 2).await;
    let odd = post(&server, "{\"k\":2,\"x\":\"odd\"}").await;
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines().map_while(Result::ok);
    let failed = lines.next().unwrap();
    assert!(failed.contains("unavailable") && failed.contains("sss POST /t 503 in"), "{failed}");
    assert!(failed.contains(&good[..8]) && failed.contains("g/1") && failed.contains("again in"), "{failed}");
    let refused = lines.next().unwrap();
    assert!(refused.contains("refused") && refused.contains("to the dead-letter queue"), "{refused}");
    assert!(Command::new("kill").arg(tail.id().to_string()).status().unwrap().success());
    assert!(tail.wait().unwrap().success(), "one signal ends it");

    let traced = || out(&towpath(folder.path(), &["trace", &good[..8]]));
    // Its target knows before the story does.
    let story = (0..100).map(|_| traced()).find(|story| story.contains("done: ")).expect("the story ends");
    let told: Vec<&str> = story.lines().collect();
    let expected = ["group g/1  route g  plugin guest", "stored", "503", "delivered", "done: delivered"];
    assert_eq!(told.len(), expected.len(), "{story}");
    assert!(told.iter().zip(expected).all(|(line, expected)| line.contains(expected)), "{story}");
    let seen = server.logs("message is in the dead-letter queue");
    assert!(!seen.iter().any(|line| line.contains("towpath.story")), "people are told of trouble only: {seen:#?}");
    let story = towpath(folder.path(), &["trace", &odd, "--json"]);
    let story: Value = serde_json::from_str(&out(&story)).unwrap();
    assert_eq!(
        (&story["now"]["state"], &story["now"]["letter"]["reason"]),
        (&"dead".into(), &"refused".into()),
        "{story:#}"
    );
    assert_eq!(story["story"][1]["attempts"][0]["status"], 400, "{story:#}");
    let kept = std::fs::read_to_string(folder.path().join(".towpath/story.jsonl")).unwrap();
    assert!(!kept.contains("odd") && !kept.contains("not now"), "neither bodies nor answers are kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_nobody_reads_any_more_ends_and_no_command_panics_on_a_closed_pipe() {
    let target = moody().await;
    let folder = project(&target.url, Guest::forward());
    let server = Server::start(folder.path(), &["serve"]);
    let mut tail = Command::new(binary("towpath"))
        .arg("tail")
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    post(&server, "{\"k\":1}").await;
    let mut reader = BufReader::new(tail.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    drop(reader);
    while tail.try_wait().unwrap().is_none() {
        post(&server, "{\"k\":1}").await;
    }
    let tail = tail.wait_with_output().unwrap();
    assert!(tail.status.success() && !err(&tail).contains("panicked"), "{}", err(&tail));
    for args in ["--help", "completions bash", "dlq list --json", "status", "config check"] {
        let script = format!("\"$0\" {args} | :");
        let piped = Command::new("sh")
            .args(["-c", &script])
            .arg(binary("towpath"))
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(!err(&piped).contains("panicked"), "{args}: {}", err(&piped));
    }
}

#[test]
fn a_delivery_that_was_told_before_its_storage_comes_behind_it_and_is_told_once() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("story.jsonl");
    let line = |fields: &str, span: &str| {
        format!("{{\"level\":\"INFO\",\"fields\":{{{fields}}},\"span\":{{{span}}},\"target\":\"towpath.story\"}}\n")
    };
    let delivered = line(r#""message":"pass","outcome":"delivered","decision":"ack""#, r#""message_id":"8f3c2b1a""#);
    let stored = line(r#""message":"stored","message_id":"8f3c2b1a","sequence":"7""#, "");
    std::fs::write(&file, delivered + &stored).unwrap();
    let said = |command: &[&str]| out(&towpath(folder.path(), &[command, &["--file", "story.jsonl"]].concat()));
    let story = said(&["trace", "8f3c"]);
    let told: Vec<&str> = story.lines().skip(1).collect();
    assert!(told[0].contains("stored") && told[0].contains("as 7"), "{story}");
    assert!(told[1].contains("delivered") && told[2].contains("done: delivered"), "{story}");
    let json: Value = serde_json::from_str(&said(&["trace", "8f3c", "--json"])).unwrap();
    assert_eq!((&json["story"][0]["message"], &json["now"]["state"]), (&"stored".into(), &"delivered".into()));
    let tail = said(&["tail", "--no-follow"]);
    assert_eq!(tail.lines().count(), 2, "{tail}");
}

/// A folder with these lines of a story.
fn story(lines: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::TempDir::new().unwrap();
    let line = |(fields, span): &(&str, &str)| {
        format!("{{\"level\":\"INFO\",\"fields\":{{{fields}}},\"span\":{{{span}}},\"target\":\"towpath.story\"}}\n")
    };
    std::fs::write(folder.path().join("story.jsonl"), lines.iter().map(line).collect::<String>()).unwrap();
    folder
}

#[test]
fn an_event_that_was_posted_twice_is_done_with_all_the_same() {
    let stored = (r#""message":"stored","message_id":"8f3c2b1a","sequence":"7""#, "");
    let pass = (r#""message":"pass","outcome":"skipped","decision":"ack""#, r#""message_id":"8f3c2b1a""#);
    let folder = story(&[stored, pass, stored, stored]);
    let traced = towpath(folder.path(), &["trace", "8f3c", "--file", "story.jsonl"]);
    let said = out(&traced);
    assert!(said.contains("done: skipped") && !said.contains("all that is known"), "{said}");
    assert_eq!(said.matches("posted again: a duplicate").count(), 2, "{said}");
    let json = out(&towpath(folder.path(), &["trace", "8f3c", "--file", "story.jsonl", "--json"]));
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["now"]["state"], "skipped");
}

#[test]
fn trace_says_what_came_of_a_message_last_and_which_ids_it_means() {
    let stored = (r#""message":"stored","message_id":"8f3c2b1a""#, "");
    let pass = (r#""message":"pass","outcome":"unavailable","decision":"retry""#, r#""message_id":"8f3c2b1a""#);
    let dead = (r#""message":"pass","outcome":"refused","decision":"dead-letter""#, r#""message_id":"8f3c2b1a""#);
    let again = (
        r#""message":"pass","outcome":"delivered","decision":"ack""#,
        r#""message_id":"9a9a","webhook_id":"8f3c2b1a""#,
    );
    let other = (r#""message":"stored","message_id":"8f3c9999""#, "");
    type Lines<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Lines<'_>, &str, i32, &str); 6] = [
        (&[stored], "8f3c", 0, "this log does not say what happened next"),
        (&[stored, pass], "8f3c", 0, "its last outcome was unavailable"),
        (&[stored, pass, dead], "8f3c", 0, "it was dead-lettered (refused)"),
        (&[stored, dead, again], "9a9a", 0, "done: delivered"),
        (&[stored, other], "8f3c", 2, "more than one message has an id that begins with 8f3c: 8f3c2b1a, 8f3c9999"),
        (&[stored, other], "nosuch", 2, "nothing is known of nosuch"),
    ];
    for (lines, id, code, says) in cases {
        let folder = story(lines);
        let traced = towpath(folder.path(), &["trace", id, "--file", "story.jsonl"]);
        let said = format!("{}{}", out(&traced), err(&traced));
        assert_eq!(traced.status.code(), Some(code), "{id}: {said}");
        assert!(said.contains(says), "{id}: {said}");
    }
    let folder = story(&[stored, dead, again]);
    let whole = out(&towpath(folder.path(), &["trace", "9a9a", "--file", "story.jsonl"]));
    assert!(whole.contains("refused"), "the story before it was sent again belongs to it: {whole}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_told_so_and_found_by_the_first_id_of_what_was_sent_again() {
    let target = Target::answering(|_| Answer::Status(400, "no".to_owned())).await;
    let folder = project(&target.url, Guest::forward());
    let server = Server::start(folder.path(), &["serve"]);
    let id = post(&server, "{\"k\":1}").await;
    server.logs("message is in the dead-letter queue");
    server.stop();
    for did in [&["edit", &id, "--set", "/k=2", "--note", "n"][..], &["redrive", "--all"]] {
        let did = towpath(folder.path(), &[&["dlq"], did, &["--store", ".towpath"]].concat());
        assert!(did.status.success(), "{}", err(&did));
        let story = out(&towpath(folder.path(), &["trace", &id, "--store", ".towpath"]));
        assert!(story.contains("group g/2 (was g/1)"), "it is in the group of what it says now: {story}");
    }
    let audit = out(&towpath(folder.path(), &["dlq", "audit", "--json", "--store", ".towpath"]));
    let letter = serde_json::from_str::<Value>(&audit).unwrap()[0]["letter_id"].as_str().unwrap().to_owned();
    assert_ne!(letter, id);
    for known in [&id, &letter] {
        let story = out(&towpath(folder.path(), &["trace", known, "--store", ".towpath"]));
        assert!(story.contains("it waits in the queue, since") && story.contains("stored"), "{known}: {story}");
    }
    let known = ["tail", "--no-follow", "--store", ".towpath"];
    for (filter, says) in [
        (["--route", "nosuch"], "there is no route \"nosuch\"; known are: g"),
        (["--group", "nosuch"], "there is no route with a group \"nosuch\"; known are: g/{json:/k}"),
        (["--plugin", "nosuch"], "there is no plugin \"nosuch\"; known are: guest"),
        (["--target", "nosuch"], "there is no target \"nosuch\"; known are: sss"),
    ] {
        let tail = towpath(folder.path(), &[&known[..], &filter].concat());
        assert_eq!(tail.status.code(), Some(2), "{filter:?}");
        assert!(err(&tail).contains(says), "{}", err(&tail));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_there_for_prometheus() {
    let target = moody().await;
    let folder = project(&target.url, Guest::forward());
    let server = Server::start(folder.path(), &["serve", "--metrics", "127.0.0.1:0"]);
    let url = server.says("metrics ");
    let id = post(&server, "{\"k\":1}").await;
    target.until(|calls| calls.len() >= 2).await;
    post(&server, "{\"k\":2,\"x\":\"odd\"}").await;
    server.logs("message is in the dead-letter queue");
    let text = client().get(&url).send().await.unwrap().text().await.unwrap();
    for line in [
        "towpath_webhooks_total{route=\"g\",status=\"202\"} 2",
        "towpath_attempts_total{status=\"503\",target=\"sss\"} 1",
        "towpath_attempts_total{status=\"200\",target=\"sss\"} 1",
        "towpath_attempts_total{status=\"400\",target=\"sss\"} 1",
        "towpath_dead_letters_total{reason=\"refused\",route=\"g\"} 1",
        "towpath_plugin_fuel_count{plugin=\"guest\"} 3",
        "towpath_message_age_seconds_count{route=\"g\"} 2",
        "towpath_head_age_seconds 0",
        "# TYPE towpath_attempt_duration_seconds histogram",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains(&id), "no label has a value for each message");
    assert_eq!(client().get(url.replace("metrics", "readyz")).send().await.unwrap().status(), 200);
    let another = towpath(
        folder.path(),
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--metrics",
            url.trim_start_matches("http://").trim_end_matches("/metrics"),
        ],
    );
    assert!(
        another.status.code() == Some(2) && err(&another).contains("--metrics sets another address"),
        "{}",
        err(&another)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_and_blocked_is_counted_by_target_until_it_goes_on() {
    let target = Target::answering(|_| Answer::Status(503, String::new())).await;
    let folder = project(&target.url, Guest::forward());
    // A breaker would hold them by itself.
    let file = folder.path().join("towpath.toml");
    let config = std::fs::read_to_string(&file).unwrap() + "breaker = { failures = 0 }\n";
    std::fs::write(file, config).unwrap();
    let server = Server::start(folder.path(), &["serve", "--metrics", "127.0.0.1:0"]);
    let url = server.says("metrics ");
    post(&server, "{\"k\":1}").await;
    post(&server, "{\"k\":2}").await;
    target.until(|calls| calls.len() >= 4).await;
    let metrics = || async { client().get(&url).send().await.unwrap().text().await.unwrap() };
    let blocked = metrics().await;
    assert!(blocked.contains("towpath_groups_blocked{target=\"sss\"} 2"), "{blocked}");
    let age = blocked.lines().find_map(|line| line.strip_prefix("towpath_head_age_seconds ")).unwrap();
    assert!(age.parse::<f64>().unwrap() > 0.0, "{age}");
    assert!(towpath(folder.path(), &["hold", "sss", "--store", ".towpath"]).status.success());
    // The hold is felt with the next try of each.
    let mut held = metrics().await;
    while !held.contains("towpath_groups_held{target=\"sss\"} 2") {
        tokio::task::yield_now().await;
        held = metrics().await;
    }
    assert!(!held.contains("towpath_groups_blocked{"), "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_ten_minutes_is_counted_for_as_long() {
    let target = Target::answering(|_| Answer::Header(503, "retry-after", "600".to_owned())).await;
    let folder = project(&target.url, Guest::forward());
    let file = folder.path().join("towpath.toml");
    let config = std::fs::read_to_string(&file).unwrap().replace("cap = \"200ms\"", "cap = \"15m\"");
    std::fs::write(file, config).unwrap();
    let server = Server::start(folder.path(), &["serve", "--metrics", "127.0.0.1:0"]);
    let url = server.says("metrics ");
    post(&server, "{\"k\":1}").await;
    server.logs("message will be retried");
    let mut metrics = String::new();
    // It is said, and then counted.
    for _ in 0..100 {
        metrics = client().get(&url).send().await.unwrap().text().await.unwrap();
        if metrics.contains("towpath_groups_blocked{target=\"sss\"} 1") {
            return;
        }
    }
    panic!("{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_read_is_logged_counted_and_told_with_its_message() {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    let server = Server::start(folder.path(), &["serve", "--metrics", "127.0.0.1:0"]);
    let metrics = server.says("metrics ");
    let id = post(&server, "{\"k\":null}").await;
    target.until(|calls| !calls.is_empty()).await;
    server.logs("key unreadable, using the fallback");
    let counted = client().get(metrics).send().await.unwrap().text().await.unwrap();
    let counter = "towpath_keys_unreadable_total{key=\"group\",reason=\"null\",route=\"g\"";
    assert!(counted.lines().any(|line| line.starts_with(counter) && line.ends_with(" 1")), "{counted}");
    let story = out(&towpath(folder.path(), &["trace", &id]));
    assert!(story.contains("key unreadable, using the fallback, detail=group json:/k: null"), "{story}");
    let tailed = out(&towpath(folder.path(), &["tail", "--no-follow", "--failed"]));
    assert!(tailed.contains("group json:/k: null") && tailed.contains(&id[..8]), "{tailed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_is_told_by_tail_and_stored_by_nobody() {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    let config = folder.path().join("towpath.toml");
    let answer = "[[route.answer]]\nwhen = { method = \"GET\", present = [\"query:challenge\"] }\ntoken = \"query:token\"\n\
        secret = \"token\"\nbody = \"{query:challenge}\"\n";
    let text =
        std::fs::read_to_string(&config).unwrap().replacen("[plugin.guest]", &format!("{answer}[plugin.guest]"), 1);
    std::fs::write(&config, text).unwrap();
    let server = Server::start_with(folder.path(), &["serve"], &[("TOWPATH_SECRET_TOKEN", TOKEN)]);
    let ask = async |token: &str| {
        let url = format!("{}?challenge=c-1158&token={token}", server.url);
        let answer = client().get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(ask(TOKEN).await, (200, "c-1158".to_owned()));
    assert_eq!(ask("guessed").await.0, 403);
    let tail = |args: &[&str]| out(&towpath(folder.path(), &[&["tail", "--no-follow"], args].concat()));
    let told = tail(&[]);
    let lines: Vec<&str> = told.lines().filter(|line| line.contains(" answered ")).collect();
    assert!(
        lines.len() == 2 && lines[0].contains("GET g answered 200") && lines[1].contains("GET g answered 403"),
        "{told}"
    );
    let failed = tail(&["--failed"]);
    assert!(failed.contains("answered 403") && !failed.contains("answered 200"), "{failed}");
    let events = tail(&["--json"])
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone())
        .collect::<Vec<_>>();
    assert_eq!(events.iter().filter(|event| *event == "handshake-answered").count(), 2, "{events:?}");
    assert!(!told.contains("c-1158") && !told.contains("stored"), "{told}");
    server.stop();
    assert_eq!(target.calls().len(), 0);
}
