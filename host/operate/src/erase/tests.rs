mod rounds;

use std::collections::BTreeSet;
use std::path::Path;

use tempfile::TempDir;
use towpath_local::Store;
use towpath_types::body::Body;
use towpath_types::clock::Timestamp;
use towpath_types::queue::{NewMessage, Queue as _};

use super::person::Person;
use super::unfinished::Unfinished;
use super::*;
use crate::place::{Backend, Found};
use crate::queues::{Queues, STORY};
use crate::replay::{Conditions, Record, State, write};

fn request(groups: &[&str], values: &[(&str, &str)]) -> Request {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    let values = values.iter().map(|(at, value)| ((*at).to_owned(), (*value).to_owned())).collect();
    let subject = Subject { groups, values };
    Request { subject, note: "ticket 7".to_owned(), folder: None, wait: Duration::ZERO, most: u64::MAX }
}

async fn place(folder: &Path) -> (Found, Queues) {
    let queues = Queues::open(folder).await.expect("a store");
    (Found::new(Backend::Local(Box::new(queues.clone())), None), queues)
}

async fn send(queues: &Queues, group: &str, body: &str) -> String {
    let message = NewMessage {
        group: group.into(),
        dedup_id: Some(format!("d-{body}").as_str().into()),
        body: body.into(),
        attributes: Default::default(),
    };
    queues.events.send(message).await.expect("sent").id.to_string()
}

async fn erase(found: &Found, request: &Request) -> Report {
    run(found, request, &|_, _, _| {}).await.expect("erased")
}

async fn waiting(queues: &Queues) -> Vec<String> {
    let waiting = queues.events.browse(None, 100).await.expect("browsed");
    waiting.iter().map(|message| message.body.text().into_owned()).collect()
}

fn replay(run: &str, conditions: Conditions) -> Record {
    let request = crate::replay::Request { conditions, ..Default::default() };
    let at = Timestamp(1);
    let (run, by, events, sent) = (run.to_owned(), "me".to_owned(), 2, 1);
    let (position, places, late, state) = (None, None, 0, State::Stopped);
    Record { run, by, started_at: at, updated_at: at, request, places, events, sent, late, position, state }
}

#[tokio::test]
async fn an_empty_filter_is_refused() {
    let folder = TempDir::new().expect("folder");
    let (found, queues) = place(folder.path()).await;
    send(&queues, "g", "{}").await;
    let request = request(&[], &[]);
    for error in [
        plan(&found, &request).await.expect_err("refused"),
        run(&found, &request, &|_, _, _| {}).await.expect_err("refused"),
    ] {
        assert_eq!(error.downcast_ref(), Some(&EraseError::Everything));
    }
    assert_eq!(waiting(&queues).await.len(), 1);
}

#[tokio::test]
async fn a_value_selects_events_of_any_group_and_a_group_narrows_it() {
    let folder = TempDir::new().expect("folder");
    let (found, queues) = place(folder.path()).await;
    for (group, body) in
        [("a", r#"{"id":7,"n":1}"#), ("a", r#"{"id":8,"n":2}"#), ("b", r#"{"id":7,"n":3}"#), ("b", "no-JSON")]
    {
        send(&queues, group, body).await;
    }
    let narrow = request(&["a"], &[("/id", "7")]);
    assert_eq!(plan(&found, &narrow).await.expect("a plan").counts.waiting, 1);
    let report = erase(&found, &narrow).await;
    assert!(report.is_complete() && report.erased.waiting == 1, "{report:?}");
    assert_eq!(waiting(&queues).await, [r#"{"id":8,"n":2}"#, r#"{"id":7,"n":3}"#, "no-JSON"]);
    erase(&found, &request(&[], &[("/id", "7")])).await;
    assert_eq!(waiting(&queues).await, [r#"{"id":8,"n":2}"#, "no-JSON"]);
}

#[tokio::test]
async fn an_erasure_that_was_killed_is_completed_by_the_next_one_whatever_it_is_about() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let (found, queues) = place(path).await;
    let kept = send(&queues, "b", "{}").await;
    // The event is gone already; only its id is known.
    let unfinished = Unfinished {
        by: "ada".to_owned(),
        started_at: Timestamp(0),
        note: "ticket 6".to_owned(),
        subject: request(&[], &[("/id", "7")]).subject,
        folder: None,
        ids: BTreeSet::from(["m-gone".to_owned()]),
    };
    unfinished.write(path).expect("written");
    let line = |id: &str| {
        format!("{{\"fields\":{{\"message\":\"stored\",\"message_id\":\"{id}\"}},\"target\":\"towpath::story\"}}\n")
    };
    std::fs::write(path.join(STORY), line("m-gone") + &line(&kept)).expect("written");
    let other = request(&["c"], &[]);
    let plan = plan(&found, &other).await.expect("a plan");
    assert_eq!(plan.interrupted, Some(("ada".to_owned(), Timestamp(0))));
    erase(&found, &other).await;
    let story = std::fs::read_to_string(path.join(STORY)).expect("read");
    assert!(!story.contains("m-gone") && story.contains(&kept), "{story}");
    assert!(!path.join("erasing.json").exists());
    let audit = std::fs::read_to_string(path.join("audit.jsonl")).expect("read");
    assert_eq!(audit.matches("ticket 6").count(), 2, "{audit}");
}

#[tokio::test]
async fn the_audit_has_who_erased_how_much_and_names_nobody() {
    let folder = TempDir::new().expect("folder");
    let (found, queues) = place(folder.path()).await;
    send(&queues, "secret-group", r#"{"mail":"secret-mail"}"#).await;
    erase(&found, &request(&["secret-group"], &[("/mail", "secret-mail")])).await;
    let audit = std::fs::read_to_string(folder.path().join("audit.jsonl")).expect("read");
    assert!(!audit.contains("secret"), "{audit}");
    let lines: Vec<serde_json::Value> = audit.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let steps: Vec<_> = lines.iter().map(|line| (&line["step"], &line["waiting"], &line["pointers"][0])).collect();
    let [one, pointer] = [serde_json::json!(1), serde_json::json!("/mail")];
    assert_eq!(steps, [(&"begin".into(), &one, &pointer), (&"end".into(), &one, &pointer)]);
    assert_eq!((&lines[0]["action"], &lines[0]["note"]), (&"erase".into(), &"ticket 7".into()));
}

#[tokio::test]
async fn entries_of_the_audit_stay_without_their_content() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let (found, _queues) = place(path).await;
    let entry = |group: &str, body: &str| {
        let letter = r#"{"v":1,"reason":"refused","id":"m-1","failed_at":"2026-01-01T00:00:00.000Z","sent_at":"2026-01-01T00:00:00.000Z","source":"q","receive_count":1,"passes":1}"#;
        format!(
            r#"{{"at":5,"by":"ada","action":"drop","id":"l-1","group":"{group}","note":"of Grace","letter":{letter},"body":"{body}"}}"#
        )
    };
    let run = r#"{"at":6,"by":"ada","action":"replay","run":"r","events":1,"filter":{"groups":["secret","other"]},"note":""}"#;
    let text = format!("{}\n{}\n{run}\n", entry("secret", "{}"), entry("kept", "{}"));
    std::fs::write(path.join("audit.jsonl"), text).expect("written");
    let secret = request(&["secret"], &[]);
    assert_eq!(plan(&found, &secret).await.expect("a plan").counts.audit, 2);
    assert_eq!(erase(&found, &secret).await.erased.audit, 2);
    let audit = std::fs::read_to_string(path.join("audit.jsonl")).expect("read");
    assert!(!audit.contains("secret") && audit.contains(&entry("kept", "{}")), "{audit}");
    let first: serde_json::Value = serde_json::from_str(audit.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first, serde_json::json!({ "at": 5, "by": "ada", "action": "drop", "erased": true }));
}

#[tokio::test]
async fn replays_lose_the_person_and_never_a_condition() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let (found, _queues) = place(path).await;
    let groups = |names: &[&str]| Conditions {
        groups: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Conditions::default()
    };
    for (run, conditions) in [
        ("alone", groups(&["secret"])),
        ("pattern", groups(&["secret*"])),
        ("both", groups(&["secret", "other"])),
        ("other", groups(&["other"])),
    ] {
        write(path, &replay(run, conditions)).expect("written");
    }
    std::fs::write(path.join("replay-killed.tmp"), "secret").expect("written");
    assert_eq!(plan(&found, &request(&["secret"], &[])).await.expect("a plan").counts.replays, 3);
    assert_eq!(erase(&found, &request(&["secret"], &[])).await.erased.replays, 3);
    let mut left = crate::replay::list(&found).expect("listed");
    left.sort_by_key(|listed| listed.record.run.clone());
    let left: Vec<_> =
        left.iter().map(|listed| (listed.record.run.as_str(), &listed.record.request.conditions.groups[..])).collect();
    let other = ["other".to_owned()];
    assert_eq!(
        left,
        [("both", &other[..]), ("other", &other[..])],
        "a run without its condition would select every event"
    );
    assert!(!path.join("replay-killed.tmp").exists());
}

#[tokio::test]
async fn nothing_is_erased_while_a_replay_runs() {
    let folder = TempDir::new().expect("folder");
    let (found, queues) = place(folder.path()).await;
    send(&queues, "g", "{}").await;
    let running = crate::replay::held(folder.path()).expect("held");
    let error = run(&found, &request(&["g"], &[]), &|_, _, _| {}).await.expect_err("refused");
    assert_eq!(error.downcast_ref(), Some(&EraseError::Busy));
    assert_eq!(waiting(&queues).await.len(), 1);
    drop(running);
    assert!(erase(&found, &request(&["g"], &[])).await.is_complete());
}

#[tokio::test]
async fn a_store_that_is_too_large_to_rewrite_is_reported_and_the_rest_is_done() {
    let folder = TempDir::new().expect("folder");
    let (found, queues) = place(folder.path()).await;
    send(&queues, "g", "{}").await;
    let report = erase(&found, &Request { most: 0, ..request(&["g"], &[]) }).await;
    assert!(report.too_large.is_some() && !report.is_complete(), "{report:?}");
    assert!(waiting(&queues).await.is_empty());
}

#[tokio::test]
async fn a_host_at_work_is_not_disturbed_and_its_message_is_reported() {
    let folder = TempDir::new().expect("folder");
    let (found, queues) = place(folder.path()).await;
    let store: &Store = queues.events.store();
    let holder = store.hold(Duration::ZERO).await.expect("held").expect("a local file system");
    send(&queues, "g", "{}").await;
    let received = queues.events.held_by(&holder).receive(Default::default()).await.expect("received");
    let report = erase(&found, &request(&["g"], &[])).await;
    assert_eq!((report.in_flight, report.erased.waiting, report.is_complete()), (1, 0, false));
    let done = queues.events.delete(&[received[0].handle.clone()]).await.remove(0);
    done.expect("its message is still its own");
    assert!(folder.path().join("erasing.json").exists(), "its id is still needed");
    assert!(erase(&found, &request(&["g"], &[])).await.is_complete());
    assert!(!folder.path().join("erasing.json").exists());
}

#[test]
fn a_body_is_searched_only_if_a_value_is_asked_for() {
    let person = |groups: &[&str], values: &[(&str, &str)]| {
        Person::new(request(groups, values).subject, BTreeSet::new()).expect("pointers")
    };
    assert!(person(&["g"], &[]).has("g", || unreachable!("no value is asked for")));
    let body = || Body::from(r#"{"a":{"b":"x"},"n":1.10}"#);
    assert!(person(&[], &[("/a/b", "x"), ("/n", "1.10")]).has("any", body));
    assert!(!person(&[], &[("/a/b", "x"), ("/n", "1.1")]).has("any", body));
    assert!(!person(&["g"], &[("/a/b", "x")]).has("other", body));
}
