//! The tables of a store, and the upgrades from older versions. All times are milliseconds since 1970-01-01T00:00:00Z.

pub(crate) mod counts;

use std::cmp::Ordering;
use std::path::Path;

use rusqlite::Connection;

use crate::connection::{set, version};
use crate::error::StoreError;

/// The version of the tables. Opening a store upgrades older versions; newer ones are rejected.
pub(crate) const VERSION: i64 = 6;

/// The table `groups` has one row for each group with messages: its first message, and when that can be received or
/// expires, whichever comes first. A receive only reads the front of the index `groups_ready`. A message of a standard
/// queue is a group of its own, named after its id; `group_tag` is the group id that it was sent with.
///
/// The numbers of queues and move tasks are never reused (since version 4). Otherwise a handle, long poll or move task
/// that outlives its queue could reach another queue.
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

/// Added in version 2.
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

/// Upgrades version 1. Its move tasks are dropped; no running program depended on them.
const TO_2: &str = "
ALTER TABLE messages ADD COLUMN first_received_at INTEGER;
ALTER TABLE messages ADD COLUMN group_tag TEXT;
ALTER TABLE messages ADD COLUMN trace TEXT;
DROP TABLE moves;
";

/// Upgrades to version 4: numbers of queues and move tasks are never reused, move tasks have unguessable handles and keep
/// the name of their destination, and a message counts its receives in earlier queues. Tasks of removed queues are
/// deleted. A number that any row still refers to counts as used.
const SINCE_4: &str = "
PRAGMA defer_foreign_keys = ON;
CREATE TABLE queues_3 AS SELECT id, name, settings FROM queues;
DROP TABLE queues;
CREATE TABLE queues (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    settings TEXT NOT NULL
) STRICT;
INSERT INTO queues SELECT id, name, settings FROM queues_3;
DROP TABLE queues_3;
CREATE TABLE removed (
    name TEXT PRIMARY KEY,
    removed_at INTEGER NOT NULL
) STRICT;
ALTER TABLE moves RENAME TO moves_3;
CREATE TABLE moves (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    handle TEXT NOT NULL UNIQUE,
    source INTEGER NOT NULL,
    destination INTEGER,
    destination_name TEXT,
    per_second INTEGER,
    status TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    to_move INTEGER NOT NULL,
    moved INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    failure TEXT
) STRICT;
INSERT INTO moves
SELECT m.id, lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8'
        || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
    m.source, m.destination, q.name, m.per_second, m.status, m.started_at, m.to_move, m.moved, m.last_seq, m.failure
FROM moves_3 m LEFT JOIN queues q ON q.id = m.destination WHERE m.source IN (SELECT id FROM queues);
DROP TABLE moves_3;
INSERT INTO sqlite_sequence (name, seq)
SELECT 'queues', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'queues');
UPDATE sqlite_sequence SET seq = max(seq, coalesce((SELECT max(queue) FROM dedup), 0),
    coalesce((SELECT max(queue) FROM attempts), 0), coalesce((SELECT max(destination) FROM moves), 0))
WHERE name = 'queues';
ALTER TABLE messages ADD COLUMN received_before INTEGER NOT NULL DEFAULT 0;
UPDATE messages SET received_before = receive_count WHERE source IS NOT NULL;
";

/// Upgrades to version 5. A message in a standard dead-letter queue keeps its age, so expired messages are no longer all
/// at the front, and an index finds them. A deduplication id records the group it was sent with. A purge records how far
/// it reaches until it is done. Counts of 0 are deleted.
const SINCE_5: &str = "
CREATE INDEX messages_moved ON messages (queue, retained_from) WHERE source IS NOT NULL;
ALTER TABLE dedup ADD COLUMN sent_group TEXT;
CREATE TABLE purges (
    queue INTEGER PRIMARY KEY,
    purged_at INTEGER NOT NULL,
    last_seq INTEGER
) STRICT;
";

/// Upgrades to version 6: bodies are bytes, and long ones have a table of their own (see `bodies.rs`). Messages that are stored already keep their text where it
/// is, so that the upgrade rewrites nothing. Numbers of bodies are never reused, or a message that lost its body to
/// damage could get that of another. The old column has another name, so that a process of version 5 that still runs fails: it would
/// find empty bodies.
const SINCE_6_BODIES: &str = "
CREATE TABLE bodies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    head TEXT,
    body BLOB NOT NULL
) STRICT;
ALTER TABLE messages RENAME COLUMN body TO text;
ALTER TABLE messages ADD COLUMN content INTEGER;
ALTER TABLE messages ADD COLUMN head TEXT;
ALTER TABLE messages ADD COLUMN bytes BLOB;
CREATE TRIGGER messages_emptied AFTER DELETE ON messages WHEN OLD.content IS NOT NULL BEGIN
    DELETE FROM bodies WHERE id = OLD.content;
END;
";

/// Added in version 6. Each running host that receives from a queue of its own accord has a row in `holders`, named after its
/// lock file (see `holder.rs`). `groups.holder` is the one that received from the group last, and `groups.lease` is the nonce
/// that all messages of that receive have. Both are NULL once it released the group, and not changed by clients' receives.
const SINCE_6_HOLDERS: &str = "
CREATE TABLE holders (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    longest INTEGER NOT NULL
) STRICT;
ALTER TABLE groups ADD COLUMN holder INTEGER;
ALTER TABLE groups ADD COLUMN lease INTEGER;
";

/// Dead letters by group and reason. It needs no new version: SQLite also maintains it for a Towpath that does not know it.
const LETTERS: &str = "CREATE INDEX IF NOT EXISTS messages_letters ON messages (grp, reason) WHERE reason IS NOT NULL;";

/// Notes the last sequence number that may be in a group with an old name. It is written once, when a version with the
/// new names first opens the store. `former.rs` reads it.
pub(crate) const FORMER_GROUPS: &str = "
INSERT OR IGNORE INTO notes (name, value)
SELECT 'former-groups', CAST(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0) AS TEXT);
";

/// The steps that create a new store.
const NEW: [&str; 9] = [
    TABLES,
    SINCE_2,
    counts::COLUMNS,
    counts::TABLES,
    SINCE_4,
    SINCE_5,
    counts::WITHOUT_ZEROS,
    SINCE_6_BODIES,
    SINCE_6_HOLDERS,
];

/// The steps from each version to the next, starting at version 1.
const UPGRADES: [&[&str]; 5] = [
    &[TO_2, SINCE_2],
    &[counts::COLUMNS, counts::TABLES, counts::FILL],
    &[SINCE_4],
    &[SINCE_5, counts::WITHOUT_ZEROS],
    &[SINCE_6_BODIES, SINCE_6_HOLDERS],
];

/// Checks that a store has the version that this program reads.
pub(crate) fn check(file: &Path, found: i64) -> Result<(), StoreError> {
    let file = file.to_owned();
    match found.cmp(&VERSION) {
        Ordering::Equal => Ok(()),
        Ordering::Less => Err(StoreError::Older { file, found, expected: VERSION }),
        Ordering::Greater => Err(StoreError::Version { file, found, expected: VERSION }),
    }
}

/// Configures a connection that writes, and creates or upgrades the tables.
pub(crate) fn prepare(connection: &mut Connection) -> rusqlite::Result<i64> {
    set(connection)?;
    make(connection)
}

/// Creates or upgrades the tables in one transaction. Returns the store's version afterwards; a newer one is not changed.
pub(crate) fn make(connection: &mut Connection) -> rusqlite::Result<i64> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version = upgrade(&transaction)?;
    if version == VERSION {
        transaction.execute_batch(FORMER_GROUPS)?;
        transaction.execute_batch(LETTERS)?;
    }
    transaction.commit()?;
    Ok(version)
}

fn upgrade(connection: &Connection) -> rusqlite::Result<i64> {
    let found = version(connection)?;
    match usize::try_from(found) {
        Ok(0) => NEW.iter().try_for_each(|step| connection.execute_batch(step))?,
        Ok(older) if older <= UPGRADES.len() => {
            let mut steps = UPGRADES.iter().skip(older - 1).copied().flatten();
            steps.try_for_each(|step| connection.execute_batch(step))?;
        }
        _ => return Ok(found),
    }
    connection.pragma_update(None, "user_version", VERSION)?;
    Ok(VERSION)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use towpath_types::clock::Clock;
    use towpath_types::queue::{Queue as _, Receive};

    use super::*;
    use crate::Store;

    /// The tables as older versions created them. Frozen.
    const V1: &str = include_str!("schema/v1.sql");
    const V2: &str = include_str!("schema/v2.sql");
    const V3: &str = include_str!("schema/v3.sql");
    const V4: &str = include_str!("schema/v4.sql");
    const V5: &str = include_str!("schema/v5.sql");

    /// A store of an older version, with a message in the group `g` and the given rows.
    fn older(tables: &str, version: u32, rows: &str) -> TempDir {
        let folder = TempDir::new().expect("folder");
        let connection = Connection::open(folder.path().join("towpath.db")).expect("file");
        let settings = r#"{"visibility": {"secs": 30, "nanos": 0}, "retention": {"secs": 1209600, "nanos": 0},
            "dedup_scope": "messageGroup", "max_message_bytes": 1024, "redrive": null}"#;
        let now = Clock::wall().now().0;
        let fill = format!(
            "{tables}
            INSERT INTO queues VALUES (1, 'events.fifo', '{settings}');
            INSERT INTO groups VALUES (1, 1, 'g', 7, {now});
            INSERT INTO messages (seq, queue, grp, id, dedup_id, sent_at, retained_from, visible_at, attributes, body)
            VALUES (7, 1, 1, 'm-1', 'd-1', {now}, {now}, {now}, '{{}}', 'x');
            {rows}
            PRAGMA user_version = {version};"
        );
        connection.execute_batch(&fill).expect("an older store");
        folder
    }

    #[tokio::test]
    async fn an_upgraded_store_delivers_the_messages_that_it_held() {
        for (tables, version) in [(V1, 1), (V2, 2), (V3, 3), (V4, 4), (V5, 5)] {
            let folder = older(tables, version, "");
            let store = Store::open(folder.path(), Clock::wall()).expect("it opens");
            let queue = store.find("events.fifo").await.expect("read").expect("its queue");
            assert!(queue.settings().fifo);
            assert_eq!(queue.depth().await.expect("depth").messages, 1, "version {version}");
            let received = queue.receive(Receive::default()).await.expect("receive");
            assert_eq!((received[0].id.as_str(), received[0].group.as_str()), ("m-1", "g"), "version {version}");
            assert_eq!(received[0].body.as_text(), Some("x"), "version {version}");
            queue.delete(&[received[0].handle.clone()]).await.remove(0).expect("delete");
            assert_eq!(queue.depth().await.expect("depth").messages, 0, "version {version}");
        }
    }

    #[tokio::test]
    async fn an_upgraded_store_reuses_no_number_that_any_row_refers_to() {
        let rows = "INSERT INTO dedup VALUES (5, '', 'd', 0, 'm', 1);
            INSERT INTO moves VALUES (8, 1, 9, 500, 'RUNNING', 0, 1, 0, 7, NULL);
            INSERT INTO moves VALUES (10, 4, 1, 500, 'COMPLETED', 0, 1, 0, 7, NULL);";
        let folder = older(V3, 3, rows);
        let store = Store::open(folder.path(), Clock::wall()).expect("it opens");
        let made = store.queue("new.fifo", crate::QueueSettings::default()).await.expect("a queue");
        assert_eq!(made.id, 10, "a move task still refers to queue 9");
        let old = store.find("events.fifo").await.expect("read").expect("its queue");
        let tasks = store.moves(&old, 10).await.expect("tasks");
        assert_eq!(tasks.iter().map(|task| task.id).collect::<Vec<_>>(), [8]);
        assert!(uuid::Uuid::parse_str(&tasks[0].handle).is_ok(), "{}", tasks[0].handle);
        let ended = store.run_move(8).await.expect("it runs");
        assert_eq!(ended.status, crate::MoveStatus::Failed, "its destination never existed");
    }

    #[tokio::test]
    async fn dead_letters_of_an_older_store_are_counted_whatever_their_attributes_say() {
        let texts = [
            r#"{"towpath-dead-letter":{"data_type":"String","value":{"text":"{\"reason\":\"refused\",\"route\":\"crm\"}"}}}"#,
            r#"{"towpath-dead-letter":{"data_type":"String","value":{"text":"{\"reason\":\"expired\"}"}}}"#,
            r#"{"towpath-dead-letter":{"data_type":"String","value":{"text":"no JSON"}}}"#,
            r#"{"towpath-dead-letter":{"data_type":"String","value":{"text":"{\"reason\":7,\"route\":8}"}}}"#,
            r#"{"towpath-dead-letter":{"data_type":"Binary","value":{"binary":[1]}}}"#,
            "towpath-dead-letter",
        ];
        let row = |text: &str| {
            format!(
                "INSERT INTO messages (queue, grp, id, dedup_id, sent_at, retained_from, visible_at, attributes, body)
                VALUES (1, 1, 'l', 'l', 0, 0, 0, '{text}', 'x');"
            )
        };
        let folder = older(V2, 2, &texts.map(row).concat());
        let store = Store::open(folder.path(), Clock::wall()).expect("it opens");
        let queue = store.find("events.fifo").await.expect("read").expect("its queue");
        let standing = queue.standing().expect("read");
        let letters: Vec<_> =
            standing.letters.iter().map(|l| (l.route.as_str(), l.reason.as_str(), l.messages)).collect();
        assert_eq!((standing.messages, letters), (7, vec![("", "expired", 1), ("crm", "refused", 1)]));
    }

    /// Tables, columns, indexes and triggers, sorted.
    fn shape(connection: &Connection) -> Vec<String> {
        let sql = "SELECT m.type || ' ' || m.name || ' ' || coalesce(c.name, '') || ' ' || coalesce(c.type, '') || ' '
                || coalesce(m.sql LIKE '%AUTOINCREMENT%', '')
            FROM sqlite_master m LEFT JOIN pragma_table_info(m.name) c ON m.type = 'table' ORDER BY 1";
        let mut statement = connection.prepare(sql).expect("shape");
        let rows = statement.query_map([], |row| row.get(0)).expect("shape");
        rows.collect::<rusqlite::Result<Vec<_>>>().expect("shape")
    }

    #[test]
    fn an_upgraded_store_has_the_tables_of_a_new_one() {
        let opened = |tables: &str, version: u32| {
            let folder = TempDir::new().expect("folder");
            let mut connection = Connection::open(folder.path().join("towpath.db")).expect("file");
            connection.execute_batch(&format!("{tables} PRAGMA user_version = {version};")).expect("tables");
            assert_eq!(prepare(&mut connection).expect("upgrade"), VERSION);
            shape(&connection)
        };
        let new = opened("", 0);
        assert!(new.len() > 50, "{new:?}");
        for (tables, version) in [(V1, 1), (V2, 2), (V3, 3), (V4, 4), (V5, 5)] {
            assert_eq!(opened(tables, version), new, "version {version}");
        }
    }
}
