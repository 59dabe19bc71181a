//! The tables. All times are milliseconds since 1970-01-01T00:00:00Z.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// The version of the tables; a file of another version is refused.
pub(crate) const VERSION: i64 = 2;

/// `groups` holds one row for each group that has messages: its head, and when that head can be received
/// (or expires). All that a receive looks for is the front of `groups_ready`. A message of a standard queue
/// is a group of its own, named by its id; `group_tag` is the group id that it was sent with.
const TABLES: &str = "
CREATE TABLE queues (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    settings TEXT NOT NULL
) STRICT;
CREATE TABLE groups (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL REFERENCES queues(id),
    name TEXT NOT NULL,
    head INTEGER NOT NULL,
    ready_at INTEGER NOT NULL,
    UNIQUE (queue, name)
) STRICT;
CREATE INDEX groups_ready ON groups (queue, ready_at, head);
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    queue INTEGER NOT NULL REFERENCES queues(id),
    grp INTEGER NOT NULL,
    id TEXT NOT NULL,
    dedup_id TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    retained_from INTEGER NOT NULL,
    visible_at INTEGER NOT NULL,
    receive_count INTEGER NOT NULL DEFAULT 0,
    first_received_at INTEGER,
    received_at INTEGER,
    nonce INTEGER,
    source TEXT,
    group_tag TEXT,
    trace TEXT,
    attributes TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX messages_group ON messages (grp, seq);
CREATE INDEX messages_queue ON messages (queue, seq);
CREATE TABLE dedup (
    queue INTEGER NOT NULL,
    scope TEXT NOT NULL,
    dedup_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (queue, scope, dedup_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dedup_expiry ON dedup (expires_at);
CREATE TABLE attempts (
    queue INTEGER NOT NULL,
    attempt_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    received TEXT NOT NULL,
    PRIMARY KEY (queue, attempt_id)
) STRICT, WITHOUT ROWID;
";

/// What version 2 brought.
const SINCE_2: &str = "
CREATE TABLE moves (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    destination INTEGER,
    per_second INTEGER NOT NULL,
    status TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    to_move INTEGER NOT NULL,
    moved INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    failure TEXT
) STRICT;
CREATE INDEX attempts_expiry ON attempts (expires_at);
CREATE TABLE notes (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
";

/// From version 1. Move tasks of that version were not kept by anything that ran.
const TO_2: &str = "
ALTER TABLE messages ADD COLUMN first_received_at INTEGER;
ALTER TABLE messages ADD COLUMN group_tag TEXT;
ALTER TABLE messages ADD COLUMN trace TEXT;
DROP TABLE moves;
";

/// How long a process waits between two tries to write while another one writes, and how often it tries: for
/// ten seconds or more. SQLite's own waits grow to a tenth of a second; a process that writes without a rest
/// would never be met in one of its short pauses.
const PAUSE: std::time::Duration = std::time::Duration::from_micros(200);
const TRIES: i32 = 50_000;

pub(crate) fn ask_again(tries: i32) -> bool {
    std::thread::sleep(PAUSE);
    tries < TRIES
}

/// A connection has one user at a time: a mutex for each of its calls would cost for nothing.
pub(crate) fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Prepares a connection, and a new file.
pub(crate) fn prepare(connection: &mut Connection) -> rusqlite::Result<i64> {
    connection.busy_handler(Some(ask_again))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    // Or statements with a bound LIMIT are planned anew each time that they run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let version = match version {
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.execute_batch(SINCE_2)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            VERSION
        }
        1 => {
            transaction.execute_batch(TO_2)?;
            transaction.execute_batch(SINCE_2)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            VERSION
        }
        version => version,
    };
    transaction.commit()?;
    Ok(version)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use towpath_core::clock::Clock;
    use towpath_core::queue::{Queue as _, Receive};

    use super::*;
    use crate::Store;

    /// The tables as version 1 made them.
    const V1: &str = include_str!("schema/v1.sql");

    #[tokio::test]
    async fn a_store_of_version_1_goes_on_with_what_it_holds() {
        let folder = TempDir::new().expect("folder");
        let connection = Connection::open(folder.path().join("towpath.db")).expect("file");
        let settings = serde_json::json!({
            "visibility": { "secs": 30, "nanos": 0 }, "retention": { "secs": 1_209_600, "nanos": 0 },
            "dedup_scope": "messageGroup", "max_message_bytes": 1024, "redrive": null
        });
        let now = Clock::wall().now().0;
        let fill = format!(
            "{V1}
            INSERT INTO queues VALUES (1, 'events.fifo', '{settings}');
            INSERT INTO groups VALUES (1, 1, 'g', 7, {now});
            INSERT INTO messages (seq, queue, grp, id, dedup_id, sent_at, retained_from, visible_at, attributes, body)
            VALUES (7, 1, 1, 'm-1', 'd-1', {now}, {now}, {now}, '{{}}', 'x');
            PRAGMA user_version = 1;"
        );
        connection.execute_batch(&fill).expect("a store of version 1");
        drop(connection);
        let store = Store::open(folder.path(), Clock::wall()).expect("it opens");
        let queue = store.find("events.fifo").await.expect("read").expect("its queue");
        assert!(queue.settings().fifo);
        let received = queue.receive(Receive::default()).await.expect("receive");
        assert_eq!((received[0].id.as_str(), received[0].group.as_str()), ("m-1", "g"));
        queue.delete(&[received[0].handle.clone()]).await.remove(0).expect("delete");
    }
}
