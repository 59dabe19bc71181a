//! What operators do to a group that stands still, beside a host that works on it.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use towpath_tests::guest::Guest;
use towpath_tests::target::{Answer, Call, Target};

use super::serve::{Server, client, post, project};
use super::{err, out, towpath};

/// Repeats a command while a host has the head in flight, and returns what it printed.
fn until_it_is_free(folder: &Path, args: &[&str]) -> Value {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let done = towpath(folder, &[args, &["--json"]].concat());
        if done.status.success() {
            return serde_json::from_str(&out(&done)).unwrap();
        }
        assert!(err(&done).contains("in flight"), "{}", err(&done));
        assert!(Instant::now() < until, "it never ends");
    }
}

fn is_first(call: &Call) -> bool {
    String::from_utf8_lossy(&call.body).contains("\"n\":1,")
}

fn numbers(target: &Target) -> Vec<u64> {
    let number = |body: &String| serde_json::from_str::<Value>(body).unwrap()["n"].as_u64().unwrap();
    target.bodies().iter().map(number).filter(|n| *n != 1).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_head_is_dead_lettered_beside_a_running_host_and_those_behind_it_follow_in_order() {
    let target = Target::answering(|call| Answer::Status(if is_first(call) { 503 } else { 200 }, String::new())).await;
    let folder = project(&target.url, Guest::forward());
    let server = Server::start(folder.path(), &["serve"]);
    let client = client();
    for n in 1..=5 {
        post(&client, &server.url, &format!("{{\"k\":1,\"n\":{n},\"p\":0}}")).await.unwrap();
    }
    target.called(3).await;
    let listed = towpath(folder.path(), &["group", "list", "--json"]);
    let listed: Value = serde_json::from_str(&out(&listed)).unwrap();
    let group = &listed["groups"][0];
    assert_eq!((&group["group"], &group["behind"]), (&"g/1".into(), &4.into()), "{listed}");
    assert!(["retried", "in-flight", "ready"].contains(&group["state"].as_str().unwrap()), "{group}");
    let done = until_it_is_free(folder.path(), &["group", "dead-letter", "g/1", "--note", "no such customer"]);
    assert_eq!((&done["action"], &done["messages"]), (&"dead-letter".into(), &1.into()));
    target.until(|calls| calls.iter().filter(|call| !is_first(call)).count() == 4).await;
    assert_eq!(numbers(&target), [2, 3, 4, 5]);
    let letters = towpath(folder.path(), &["dlq", "list", "--json"]);
    let letters: Value = serde_json::from_str(&out(&letters)).unwrap();
    assert_eq!((&letters[0]["letter"]["reason"], letters.as_array().unwrap().len()), (&"operator".into(), 1));
    assert!(letters[0]["letter"]["detail"].as_str().unwrap().ends_with(": no such customer"), "{letters}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_group_stays_parked_beside_a_running_host_and_comes_back_in_order() {
    let target = Target::answering(|_| Answer::Status(503, String::new())).await;
    let folder = project(&target.url, Guest::forward());
    let file = folder.path().join("towpath.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("[[route]]", "[[route]]\non_dead_letter = \"park\"", 1)).unwrap();
    let server = Server::start(folder.path(), &["serve"]);
    let client = client();
    let send = async |n: u32| post(&client, &server.url, &format!("{{\"k\":1,\"n\":{n},\"p\":0}}")).await.unwrap();
    for n in 2..=4 {
        send(n).await;
    }
    target.called(2).await;
    until_it_is_free(folder.path(), &["group", "park", "g/1", "--note", "wait"]);
    target.answer(|_| Answer::Status(200, String::new()));
    let before = target.calls().len();
    // What arrives later is parked behind it.
    send(5).await;
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let letters = towpath(folder.path(), &["dlq", "list", "--json"]);
        let letters: Value = serde_json::from_str(&out(&letters)).unwrap();
        if letters.as_array().unwrap().len() == 4 {
            break;
        }
        assert!(Instant::now() < until, "{letters}");
    }
    assert_eq!(target.calls().len(), before, "nothing of it was sent");
    assert!(towpath(folder.path(), &["dlq", "redrive", "--all"]).status.success());
    target.called(before + 4).await;
    assert_eq!(numbers(&target)[before..], [2, 3, 4, 5]);
    server.stop();
}

#[test]
fn a_group_that_does_not_wait_and_a_note_that_is_missing_are_errors() {
    let folder = tempfile::TempDir::new().unwrap();
    drop(towpath_local::Store::open(&folder.path().join("store"), towpath_types::clock::Clock::wall()).unwrap());
    let none = towpath(folder.path(), &["group", "show", "crm/1", "--store", "store"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(err(&none).contains("nothing of the group crm/1 waits"), "{}", err(&none));
    let empty = towpath(folder.path(), &["group", "list", "--store", "store"]);
    assert!(empty.status.success() && out(&empty).contains("nothing waits"), "{}", out(&empty));
    let no_note = towpath(folder.path(), &["group", "retry", "crm/1", "--store", "store"]);
    assert!(no_note.status.code() == Some(2) && err(&no_note).contains("--note"), "{}", err(&no_note));
}
