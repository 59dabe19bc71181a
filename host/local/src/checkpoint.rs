//! Moving SQLite's log into its file beside the writer, so that no message waits for it.
//!
//! By itself the connection that writes does it, at the commit that makes the log too long: the messages of that commit wait
//! for all pages to be written and synced. Here a connection of its own does it meanwhile. While it does, the log grows on,
//! and only where it is moved whole it begins anew; under load that never happens by itself, so that from some length on the
//! writer moves the rest, of which there is little. Source: "Write-Ahead Logging" of SQLite, sections 2.1 and 6.

use std::ffi::c_int;
use std::path::Path;
use std::sync::mpsc;

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, OpenFlags};

use crate::schema;

/// How many more pages of 4 KiB in the log are moved at a time.
const STEP: c_int = 1000;

/// At so many the writer sees to it that the log begins anew: 16 MiB. A log that is written over again costs less than one that
/// grows.
const LONGEST: c_int = 4000;

/// Has the log of this connection moved from a thread of its own. That ends with the connection.
pub(crate) fn beside(writer: &mut Connection, file: &Path) -> rusqlite::Result<()> {
    let (ask, asked) = mpsc::sync_channel(1);
    let file = file.to_owned();
    let mover = std::thread::Builder::new().name("towpath-checkpoint".to_owned());
    // Without a thread the writer moves everything, later than it would by itself.
    let _ = mover.spawn(move || move_when_asked(&file, &asked));
    let (mut length, mut next) = (0, STEP);
    writer.wal_hook(Some(move |log: &mut rusqlite::hooks::Wal, pages: c_int| {
        if pages < length {
            next = STEP;
        }
        length = pages;
        if pages >= LONGEST {
            // Moved whole it begins anew at the next commit. The commit has succeeded whatever comes of this, and it waits for
            // nobody: while somebody reads what is old, it is tried again at each.
            let _ = log.checkpoint_v2(CheckpointMode::PASSIVE);
        } else if pages >= next {
            next = pages + STEP;
            let _ = ask.try_send(());
        }
        Ok(())
    }))
}

fn move_when_asked(file: &Path, asked: &mpsc::Receiver<()>) {
    let mut connection = None;
    while asked.recv().is_ok() {
        if connection.is_none() {
            // Of a file that somebody removed no new one is made.
            let flags = schema::flags().difference(OpenFlags::SQLITE_OPEN_CREATE);
            connection = Connection::open_with_flags(file, flags).ok();
        }
        if let Some(connection) = &connection {
            // What cannot be moved stays in the log, where it is as safe. As a function of the library it would do nothing on
            // a connection that has not read anything yet.
            let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use tempfile::TempDir;

    use super::*;

    const PAGE: u64 = 4096;

    fn fill(connection: &Connection, pages: c_int) {
        for _ in 0..pages / 100 {
            connection.execute("INSERT INTO t VALUES (randomblob(400000))", []).expect("room");
        }
    }

    fn pages(file: &Path) -> c_int {
        std::fs::metadata(file).map_or(0, |file| c_int::try_from(file.len() / PAGE).unwrap_or(c_int::MAX))
    }

    #[test]
    fn no_commit_waits_for_somebody_who_reads_what_is_old() {
        static WAITED: AtomicBool = AtomicBool::new(false);
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("t.db");
        let mut writer = Connection::open_with_flags(&file, schema::flags()).expect("file");
        schema::prepare(&mut writer).expect("tables");
        let waits = |_| {
            WAITED.store(true, Ordering::Relaxed);
            false
        };
        writer.busy_handler(Some(waits)).expect("handler");
        beside(&mut writer, &file).expect("hook");
        writer.execute_batch("CREATE TABLE t (x)").expect("table");
        let reader = Connection::open_with_flags(&file, schema::flags()).expect("file");
        reader.execute_batch("BEGIN; SELECT * FROM t;").expect("a reader");
        fill(&writer, 2 * LONGEST);
        assert!(!WAITED.load(Ordering::Relaxed));
    }

    #[test]
    fn the_log_is_moved_while_the_writer_does_nothing_and_begins_anew_at_its_longest() {
        let folder = TempDir::new().expect("folder");
        let (file, log) = (folder.path().join("t.db"), folder.path().join("t.db-wal"));
        let mut writer = Connection::open_with_flags(&file, schema::flags()).expect("file");
        schema::prepare(&mut writer).expect("tables");
        beside(&mut writer, &file).expect("hook");
        writer.execute_batch("CREATE TABLE t (x)").expect("table");
        fill(&writer, STEP + 200);
        let until = Instant::now() + Duration::from_secs(60);
        while pages(&file) < STEP / 2 {
            assert!(Instant::now() < until, "nobody moved it: the file has {} pages", pages(&file));
            std::thread::yield_now();
        }
        fill(&writer, 2 * LONGEST);
        // Some more than the longest: while the other one moves something the writer cannot.
        assert!(pages(&log) < LONGEST * 3 / 2, "the log has {} pages", pages(&log));
        let rows: i64 = writer.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("rows");
        assert_eq!(rows, i64::from((STEP + 200) / 100 + 2 * LONGEST / 100));
    }
}
