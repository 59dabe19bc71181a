//! Checks a store after a power cut against the record of what was acknowledged.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::Connection;

use crate::workload::{BOOKS, body};

/// A message: queue, group, number.
type Name = (String, String, u32);

/// The record of what the workload did.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) stored: BTreeSet<Name>,
    pub(crate) refused: usize,
    deleting: BTreeSet<Name>,
}

impl Books {
    /// Reads the record in a folder, as far as it was written.
    pub(crate) fn read(folder: &Path) -> Books {
        let mut books = Books::default();
        for line in std::fs::read_to_string(folder.join(BOOKS)).unwrap_or_default().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [what, queue, group, n] = words[..] else { panic!("unreadable line: {line}") };
            let name = (queue.to_owned(), group.to_owned(), n.parse().expect("a number"));
            match what {
                "stored" => drop(books.stored.insert(name)),
                "deleting" => drop(books.deleting.insert(name)),
                _ => books.refused += 1,
            }
        }
        books
    }
}

/// Fails if the store in the folder is corrupt, or if an acknowledged message is missing, changed or out of order.
pub(crate) fn check(folder: &Path, books: &Books) -> Result<(), String> {
    let file = folder.join("new/store/towpath.db");
    if !file.exists() {
        return if books.stored.is_empty() { Ok(()) } else { Err("there is no store".to_owned()) };
    }
    let connection = Connection::open(&file).map_err(|error| error.to_string())?;
    if books.stored.is_empty() {
        return integrity(&connection);
    }
    integrity(&connection)?;
    let found = found(&connection).map_err(|error| error.to_string())?;
    let mut last: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for ((queue, group, n), text) in &found {
        if !is_body(text, group, *n) {
            return Err(format!("the body of {group} {n} has changed"));
        }
        if last.insert((queue, group), *n).is_some_and(|before| before >= *n) {
            return Err(format!("{group} {n} of {queue} is out of order"));
        }
    }
    let found: BTreeSet<&Name> = found.iter().map(|(name, _)| name).collect();
    let lost: Vec<&Name> =
        books.stored.iter().filter(|name| !found.contains(name) && !books.deleting.contains(*name)).collect();
    if lost.is_empty() { Ok(()) } else { Err(format!("{} are lost, such as {:?}", lost.len(), lost[0])) }
}

thread_local! {
    /// A cache: bodies are the same after every cut.
    static BODIES: RefCell<BTreeMap<(String, u32), String>> = RefCell::default();
}

fn is_body(text: &str, group: &str, n: u32) -> bool {
    BODIES.with_borrow_mut(|bodies| {
        let known = bodies.entry((group.to_owned(), n)).or_insert_with(|| body(group, n));
        known == text
    })
}

fn integrity(connection: &Connection) -> Result<(), String> {
    let said: Result<String, _> = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
    match said {
        Ok(said) if said == "ok" => Ok(()),
        Ok(said) => Err(said),
        Err(error) => Err(error.to_string()),
    }
}

fn found(connection: &Connection) -> rusqlite::Result<Vec<(Name, String)>> {
    let headless = "SELECT count(*) FROM groups g
        WHERE head IS NOT (SELECT min(seq) FROM messages m WHERE m.grp = g.id AND m.queue = g.queue)";
    let headless: i64 = connection.query_row(headless, [], |row| row.get(0))?;
    assert_eq!(headless, 0, "groups without their heads");
    let sql = "SELECT q.name, g.name, CAST(coalesce(b.body, m.text) AS TEXT) FROM messages m LEFT JOIN bodies b ON b.id = m.content
        LEFT JOIN groups g ON g.id = m.grp
        LEFT JOIN queues q ON q.id = m.queue ORDER BY m.seq";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let (queue, group, body): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let n = body.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(u32::MAX);
        Ok(((queue, group, n), body))
    })?;
    rows.collect()
}
