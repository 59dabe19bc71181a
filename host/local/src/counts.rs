//! How many messages each queue has, and how many of them are dead letters, by route and reason: kept by the tables
//! themselves, so that nobody has to look at every message to know.

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_core::clock::Timestamp;
use towpath_core::dead_letter::{DEAD_LETTER_ATTRIBUTE, DeadLetter};
use towpath_core::queue::QueueError;

use crate::browse::Depth;
use crate::error::failed;
use crate::queue::LocalQueue;
use crate::send::{millis, timestamp};

/// The table of the counts, and what keeps it. A message that is no dead letter has no route and no reason here.
pub(crate) const TABLES: &str = "
CREATE TABLE counts (
    queue INTEGER NOT NULL,
    route TEXT NOT NULL,
    reason TEXT NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (queue, route, reason)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER messages_counted AFTER INSERT ON messages BEGIN
    INSERT INTO counts VALUES (NEW.queue, coalesce(NEW.route, ''), coalesce(NEW.reason, ''), 1)
    ON CONFLICT DO UPDATE SET messages = messages + 1;
END;
CREATE TRIGGER messages_discounted AFTER DELETE ON messages BEGIN
    UPDATE counts SET messages = messages - 1
    WHERE queue = OLD.queue AND route = coalesce(OLD.route, '') AND reason = coalesce(OLD.reason, '');
END;
";

/// The columns of messages that they are kept by.
pub(crate) const COLUMNS: &str = "
ALTER TABLE messages ADD COLUMN route TEXT;
ALTER TABLE messages ADD COLUMN reason TEXT;
";

/// Fills columns and counts of a store that had none.
pub(crate) const FILL: &str = "
UPDATE messages SET
    route = coalesce(CAST(attributes ->> '$.\"towpath-dead-letter\".value.text' ->> '$.route' AS TEXT), ''),
    reason = attributes ->> '$.\"towpath-dead-letter\".value.text' ->> '$.reason'
WHERE CASE WHEN json_valid(attributes) THEN
    CASE WHEN json_valid(attributes ->> '$.\"towpath-dead-letter\".value.text') THEN
        json_type(attributes ->> '$.\"towpath-dead-letter\".value.text', '$.reason') = 'text'
    END
END;
UPDATE messages SET route = '', reason = 'max-receives' WHERE source IS NOT NULL AND reason IS NULL;
DELETE FROM counts;
INSERT INTO counts
SELECT queue, coalesce(route, ''), coalesce(reason, ''), count(*) FROM messages GROUP BY 1, 2, 3;
";

/// The most routes and reasons that are told apart; what is beyond them is told as one.
const MOST: usize = 200;

/// The dead letters of a route that have one reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LetterCount {
    /// The route's path; empty if there was none.
    pub route: String,
    /// Such as `refused`.
    pub reason: String,
    /// How many.
    pub messages: u64,
}

/// What a queue holds, as far as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Messages, in flight or not.
    pub messages: u64,
    /// When the first of them was sent.
    pub oldest: Option<Timestamp>,
    /// Dead letters, the most of one kind first.
    pub letters: Vec<LetterCount>,
}

/// Why a message is a dead letter, if it is one: its route and its reason.
pub(crate) fn letter(attributes: &str, source: Option<&str>) -> Option<(String, String)> {
    let read = || {
        let attributes = serde_json::from_str(attributes).ok()?;
        let DeadLetter { route, reason, .. } = DeadLetter::read(&attributes)?;
        Some((route.unwrap_or_default(), reason))
    };
    let told = attributes.contains(DEAD_LETTER_ATTRIBUTE).then(read).flatten();
    told.or_else(|| source.map(|_| (String::new(), "max-receives".to_owned())))
}

impl LocalQueue {
    /// What the queue holds. It takes the same short time whatever that is, and is no `async`: for whoever reads metrics.
    pub fn standing(&self) -> Result<Standing, QueueError> {
        let queue = self.id;
        self.store.read_now(|connection| standing(connection, queue)).map_err(failed)
    }

    /// Counts. Of messages only those are looked at that cannot be received now.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        let (queue, now, settings) = (self.id, millis(self.store.clock.now()), self.settings());
        let delays = settings.fifo && !settings.delay.is_zero();
        self.store
            .read(move |connection| {
                let Standing { messages, oldest, .. } = standing(connection, queue)?;
                let groups = "SELECT count(*) FROM groups WHERE queue = ?1";
                let groups = connection.prepare_cached(groups)?.query_row([queue], |row| row.get(0))?;
                let (invisible, mut delayed) = hidden(connection, queue, now)?;
                if delays {
                    delayed = delayed_behind(connection, queue, now)?;
                }
                Ok(Depth { messages, invisible, delayed, oldest, groups })
            })
            .await
    }
}

fn standing(connection: &Connection, queue: i64) -> rusqlite::Result<Standing> {
    let sql = "SELECT route, reason, messages FROM counts WHERE queue = ?1 AND messages > 0 ORDER BY messages DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement
        .query_map([queue], |row| Ok(LetterCount { route: row.get(0)?, reason: row.get(1)?, messages: row.get(2)? }))?;
    let counts = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let messages = counts.iter().map(|count| count.messages).sum();
    let mut letters: Vec<_> = counts.into_iter().filter(|count| !count.reason.is_empty()).collect();
    let others = letters.split_off(letters.len().min(MOST)).iter().map(|count| count.messages).sum();
    if others > 0 {
        letters.push(LetterCount { route: String::new(), reason: "other".to_owned(), messages: others });
    }
    let first = "SELECT sent_at FROM messages WHERE queue = ?1 ORDER BY seq LIMIT 1";
    let oldest = connection.prepare_cached(first)?.query_row([queue], |row| row.get(0)).optional()?.map(timestamp);
    Ok(Standing { messages, oldest, letters })
}

/// Messages in front of their groups that cannot be received now: those that were received before, and those that were not.
fn hidden(connection: &Connection, queue: i64, now: i64) -> rusqlite::Result<(u64, u64)> {
    let sql = "SELECT count(*) FILTER (WHERE m.receive_count > 0), count(*) FILTER (WHERE m.receive_count = 0)
        FROM groups g CROSS JOIN messages m ON m.grp = g.id
        WHERE g.queue = ?1 AND g.ready_at > ?2 AND m.seq < coalesce(
            (SELECT v.seq FROM messages v WHERE v.grp = g.id AND v.visible_at <= ?2 ORDER BY v.seq LIMIT 1),
            9223372036854775807)";
    connection.prepare_cached(sql)?.query_row(params![queue, now], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Messages at the end of a queue that were sent with a delay.
fn delayed_behind(connection: &Connection, queue: i64, now: i64) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM messages WHERE queue = ?1 AND seq > coalesce((SELECT seq FROM messages
        WHERE queue = ?1 AND (visible_at <= ?2 OR receive_count > 0) ORDER BY seq DESC LIMIT 1), 0)";
    connection.prepare_cached(sql)?.query_row(params![queue, now], |row| row.get(0))
}
