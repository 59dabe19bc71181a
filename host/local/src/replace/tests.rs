use std::time::Duration;

use tempfile::TempDir;
use towpath_types::clock::Clock;
use towpath_types::queue::{NewMessage, Queue as _, Receive};

use super::*;
use crate::{QueueSettings, SentBack, Store};

/// A queue and its dead letters: these bodies, all of the group `g`.
async fn queues(folder: &TempDir, bodies: &[&str]) -> (LocalQueue, LocalQueue) {
    let store = Store::open(folder.path(), Clock::wall()).expect("store");
    let dead = store.queue("dead.fifo", QueueSettings::default()).await.expect("queue");
    let events = store.queue("events.fifo", QueueSettings::default()).await.expect("queue");
    for body in bodies {
        dead.send(message(body)).await.expect("stored");
    }
    (events, dead)
}

fn message(body: &str) -> NewMessage {
    NewMessage { group: "g".into(), dedup_id: Some(body.into()), body: body.into(), attributes: Default::default() }
}

async fn read(queue: &LocalQueue) -> Vec<AsRead> {
    queue.browse(None, 10).await.expect("read").into_iter().map(AsRead::from).collect()
}

async fn bodies(queue: &LocalQueue) -> Vec<String> {
    read(queue).await.into_iter().map(|read| read.body.into_text()).collect()
}

#[tokio::test]
async fn what_was_edited_since_it_was_read_is_neither_sent_back_nor_deleted_nor_edited() {
    let folder = TempDir::new().expect("folder");
    let (events, dead) = queues(&folder, &["1", "2"]).await;
    let before = read(&dead).await;
    let edited = dead.edit_as_read(before[1].clone(), &"g".into(), "mended".into(), &Default::default()).await;
    assert_eq!(edited.expect("edited"), Still::Same);
    let back = before.iter().map(|read| (read.clone(), message(&read.body.text()))).collect();
    assert_eq!(dead.send_back(&events, back).await.expect("compared"), SentBack::Changed);
    assert_eq!(dead.discard_as_read(before[1].clone()).await.expect("compared"), Still::Changed);
    let again = dead.edit_as_read(before[1].clone(), &"g".into(), "other".into(), &Default::default()).await;
    assert_eq!(again.expect("compared"), Still::Changed);
    assert_eq!((bodies(&dead).await, bodies(&events).await.len()), (vec!["1".to_owned(), "mended".to_owned()], 0));
    let now = read(&dead).await;
    assert_eq!(dead.discard_as_read(now[1].clone()).await.expect("deleted"), Still::Same);
    assert_eq!(dead.discard_as_read(now[1].clone()).await.expect("looked"), Still::Gone);
    let back = vec![(now[0].clone(), message("1"))];
    assert_eq!(dead.send_back(&events, back).await.expect("moved"), SentBack::Moved(1));
    assert_eq!((bodies(&dead).await.len(), bodies(&events).await), (0, vec!["1".to_owned()]));
}

#[tokio::test]
async fn another_group_or_attribute_is_a_change_too() {
    let folder = TempDir::new().expect("folder");
    let (_, dead) = queues(&folder, &["1"]).await;
    let before = read(&dead).await.remove(0);
    let attribute = towpath_types::queue::Attribute::text("x".to_owned());
    let attributes = Attributes::from([("a".to_owned(), attribute)]);
    for (group, attributes) in [("other", Attributes::default()), ("g", attributes)] {
        assert!(dead.edit(&before.sequence, &group.into(), "1".into(), &attributes).await.expect("edited"));
        assert_eq!(dead.discard_as_read(before.clone()).await.expect("compared"), Still::Changed, "{group}");
    }
}

#[tokio::test]
async fn what_a_client_has_in_flight_is_left_alone() {
    let folder = TempDir::new().expect("folder");
    let (events, dead) = queues(&folder, &["1"]).await;
    let receive = Receive { max: 1, visibility: Some(Duration::from_secs(3600)), ..Receive::default() };
    assert_eq!(dead.receive(receive).await.expect("received").len(), 1);
    let letter = read(&dead).await.remove(0);
    let edited = dead.edit_as_read(letter.clone(), &"g".into(), "mended".into(), &Default::default()).await;
    assert_eq!(edited.expect("compared"), Still::Held);
    assert_eq!(dead.discard_as_read(letter.clone()).await.expect("compared"), Still::Held);
    let back = vec![(letter, message("1"))];
    assert_eq!(dead.send_back(&events, back).await.expect("compared"), SentBack::Busy);
    assert_eq!(bodies(&dead).await, ["1"]);
}
