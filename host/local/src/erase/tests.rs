use std::time::Duration;

use tempfile::TempDir;
use towpath_types::clock::Clock;
use towpath_types::queue::{NewMessage, Proof, Queue as _, Receive};

use super::*;
use crate::{Extras, LocalQueue, QueueSettings};

async fn store(folder: &TempDir) -> (Store, LocalQueue) {
    let store = Store::open(folder.path(), Clock::wall()).expect("store");
    let queue = store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue");
    (store, queue)
}

async fn send(queue: &LocalQueue, group: &str, body: &str) {
    let message = NewMessage {
        group: group.into(),
        dedup_id: Some(format!("d-{body}").as_str().into()),
        body: body.into(),
        attributes: Default::default(),
    };
    queue.send(message).await.expect("sent");
}

fn of_groups(groups: &[&str]) -> Wanted {
    Wanted { groups: groups.iter().map(|group| (*group).to_owned()).collect(), is_one: Arc::new(|_| true) }
}

async fn all(store: &Store, wanted: &Wanted) -> Vec<Match> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let searched = store.search(wanted, after.as_deref()).await.expect("searched");
        found.extend(searched.found);
        after = searched.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn erase_all(store: &Store, wanted: &Wanted) -> Vec<String> {
    let sequences: Vec<String> = all(store, wanted).await.into_iter().map(|found| found.message.sequence).collect();
    store.erase(&sequences).await.expect("erased")
}

/// The bodies that can be received now.
async fn receive(queue: &LocalQueue) -> Vec<String> {
    let received = queue.receive(Receive { max: 10, ..Receive::default() }).await.expect("received");
    received.iter().map(|message| message.body.text().into_owned()).collect()
}

#[tokio::test]
async fn messages_of_a_group_are_erased_in_every_queue_and_the_order_of_the_rest_is_kept() {
    let folder = TempDir::new().expect("folder");
    let (store, queue) = store(&folder).await;
    let other = store.set_queue("other.fifo", QueueSettings::default()).await.expect("queue");
    let standard = QueueSettings { fifo: false, ..QueueSettings::default() };
    let standard = store.set_queue("standard", standard).await.expect("queue");
    for n in 1..=3 {
        send(&queue, "a", &format!("a{n}")).await;
        send(&queue, "b", &format!("b{n}")).await;
    }
    send(&other, "a", "a4").await;
    send(&standard, "a", &"a5".repeat(3_000)).await;
    let wanted = of_groups(&["a"]);
    let found = all(&store, &wanted).await;
    let queues: Vec<&str> = found.iter().map(|found| found.queue.as_str()).collect();
    assert_eq!(queues, ["q.fifo", "q.fifo", "q.fifo", "other.fifo", "standard"]);
    assert!(found.iter().all(|found| found.message.group.as_str() == "a"), "{found:?}");
    assert!(erase_all(&store, &wanted).await.is_empty());
    assert_eq!(receive(&queue).await, ["b1", "b2", "b3"]);
    assert!(receive(&other).await.is_empty() && receive(&standard).await.is_empty());
    let left = |connection: &Connection| {
        let sql = "SELECT (SELECT count(*) FROM bodies), (SELECT count(*) FROM groups WHERE name = 'a')";
        connection.query_row(sql, [], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?)))
    };
    assert_eq!(store.read(left).await.expect("read"), (0, 0), "neither a body nor the name of the group is left");
}

#[tokio::test]
async fn a_group_whose_head_is_erased_continues_at_once() {
    let folder = TempDir::new().expect("folder");
    let (store, queue) = store(&folder).await;
    for body in ["head", "next", "last"] {
        send(&queue, "g", body).await;
    }
    let head = queue.receive(Receive { max: 1, ..Receive::default() }).await.expect("received").remove(0);
    // It waits for a retry, and the others behind it.
    queue.release(&[(head.handle, Duration::from_secs(3600))]).await.remove(0).expect("released");
    assert!(receive(&queue).await.is_empty());
    let head = Wanted { groups: Vec::new(), is_one: Arc::new(|message| message.body.text() == "head") };
    assert!(erase_all(&store, &head).await.is_empty());
    assert_eq!(receive(&queue).await, ["next", "last"]);
}

#[tokio::test]
async fn what_a_host_is_working_on_is_not_erased_until_it_is_done() {
    let folder = TempDir::new().expect("folder");
    let (store, queue) = store(&folder).await;
    let holder = store.hold(Duration::ZERO).await.expect("held").expect("a local file system");
    let host = queue.held_by(&holder);
    send(&queue, "g", "first").await;
    send(&queue, "g", "second").await;
    let received = host.receive(Receive { max: 1, ..Receive::default() }).await.expect("received").remove(0);
    let wanted = of_groups(&["g"]);
    let leased: Vec<bool> = all(&store, &wanted).await.iter().map(|found| found.is_leased).collect();
    assert_eq!(leased, [true, false]);
    let kept = erase_all(&store, &wanted).await;
    assert_eq!(kept, [received.sequence.clone().expect("a number")]);
    assert_eq!(store.erase(&kept).await.expect("nothing"), kept, "still");
    host.release(&[(received.handle, Duration::from_secs(60))]).await.remove(0).expect("released");
    assert!(store.erase(&kept).await.expect("erased").is_empty());
    assert!(all(&store, &wanted).await.is_empty());
}

#[tokio::test]
async fn a_search_finds_what_is_moved_to_another_queue_meanwhile() {
    let folder = TempDir::new().expect("folder");
    let (store, queue) = store(&folder).await;
    let dead = store.set_queue("dead.fifo", QueueSettings::default()).await.expect("queue");
    send(&dead, "g", "letter").await;
    for n in 0..=PAGE {
        send(&queue, "others", &n.to_string()).await;
    }
    let wanted = of_groups(&["g"]);
    let first = store.search(&wanted, None).await.expect("searched");
    let letter = first.found.first().expect("the letter").message.clone();
    let back = NewMessage { group: "g".into(), dedup_id: None, body: "letter".into(), attributes: Default::default() };
    let read = dead.browse(None, 1).await.expect("read").remove(0).into();
    dead.send_back(&queue, vec![(read, back)]).await.expect("moved");
    assert!(store.erase(&[letter.sequence]).await.expect("nothing left to erase").is_empty());
    let second = store.search(&wanted, first.next.as_deref()).await.expect("searched");
    assert_eq!(second.found.len(), 1, "under its new number");
}

#[tokio::test]
async fn deduplication_ids_are_forgotten_by_group_and_by_message_with_their_proofs_and_no_others() {
    let folder = TempDir::new().expect("folder");
    let (store, queue) = store(&folder).await;
    let by_group = QueueSettings { dedup_scope: crate::DedupScope::MessageGroup, ..QueueSettings::default() };
    let scoped = store.set_queue("scoped.fifo", by_group).await.expect("queue");
    let mut ids = HashSet::new();
    for (n, queue) in [&queue, &scoped].into_iter().enumerate() {
        for group in ["a", "b", "c"] {
            let until = store.now() + Duration::from_secs(600);
            let proof = Proof { id: format!("{group}{n}"), until };
            let arrival = towpath_types::queue::Arrival { proof: Some(proof), ..Default::default() };
            let message = NewMessage {
                group: group.into(),
                dedup_id: Some(format!("{group}-id").as_str().into()),
                body: "{}".into(),
                attributes: Default::default(),
            };
            let sent = queue.send_with(message, Extras { arrival, ..Extras::default() }).await.expect("sent");
            ids.extend((group == "b").then(|| sent.id.to_string()));
        }
    }
    let left = || async {
        let left = |connection: &Connection| {
            let mut statement = connection.prepare("SELECT scope || dedup_id FROM dedup ORDER BY 1")?;
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        store.read(left).await.expect("read")
    };
    assert_eq!(left().await.len(), 12);
    assert_eq!(store.forget(vec!["a".to_owned()], Arc::new(ids)).await.expect("forgotten"), 8);
    assert_eq!(left().await, [" proofsc0", " proofsc1", "c-id", "cc-id"]);
}

#[tokio::test]
async fn the_names_of_groups_of_a_queue_whose_removal_was_interrupted_are_forgotten() {
    let folder = TempDir::new().expect("folder");
    let (store, queue) = store(&folder).await;
    send(&queue, "g", "body").await;
    let sequences: Vec<String> =
        all(&store, &of_groups(&["g"])).await.into_iter().map(|found| found.message.sequence).collect();
    // The process that removes it ends here.
    store.take_away(queue).await.expect("removed");
    assert!(store.erase(&sequences).await.expect("erased").is_empty());
    store.forget(vec!["g".to_owned()], Arc::default()).await.expect("forgotten");
    let groups = |connection: &Connection| connection.query_row("SELECT count(*) FROM groups", [], |row| row.get(0));
    assert_eq!(store.read(groups).await.map(|groups: u32| groups).expect("read"), 0);
}
