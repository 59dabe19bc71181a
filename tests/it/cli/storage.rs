//! A store that is damaged, or must not be written: what is said, and what can be saved.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;
use towpath_local::{DedupScope, QueueSettings, Store};
use towpath_tests::binary::binary;
use towpath_tests::guest::Guest;
use towpath_tests::target::{Call, Target};
use towpath_types::clock::Clock;
use towpath_types::queue::{NewMessage, Queue as _};

use super::serve::{Server, client, project};
use super::{err, out, towpath};

const MESSAGES: usize = 300;
const GROUPS: usize = 30;

/// Fills the store of a project: bodies say which they are.
async fn fill(folder: &Path) {
    let store = Store::open(&folder.join(".towpath"), Clock::wall()).unwrap();
    let settings = QueueSettings {
        dedup_scope: DedupScope::MessageGroup,
        max_message_bytes: 2 * 1024 * 1024,
        ..QueueSettings::default()
    };
    store.queue("events-dead.fifo", settings.clone()).await.unwrap();
    let events = store.queue("events.fifo", settings).await.unwrap();
    for n in 0..MESSAGES {
        let group = n % GROUPS;
        let padding = "x".repeat(1000);
        let body = format!("{{\"k\":{group},\"n\":{n},\"p\":\"{padding}\"}}");
        let message = NewMessage {
            group: format!("g/{group}").into(),
            dedup_id: Some(n.to_string().into()),
            body: body.into(),
            attributes: Default::default(),
        };
        events.send(message).await.unwrap();
    }
    // The store closes on a thread of its own, and moves its log into the file then: not while the file is damaged.
    let connection = rusqlite::Connection::open(folder.join(".towpath/towpath.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(60)).unwrap();
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(busy, 0, "all is in the file");
}

/// Overwrites the page in which this text stands.
fn damage(folder: &Path, text: &str) {
    let file = folder.join(".towpath/towpath.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap() / 4096 * 4096;
    bytes[at..at + 4096].fill(0xa5);
    std::fs::write(file, bytes).unwrap();
}

/// The numbers in bodies, by group, in order.
fn numbers(target: &Target) -> BTreeMap<u64, Vec<u64>> {
    let mut groups: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for body in target.bodies() {
        let json: Value = serde_json::from_str(&body).unwrap();
        let group = groups.entry(json["k"].as_u64().unwrap()).or_default();
        let number = json["n"].as_u64().unwrap();
        // What was delivered when the damage was met may come again.
        if !group.contains(&number) {
            group.push(number);
        }
    }
    groups
}

fn distinct(calls: &[Call]) -> usize {
    calls.iter().map(|call| &call.body).collect::<HashSet<_>>().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_is_told_and_all_around_it_is_saved_in_order() {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    fill(folder.path()).await;
    // A page in the middle, and one further on: the head of a group is in one of them.
    for n in [12, 200] {
        damage(folder.path(), &format!("\"n\":{n},"));
    }
    let server = Server::start(folder.path(), &["serve"]);
    server.logs("`towpath store recover` saves what can be read");
    let posted = client().post(&server.url).body("{\"k\":999,\"n\":0}").send().await.unwrap().status();
    server.stop();

    std::fs::rename(folder.path().join(".towpath"), folder.path().join("damaged")).unwrap();
    let delivered = target.calls().len();
    let recovered = towpath(folder.path(), &["store", "recover", "damaged", ".towpath"]);
    assert_eq!(recovered.status.code(), Some(1), "{}{}", out(&recovered), err(&recovered));
    assert!(out(&recovered).contains("2 stretches of messages could not be read"), "{}", out(&recovered));
    let again = towpath(folder.path(), &["store", "recover", "damaged", ".towpath"]);
    assert!(again.status.code() == Some(2) && err(&again).contains("a store already exists"), "{}", err(&again));

    let waiting: u64 = out(&recovered).split(' ').next().unwrap().parse().unwrap();
    let _server = Server::start(folder.path(), &["serve"]);
    // What was delivered before may come again: it is told by its number, and counts once.
    let saved = usize::try_from(waiting).unwrap();
    target.until(|calls| calls.len() >= delivered + saved && distinct(calls) >= MESSAGES - 6).await;
    let groups = numbers(&target);
    let kept: usize = groups.values().map(Vec::len).sum();
    // A page of 4 KiB holds three such messages; what was answered 202 is among those that are there.
    assert!((MESSAGES - 6..MESSAGES).contains(&kept), "{kept} of {MESSAGES}");
    assert_eq!(groups.contains_key(&999), posted == 202, "{posted}");
    for (group, numbers) in groups {
        assert!(numbers.is_sorted_by(|one, other| one < other), "group {group}: {numbers:?}");
    }
}

#[tokio::test]
async fn a_sound_store_is_recovered_whole() {
    let folder = project("http://127.0.0.1:9", Guest::forward());
    fill(folder.path()).await;
    let recovered = towpath(folder.path(), &["store", "recover", ".towpath", "new", "--json"]);
    let json: Value = serde_json::from_str(&out(&recovered)).unwrap();
    assert_eq!((recovered.status.code(), &json["messages"], &json["gaps"]), (Some(0), &300.into(), &0.into()));
    let statuses =
        [".towpath", "new"].map(|store| out(&towpath(folder.path(), &["status", "--store", store, "--json"])));
    assert_eq!(statuses[0], statuses[1]);
    assert!(!folder.path().join("new/damaged.db").exists());
}

#[test]
fn a_file_that_is_no_store_is_told() {
    let folder = project("http://127.0.0.1:9", Guest::forward());
    std::fs::create_dir(folder.path().join(".towpath")).unwrap();
    std::fs::write(folder.path().join(".towpath/towpath.db"), vec![b'x'; 8192]).unwrap();
    let served = towpath(folder.path(), &["serve"]);
    assert_eq!(served.status.code(), Some(2));
    assert!(err(&served).contains("the store is damaged"), "{}", err(&served));
    let nothing = towpath(folder.path(), &["store", "recover", "none", "new"]);
    assert!(nothing.status.code() == Some(2) && err(&nothing).contains("no store in none"), "{}", err(&nothing));
}

/// Runs the command as somebody who may read and not write.
fn as_nobody(folder: &Path, args: &[&str]) -> Output {
    // The one that was built may lie where only its owner looks.
    let copy = folder.join("towpath");
    std::fs::copy(binary("towpath"), &copy).unwrap();
    let mut command = Command::new(copy);
    // Who is not root can be nobody else, and is as good: the folder is closed to its owner too.
    if folder.metadata().is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0) {
        command.uid(65_534).gid(65_534);
    }
    command.args(args).current_dir(folder).env_remove("HOME").output().unwrap()
}

#[tokio::test]
async fn a_store_that_must_not_be_written_is_not_served_and_says_why() {
    let folder: TempDir = project("http://127.0.0.1:9", Guest::forward());
    fill(folder.path()).await;
    let store = folder.path().join(".towpath");
    let file = folder.path().join(".towpath/towpath.db");
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(folder.path(), 0o755);
    mode(&file, 0o444);
    mode(&store, 0o555);
    let served = as_nobody(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let looked = as_nobody(folder.path(), &["status", "--store", ".towpath"]);
    mode(&store, 0o755);
    assert_eq!(looked.status.code(), Some(0), "whoever may read may look: {}", err(&looked));
    assert_eq!(served.status.code(), Some(2), "{}", err(&served));
    assert!(err(&served).contains("check that this user may write to the store and its folder"), "{}", err(&served));
    assert!(!out(&served).contains("POST"), "nothing is taken that cannot be stored");
}

/// Every file of a folder and of those in it, but the index of SQLite's log: bytes, and when they were written.
fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.to_string_lossy().ends_with("-shm") {
            let written = std::fs::metadata(&path).unwrap().modified().unwrap();
            found.insert(path.clone(), (std::fs::read(path).unwrap(), written));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_look_leave_the_store_as_it_is() {
    let folder = project("http://127.0.0.1:9", Guest::forward());
    fill(folder.path()).await;
    let log = folder.path().join(".towpath/towpath.db-wal");
    std::fs::write(folder.path().join(".towpath/story.jsonl"), "").unwrap();
    let looks: [&[&str]; 8] = [
        &["status"],
        &["dlq", "list"],
        &["dlq", "stats"],
        &["dlq", "list", "--refused"],
        &["dlq", "audit"],
        &["tail", "--no-follow"],
        &["trace", "nosuch"],
        &["config", "check"],
    ];
    // While nothing runs on it, and beside a host.
    for _ in 0..2 {
        let before = files(folder.path());
        for args in looks {
            let looked = towpath(folder.path(), args);
            let unknown = args.contains(&"nosuch");
            assert!(looked.status.code().is_some_and(|code| (code == 2) == unknown), "{args:?}: {}", err(&looked));
            let after = files(folder.path());
            let changed = before.iter().filter(|(path, file)| after.get(*path) != Some(*file)).map(|(path, _)| path);
            let changed: Vec<_> = changed.chain(after.keys().filter(|path| !before.contains_key(*path))).collect();
            assert!(changed.is_empty(), "{args:?} changed {changed:?}");
        }
        let store = Store::open(&folder.path().join(".towpath"), Clock::wall()).unwrap();
        store.queue("more.fifo", QueueSettings::default()).await.unwrap();
        assert!(log.exists());
        std::mem::forget(store);
    }
    let empty = TempDir::new().unwrap();
    let nothing = towpath(empty.path(), &["status", "--store", "none"]);
    assert!(
        nothing.status.code() == Some(2) && err(&nothing).contains("there is no store in none"),
        "{}",
        err(&nothing)
    );
    assert!(!empty.path().join("none").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_longer_than_a_queue_of_sqs_keeps_it_becomes_a_dead_letter_and_stays_one() {
    let target = Target::answering(|_| towpath_tests::target::Answer::Status(503, String::new())).await;
    let folder = project(&target.url, Guest::forward());
    let server = Server::start(folder.path(), &["serve"]);
    assert_eq!(client().post(&server.url).body("{\"k\":1}").send().await.unwrap().status(), 202);
    target.until(|calls| !calls.is_empty()).await;
    server.stop();
    let age = |days: i64| {
        let file = folder.path().join(".towpath/towpath.db");
        let connection = rusqlite::Connection::open(file).unwrap();
        let sql = "UPDATE messages SET retained_from = retained_from - ?1 * 86400000";
        assert_eq!(connection.execute(sql, [days]).unwrap(), 1);
    };
    age(15);
    let dead = || {
        let listed = towpath(folder.path(), &["dlq", "list", "--json"]);
        serde_json::from_str::<Value>(&out(&listed)).unwrap()[0]["letter"]["reason"].as_str().map(str::to_owned)
    };
    let server = Server::start(folder.path(), &["serve"]);
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while dead().is_none() {
        assert!(std::time::Instant::now() < until, "it is no dead letter");
    }
    server.stop();
    assert_eq!(dead().as_deref(), Some("expired"));
    age(400);
    let server = Server::start(folder.path(), &["serve"]);
    assert_eq!(client().post(&server.url).body("{\"k\":2}").send().await.unwrap().status(), 202);
    server.stop();
    assert_eq!(dead().as_deref(), Some("expired"), "a dead letter is kept for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_ever_waits_for_two_weeks_becomes_a_dead_letter_too() {
    let refuses = Target::answering(|_| towpath_tests::target::Answer::Status(404, String::new())).await;
    let cases =
        [("hold", "hold = true", "", "waited-too-long"), ("block", "", "on_dead_letter = \"block\"", "refused")];
    for (name, target, route, reason) in cases {
        let folder = project(&refuses.url, Guest::forward());
        let file = folder.path().join("towpath.toml");
        let text = std::fs::read_to_string(&file).unwrap() + &format!("\n{target}\n");
        std::fs::write(&file, text.replacen("[[route]]", &format!("[[route]]\n{route}"), 1)).unwrap();
        // Sent two weeks and a day ago.
        let then = towpath_runtime::time::tokio_clock(Clock::wall().now() - Duration::from_secs(15 * 24 * 3600));
        let store = Store::open(&folder.path().join(".towpath"), then).unwrap();
        let settings = QueueSettings { retention: towpath_local::KEPT_FOR_EVER, ..QueueSettings::default() };
        let events = store.queue("events.fifo", settings).await.unwrap();
        let group = "g/1".into();
        let dedup_id = Some("1".into());
        let body = "{\"k\":1}".into();
        events.send(NewMessage { group, dedup_id, body, attributes: Default::default() }).await.unwrap();
        drop((events, store));
        let server = Server::start(folder.path(), &["serve"]);
        let until = std::time::Instant::now() + Duration::from_secs(30);
        let letter = loop {
            let listed = towpath(folder.path(), &["dlq", "list", "--json"]);
            let listed: Value = serde_json::from_str(&out(&listed)).unwrap();
            if let Some(letter) = listed.get(0) {
                break letter["letter"]["reason"].clone();
            }
            assert!(std::time::Instant::now() < until, "{name}: it is no dead letter");
        };
        assert_eq!(letter, reason, "{name}");
        server.stop();
    }
}
