//! Move tasks of the local queue.

use std::time::Duration;

use tempfile::TempDir;
use towpath_local::{LocalQueue, MoveError, MoveStatus, QueueSettings, RedrivePolicy, Store};
use towpath_types::clock::Timestamp;
use towpath_types::queue::{Attribute, NewMessage, Queue, Receive};

struct Setup {
    store: Store,
    source: LocalQueue,
    dead: LocalQueue,
    _folder: TempDir,
}

async fn setup() -> Setup {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000))).unwrap();
    let dead = store.queue("dead.fifo", QueueSettings::default()).await.unwrap();
    let redrive = RedrivePolicy { dead_letter_queue: "dead.fifo".to_owned(), max_receive_count: 1 };
    let settings = QueueSettings { redrive: Some(redrive), ..QueueSettings::default() };
    let source = store.queue("source.fifo", settings).await.unwrap();
    Setup { store, source, dead, _folder: folder }
}

async fn send(queue: &LocalQueue, names: &[&str]) {
    for name in names {
        let message = NewMessage {
            group: name[..1].into(),
            dedup_id: Some((*name).into()),
            body: (*name).into(),
            attributes: Default::default(),
        };
        queue.send(message).await.unwrap();
    }
}

async fn bodies(queue: &LocalQueue) -> Vec<String> {
    queue.browse(None, 1000).await.unwrap().into_iter().map(|message| message.body.into_text()).collect()
}

#[tokio::test(start_paused = true)]
async fn moved_messages_keep_their_order_and_come_behind_live_ones() {
    let Setup { store, source, dead, _folder } = setup().await;
    send(&dead, &["A1", "B1", "A3"]).await;
    send(&source, &["A5"]).await;
    let old_ids: Vec<_> = dead.browse(None, 10).await.unwrap().into_iter().map(|message| message.id).collect();
    let task = store.start_move(&dead, Some(&source), Some(500)).await.unwrap();
    let ended = store.run_move(task.id).await.unwrap();
    assert_eq!((ended.status, ended.moved), (MoveStatus::Completed, 3));
    assert_eq!(bodies(&source).await, ["A5", "A1", "B1", "A3"]);
    assert!(bodies(&dead).await.is_empty());
    let received = source.receive(Receive::default()).await.unwrap();
    assert!(received.iter().all(|message| message.receive_count == 1 && !old_ids.contains(&message.id)));
    let order: Vec<_> = received.iter().map(|message| message.body.as_text().unwrap()).collect();
    assert_eq!(order, ["A5", "A1", "A3", "B1"]);
}

#[tokio::test(start_paused = true)]
async fn one_task_at_a_time_and_only_from_a_dead_letter_queue() {
    let Setup { store, source, dead, _folder } = setup().await;
    send(&dead, &["A1"]).await;
    assert!(matches!(store.start_move(&source, Some(&dead), Some(500)).await, Err(MoveError::NotDeadLetterQueue(_))));
    let task = store.start_move(&dead, Some(&source), Some(500)).await.unwrap();
    assert!(matches!(store.start_move(&dead, Some(&source), Some(500)).await, Err(MoveError::Running(_))));
    store.run_move(task.id).await.unwrap();
    store.start_move(&dead, Some(&source), Some(500)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_leaves_moved_messages_moved_and_the_others_where_they_were() {
    let Setup { store, source, dead, _folder } = setup().await;
    let names: Vec<String> = (0..120).map(|n| format!("A{n}")).collect();
    send(&dead, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let task = store.start_move(&dead, Some(&source), Some(500)).await.unwrap();
    let moving = store.run_move(task.id);
    let cancel = async {
        // Between the first step and the second.
        while bodies(&source).await.is_empty() {
            tokio::task::yield_now().await;
        }
        store.cancel_move(&dead, &task.handle).await.unwrap();
    };
    let (ended, ()) = tokio::join!(moving, cancel);
    assert_eq!((ended.as_ref().unwrap().status, ended.unwrap().moved), (MoveStatus::Cancelled, 50));
    assert_eq!(bodies(&source).await, names[..50]);
    assert_eq!(bodies(&dead).await, names[50..]);
    assert!(matches!(store.cancel_move(&dead, &task.handle).await, Err(MoveError::NotActive)));
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_destination_is_gone_fails_and_loses_nothing() {
    let Setup { store, source, dead, _folder } = setup().await;
    send(&dead, &["A1", "A2"]).await;
    let task = store.start_move(&dead, Some(&source), Some(500)).await.unwrap();
    store.remove(source).await.unwrap();
    let ended = store.run_move(task.id).await.unwrap();
    assert_eq!((ended.status, ended.moved), (MoveStatus::Failed, 0));
    assert_eq!(bodies(&dead).await, ["A1", "A2"]);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_removes_what_is_past_its_retention_and_nothing_else() {
    let Setup { source, _folder, .. } = setup().await;
    send(&source, &["A1", "B1"]).await;
    tokio::time::advance(Duration::from_secs(13 * 24 * 3600)).await;
    send(&source, &["A2"]).await;
    assert_eq!(source.sweep(100).await.unwrap(), 0);
    tokio::time::advance(Duration::from_secs(24 * 3600)).await;
    assert_eq!(source.sweep(100).await.unwrap(), 2);
    let left = source.receive(Receive::default()).await.unwrap();
    assert_eq!(left.iter().map(|message| message.body.as_text().unwrap()).collect::<Vec<_>>(), ["A2"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_waits_while_the_disk_is_full_and_ends_when_there_is_room() {
    let Setup { store, source, dead, _folder } = setup().await;
    for name in ["A1", "A2"] {
        let group = "A".into();
        let dedup_id = Some(name.into());
        // A move copies the attributes, and not the body.
        let attributes = [("x".to_owned(), Attribute::text("x".repeat(200_000)))].into();
        dead.send(NewMessage { group, dedup_id, body: name.into(), attributes }).await.unwrap();
    }
    // No larger than it is.
    store.limit_pages(1).await.unwrap();
    let task = store.start_move(&dead, Some(&source), Some(500)).await.unwrap();
    let moving = store.run_move(task.id);
    let room = async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let task = store.moves(&dead, 1).await.unwrap().remove(0);
        assert_eq!((task.status, task.moved), (MoveStatus::Running, 0));
        store.limit_pages(100_000).await.unwrap();
    };
    let (ended, ()) = tokio::join!(moving, room);
    let ended = ended.unwrap();
    assert_eq!((ended.status, ended.moved), (MoveStatus::Completed, 2));
    assert_eq!(bodies(&source).await, ["A1", "A2"]);
}

#[tokio::test(start_paused = true)]
async fn what_came_round_a_ring_to_its_own_source_is_not_moved_onto_it() {
    let Setup { store, source, dead, _folder } = setup().await;
    let redrive = RedrivePolicy { dead_letter_queue: "source.fifo".to_owned(), max_receive_count: 1 };
    let settings = QueueSettings { redrive: Some(redrive), ..QueueSettings::default() };
    store.set_queue("dead.fifo", settings).await.unwrap();
    send(&source, &["A1", "A2"]).await;
    for queue in [&source, &dead] {
        for found in [2, 0] {
            let received = queue.receive(Receive { max: 10, ..Receive::default() }).await.unwrap();
            assert_eq!(received.len(), found);
            tokio::time::advance(Duration::from_secs(60)).await;
        }
    }
    let ids = async || source.browse(None, 10).await.unwrap().into_iter().map(|message| message.id).collect::<Vec<_>>();
    let before = ids().await;
    let task = store.start_move(&source, None, Some(500)).await.unwrap();
    let ended = store.run_move(task.id).await.unwrap();
    assert_eq!((ended.status, ended.moved), (MoveStatus::Failed, 0));
    assert_eq!(ended.failure.as_deref(), Some("CouldNotDetermineMessageSource"));
    assert_eq!((bodies(&source).await, ids().await), (vec!["A1".to_owned(), "A2".to_owned()], before));
}
