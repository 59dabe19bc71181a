use std::time::Duration;

use tempfile::TempDir;
use tokio::time::advance;
use towpath_runtime::time::tokio_clock;
use towpath_types::queue::{Handle, NewMessage, Queue as _, Receive, Received};

use super::*;
use crate::{Holder, LocalQueue, QueueSettings};

const VISIBILITY: Duration = Duration::from_secs(30);
/// The longest request of the hosts.
const LONGEST: Duration = Duration::from_secs(3);

/// A store with a queue, in a time that the test advances.
struct Place {
    folder: TempDir,
    queue: LocalQueue,
}

impl Place {
    async fn new() -> Place {
        let folder = TempDir::new().expect("folder");
        let store = Store::open(folder.path(), tokio_clock(Timestamp(1_700_000_000_000))).expect("store");
        let queue = store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue");
        Place { folder, queue }
    }

    fn store(&self) -> &Store {
        self.queue.store()
    }

    async fn send(&self, bodies: &[&str]) {
        for body in bodies {
            let group = body[..1].into();
            let dedup_id = Some((*body).into());
            let message = NewMessage { group, dedup_id, body: (*body).into(), attributes: Default::default() };
            self.queue.send(message).await.expect("send");
        }
    }

    async fn host(&self) -> (Holder, LocalQueue) {
        let holder = self.store().hold(LONGEST).await.expect("registered").expect("a local file system");
        let queue = self.queue.held_by(&holder);
        (holder, queue)
    }

    /// What a host that was killed had received.
    async fn killed(&self) -> Vec<Received> {
        let (holder, queue) = self.host().await;
        let received = receive(&queue).await;
        // As the system does at the end of a process.
        drop(holder);
        received
    }

    async fn release(&self) -> Vec<Released> {
        self.store().release_gone().await.expect("released")
    }

    fn lock_files(&self) -> Vec<String> {
        files(self.folder.path())
    }

    fn holders(&self) -> i64 {
        let count =
            |connection: &Connection| connection.query_row("SELECT count(*) FROM holders", [], |row| row.get(0));
        self.store().read_now(count).expect("read")
    }
}

async fn receive(queue: &LocalQueue) -> Vec<Received> {
    queue.receive(Receive { visibility: Some(VISIBILITY), ..Receive::default() }).await.expect("receive")
}

fn bodies(received: &[Received]) -> Vec<&str> {
    received.iter().map(|message| message.body.as_text().expect("text")).collect()
}

fn handles(received: &[Received]) -> Vec<Handle> {
    received.iter().map(|message| message.handle.clone()).collect()
}

/// Which messages can be received after a wait.
async fn after(wait: Duration, queue: &LocalQueue) -> Vec<String> {
    advance(wait).await;
    bodies(&receive(queue).await).into_iter().map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_host_held_is_visible_in_order_once_its_requests_have_timed_out() {
    let place = Place::new().await;
    place.send(&["A1", "A2", "B1", "A3"]).await;
    let held = place.killed().await;
    assert_eq!(bodies(&held), ["A1", "A2", "A3", "B1"]);
    let second = Duration::from_secs(1);
    advance(second).await;
    let released = place.release().await;
    let [Released { groups: 2, messages: 4, visible_at, .. }] = released.as_slice() else { panic!("{released:?}") };
    assert_eq!(*visible_at, place.store().now() + LONGEST);
    assert_eq!((place.holders(), place.lock_files().len()), (0, 0));
    assert!(after(LONGEST - second / 1000, &place.queue).await.is_empty(), "a request may be under way");
    advance(second / 1000).await;
    let again = receive(&place.queue).await;
    assert_eq!(bodies(&again), ["A1", "A2", "A3", "B1"]);
    assert!(again.iter().all(|message| message.receive_count == 2), "a release is no receive");
    for deleted in place.queue.delete(&handles(&held)).await {
        assert!(matches!(deleted, Err(QueueError::HandleExpired)), "{deleted:?}");
    }
    assert_eq!(place.release().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_heartbeats_extended_is_released_and_nothing_is_hidden_for_longer_than_without() {
    let place = Place::new().await;
    place.send(&["A1"]).await;
    let (holder, queue) = place.host().await;
    let held = receive(&queue).await;
    advance(VISIBILITY / 2).await;
    queue.change_visibility(&[(held[0].handle.clone(), VISIBILITY)]).await.remove(0).expect("kept");
    drop(holder);
    assert_eq!(place.release().await[0].messages, 1);
    assert_eq!(after(LONGEST, &place.queue).await, ["A1"]);
    // Now its visibility ends before a request could.
    advance(VISIBILITY).await;
    let held = place.killed().await;
    assert_eq!(bodies(&held), ["A1"]);
    advance(VISIBILITY - LONGEST / 3).await;
    assert_eq!(place.release().await[0].messages, 0);
    assert_eq!(after(LONGEST / 3, &place.queue).await, ["A1"]);
}

#[tokio::test(start_paused = true)]
async fn hosts_that_run_lose_nothing_to_each_other() {
    let place = Place::new().await;
    place.send(&["A1", "B1"]).await;
    let (first, one) = place.host().await;
    let (second, other) = place.host().await;
    one.receive(Receive { max: 1, visibility: Some(VISIBILITY), ..Receive::default() }).await.expect("receive");
    assert_eq!(bodies(&receive(&other).await), ["B1"]);
    assert_eq!(place.release().await, []);
    assert_eq!((place.holders(), place.lock_files().len()), (2, 2));
    drop(second);
    let released = place.release().await;
    assert!(matches!(released.as_slice(), [Released { messages: 1, .. }]), "{released:?}");
    assert_eq!(after(LONGEST, &place.queue).await, ["B1"], "the first host runs");
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_lock_file_that_is_missing_or_was_replaced_releases_nothing() {
    for (name, replaced) in [("missing", false), ("replaced", true)] {
        let place = Place::new().await;
        place.send(&["A1"]).await;
        let (holder, queue) = place.host().await;
        assert_eq!(receive(&queue).await.len(), 1);
        let file = place.folder.path().join(&place.lock_files()[0]);
        if replaced {
            std::fs::write(file.with_extension("new"), "").expect("written");
            std::fs::rename(file.with_extension("new"), &file).expect("replaced");
        } else {
            std::fs::remove_file(&file).expect("removed");
        }
        assert_eq!(place.release().await, [], "{name}");
        assert!(after(VISIBILITY - LONGEST, &place.queue).await.is_empty(), "{name}: the host runs");
        assert_eq!(after(LONGEST, &place.queue).await, ["A1"], "{name}: its timeout has ended");
        assert_eq!(place.holders(), 0, "{name}");
        drop(holder);
    }
}

#[tokio::test(start_paused = true)]
async fn what_clients_of_the_endpoint_received_keeps_its_timeout() {
    let place = Place::new().await;
    place.send(&["A1", "A2", "B1"]).await;
    let clients = receive(&place.queue).await;
    assert_eq!(bodies(&clients), ["A1", "A2", "B1"]);
    // The client is done with A1 only, and the host receives that one.
    let change = |at: usize| [(clients[at].handle.clone(), Duration::ZERO)];
    place.queue.change_visibility(&change(0)).await.remove(0).expect("released");
    let (holder, queue) = place.host().await;
    assert_eq!(bodies(&receive(&queue).await), ["A1"]);
    // The host received B1, whose timeout has then ended, and a client received it after that.
    place.queue.change_visibility(&change(2)).await.remove(0).expect("released");
    let short = Receive { visibility: Some(Duration::ZERO), ..Receive::default() };
    assert_eq!(bodies(&queue.receive(short).await.expect("receive")), ["B1"]);
    assert_eq!(bodies(&receive(&place.queue).await), ["B1"]);
    drop(holder);
    let released = place.release().await;
    assert!(matches!(released.as_slice(), [Released { groups: 1, messages: 1, .. }]), "{released:?}");
    assert_eq!(after(LONGEST, &place.queue).await, ["A1"]);
}

#[tokio::test(start_paused = true)]
async fn what_another_host_received_since_stays_with_it() {
    let place = Place::new().await;
    place.send(&["A1"]).await;
    let (first, one) = place.host().await;
    assert_eq!(receive(&one).await.len(), 1);
    advance(VISIBILITY).await;
    let (second, other) = place.host().await;
    assert_eq!(receive(&other).await.len(), 1);
    drop(first);
    let released = place.release().await;
    assert!(matches!(released.as_slice(), [Released { groups: 0, messages: 0, .. }]), "{released:?}");
    assert!(after(VISIBILITY - LONGEST, &place.queue).await.is_empty());
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn what_another_host_receives_during_a_release_stays_with_it() {
    let place = Place::new().await;
    place.send(&["A1"]).await;
    let (first, one) = place.host().await;
    assert_eq!(receive(&one).await.len(), 1);
    let row = Row { id: first.id(), file: FileId { device: 0, inode: 0 }, longest: 0 };
    let groups = place.store().read_now(|connection| leased(connection, row.id)).expect("read");
    assert_eq!(groups.len(), 1);
    advance(VISIBILITY).await;
    let (second, other) = place.host().await;
    assert_eq!(receive(&other).await.len(), 1);
    let now = place.store().now();
    let release = move |connection: &Connection| release(connection, row, &groups, now).map_err(failed);
    let (released, _) = place.store().run(Durability::Written, release).await.expect("released");
    assert_eq!((released.groups, released.messages), (0, 0));
    drop(second);
    assert_eq!(place.release().await[0].messages, 1, "it is still the lease of the second host");
}

#[tokio::test(start_paused = true)]
async fn the_wait_before_a_retry_is_not_shortened() {
    let place = Place::new().await;
    place.send(&["A1", "A2"]).await;
    let (holder, queue) = place.host().await;
    let held = receive(&queue).await;
    let minute = Duration::from_secs(60);
    let waits: Vec<_> = handles(&held).into_iter().rev().map(|handle| (handle, minute)).collect();
    assert!(queue.release(&waits).await.into_iter().all(|released| released.is_ok()));
    drop(holder);
    let released = place.release().await;
    assert!(matches!(released.as_slice(), [Released { groups: 0, messages: 0, .. }]), "{released:?}");
    assert!(after(minute - LONGEST, &place.queue).await.is_empty());
    assert_eq!(after(LONGEST, &place.queue).await, ["A1", "A2"]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_the_release_and_the_removal_of_the_file_changes_nothing() {
    let place = Place::new().await;
    place.send(&["A1"]).await;
    place.killed().await;
    let folder = place.folder.path().to_owned();
    let mut found = place.store().read_now(|connection| creators(connection, &folder)).expect("read");
    let (row, Ok(Creator::Ended(lock))) = found.remove(0) else { panic!("it ended") };
    let store = place.store().clone();
    let release = move |connection: &Connection| {
        let groups = leased(connection, row.id).map_err(failed)?;
        release(connection, row, &groups, store.clock.now()).map_err(failed)
    };
    let (released, _) = place.store().run(Durability::Written, release).await.expect("released");
    assert_eq!((released.messages, place.lock_files().len()), (1, 1));
    assert_eq!(place.release().await, [], "this one keeps the lock");
    drop(lock);
    advance(LONGEST / 3).await;
    assert_eq!(place.release().await, []);
    assert_eq!(place.lock_files().len(), 0);
    assert_eq!(after(LONGEST - LONGEST / 3, &place.queue).await, ["A1"]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_leaves_takes_its_row_and_its_file_with_it() {
    let place = Place::new().await;
    place.send(&["A1"]).await;
    let (holder, queue) = place.host().await;
    assert_eq!(receive(&queue).await.len(), 1);
    assert_eq!((place.holders(), place.lock_files().len()), (1, 1));
    holder.leave().await.expect("left");
    assert_eq!((place.holders(), place.lock_files().len()), (0, 0));
    assert_eq!(place.release().await, []);
    assert!(after(VISIBILITY - LONGEST, &place.queue).await.is_empty(), "what it still held runs out");
    assert_eq!(after(LONGEST, &place.queue).await, ["A1"]);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_learns_of_a_release() {
    let place = Place::new().await;
    place.send(&["A1"]).await;
    place.killed().await;
    let began = place.store().now();
    let wait = Duration::from_secs(20);
    let polled = place.queue.receive(Receive { wait, ..Receive::default() });
    let (polled, released) = tokio::join!(polled, place.release());
    assert_eq!((polled.expect("receive").len(), released.len()), (1, 1));
    assert!(place.store().now().since(began) < wait, "it came with the end of the poll");
}
