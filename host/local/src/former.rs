//! Upgrades to new group names. Some keys map to another group name than in earlier versions. Messages of such a key that are
//! still stored under its old name must be delivered first, so new ones join the old group until it is empty.

use rusqlite::{Connection, params};
use towpath_types::dead_letter::UNVERIFIED;
use towpath_types::queue::GroupId;

use crate::notes;

/// The note with the last sequence number that may be in a group with an old name.
const NOTE: &str = "former-groups";

/// Whether a new message of `group` must be stored in the group `former`. It must if `former` may hold messages of the
/// same key from before the upgrade, and `group` is empty: a key that has moved to its new name stays there.
pub(crate) fn goes_on(
    connection: &Connection,
    queue: i64,
    group: &GroupId,
    former: &GroupId,
) -> rusqlite::Result<bool> {
    let last: i64 = notes::read(connection, NOTE)?.and_then(|text| text.parse().ok()).unwrap_or_default();
    if last == 0 {
        return Ok(false);
    }
    // Dead letters of the old group count too: the key is parked behind them, and a redrive sends them back to that group.
    let letters =
        "SELECT 1 FROM queues q JOIN groups g ON g.queue = q.id AND g.name = ?2 JOIN messages m ON m.grp = g.id
        WHERE q.id <> ?1 AND m.seq <= ?3 AND m.reason <> ?4 LIMIT 1";
    let parked = params![queue, former.as_str(), last, UNVERIFIED];
    let is_parked = connection.prepare_cached(letters)?.exists(parked)?;
    let is_left = "SELECT 1 FROM messages WHERE queue = ?1 AND seq <= ?2 LIMIT 1";
    if !is_parked && !connection.prepare_cached(is_left)?.exists([queue, last])? {
        return Ok(false);
    }
    let has = |group: &GroupId| {
        let sql = "SELECT 1 FROM groups WHERE queue = ?1 AND name = ?2";
        connection.prepare_cached(sql)?.exists(params![queue, group.as_str()])
    };
    Ok(!has(group)? && (is_parked || has(former)?))
}

/// Follows a message that got a new sequence number: if it may be in a group with an old name, it still may.
pub(crate) fn renumbered(connection: &Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    let last: i64 = notes::read(connection, NOTE)?.and_then(|text| text.parse().ok()).unwrap_or_default();
    if from <= last && to > last { extend(connection, to) } else { Ok(()) }
}

/// Extends the note to a message that was just stored under an old name.
pub(crate) fn extend(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    notes::write(connection, NOTE, &seq.to_string())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use towpath_types::clock::Clock;
    use towpath_types::dead_letter::DeadLetter;
    use towpath_types::queue::{Arrival, NewMessage, Queue as _, Receive};

    use super::*;
    use crate::{Browsed, LocalQueue, QueueSettings, SentBack, Store};

    async fn arrive(queue: &LocalQueue, group: &str, former: Option<&str>) {
        let message = NewMessage {
            group: group.into(),
            dedup_id: Some(uuid::Uuid::new_v4().to_string().into()),
            body: "x".into(),
            attributes: Default::default(),
        };
        let arrival = Arrival { former_group: former.map(GroupId::from), ..Arrival::default() };
        queue.arrive(message, arrival).await.expect("stored");
    }

    /// The groups of the stored messages, in order.
    async fn groups(queue: &LocalQueue) -> Vec<String> {
        let stored = queue.browse(None, 100).await.expect("look");
        stored.into_iter().map(|message| message.group.into()).collect()
    }

    /// Receives and deletes the first message.
    async fn work(queue: &LocalQueue) {
        let received = queue.receive(Receive { max: 1, ..Receive::default() }).await.expect("receive");
        queue.delete(&[received[0].handle.clone()]).await.remove(0).expect("delete");
    }

    /// A store in which an earlier version left an event of this group.
    async fn upgraded(folder: &TempDir, group: &str) -> (Store, LocalQueue) {
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        let queue = store.queue("events.fifo", QueueSettings::default()).await.expect("queue");
        arrive(&queue, group, None).await;
        store.set_note(NOTE, None).await.expect("note");
        drop((queue, store));
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        let queue = store.find("events.fifo").await.expect("look").expect("queue");
        (store, queue)
    }

    #[tokio::test]
    async fn a_key_uses_its_old_group_until_that_is_empty_and_then_its_new_one_for_good() {
        let folder = TempDir::new().expect("folder");
        let (_store, queue) = upgraded(&folder, "old").await;
        arrive(&queue, "new", Some("old")).await;
        work(&queue).await;
        arrive(&queue, "new", Some("old")).await;
        assert_eq!(groups(&queue).await, ["old", "old"], "the second event is still stored");
        // Another key, whose new group name is `old`.
        arrive(&queue, "old", None).await;
        work(&queue).await;
        work(&queue).await;
        arrive(&queue, "new", Some("old")).await;
        assert_eq!(groups(&queue).await, ["old", "new"], "none of its own events is left there");
        work(&queue).await;
        arrive(&queue, "old", None).await;
        work(&queue).await;
        arrive(&queue, "new", Some("old")).await;
        assert_eq!(groups(&queue).await, ["old", "new"], "and it never goes back there");
    }

    #[tokio::test]
    async fn a_key_that_has_its_own_group_stays_there_while_others_drain() {
        let folder = TempDir::new().expect("folder");
        let (_store, queue) = upgraded(&folder, "other").await;
        arrive(&queue, "new", Some("old")).await;
        arrive(&queue, "old", None).await;
        arrive(&queue, "new", Some("old")).await;
        assert_eq!(groups(&queue).await, ["other", "new", "old", "new"]);
    }

    /// A store in which an earlier version left an event and a dead letter of the group `old`.
    async fn left_behind(folder: &TempDir) -> (Store, LocalQueue, LocalQueue) {
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        let queue = store.queue("events.fifo", QueueSettings::default()).await.expect("queue");
        let dead = store.queue("dead.fifo", QueueSettings::default()).await.expect("queue");
        arrive(&queue, "old", None).await;
        let death = DeadLetter { v: 1, reason: "refused".to_owned(), id: "m".to_owned(), ..DeadLetter::default() };
        dead.send(death.carried_by("old".into(), "x".into(), Default::default())).await.expect("letter");
        store.set_note(NOTE, None).await.expect("note");
        drop((queue, dead, store));
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        let queue = store.find("events.fifo").await.expect("look").expect("queue");
        let dead = store.find("dead.fifo").await.expect("look").expect("queue");
        (store, queue, dead)
    }

    #[tokio::test]
    async fn a_key_is_parked_with_its_old_dead_letters_and_stays_behind_them_after_a_redrive() {
        let folder = TempDir::new().expect("folder");
        let (_store, queue, dead) = left_behind(&folder).await;
        work(&queue).await;
        arrive(&queue, "new", Some("old")).await;
        assert_eq!(groups(&queue).await, ["old"], "it is parked with its dead letter");
        let back = |letter: Browsed| {
            let Browsed { group, body, .. } = letter;
            Some(NewMessage { group, dedup_id: Some("back".into()), body, attributes: Default::default() })
        };
        let moved = dead.send_group_back(&queue, &"old".into(), back).await.expect("moved");
        assert_eq!(moved, SentBack::Moved(1));
        arrive(&queue, "new", Some("old")).await;
        assert_eq!(groups(&queue).await, ["old"; 3], "redriven messages have new sequence numbers");
    }

    #[tokio::test]
    async fn a_recovered_store_still_knows_which_messages_may_use_old_group_names() {
        for noted in [true, false] {
            let folder = TempDir::new().expect("folder");
            let (store, queue, _) = left_behind(&folder).await;
            if !noted {
                store.set_note(NOTE, None).await.expect("note");
            }
            drop((queue, store));
            let to = folder.path().join("saved");
            crate::recover(folder.path(), &to, &Default::default()).expect("saved");
            let store = Store::open(&to, Clock::wall()).expect("store");
            let queue = store.find("events.fifo").await.expect("look").expect("queue");
            arrive(&queue, "new", Some("old")).await;
            assert_eq!(groups(&queue).await, ["old", "old"], "noted: {noted}");
        }
    }

    #[tokio::test]
    async fn a_new_store_never_uses_old_group_names() {
        let folder = TempDir::new().expect("folder");
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        let queue = store.queue("events.fifo", QueueSettings::default()).await.expect("queue");
        arrive(&queue, "old", None).await;
        arrive(&queue, "new", Some("old")).await;
        assert_eq!(groups(&queue).await, ["old", "new"]);
    }
}
