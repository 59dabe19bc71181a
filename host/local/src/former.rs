//! Groups as earlier versions named them. A few keys have another group now: what is still stored under the old name comes first,
//! so for as long as something is, those keys stay with it.

use rusqlite::{Connection, params};
use towpath_core::queue::GroupId;

use crate::notes;

/// The note with the last sequence number that may stand in a group of an old name.
const NOTE: &str = "former-groups";

/// Notes it once, when a store is opened by a version that names groups as this one does.
pub(crate) const BEGIN: &str = "
INSERT OR IGNORE INTO notes (name, value)
SELECT 'former-groups', CAST(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0) AS TEXT);
";

/// Whether a message of this group is stored under the former name of it: only there is something of its key, and that
/// may be from before.
pub(crate) fn goes_on(
    connection: &Connection,
    queue: i64,
    group: &GroupId,
    former: &GroupId,
) -> rusqlite::Result<bool> {
    let last: i64 = notes::read(connection, NOTE)?.and_then(|text| text.parse().ok()).unwrap_or_default();
    let is_left = "SELECT 1 FROM messages WHERE queue = ?1 AND seq <= ?2 LIMIT 1";
    if last == 0 || !connection.prepare_cached(is_left)?.exists([queue, last])? {
        return Ok(false);
    }
    let has = |group: &GroupId| {
        let sql = "SELECT 1 FROM groups WHERE queue = ?1 AND name = ?2";
        connection.prepare_cached(sql)?.exists(params![queue, group.as_str()])
    };
    Ok(!has(group)? && has(former)?)
}

/// A message was stored under a former name.
pub(crate) fn extend(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    notes::write(connection, NOTE, &seq.to_string())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use towpath_core::clock::Clock;
    use towpath_core::queue::{Arrival, NewMessage, Queue as _, Receive};

    use super::*;
    use crate::{LocalQueue, QueueSettings, Store};

    async fn arrive(queue: &LocalQueue, group: &str, former: Option<&str>) {
        let message = NewMessage {
            group: group.into(),
            dedup_id: uuid::Uuid::new_v4().to_string(),
            body: "x".to_owned(),
            attributes: Default::default(),
        };
        let arrival = Arrival { proof: None, former_group: former.map(GroupId::from) };
        queue.arrive(message, arrival).await.expect("stored");
    }

    /// The groups of what is stored, in order.
    async fn groups(queue: &LocalQueue) -> Vec<String> {
        let stored = queue.browse(None, 100).await.expect("look");
        stored.into_iter().map(|message| message.group.0).collect()
    }

    /// Works the first message off.
    async fn work(queue: &LocalQueue) {
        let received = queue.receive(Receive { max: 1, ..Receive::default() }).await.expect("receive");
        queue.delete(&[received[0].handle.clone()]).await.remove(0).expect("delete");
    }

    #[tokio::test]
    async fn a_key_stays_behind_what_an_earlier_version_stored_of_it_and_then_has_its_own_group() {
        let folder = TempDir::new().expect("folder");
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        let queue = store.queue("events.fifo", QueueSettings::default()).await.expect("queue");
        // As the earlier version did.
        arrive(&queue, "old", None).await;
        store.set_note(NOTE, None).await.expect("note");
        drop((queue, store));
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        let queue = store.find("events.fifo").await.expect("look").expect("queue");
        arrive(&queue, "new", Some("old")).await;
        work(&queue).await;
        arrive(&queue, "new", Some("old")).await;
        assert_eq!(groups(&queue).await, ["old", "old"], "the second one has not been worked on");
        // Another key whose group has that name for good.
        arrive(&queue, "old", None).await;
        work(&queue).await;
        work(&queue).await;
        arrive(&queue, "new", Some("old")).await;
        assert_eq!(groups(&queue).await, ["old", "new"], "nothing of its own is left there");
        work(&queue).await;
        arrive(&queue, "old", None).await;
        work(&queue).await;
        arrive(&queue, "new", Some("old")).await;
        assert_eq!(groups(&queue).await, ["old", "new"], "and it never goes back there");
    }

    #[tokio::test]
    async fn a_key_that_has_its_own_group_stays_there_while_others_drain() {
        let folder = TempDir::new().expect("folder");
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        let queue = store.queue("events.fifo", QueueSettings::default()).await.expect("queue");
        arrive(&queue, "other", None).await;
        store.set_note(NOTE, None).await.expect("note");
        drop((queue, store));
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        let queue = store.find("events.fifo").await.expect("look").expect("queue");
        arrive(&queue, "new", Some("old")).await;
        arrive(&queue, "old", None).await;
        arrive(&queue, "new", Some("old")).await;
        assert_eq!(groups(&queue).await, ["other", "new", "old", "new"]);
    }

    #[tokio::test]
    async fn in_a_new_store_no_key_shares_a_group() {
        let folder = TempDir::new().expect("folder");
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        let queue = store.queue("events.fifo", QueueSettings::default()).await.expect("queue");
        arrive(&queue, "old", None).await;
        arrive(&queue, "new", Some("old")).await;
        assert_eq!(groups(&queue).await, ["old", "new"]);
    }
}
