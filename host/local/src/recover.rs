//! What can be read of a damaged store, as a new one. SQLite finds damage when it reads a page; around it, row by row,
//! all else is still there.

use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, Row, Rows, Statement, params_from_iter};

use crate::schema;
use crate::store::{FILE, Store, StoreError};
use towpath_core::clock::Clock;

/// The tables whose rows are saved: rows have numbers in the first four.
const NUMBERED: [&str; 4] = ["queues", "groups", "messages", "moves"];
const NAMED: [&str; 2] = ["notes", "dedup"];

/// What was saved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// Messages, of all queues.
    pub messages: u64,
    /// Stretches of messages that could not be read. How many were in one is not known.
    pub gaps: u64,
    /// Groups whose name could not be read: they are called `recovered/1` and so on now.
    pub nameless: u64,
}

/// Saves what can be read of the store in the folder `from` into a new one in the folder `to`. Nothing may run on
/// `from`, which is left as it is. Fails if `to` has a store already.
pub fn recover(from: &Path, to: &Path) -> Result<Recovered, StoreError> {
    let (damaged, saved) = (from.join(FILE), to.join(FILE));
    if saved.exists() {
        return Err(StoreError::Exists { file: saved });
    }
    drop(Store::open(to, Clock::wall())?);
    let copy = copy(&damaged, to)?;
    let failed = |file: &Path| {
        let file = file.to_owned();
        move |source| StoreError::open(file, source)
    };
    let old = Connection::open(&copy).map_err(failed(&damaged))?;
    let mut new = Connection::open(&saved).map_err(failed(&saved))?;
    let recovered = fill(&old, &mut new).map_err(failed(&saved));
    drop(old);
    for file in with_log(&copy) {
        let _ = std::fs::remove_file(file);
    }
    recovered
}

/// SQLite writes to what it opens: it gets a copy, with the log of what is not in the file itself yet.
fn copy(damaged: &Path, to: &Path) -> Result<PathBuf, StoreError> {
    let copy = to.join("damaged.db");
    for (from, to) in with_log(damaged).into_iter().zip(with_log(&copy)) {
        if from.exists() || from == damaged {
            std::fs::copy(&from, to).map_err(|source| StoreError::Folder { folder: from, source })?;
        }
    }
    Ok(copy)
}

fn with_log(file: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| PathBuf::from(format!("{}{suffix}", file.display())))
}

fn fill(old: &Connection, new: &mut Connection) -> rusqlite::Result<Recovered> {
    let mut recovered = Recovered::default();
    let into = new.transaction()?;
    into.pragma_update(None, "defer_foreign_keys", true)?;
    for table in NUMBERED {
        let gaps = by_number(old, &into, table)?;
        recovered.gaps += if table == "messages" { gaps } else { 0 };
    }
    for table in NAMED {
        // Without these a duplicate may come through, or a hold be forgotten; nothing is lost.
        let columns = columns(&into, table)?;
        let Ok(mut rows) = old.prepare(&format!("SELECT {columns} FROM {table}")) else { continue };
        let Ok(mut rows) = rows.query([]) else { continue };
        while let Ok(Some(row)) = rows.next() {
            insert(&into, table, &columns, row)?;
        }
    }
    recovered.nameless = regroup(&into)?;
    recovered.messages = into.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))?;
    into.commit()?;
    Ok(recovered)
}

/// Copies a table whose rows have numbers: forwards to a page that cannot be read, and from the next one that can be read
/// backwards to it. Returns how many such stretches there are.
fn by_number(old: &Connection, into: &Connection, table: &str) -> rusqlite::Result<u64> {
    let columns = columns(into, table)?;
    let select = format!("SELECT rowid, {columns} FROM {table} NOT INDEXED WHERE rowid");
    let mut forwards = old.prepare(&format!("{select} > ?1 ORDER BY rowid"))?;
    let mut backwards = old.prepare(&format!("{select} > ?1 AND rowid <= ?2 ORDER BY rowid DESC"))?;
    let mut save = |row: &Row<'_>| insert(into, table, &columns, row);
    let (mut after, mut gaps) = (0, 0);
    loop {
        let (last, whole) = readable(forwards.query([after])?, &mut save)?;
        after = last.unwrap_or(after);
        if whole {
            return Ok(gaps);
        }
        gaps += 1;
        let Some(beyond) = readable_beyond(&mut forwards, after) else {
            readable(backwards.query([after, i64::MAX])?, &mut save)?;
            return Ok(gaps);
        };
        readable(backwards.query([after, beyond])?, &mut save)?;
        after = beyond;
    }
}

/// Saves rows as far as they can be read: the number of the last one, and whether that was all. What cannot be saved is an
/// error, what cannot be read is not.
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

/// The number of a row behind a page that cannot be read, if there is one that can be found from the front.
fn readable_beyond(forwards: &mut Statement<'_>, after: i64) -> Option<i64> {
    let steps = (0..62).filter_map(|power| after.checked_add(1 << power));
    let mut found = steps.filter_map(|from| forwards.query([from]).ok()?.next().ok().map(|row| row?.get(0).ok()));
    found.next().flatten()
}

/// Inserts a row that was read; its first column is the row's number if there is one more than the table has.
fn insert(into: &Connection, table: &str, columns: &str, row: &Row<'_>) -> rusqlite::Result<()> {
    let count = columns.split(", ").count();
    let first = row.as_ref().column_count() - count;
    let values = (first..first + count).map(|column| row.get::<_, Value>(column)).collect::<Result<Vec<_>, _>>()?;
    let places = vec!["?"; count].join(", ");
    let sql = format!("INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})");
    into.prepare_cached(&sql)?.execute(params_from_iter(values)).map(drop)
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<String> {
    let mut statement = connection.prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(names.join(", "))
}

/// Makes the groups fit the messages that were saved.
fn regroup(into: &Connection) -> rusqlite::Result<u64> {
    let nameless = into.execute(
        "INSERT OR IGNORE INTO groups (id, queue, name, head, ready_at)
         SELECT grp, queue, 'recovered/' || grp, min(seq), 0 FROM messages
         WHERE grp NOT IN (SELECT id FROM groups) GROUP BY grp",
        [],
    )?;
    into.execute("DELETE FROM groups WHERE id NOT IN (SELECT grp FROM messages)", [])?;
    into.execute("UPDATE groups SET head = (SELECT min(seq) FROM messages WHERE grp = groups.id)", [])?;
    into.execute("UPDATE groups SET ready_at = (SELECT visible_at FROM messages WHERE seq = groups.head)", [])?;
    // The next message comes behind all that there ever were.
    into.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, (SELECT ifnull(max(seq), 0) FROM messages)) WHERE name = 'messages'",
        [],
    )?;
    into.pragma_update(None, "user_version", schema::VERSION)?;
    Ok(u64::try_from(nameless).unwrap_or_default())
}
