//! Recovers a damaged store into a new one. SQLite finds damage only when it reads a damaged page, so the rows on all other
//! pages can still be copied, one by one.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, Row, Rows, Statement, params_from_iter};

use crate::error::StoreError;
use crate::folder::FILE;
use crate::settings::QueueSettings;
use crate::store::Store;
use crate::{connection, folder, schema};
use towpath_files::private;
use towpath_types::clock::Clock;

/// The tables that are copied by rowid, in both directions around damage.
const NUMBERED: [&str; 5] = ["queues", "groups", "bodies", "messages", "moves"];
/// The tables that are copied up to the first damage.
const NAMED: [&str; 4] = ["notes", "dedup", "removed", "purges"];

/// The result of a recovery.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// Recovered messages, of all queues.
    pub messages: u64,
    /// Stretches of messages that could not be read, and messages that were read but violate a constraint. How many
    /// messages a stretch had is unknown.
    pub gaps: u64,
    /// Groups whose name could not be read. They get a unique name that starts with `recovered/`.
    pub nameless: u64,
    /// Queues whose name could not be read and was not given: number and messages of each. They are named `recovered-1.fifo`
    /// and so on, after their numbers.
    pub nameless_queues: Vec<(i64, u64)>,
}

/// Copies all that can be read of the store in the folder `from` into a new store in the folder `to`. No process may use
/// `from`, which is not changed. Fails if `to` already has a store. `names` gives names to queues, by number, whose own
/// cannot be read.
pub fn recover(from: &Path, to: &Path, names: &BTreeMap<i64, String>) -> Result<Recovered, StoreError> {
    let damaged = from.join(FILE);
    let saved = to.join(FILE);
    let cannot = |folder: &Path| {
        let folder = folder.to_owned();
        move |source| StoreError::Folder { folder, source }
    };
    folder::refuse_links(from).map_err(cannot(from))?;
    folder::refuse_links(to).map_err(cannot(to))?;
    if saved.exists() {
        return Err(StoreError::Exists { file: saved });
    }
    drop(Store::open(to, Clock::wall())?);
    let aside = private::passing_folder("recover-", Some(to)).map_err(cannot(to))?;
    let copy = copy(&damaged, aside.path())?;
    let failed = |file: &Path| {
        let file = file.to_owned();
        move |source| StoreError::open(file, source)
    };
    let old = Connection::open(&copy).map_err(failed(&damaged))?;
    let mut new = Connection::open_with_flags(folder::resolved(&saved), connection::flags()).map_err(failed(&saved))?;
    let recovered = fill(&old, &mut new, names).map_err(failed(&saved))?;
    new.close().map_err(|(_, error)| failed(&saved)(error))?;
    Ok(recovered)
}

/// Copies the damaged store, with its WAL, for SQLite to open: SQLite writes to a store that it opens. The copy is in a
/// private temporary folder, which is removed even if the recovery fails.
fn copy(damaged: &Path, to: &Path) -> Result<PathBuf, StoreError> {
    let copy = to.join("damaged.db");
    for (from, to) in with_log(damaged).into_iter().zip(with_log(&copy)) {
        if from.exists() || from == damaged {
            private::copy(&from, &to).map_err(|source| StoreError::Folder { folder: from, source })?;
        }
    }
    Ok(copy)
}

fn with_log(file: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| PathBuf::from(format!("{}{suffix}", file.display())))
}

fn fill(old: &Connection, new: &mut Connection, names: &BTreeMap<i64, String>) -> rusqlite::Result<Recovered> {
    let mut recovered = Recovered::default();
    let into = new.transaction()?;
    into.pragma_update(None, "defer_foreign_keys", true)?;
    for table in NUMBERED {
        let gaps = by_number(old, &into, table)?;
        recovered.gaps += if table == "messages" { gaps } else { 0 };
    }
    recovered.gaps += without_bodies(&into)?;
    into.execute("DELETE FROM notes", [])?;
    for table in NAMED {
        // A lost row of these tables loses no message. It may let a duplicate through, drop a hold or leave a purge
        // unfinished.
        let Columns { old: read, new: columns } = columns(old, &into, table)?;
        let Ok(mut rows) = old.prepare(&format!("SELECT {read} FROM {table}")) else { continue };
        let Ok(mut rows) = rows.query([]) else { continue };
        while let Ok(Some(row)) = rows.next() {
            insert(&into, table, &columns, row)?;
        }
    }
    recovered.nameless_queues = name_queues(&into, names)?;
    recovered.nameless = regroup(&into)?;
    // If that note is lost, every recovered message counts as stored under an old group name.
    into.execute_batch(schema::FORMER_GROUPS)?;
    recovered.messages = into.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))?;
    into.commit()?;
    Ok(recovered)
}

/// Removes messages whose body could not be read, and bodies that no message has. Returns the number of stretches of such messages.
fn without_bodies(into: &Connection) -> rusqlite::Result<u64> {
    let is_lost = "content IS NOT NULL AND content NOT IN (SELECT id FROM bodies)";
    let stretches = format!(
        "SELECT count(*) FROM (SELECT {is_lost} AS lost, lag({is_lost}, 1, FALSE) OVER (ORDER BY seq) AS before FROM messages)
        WHERE lost AND NOT before"
    );
    let stretches = into.query_row(&stretches, [], |row| row.get(0))?;
    into.execute(&format!("DELETE FROM messages WHERE {is_lost}"), [])?;
    let alone = "DELETE FROM bodies WHERE id NOT IN (SELECT content FROM messages WHERE content IS NOT NULL)";
    into.execute(alone, [])?;
    Ok(stretches)
}

/// Copies a table by rowid: forwards up to a damaged page, then backwards to it from the next row that can be read.
/// Returns the number of stretches that could not be read, plus the rows that violate a constraint.
fn by_number(old: &Connection, into: &Connection, table: &str) -> rusqlite::Result<u64> {
    let Columns { old: read, new: columns } = columns(old, into, table)?;
    if columns.is_empty() {
        return Ok(0);
    }
    let select = format!("SELECT rowid, {read} FROM {table} NOT INDEXED WHERE rowid");
    let mut forwards = old.prepare(&format!("{select} > ?1 ORDER BY rowid"))?;
    let mut backwards = old.prepare(&format!("{select} > ?1 AND rowid <= ?2 ORDER BY rowid DESC"))?;
    // A row read from a damaged page may violate the table's constraints. It is lost like one that could not be read.
    let unfit = Cell::new(0);
    let mut save = |row: &Row<'_>| {
        let saved = insert(into, table, &columns, row)?;
        unfit.set(unfit.get() + u64::from(!saved));
        Ok(())
    };
    let mut after = 0;
    let mut gaps = 0;
    loop {
        let (last, whole) = readable(forwards.query([after])?, &mut save)?;
        after = last.unwrap_or(after);
        if whole {
            return Ok(gaps + unfit.get());
        }
        gaps += 1;
        let Some(beyond) = readable_beyond(&mut forwards, after) else {
            readable(backwards.query([after, i64::MAX])?, &mut save)?;
            return Ok(gaps + unfit.get());
        };
        readable(backwards.query([after, beyond])?, &mut save)?;
        after = beyond;
    }
}

/// Saves rows until one cannot be read. Returns the rowid of the last one, and whether all were read. A row that cannot
/// be read is not an error; one that cannot be written is.
fn readable(
    mut rows: Rows<'_>,
    save: &mut impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<(Option<i64>, bool)> {
    let mut last = None;
    loop {
        match rows.next() {
            Ok(Some(row)) => {
                last = Some(row.get(0)?);
                save(row)?;
            }
            Ok(None) => return Ok((last, true)),
            Err(_) => return Ok((last, false)),
        }
    }
}

/// The rowid of a readable row behind a damaged page. Probes in steps that double; `None` if no probe finds one.
fn readable_beyond(forwards: &mut Statement<'_>, after: i64) -> Option<i64> {
    let steps = (0..62).filter_map(|power| after.checked_add(1 << power));
    let mut found = steps.filter_map(|from| forwards.query([from]).ok()?.next().ok().map(|row| row?.get(0).ok()));
    found.next().flatten()
}

/// Inserts a row that was read. Returns false if it violates a constraint of the table. A leading column that is not in
/// `columns` is the rowid, and is skipped.
fn insert(into: &Connection, table: &str, columns: &str, row: &Row<'_>) -> rusqlite::Result<bool> {
    let count = columns.split(", ").count();
    let first = row.as_ref().column_count() - count;
    let values = (first..first + count).map(|column| row.get::<_, Value>(column)).collect::<Result<Vec<_>, _>>()?;
    let places = vec!["?"; count].join(", ");
    let sql = format!("INSERT INTO {table} ({columns}) VALUES ({places})");
    match into.prepare_cached(&sql)?.execute(params_from_iter(values)) {
        Ok(_) => Ok(true),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The columns of a table that both stores have, separated by commas: a store of an older version has fewer.
struct Columns {
    /// As the old store names them.
    old: String,
    new: String,
}

fn columns(old: &Connection, into: &Connection, table: &str) -> rusqlite::Result<Columns> {
    let names = |connection: &Connection| {
        let mut statement = connection.prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?;
        statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
    };
    let there = names(old)?;
    let mut both = Vec::new();
    for name in names(into)? {
        let before = if table == "messages" && name == "text" { "body" } else { &name };
        let found = [name.as_str(), before].into_iter().find(|known| there.iter().any(|own| own == known));
        if let Some(found) = found {
            both.push((found.to_owned(), name));
        }
    }
    let (old, new): (Vec<_>, Vec<_>) = both.into_iter().unzip();
    Ok(Columns { old: old.join(", "), new: new.join(", ") })
}

/// Creates queues for messages whose queue could not be read. Returns those that had to be named after their number.
fn name_queues(into: &Connection, names: &BTreeMap<i64, String>) -> rusqlite::Result<Vec<(i64, u64)>> {
    let sql = "SELECT queue, count(*) FROM messages WHERE queue NOT IN (SELECT id FROM queues) GROUP BY queue";
    let lost = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()));
    let lost = into.prepare(sql)?.query_map([], lost)?.collect::<rusqlite::Result<Vec<(i64, u64)>>>()?;
    let settings = serde_json::to_string(&QueueSettings::default()).unwrap_or_default();
    for (number, _) in &lost {
        let name = names.get(number).cloned().unwrap_or_else(|| format!("recovered-{number}.fifo"));
        into.execute(
            "INSERT INTO queues (id, name, settings) VALUES (?1, ?2, ?3)",
            rusqlite::params![number, name, settings],
        )?;
    }
    Ok(lost.into_iter().filter(|(number, _)| !names.contains_key(number)).collect())
}

/// Rebuilds groups, counts and sequences from the recovered messages. Returns the number of groups without a readable name.
fn regroup(into: &Connection) -> rusqlite::Result<u64> {
    let nameless = into.execute(
        "INSERT INTO groups (id, queue, name, head, ready_at)
         SELECT grp, queue, 'recovered/' || grp || '-' || lower(hex(randomblob(8))), min(seq), 0 FROM messages
         WHERE grp NOT IN (SELECT id FROM groups) GROUP BY grp",
        [],
    )?;
    // No process holds a message any more, so all received ones become visible.
    into.execute("UPDATE messages SET visible_at = min(visible_at, sent_at) WHERE receive_count > 0", [])?;
    into.execute("UPDATE groups SET holder = NULL, lease = NULL", [])?;
    into.execute("DELETE FROM groups WHERE id NOT IN (SELECT grp FROM messages)", [])?;
    into.execute("UPDATE groups SET head = (SELECT min(seq) FROM messages WHERE grp = groups.id)", [])?;
    into.execute("UPDATE groups SET ready_at = (SELECT visible_at FROM messages WHERE seq = groups.head)", [])?;
    into.execute_batch(schema::counts::FILL)?;
    // Sequence numbers continue after every recovered one, and no queue gets a number that any row still refers to.
    // Otherwise a new message could overtake old ones, and a handle or move task could reach the wrong queue.
    into.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, (SELECT ifnull(max(seq), 0) FROM messages)) WHERE name = 'messages'",
        [],
    )?;
    into.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, (SELECT ifnull(max(queue), 0) FROM dedup),
            (SELECT ifnull(max(max(source, ifnull(destination, 0))), 0) FROM moves)) WHERE name = 'queues'",
        [],
    )?;
    // Damage must not let a purge reach messages that are sent later.
    into.execute(
        "UPDATE purges SET last_seq = min(last_seq, (SELECT seq FROM sqlite_sequence WHERE name = 'messages'))",
        [],
    )?;
    into.pragma_update(None, "user_version", schema::VERSION)?;
    Ok(u64::try_from(nameless).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tempfile::TempDir;
    use towpath_types::queue::{NewMessage, Queue as _, Receive};

    /// Recovers a store with six messages in two groups, three of them in flight, after running the SQL in `damage` on it.
    async fn saved(damage: &str, names: &[(i64, &str)]) -> (TempDir, Recovered, Connection) {
        let folder = TempDir::new().unwrap();
        let from = folder.path().join("from");
        let to = folder.path().join("to");
        let store = Store::open(&from, Clock::wall()).unwrap();
        let queue = store.queue("events.fifo", QueueSettings::default()).await.unwrap();
        for n in 0..6 {
            let group = format!("g/{}", n % 2).into();
            let dedup_id = Some(n.to_string().into());
            queue
                .send(NewMessage { group, dedup_id, body: "{}".into(), attributes: Default::default() })
                .await
                .unwrap();
        }
        let holder = store.hold(Duration::ZERO).await.unwrap();
        let host = holder.as_ref().map_or_else(|| queue.clone(), |holder| queue.held_by(holder));
        host.receive(Receive { max: 3, visibility: None, wait: Duration::ZERO, attempt_id: None }).await.unwrap();
        drop((host, holder, queue, store));
        let old = Connection::open(from.join(FILE)).unwrap();
        let lax = "PRAGMA foreign_keys = OFF; PRAGMA writable_schema = ON;
            UPDATE sqlite_master SET sql = replace(replace(sql, 'NOT NULL', ''), 'STRICT', '') WHERE type = 'table';
            PRAGMA writable_schema = RESET;";
        old.execute_batch(lax).unwrap();
        old.execute_batch(damage).unwrap();
        drop(old);
        let names = names.iter().map(|(number, name)| (*number, (*name).to_owned())).collect();
        let recovered = recover(&from, &to, &names).unwrap();
        let new = Connection::open(to.join(FILE)).unwrap();
        (folder, recovered, new)
    }

    fn text(new: &Connection, sql: &str) -> String {
        new.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[tokio::test]
    async fn only_its_user_can_read_a_recovered_store_and_no_copy_is_left() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, _, new) = saved("", &[]).await;
        drop(new);
        let to = folder.path().join("to");
        assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o700);
        let entries = std::fs::read_dir(&to).unwrap().map(Result::unwrap);
        let found = entries.map(|entry| (entry.file_name(), entry.metadata().unwrap().permissions().mode() & 0o777));
        assert_eq!(found.collect::<Vec<_>>(), [("towpath.db".into(), 0o600)]);
        // A recovery that fails leaves no copy of webhooks either.
        let none = folder.path().join("none");
        let to = folder.path().join("again");
        recover(&none, &to, &BTreeMap::new()).unwrap_err();
        assert!(std::fs::read_dir(&to).unwrap().all(|entry| entry.unwrap().file_name() == "towpath.db"));
    }

    #[tokio::test]
    async fn messages_that_were_in_flight_can_be_received_at_once() {
        let (_folder, recovered, new) = saved("", &[]).await;
        assert_eq!(recovered, Recovered { messages: 6, ..Recovered::default() });
        assert_eq!(text(&new, "SELECT group_concat(visible_at > sent_at) FROM messages"), "0,0,0,0,0,0");
        assert_eq!(
            text(&new, "SELECT CAST(sum(receive_count) AS TEXT) FROM messages"),
            "3",
            "their receives still count"
        );
        let ready =
            "SELECT group_concat(ready_at <= (SELECT min(sent_at) FROM messages WHERE grp = groups.id)) FROM groups";
        assert_eq!(text(&new, ready), "1,1");
        assert_eq!(new.query_row("SELECT count(holder) FROM groups", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }

    #[tokio::test]
    async fn an_unfinished_purge_is_finished_in_the_recovered_store() {
        let (folder, recovered, new) = saved("INSERT INTO purges VALUES (1, 1, 4)", &[]).await;
        drop(new);
        assert_eq!(recovered.messages, 6);
        let store = Store::open(&folder.path().join("to"), Clock::wall()).unwrap();
        store.tidy().await.unwrap();
        let queue = store.find("events.fifo").await.unwrap().unwrap();
        assert_eq!(queue.depth().await.unwrap().messages, 2);
    }

    #[tokio::test]
    async fn a_recovered_purge_deletes_no_message_that_is_sent_later() {
        for last in ["1000000", "9223372036854775807"] {
            let (folder, _, new) = saved(&format!("INSERT INTO purges VALUES (1, 1, {last})"), &[]).await;
            drop(new);
            let store = Store::open(&folder.path().join("to"), Clock::wall()).unwrap();
            let queue = store.find("events.fifo").await.unwrap().unwrap();
            let group = "g/0".into();
            let dedup_id = Some("later".into());
            let later = NewMessage { group, dedup_id, body: "later".into(), attributes: Default::default() };
            queue.send(later).await.unwrap();
            store.tidy().await.unwrap();
            let left = queue.browse(None, 10).await.unwrap().into_iter().map(|message| message.body.into_text());
            assert_eq!(left.collect::<Vec<_>>(), ["later"]);
        }
    }

    #[tokio::test]
    async fn a_row_that_violates_a_constraint_counts_as_a_gap_and_all_others_are_saved() {
        let damage = "UPDATE messages SET text = NULL WHERE seq = 2; UPDATE messages SET sent_at = 'x' WHERE seq = 5";
        let (_folder, recovered, new) = saved(damage, &[]).await;
        assert_eq!((recovered.messages, recovered.gaps), (4, 2));
        assert_eq!(text(&new, "SELECT group_concat(seq) FROM (SELECT seq FROM messages ORDER BY seq)"), "1,3,4,6");
    }

    #[tokio::test]
    async fn a_message_without_its_body_counts_as_a_gap_and_a_body_without_a_message_is_left_out() {
        let damage = "INSERT INTO bodies SELECT seq, NULL, CAST(text AS BLOB) FROM messages; UPDATE messages SET content = seq, text = '';
            DELETE FROM bodies WHERE id IN (2, 3, 5); INSERT INTO bodies VALUES (99, NULL, x'00')";
        let (_folder, recovered, new) = saved(damage, &[]).await;
        assert_eq!((recovered.messages, recovered.gaps), (3, 2), "two stretches");
        assert_eq!(text(&new, "SELECT group_concat(id) FROM (SELECT id FROM bodies ORDER BY id)"), "1,4,6");
    }

    #[tokio::test]
    async fn a_group_without_a_name_gets_one_that_no_other_has() {
        let damage = "UPDATE groups SET name = NULL WHERE id = 1; UPDATE groups SET name = 'recovered/1' WHERE id = 2";
        let (_folder, recovered, new) = saved(damage, &[]).await;
        assert_eq!((recovered.messages, recovered.gaps, recovered.nameless), (6, 0, 1));
        assert!(text(&new, "SELECT name FROM groups WHERE id = 1").starts_with("recovered/1-"));
        assert_eq!(text(&new, "SELECT name FROM groups WHERE id = 2"), "recovered/1");
    }

    #[tokio::test]
    async fn a_queue_without_a_name_keeps_its_messages() {
        let (_folder, recovered, new) = saved("DELETE FROM queues", &[]).await;
        assert_eq!((recovered.messages, &recovered.nameless_queues), (6, &vec![(1, 6)]));
        assert_eq!(text(&new, "SELECT name FROM queues"), "recovered-1.fifo");
        let (_folder, recovered, new) = saved("DELETE FROM queues", &[(1, "events.fifo")]).await;
        assert_eq!((recovered.messages, recovered.nameless_queues), (6, vec![]));
        assert_eq!(text(&new, "SELECT name FROM queues"), "events.fifo");
    }

    #[tokio::test]
    async fn a_store_of_an_older_version_is_recovered_as_one_of_this_version() {
        let folder = TempDir::new().unwrap();
        let from = folder.path().join("from");
        let to = folder.path().join("to");
        for (tables, version) in [(include_str!("schema/v1.sql"), 1), (include_str!("schema/v2.sql"), 2)] {
            let from = from.join(version.to_string());
            let to = to.join(version.to_string());
            std::fs::create_dir_all(&from).unwrap();
            let old = Connection::open(from.join(FILE)).unwrap();
            let letter =
                r#"{"towpath-dead-letter":{"data_type":"String","value":{"text":"{\"reason\":\"refused\"}"}}}"#;
            let rows = format!(
                "INSERT INTO queues VALUES (1, 'events-dead.fifo', '{{}}'); INSERT INTO groups VALUES (1, 1, 'g', 7, 0);
                INSERT INTO messages (seq, queue, grp, id, dedup_id, sent_at, retained_from, visible_at, attributes, body)
                VALUES (7, 1, 1, 'm-1', 'd-1', 0, 0, 0, '{letter}', 'x');
                INSERT INTO dedup VALUES (9, '', 'd', 0, 'm', 1); PRAGMA user_version = {version};"
            );
            old.execute_batch(&format!("{tables} {rows}")).unwrap();
            let recovered = recover(&from, &to, &BTreeMap::new()).unwrap();
            assert_eq!(recovered, Recovered { messages: 1, ..Recovered::default() }, "version {version}");
            let new = Connection::open(to.join(FILE)).unwrap();
            let counted = "SELECT route || ' ' || reason || ' ' || messages FROM counts";
            assert_eq!(text(&new, counted), " refused 1", "version {version}");
            let next = "INSERT INTO queues (name, settings) VALUES ('next', '{}') RETURNING CAST(id AS TEXT)";
            assert_eq!(text(&new, next), "10", "something still refers to queue 9");
        }
    }
}
