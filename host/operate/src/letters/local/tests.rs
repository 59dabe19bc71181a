//! What must not overtake, on a local store.

use towpath_local::{QueueSettings, Store};
use towpath_types::clock::Clock;
use towpath_types::dead_letter::DEAD_LETTER_ATTRIBUTE;
use towpath_types::queue::{Attribute, Attributes, Handle, NewMessage, Queue as _, Receive};

use super::*;

/// A store with these letters: `A1` is of group `A`; one with a star parks.
async fn letters(folder: &tempfile::TempDir, bodies: &[&str]) -> LocalLetters {
    let store = Store::open(folder.path(), Clock::wall()).expect("a store");
    let dead = store.queue("dead.fifo", QueueSettings::default()).await.expect("a queue");
    let events = store.queue("events.fifo", QueueSettings::default()).await.expect("a queue");
    for body in bodies {
        let letter = towpath_types::dead_letter::DeadLetter {
            v: 1,
            id: format!("first-{body}"),
            parks: body.ends_with('*'),
            ..Default::default()
        };
        let text = serde_json::to_string(&letter).expect("JSON");
        let attributes = Attributes::from([(DEAD_LETTER_ATTRIBUTE.to_owned(), Attribute::text(text))]);
        let group = GroupId::from(body.get(..1).expect("a group"));
        let dedup_id = Some(format!("dead-{body}").into());
        dead.send(NewMessage { group, dedup_id, body: (*body).into(), attributes }).await.expect("stored");
    }
    LocalLetters::new(events, dead)
}

/// Sends everything back, this many letters at a time. Returns how many were sent, and the ids of those that were not.
async fn redrive(letters: &mut LocalLetters, chunk: usize) -> (u64, Vec<String>) {
    let page = letters.next().await.expect("letters");
    let mut sent = 0;
    let mut failed = Vec::new();
    for chunk in page.chunks(chunk) {
        let moved = letters.send_back(chunk.to_vec()).await.expect("sent back");
        sent += moved.moved;
        failed.extend(moved.failed.into_iter().map(|letter| letter.id.into()));
    }
    (sent, failed)
}

async fn bodies(queue: &LocalQueue) -> Vec<String> {
    queue.browse(None, 100).await.expect("messages").into_iter().map(|message| message.body.into_text()).collect()
}

/// Receives the first letter, as a client of the SQS endpoint does.
async fn hold_the_first(letters: &LocalLetters) -> Handle {
    let receive = Receive { max: 1, visibility: Some(Duration::from_secs(3600)), ..Receive::default() };
    letters.dead.receive(receive).await.expect("a letter").remove(0).handle
}

#[tokio::test(start_paused = true)]
async fn no_letter_overtakes_one_of_its_group_that_could_not_go_however_slow_the_redrive() {
    for chunk in [1, 2, 100] {
        let folder = tempfile::TempDir::new().expect("folder");
        let mut letters = letters(&folder, &["A1", "A2", "B1", "A3", "B2"]).await;
        let handle = hold_the_first(&letters).await;
        let (sent, failed) = redrive(&mut letters, chunk).await;
        assert_eq!((sent, failed), (2, ["A1", "A2", "A3"].map(|body| format!("first-{body}")).to_vec()), "{chunk}");
        assert_eq!(bodies(&letters.events).await, ["B1", "B2"], "{chunk}: other groups go");
        assert_eq!(bodies(&letters.dead).await, ["A1", "A2", "A3"], "{chunk}");
        // Another run, once nobody looks any more, sends them in order.
        letters.dead.change_visibility(&[(handle, Duration::ZERO)]).await.remove(0).expect("given back");
        let mut again = LocalLetters::new(letters.events.clone(), letters.dead.clone());
        assert_eq!(redrive(&mut again, chunk).await, (3, Vec::new()), "{chunk}");
        assert_eq!(bodies(&letters.events).await, ["B1", "B2", "A1", "A2", "A3"], "{chunk}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_parked_group_that_could_not_go_is_reported_letter_by_letter() {
    let folder = tempfile::TempDir::new().expect("folder");
    let mut letters = letters(&folder, &["A1*", "A2*"]).await;
    hold_the_first(&letters).await;
    assert_eq!(redrive(&mut letters, 1).await, (0, vec!["first-A1*".to_owned(), "first-A2*".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_letter_from_before_its_route_parked_goes_with_its_group() {
    let folder = tempfile::TempDir::new().expect("folder");
    let mut letters = letters(&folder, &["A1", "A2*", "B1"]).await;
    assert_eq!(redrive(&mut letters, 1).await, (3, Vec::new()));
    assert_eq!(bodies(&letters.events).await, ["A1", "A2*", "B1"], "A1 is not put behind A2");
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_was_edited_since_it_was_read_stays_and_is_reported_and_so_do_those_behind_it() {
    let folder = tempfile::TempDir::new().expect("folder");
    let mut letters = letters(&folder, &["A1", "A2", "B1"]).await;
    let page = letters.next().await.expect("letters");
    let mended = Edited { group: "A".into(), body: "A1 mended".into(), attributes: page[0].attributes.clone() };
    letters.replace(&page[0], mended.clone()).await.expect("edited");
    let moved = letters.send_back(page.clone()).await.expect("sent back");
    let failed: Vec<String> = moved.failed.into_iter().map(|letter| letter.id.into()).collect();
    assert_eq!((moved.moved, failed), (1, ["A1", "A2"].map(|body| format!("first-{body}")).to_vec()));
    assert_eq!(bodies(&letters.events).await, ["B1"]);
    for error in [
        letters.discard(&page[0]).await.expect_err("edited meanwhile"),
        letters.replace(&page[0], mended).await.expect_err("edited meanwhile"),
    ] {
        assert_eq!(error.downcast_ref(), Some(&EditedMeanwhile(page[0].id.clone())));
    }
    assert_eq!(bodies(&letters.dead).await, ["A1 mended", "A2"]);
}

#[tokio::test]
async fn a_letter_that_a_client_has_in_flight_is_not_edited() {
    let folder = tempfile::TempDir::new().expect("folder");
    let mut letters = letters(&folder, &["A1"]).await;
    hold_the_first(&letters).await;
    let letter = letters.next().await.expect("letters").remove(0);
    let mended = Edited { group: "A".into(), body: "A1 mended".into(), attributes: letter.attributes.clone() };
    let error = letters.replace(&letter, mended).await.expect_err("in flight").to_string();
    assert!(error.contains("in flight"), "{error}");
    assert_eq!(bodies(&letters.dead).await, ["A1"]);
}
