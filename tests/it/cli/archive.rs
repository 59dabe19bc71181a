//! `archive`: what hosts settle is kept and found.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use towpath_tests::guest::Guest;
use towpath_tests::target::{Answer, Target};

use super::serve::{Server, client, post, project};
use super::{err, out, towpath};

fn json(folder: &Path, args: &[&str]) -> Value {
    let output = towpath(folder, args);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{args:?}: {}{}", out(&output), err(&output)))
}

/// The ids of the events that are listed with these options.
fn listed(folder: &Path, options: &[&str]) -> Vec<String> {
    let events = json(folder, &[&["archive", "list", "--json", "--limit", "100000"], options].concat());
    events.as_array().unwrap().iter().map(|event| event["message_id"].as_str().unwrap().to_owned()).collect()
}

async fn accepted(url: &str, body: &str) -> String {
    post(&client(), url, body).await.expect("accepted")
}

/// Waits until nothing is queued and so everything is settled.
async fn settled(folder: &Path) {
    let done = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
        while json(folder, &["status", "--json"])["queue"]["messages"] != 0 {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), done).await.expect("everything is settled");
}

fn with(folder: &TempDir, text: &str) {
    let file = folder.path().join("towpath.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, format!("{config}{text}")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_or_skipped_is_found_by_each_filter_and_dead_letters_are_not_in_the_archive() {
    let target = Target::answering(|call| match call.body.windows(3).any(|part| part == b"bad") {
        true => Answer::Status(404, String::new()),
        false => Answer::Status(200, String::new()),
    })
    .await;
    let folder = project(&target.url, Guest::forward());
    std::fs::write(folder.path().join("skip.wasm"), Guest::skip("old").named("skip").build()).unwrap();
    with(
        &folder,
        "[[route]]\npath = \"s\"\ngroup = \"s/{json:/k}\"\nplugin = \"skip\"\n[plugin.skip]\npath = \"skip.wasm\"\n",
    );
    let path = folder.path();
    let server = Server::start(path, &["serve"]);
    let skips = server.url.replace("/hooks/g", "/hooks/s");
    let body = "{\"k\":1,  \"status\":\"failed\", \"n\":1.10}";
    let first = accepted(&server.url, body).await;
    let second = accepted(&server.url, "{\"k\":1,\"status\":\"ok\"}").await;
    let dead = accepted(&server.url, "{\"k\":2,\"status\":\"bad\"}").await;
    let skipped = accepted(&skips, "{\"k\":3}").await;
    settled(path).await;
    let all = listed(path, &[]);
    assert_eq!(all.len(), 3, "{all:?} without {dead}");
    let of_group = listed(path, &["--group", "g/1"]);
    assert_eq!(of_group, [first.clone(), second.clone()], "in order");
    let cases: [(&[&str], Vec<&String>); 12] = [
        (&["--route", "s"], vec![&skipped]),
        (&["--outcome", "skipped"], vec![&skipped]),
        (&["--outcome", "delivered", "--group", "g*"], vec![&first, &second]),
        (&["--id", &second], vec![&second]),
        (&["--contains", "failed"], vec![&first]),
        (&["--where", "/status=failed"], vec![&first]),
        (&["--where", "/n=1.10", "--where", "/k=1"], vec![&first]),
        (&["--where", "/n=1.1"], vec![]),
        (&["--since", "1h", "--route", "g"], vec![&first, &second]),
        (&["--until", "1h"], vec![]),
        (&["--since", "2100-01-01T00:00:00Z"], vec![]),
        (&["--group", "g/2"], vec![]),
    ];
    for (options, expected) in cases {
        assert_eq!(listed(path, options).iter().collect::<Vec<_>>(), expected, "{options:?}");
    }
    assert_eq!(out(&towpath(path, &["archive", "show", &first[..18], "--body"])), body);
    let shown = json(path, &["archive", "show", &skipped, "--json"]);
    assert_eq!(
        (&shown["outcome"], &shown["reason"]["code"], &shown["body"]),
        (&"skipped".into(), &"old".into(), &"{\"k\":3}".into())
    );
    let text = out(&towpath(path, &["archive", "show", &first]));
    assert!(text.contains("outcome     delivered") && text.contains("POST /t: 200"), "{text}");
    let table = out(&towpath(path, &["archive", "list", "--limit", "2"]));
    assert!(table.starts_with("ID") && table.lines().count() == 3, "{table}");
    let stats = json(path, &["archive", "stats", "--json"]);
    assert_eq!((&stats["events"], &stats["dropped"], &stats["damaged"]), (&3.into(), &0.into(), &0.into()));
    assert_eq!(json(path, &["status", "--json"])["archive"]["events"], 3);
    assert!(out(&towpath(path, &["status"])).contains("archive: 3 events, "));
    for (args, problem) in [
        (&["archive", "list", "--route", "none"][..], "there is no route \"none\"; known are: g, s"),
        (&["archive", "list", "--group", "none"], "there is no route with a group \"none\""),
        (&["archive", "list", "--folder", "none"], "there is no folder none"),
        (&["archive", "show", &dead], "there is no event"),
        (&["archive", "show", ""], "a value is required"),
    ] {
        let output = towpath(path, args);
        assert!(output.status.code() == Some(2) && err(&output).contains(problem), "{args:?}: {}", err(&output));
    }
    let two = towpath(path, &["archive", "list", "--where", "status=failed"]);
    assert!(err(&two).contains("is not a JSON pointer"), "{}", err(&two));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_no_event_of_the_archive_and_shows_none_twice() {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    let path = folder.path();
    let mut ids = Vec::new();
    for round in 0..4 {
        let server = Server::start(path, &["serve"]);
        for n in 0..25 {
            ids.push(accepted(&server.url, &format!("{{\"k\":1,\"n\":{round}{n:02}}}")).await);
        }
        if round == 3 {
            settled(path).await;
        }
        // Dropping it kills it, in the middle of its deliveries.
    }
    assert_eq!(listed(path, &[]), ids, "in order, each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_on_a_store_share_an_archive() {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    let path = folder.path();
    let servers = [(); 2].map(|()| Server::start(path, &["serve"]));
    let mut ids = Vec::new();
    for n in 0..40 {
        ids.push(accepted(&servers[n % 2].url, &format!("{{\"k\":1,\"n\":{n}}}")).await);
    }
    settled(path).await;
    assert_eq!(listed(path, &[]), ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_redacted_is_not_on_the_disk_and_an_archive_can_be_switched_off() {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    with(&folder, "[archive]\nfolder = \"kept\"\nredact = [\"/mail\"]\n");
    let path = folder.path();
    let server = Server::start(path, &["serve"]);
    let id = accepted(&server.url, "{\"k\":1,\"mail\":\"ada@example.com\"}").await;
    settled(path).await;
    drop(server);
    assert_eq!(target.bodies(), ["{\"k\":1,\"mail\":\"ada@example.com\"}"], "the target gets it");
    let shown = json(path, &["archive", "show", &id, "--json"]);
    assert_eq!((&shown["redacted"], &shown["body"]), (&true.into(), &"{\"k\":1,\"mail\":\"[redacted]\"}".into()));
    for file in std::fs::read_dir(path.join("kept")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(11).any(|part| part == b"example.com"));
    }
    let off = project(&target.url, Guest::forward());
    with(&off, "[archive]\nkeep = \"0s\"\n");
    let server = Server::start(off.path(), &["serve"]);
    accepted(&server.url, "{\"k\":1}").await;
    settled(off.path()).await;
    assert!(!off.path().join(".towpath/archive").exists());
    let output = towpath(off.path(), &["archive", "list"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("archive.keep is 0s") && err(&output).contains("give --folder DIR"),
        "{}",
        err(&output)
    );
}
