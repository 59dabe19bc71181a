//! A store that is damaged, or must not be written: what is said, and what can be saved.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use towpath_core::clock::Clock;
use towpath_core::queue::{NewMessage, Queue as _};
use towpath_local::{DedupScope, QueueSettings, Store};
use towpath_tests::binary::binary;
use towpath_tests::guest::Guest;
use towpath_tests::target::{Call, Target};

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
        let (group, padding) = (n % GROUPS, "x".repeat(1000));
        let body = format!("{{\"k\":{group},\"n\":{n},\"p\":\"{padding}\"}}");
        let message = NewMessage {
            group: format!("g/{group}").into(),
            dedup_id: n.to_string(),
            body,
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
        let (group, number) = (groups.entry(json["k"].as_u64().unwrap()).or_default(), json["n"].as_u64().unwrap());
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
    assert!(again.status.code() == Some(2) && err(&again).contains("there is a store already"), "{}", err(&again));

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
    let (store, file) = (folder.path().join(".towpath"), folder.path().join(".towpath/towpath.db"));
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(folder.path(), 0o755);
    mode(&file, 0o444);
    mode(&store, 0o555);
    let served = as_nobody(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    mode(&store, 0o755);
    assert_eq!(served.status.code(), Some(2), "{}", err(&served));
    assert!(err(&served).contains("may this user write to the store and its folder?"), "{}", err(&served));
    assert!(!out(&served).contains("POST"), "nothing is taken that cannot be stored");
}
