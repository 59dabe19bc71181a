//! The groups of a queue and their first messages, read without receiving. A page costs the same for any number of groups and messages.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use towpath_types::clock::Timestamp;
use towpath_types::queue::{Attributes, GroupId, MessageId, QueueError};

use crate::queue::LocalQueue;
use crate::values::{millis, sequence, timestamp};

/// The highest number of messages behind a head that is counted.
pub const MOST_BEHIND: u64 = 1_000;

/// Why a message is not received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It can be received now.
    Ready,
    /// A host, or a client of the SQS endpoint, received it and may be working on it.
    InFlight,
    /// A host has ended its work on it, and it waits for the next try.
    Waits,
    /// It was stored with a delay, and was never received.
    Delayed,
}

impl Standing {
    /// Of a message with these columns. Only a host's release proves that nobody works on a message that was received: without that it counts as in
    /// flight.
    pub(crate) fn of(visible_at: i64, receive_count: u32, nonce: Option<i64>, now: i64) -> Standing {
        match nonce {
            _ if visible_at <= now => Standing::Ready,
            _ if receive_count == 0 => Standing::Delayed,
            Some(nonce) if nonce < 0 => Standing::Waits,
            _ => Standing::InFlight,
        }
    }
}

/// A group, and its first message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    pub group: GroupId,
    pub id: MessageId,
    pub sequence: String,
    pub sent_at: Timestamp,
    pub receive_count: u32,
    /// When it was received last.
    pub received_at: Option<Timestamp>,
    /// When it can be received.
    pub ready_at: Timestamp,
    pub standing: Standing,
    pub attributes: Attributes,
    /// How many messages wait behind it, counted up to [`MOST_BEHIND`].
    pub behind: u64,
    /// Where it is in the order of [`LocalQueue::heads`].
    pub place: Place,
}

/// A place in the order of [`LocalQueue::heads`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// When the group can be received, in milliseconds.
    pub ready_at: i64,
    /// The number of its first message.
    pub head: i64,
}

/// Those that cannot be received now, the latest first. It reads the index `groups_ready` backwards.
const WAITING: &str = "WHERE g.queue = ?1 AND g.ready_at > ?2 AND (g.ready_at, g.head) < (?3, ?4)
    ORDER BY g.ready_at DESC, g.head DESC LIMIT ?5";

/// Those that can, the one that has waited longest first, which is the next to be received.
const READY: &str = "WHERE g.queue = ?1 AND g.ready_at <= ?2 AND (g.ready_at, g.head) > (?3, ?4)
    ORDER BY g.ready_at, g.head LIMIT ?5";

/// Those with names in a range, by name.
const NAMED: &str = "WHERE g.queue = ?1 AND g.name > ?3 AND g.name < ?4 ORDER BY g.name LIMIT ?5";

fn select(which: &str) -> String {
    format!(
        "SELECT g.name, m.id, m.seq, m.sent_at, m.receive_count, m.received_at, g.ready_at, m.visible_at, m.nonce, m.attributes,
            (SELECT count(*) FROM (SELECT 1 FROM messages b WHERE b.grp = g.id AND b.seq > g.head LIMIT {MOST_BEHIND}))
        FROM (SELECT g.id, g.name, g.head, g.ready_at FROM groups g {which}) g CROSS JOIN messages m ON m.seq = g.head"
    )
}

fn head(row: &Row<'_>, now: i64) -> rusqlite::Result<Head> {
    let (seq, receive_count, ready_at, visible_at, nonce) =
        (row.get(2)?, row.get(4)?, row.get(6)?, row.get(7)?, row.get(8)?);
    Ok(Head {
        group: GroupId::from(row.get::<_, String>(0)?),
        id: MessageId::from(row.get::<_, String>(1)?),
        sequence: sequence(seq),
        sent_at: timestamp(row.get(3)?),
        receive_count,
        received_at: row.get::<_, Option<i64>>(5)?.filter(|at| *at > 0).map(timestamp),
        ready_at: timestamp(ready_at),
        standing: Standing::of(visible_at, receive_count, nonce, now),
        attributes: serde_json::from_str(&row.get::<_, String>(9)?).unwrap_or_default(),
        behind: row.get(10)?,
        place: Place { ready_at, head: seq },
    })
}

impl LocalQueue {
    /// Up to `max` groups that come after a place: first those whose head waits or is in flight, the latest next try first, then those that can be
    /// received now, the longest-waiting first. `now` is the time of the first page, and divides the two. A group whose head changes between two
    /// pages may be listed twice, or not.
    pub async fn heads(&self, after: Option<Place>, now: Timestamp, max: usize) -> Result<Vec<Head>, QueueError> {
        let queue = self.id;
        let now = millis(now);
        let wall = millis(self.now());
        let read = move |connection: &Connection| {
            let mut heads = Vec::new();
            let is_ready = after.is_some_and(|after| after.ready_at <= now);
            if !is_ready {
                let from = after.unwrap_or(Place { ready_at: i64::MAX, head: i64::MAX });
                let values = params![queue, now, from.ready_at, from.head, max as i64];
                let mut statement = connection.prepare_cached(&select(WAITING))?;
                for row in statement.query_map(values, |row| head(row, wall))? {
                    heads.push(row?);
                }
            }
            // SQL promises no order of what an inner query sorts.
            heads.sort_by_key(|head: &Head| std::cmp::Reverse((head.place.ready_at, head.place.head)));
            let waiting = heads.len();
            let room = max.saturating_sub(waiting);
            if room > 0 {
                let from = after.filter(|_| is_ready).unwrap_or(Place { ready_at: i64::MIN, head: i64::MIN });
                let values = params![queue, now, from.ready_at, from.head, room as i64];
                let mut statement = connection.prepare_cached(&select(READY))?;
                for row in statement.query_map(values, |row| head(row, wall))? {
                    heads.push(row?);
                }
            }
            if let Some(ready) = heads.get_mut(waiting..) {
                ready.sort_by_key(|head| (head.place.ready_at, head.place.head));
            }
            Ok(heads)
        };
        self.store.read(read).await
    }

    /// Up to `max` groups whose name begins with `prefix`, by name, from after this one.
    pub async fn heads_named(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<Head>, QueueError> {
        let queue = self.id;
        let now = millis(self.now());
        // A name is never empty, and no character is higher than the last one.
        let end = format!("{prefix}\u{10FFFF}");
        let own = after.is_none().then(|| prefix.to_owned());
        let from = after.unwrap_or(prefix).to_owned();
        let read = move |connection: &Connection| {
            let mut heads = Vec::new();
            // The range begins after `from`, so the group that is the prefix itself is read on its own.
            if let Some(own) = own {
                heads.extend(one(connection, queue, &own, now)?);
            }
            let values = params![queue, now, from, end, max.saturating_sub(heads.len()) as i64];
            let mut statement = connection.prepare_cached(&select(NAMED))?;
            for row in statement.query_map(values, |row| head(row, now))? {
                heads.push(row?);
            }
            heads.sort_by(|one, other| one.group.as_str().cmp(other.group.as_str()));
            Ok(heads)
        };
        self.store.read(read).await
    }

    /// One group; `None` if nothing of it waits.
    pub async fn head(&self, group: &GroupId) -> Result<Option<Head>, QueueError> {
        let queue = self.id;
        let now = millis(self.now());
        let group = group.to_string();
        self.store.read(move |connection| one(connection, queue, &group, now)).await
    }
}

fn one(connection: &Connection, queue: i64, group: &str, now: i64) -> rusqlite::Result<Option<Head>> {
    let sql = select("WHERE g.queue = ?1 AND g.name = ?2");
    connection.prepare_cached(&sql)?.query_row(params![queue, group], |row| head(row, now)).optional()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;
    use towpath_types::clock::Clock;
    use towpath_types::queue::{NewMessage, Queue as _, Receive};

    use super::*;
    use crate::{QueueSettings, Store};

    async fn queue(folder: &TempDir) -> LocalQueue {
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue")
    }

    async fn send(queue: &LocalQueue, group: &str, id: &str) {
        let dedup_id = Some(id.into());
        let message = NewMessage { group: group.into(), dedup_id, body: id.into(), attributes: Default::default() };
        queue.send(message).await.expect("send");
    }

    fn names(heads: &[Head]) -> Vec<&str> {
        heads.iter().map(|head| head.group.as_str()).collect()
    }

    #[tokio::test]
    async fn heads_that_wait_come_first_and_pages_list_each_group_once() {
        let folder = TempDir::new().expect("folder");
        let queue = queue(&folder).await;
        for group in ["a", "b", "c", "d", "e"] {
            send(&queue, group, &format!("{group}1")).await;
        }
        send(&queue, "b", "b2").await;
        let received = queue.receive(Receive { max: 3, ..Receive::default() }).await.expect("receive");
        let of = |group: &str| received.iter().find(|message| message.group.as_str() == group).expect(group);
        let [a, b] = ["a", "b"].map(|group| of(group).handle.clone());
        for result in queue.release(&[(b, Duration::from_secs(900)), (a, Duration::from_secs(600))]).await {
            result.expect("released");
        }
        let now = queue.now();
        let all = queue.heads(None, now, 10).await.expect("heads");
        assert_eq!(names(&all)[..2], ["b", "a"], "the latest next try first");
        let standing = |group: &str| all.iter().find(|head| head.group.as_str() == group).expect(group).standing;
        assert_eq!([standing("b"), standing("a")], [Standing::Waits; 2]);
        assert_eq!([standing("d"), standing("e")], [Standing::Ready; 2]);
        assert_eq!((all[0].behind, all[1].behind, all[0].receive_count), (1, 0, 1));
        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = queue.heads(after, now, 2).await.expect("heads");
            let Some(last) = page.last() else { break };
            after = Some(last.place);
            paged.extend(page);
        }
        assert_eq!(names(&paged), names(&all));
        assert_eq!(names(&all).len(), 5);
    }

    #[tokio::test]
    async fn what_was_received_is_in_flight_until_a_host_releases_it() {
        let folder = TempDir::new().expect("folder");
        let queue = queue(&folder).await;
        send(&queue, "g", "1").await;
        let standing = async || queue.head(&"g".into()).await.expect("read").expect("there").standing;
        assert_eq!(standing().await, Standing::Ready);
        let handle = queue.receive(Receive::default()).await.expect("receive").remove(0).handle;
        assert_eq!(standing().await, Standing::InFlight);
        let change = [(handle.clone(), Duration::from_secs(60))];
        queue.change_visibility(&change).await.remove(0).expect("changed");
        assert_eq!(standing().await, Standing::InFlight, "a heartbeat is no release");
        queue.release(&change).await.remove(0).expect("released");
        assert_eq!(standing().await, Standing::Waits);
        queue.change_visibility(&change).await.remove(0).expect("changed");
        assert_eq!(standing().await, Standing::InFlight, "whoever has the handle is still at work");
        queue.release(&change).await.remove(0).expect("released again");
        queue.delete(&[handle]).await.remove(0).expect("a handle is good for a delete after a release too");
        assert_eq!(queue.head(&"g".into()).await.expect("read"), None);
    }

    #[tokio::test]
    async fn names_are_searched_by_their_beginning() {
        let folder = TempDir::new().expect("folder");
        let queue = queue(&folder).await;
        for group in ["crm/1", "crm", "crn", "crm/2", "crm%"] {
            send(&queue, group, group).await;
        }
        let found = async |prefix: &str, after: Option<&str>, max| {
            let heads = queue.heads_named(prefix, after, max).await.expect("heads");
            heads.into_iter().map(|head| head.group.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found("crm", None, 10).await, ["crm", "crm%", "crm/1", "crm/2"]);
        assert_eq!(found("crm", None, 2).await, ["crm", "crm%"]);
        assert_eq!(found("crm", Some("crm%"), 10).await, ["crm/1", "crm/2"]);
        assert_eq!(found("crm/2", None, 10).await, ["crm/2"]);
        assert!(found("x", None, 10).await.is_empty());
    }

    #[tokio::test]
    async fn a_page_reads_an_index_and_sorts_nothing() {
        let folder = TempDir::new().expect("folder");
        let queue = queue(&folder).await;
        for which in [WAITING, READY, NAMED] {
            let sql = format!("EXPLAIN QUERY PLAN {}", select(which));
            let plan = move |connection: &Connection| {
                let mut statement = connection.prepare(&sql)?;
                let bound = statement.parameter_count();
                let values = rusqlite::params_from_iter(std::iter::repeat_n(1, bound));
                statement.query_map(values, |row| row.get::<_, String>(3))?.collect::<rusqlite::Result<Vec<_>>>()
            };
            let plan = queue.store.read(plan).await.expect("a plan");
            assert!(plan.iter().all(|step| !step.starts_with("SCAN g") || step == "SCAN g"), "{which}: {plan:?}");
            assert!(plan.iter().any(|step| step.starts_with("SEARCH g USING INDEX")), "{which}: {plan:?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{which}: {plan:?}");
            assert!(!plan.iter().any(|step| step.starts_with("SCAN m") || step.starts_with("SCAN b")), "{plan:?}");
        }
    }
}
