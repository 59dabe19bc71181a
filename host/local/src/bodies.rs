//! Where bodies are kept. A short one lies in the row of its message: one row costs less than two. A long one has a row in a table of its own, so that
//! rows of messages stay small, and a message that moves takes it along by its number. A webhook is kept as it came, its head and its bytes; no
//! text is made of it unless a client of the SQS endpoint asks.

use std::borrow::Cow;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use towpath_types::body::Body;

/// The length in bytes, of head and body together, from which on a body has a row of its own. With all other columns a shorter one still fits into
/// a page of 4 KiB.
const LONG: usize = 2048;

/// Where a new row of `messages` gets its body from.
#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    New(&'a Body),
    /// From another row, which must give it up with [`give_up`] before it is deleted.
    Moved(&'a Place),
}

/// Where the body of a stored message is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In its row: a short webhook.
    Webhook { head: String, bytes: Vec<u8> },
    /// In its row: a short text, or any text from before version 6.
    Text(String),
    /// In this row of `bodies`.
    Beside(i64),
}

/// The columns that [`Place::of`] reads, of the table `m`.
pub(crate) const PLACE: &str = "m.content, m.head, m.bytes, m.text";

impl Place {
    /// Of the columns [`PLACE`] from this position on.
    pub(crate) fn of(row: &Row<'_>, from: usize) -> rusqlite::Result<Place> {
        if let Some(number) = row.get(from)? {
            return Ok(Place::Beside(number));
        }
        match row.get(from + 2)? {
            Some(bytes) => Ok(Place::Webhook { head: head(row, from + 1)?.unwrap_or_default(), bytes }),
            None => {
                let text = row.get_ref(from + 3)?.as_bytes().unwrap_or_default();
                // A text that is none is damaged, and must not make the whole receive fail.
                Ok(match std::str::from_utf8(text) {
                    Ok(text) => Place::Text(text.to_owned()),
                    Err(_) => Place::Webhook { head: String::new(), bytes: text.to_vec() },
                })
            }
        }
    }

    pub(crate) fn read(self, connection: &Connection) -> rusqlite::Result<Body> {
        match self {
            Place::Webhook { head, bytes } => Ok(Body::from_parts(Some(head), bytes)),
            Place::Text(text) => Ok(Body::Text(text)),
            Place::Beside(number) => {
                let sql = "SELECT head, body FROM bodies WHERE id = ?1";
                let found = connection.prepare_cached(sql)?.query_row([number], |row| parts(row, 0)).optional()?;
                Ok(found.unwrap_or_else(lost))
            }
        }
    }
}

/// The columns that [`joined`] reads, of the tables `m` and `b`; and how `b` is joined.
pub(crate) const JOINED: &str = "m.content, m.head, m.bytes, m.text, b.head, b.body";
pub(crate) const JOIN: &str = "LEFT JOIN bodies b ON b.id = m.content";

/// The body in the columns [`JOINED`] from this position on.
pub(crate) fn joined(row: &Row<'_>, from: usize) -> rusqlite::Result<Body> {
    match Place::of(row, from)? {
        Place::Webhook { head, bytes } => Ok(Body::from_parts(Some(head), bytes)),
        Place::Text(text) => Ok(Body::Text(text)),
        Place::Beside(_) if row.get_ref(from + 5)? == ValueRef::Null => Ok(lost()),
        Place::Beside(_) => parts(row, from + 4),
    }
}

fn parts(row: &Row<'_>, from: usize) -> rusqlite::Result<Body> {
    Ok(Body::from_parts(head(row, from)?, row.get(from + 1)?))
}

fn head(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        // A head that is no text is damaged, and must not make the whole receive fail.
        head => Some(head.as_str().unwrap_or_default().to_owned()),
    })
}

/// Of a message whose body is gone, which only damage can do: it is unreadable, and so becomes a dead letter.
fn lost() -> Body {
    Body::from_parts(Some(String::new()), Vec::new())
}

/// What a row of `messages` has of a body.
pub(crate) struct Columns<'a> {
    pub(crate) content: Option<i64>,
    pub(crate) head: Option<Cow<'a, str>>,
    pub(crate) bytes: Option<&'a [u8]>,
    pub(crate) text: &'a str,
}

/// The columns of a new row.
pub(crate) fn columns<'a>(connection: &Connection, content: Content<'a>) -> rusqlite::Result<Columns<'a>> {
    let none = Columns { content: None, head: None, bytes: None, text: "" };
    Ok(match content {
        Content::New(body) => {
            let (head, bytes) = body.parts();
            if head.as_ref().map_or(0, String::len) + bytes.len() >= LONG {
                Columns { content: Some(keep(connection, head.as_deref(), bytes)?), ..none }
            } else {
                match body {
                    Body::Webhook(_) => Columns { head: head.map(Cow::Owned), bytes: Some(bytes), ..none },
                    Body::Text(text) => Columns { text, ..none },
                }
            }
        }
        Content::Moved(Place::Webhook { head, bytes }) => {
            Columns { head: Some(Cow::Borrowed(head)), bytes: Some(bytes), ..none }
        }
        Content::Moved(Place::Text(text)) => Columns { text, ..none },
        Content::Moved(Place::Beside(number)) => Columns { content: Some(*number), ..none },
    })
}

fn keep(connection: &Connection, head: Option<&str>, bytes: &[u8]) -> rusqlite::Result<i64> {
    connection.prepare_cached("INSERT INTO bodies (head, body) VALUES (?1, ?2)")?.insert(params![head, bytes])
}

/// Takes the body away from a row that is about to be deleted: another row has it now.
pub(crate) fn give_up(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE messages SET content = NULL WHERE seq = ?1 AND content IS NOT NULL")?
        .execute([seq])
        .map(drop)
}

/// Replaces the body of a message.
pub(crate) fn replace(connection: &Connection, seq: i64, body: &Body) -> rusqlite::Result<()> {
    let forget = "DELETE FROM bodies WHERE id = (SELECT content FROM messages WHERE seq = ?1)";
    connection.execute(forget, [seq])?;
    let Columns { content, head, bytes, text } = columns(connection, Content::New(body))?;
    let sql = "UPDATE messages SET content = ?2, head = ?3, bytes = ?4, text = ?5 WHERE seq = ?1";
    connection.execute(sql, params![seq, content, head, bytes, text]).map(drop)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;
    use towpath_types::clock::Clock;
    use towpath_types::envelope::Webhook;
    use towpath_types::queue::{NewMessage, Queue as _, Receive, Received};

    use super::*;
    use crate::folder::FILE;
    use crate::{LocalQueue, QueueSettings, RedrivePolicy, Store};

    struct Setup {
        folder: TempDir,
        store: Store,
        events: LocalQueue,
        dead: LocalQueue,
    }

    /// A queue that moves a message to its dead-letter queue at the second receive.
    async fn setup() -> Setup {
        let folder = TempDir::new().expect("folder");
        let store = Store::open(folder.path(), Clock::wall()).expect("store");
        let dead = store.queue("dead.fifo", QueueSettings::default()).await.expect("queue");
        let redrive = Some(RedrivePolicy { dead_letter_queue: "dead.fifo".to_owned(), max_receive_count: 1 });
        let settings = QueueSettings { redrive, ..QueueSettings::default() };
        let events = store.queue("events.fifo", settings).await.expect("queue");
        Setup { folder, store, events, dead }
    }

    /// From here on, webhooks are short enough for the rows of their messages.
    const SHORT: u8 = 100;

    fn webhook(n: u8) -> Webhook {
        let length = if n < SHORT { 10_000 } else { 100 };
        Webhook { headers: vec![("x".to_owned(), vec![n, 0xff])], body: vec![n; length], ..Webhook::default() }
    }

    async fn send(queue: &LocalQueue, n: u8) {
        let dedup_id = Some(n.to_string().into());
        let message =
            NewMessage { group: "g".into(), dedup_id, body: webhook(n).into(), attributes: Default::default() };
        queue.send(message).await.expect("send");
    }

    async fn receive(queue: &LocalQueue) -> Vec<Received> {
        let receive = Receive { visibility: Some(Duration::ZERO), ..Receive::default() };
        queue.receive(receive).await.expect("receive")
    }

    fn webhooks(messages: &[Received]) -> Vec<Webhook> {
        messages.iter().map(|message| Webhook::clone(&message.body.webhook().expect("a webhook"))).collect()
    }

    impl Setup {
        fn text(&self, sql: &str) -> String {
            let connection = Connection::open(self.folder.path().join(FILE)).expect("open");
            connection.query_row(sql, [], |row| row.get(0)).expect("row")
        }

        /// How many bodies there are, and how many messages.
        fn counts(&self) -> String {
            self.text("SELECT (SELECT count(*) FROM bodies) || ' ' || (SELECT count(*) FROM messages)")
        }
    }

    #[tokio::test]
    async fn a_body_follows_its_message_through_every_queue_and_goes_with_it() {
        let setup = setup().await;
        let all = [0, 1, SHORT, 2].map(webhook);
        for n in [0, 1, SHORT, 2] {
            send(&setup.events, n).await;
        }
        assert_eq!(webhooks(&receive(&setup.events).await), all);
        assert!(receive(&setup.events).await.is_empty(), "the second receive moves them to the dead-letter queue");
        assert_eq!(setup.counts(), "3 4");
        assert_eq!(setup.text("SELECT group_concat(id) FROM bodies"), "1,2,3", "nothing was copied");
        let task = setup.store.start_move(&setup.dead, Some(&setup.events), Some(500)).await.expect("a task");
        setup.store.run_move(task.id).await.expect("moved");
        assert_eq!(setup.text("SELECT group_concat(id) FROM bodies"), "1,2,3", "nothing was copied");
        let received = setup.events.receive(Receive::default()).await.expect("receive");
        assert_eq!(webhooks(&received), all);
        for (left, message) in ["2 3", "1 2", "1 1", "0 0"].into_iter().zip(&received) {
            setup.events.delete(std::slice::from_ref(&message.handle)).await.remove(0).expect("deleted");
            assert_eq!(setup.counts(), left);
        }
    }

    #[tokio::test]
    async fn only_a_long_body_has_a_row_of_its_own() {
        let setup = setup().await;
        let long = |body: &Body| {
            let (head, bytes) = body.parts();
            head.map_or(0, |head| head.len()) + bytes.len() >= LONG
        };
        let webhook = |length| Body::from(Webhook { body: vec![0xff; length], ..Webhook::default() });
        let longest_short = (0..LONG).rev().find(|length| !long(&webhook(*length))).expect("one");
        let texts = [LONG - 1, LONG].map(|length| Body::from("x".repeat(length)));
        let bodies = [webhook(0), webhook(longest_short), webhook(longest_short + 1), Body::from("x")];
        let all: Vec<Body> = bodies.into_iter().chain(texts).collect();
        for (n, body) in all.iter().enumerate() {
            let dedup_id = Some(n.to_string().into());
            let attributes = Default::default();
            let message = NewMessage { group: "g".into(), dedup_id, body: body.clone(), attributes };
            setup.events.send(message).await.expect("send");
        }
        assert_eq!(setup.counts(), "2 6");
        let browsed = setup.events.browse(None, 10).await.expect("browse");
        assert_eq!(browsed.into_iter().map(|message| message.body).collect::<Vec<_>>(), all);
        let received = setup.events.receive(Receive::default()).await.expect("receive");
        assert_eq!(received.into_iter().map(|message| message.body).collect::<Vec<_>>(), all);
    }

    #[tokio::test]
    async fn an_edit_may_make_a_body_short_or_long() {
        let setup = setup().await;
        send(&setup.dead, 0).await;
        let sequence = setup.dead.browse(None, 10).await.expect("browse").remove(0).sequence;
        let (long, short) = (Body::from("x".repeat(LONG)), Body::from("x"));
        for body in [webhook(SHORT).into(), webhook(1).into(), short, long] {
            let edited = setup.dead.edit(&sequence, &"g".into(), Body::clone(&body), &Default::default()).await;
            assert!(edited.expect("edited"));
            let left = setup.dead.browse(None, 10).await.expect("browse");
            assert_eq!(left.iter().map(|left| &left.body).collect::<Vec<_>>(), [&body]);
        }
        assert_eq!(setup.counts(), "1 1");
    }

    #[tokio::test]
    async fn an_edit_replaces_the_body_and_a_discard_spares_a_letter_that_was_edited() {
        let setup = setup().await;
        for n in 0..2 {
            send(&setup.dead, n).await;
        }
        let letters = setup.dead.browse(None, 10).await.expect("browse");
        let sequences: Vec<_> = letters.iter().map(|letter| letter.sequence.clone()).collect();
        let hidden = setup.dead.hide(sequences.clone(), Duration::from_secs(60)).await.expect("hidden");
        let edited = setup.dead.edit(&sequences[0], &"g".into(), webhook(9).into(), &Default::default()).await;
        assert!(edited.expect("edited"));
        let removed = setup.dead.discard_hidden(hidden).await.expect("discarded");
        assert_eq!(removed.iter().map(|letter| &letter.sequence).collect::<Vec<_>>(), [&sequences[1]]);
        let left = setup.dead.browse(None, 10).await.expect("browse");
        assert_eq!(left.iter().map(|left| left.body.clone()).collect::<Vec<_>>(), [webhook(9).into()]);
        assert_eq!(setup.counts(), "1 1");
    }

    #[tokio::test]
    async fn what_waits_behind_a_group_that_comes_back_keeps_its_bodies() {
        let setup = setup().await;
        for n in [0, SHORT] {
            send(&setup.dead, n).await;
        }
        for n in [1, SHORT + 1] {
            send(&setup.events, n).await;
        }
        let back = |letter: crate::Browsed| {
            let dedup_id = Some(format!("back-{}", letter.id).as_str().into());
            Some(NewMessage { group: letter.group, dedup_id, body: letter.body, attributes: letter.attributes })
        };
        setup.dead.send_group_back(&setup.events, &"g".into(), back).await.expect("moved");
        let expected = [0, SHORT, 1, SHORT + 1].map(webhook);
        assert_eq!(webhooks(&receive(&setup.events).await), expected);
        assert_eq!(setup.counts(), "2 4");
    }

    #[tokio::test]
    async fn a_purge_and_an_expiry_leave_no_bodies() {
        let setup = setup().await;
        send(&setup.events, 1).await;
        setup.events.purge().await.expect("purge");
        setup.store.finish_purges().await.expect("purged");
        send(&setup.dead, 2).await;
        let expired = QueueSettings { retention: Duration::ZERO, ..QueueSettings::default() };
        let dead = setup.store.set_queue("dead.fifo", expired).await.expect("settings");
        dead.sweep(10).await.expect("sweep");
        assert_eq!(setup.counts(), "0 0");
    }

    #[tokio::test]
    async fn a_message_whose_body_or_head_is_damaged_is_unreadable_and_holds_up_no_other() {
        let setup = setup().await;
        for n in [0, 1, 2, SHORT, SHORT + 1, SHORT + 2, 3] {
            send(&setup.events, n).await;
        }
        let connection = Connection::open(setup.folder.path().join(FILE)).expect("open");
        connection
            .execute_batch(
                "DELETE FROM bodies WHERE id = 1; UPDATE bodies SET head = '{' WHERE id = 2;
            UPDATE bodies SET head = CAST(x'7bff' AS TEXT) WHERE id = 3; UPDATE messages SET head = NULL WHERE seq = 4;
            UPDATE messages SET head = CAST(x'7bff' AS TEXT) WHERE seq = 5;
            UPDATE messages SET head = NULL, bytes = NULL, text = CAST(x'7bff' AS TEXT) WHERE seq = 6",
            )
            .expect("damage");
        let received = setup.events.receive(Receive::default()).await.expect("receive");
        assert!(received[..6].iter().all(|message| message.body.webhook().is_err()), "{received:?}");
        assert_eq!(webhooks(&received[6..]), [webhook(3)]);
        let browsed = setup.events.browse(None, 10).await.expect("browse");
        assert!(browsed[..6].iter().all(|message| message.body.webhook().is_err()), "{browsed:?}");
    }

    #[tokio::test]
    async fn a_message_that_lost_its_body_never_gets_that_of_a_later_one() {
        let setup = setup().await;
        send(&setup.events, 0).await;
        let connection = Connection::open(setup.folder.path().join(FILE)).expect("open");
        connection.execute_batch("DELETE FROM bodies").expect("damage");
        send(&setup.events, 1).await;
        let received = setup.events.receive(Receive::default()).await.expect("receive");
        assert!(received[0].body.webhook().is_err(), "{received:?}");
        assert_eq!(webhooks(&received[1..]), [webhook(1)]);
    }

    #[tokio::test]
    async fn a_process_of_before_that_still_runs_reads_and_writes_nothing() {
        let setup = setup().await;
        send(&setup.events, 0).await;
        let connection = Connection::open(setup.folder.path().join(FILE)).expect("open");
        let reads = connection.prepare("SELECT m.body FROM messages m");
        assert!(reads.is_err_and(|error| error.to_string().contains("no such column: m.body")));
        let writes = connection.prepare("INSERT INTO messages (queue, body) VALUES (1, '')");
        assert!(writes.is_err_and(|error| error.to_string().contains("no column named body")));
    }
}
