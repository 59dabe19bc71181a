//! Moving SQLite's log into its file beside the writer, so that no message waits for it.
//!
//! By itself the connection that writes does it, at the commit that makes the log too long: the messages of that commit wait
//! for all pages to be written and synced. Here a connection of its own does it meanwhile. While it does, the log grows on,
//! and only where it is moved whole it begins anew; under load that never happens by itself, so that the writer moves the
//! last few pages, which takes less than a millisecond. Source: "Write-Ahead Logging" of SQLite, sections 2.1 and 6.

use std::ffi::c_int;
use std::fs::File;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, mpsc};

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, OpenFlags};

use crate::disk::Syncs;
use crate::schema;

/// From so many pages of 4 KiB on the log is moved: 64 MiB. Most of them are the same few pages again and again, which are
/// moved once.
pub(crate) const LONG: u32 = 16_000;

/// So few pages the writer moves.
const FEW: c_int = 100;

/// What the writer and the mover tell each other.
#[derive(Default)]
struct Progress {
    /// How many pages the log has.
    length: AtomicI32,
    /// Whether all but a few of them are moved.
    nearly: AtomicBool,
}

/// Has the log of this connection moved from a thread of its own, from so many pages on. That ends with the connection.
/// It is also moved when it is asked for.
pub(crate) fn beside(writer: &mut Connection, file: &Path, long: u32, syncs: &Syncs) -> rusqlite::Result<Ask> {
    from(writer, file, c_int::try_from(long).unwrap_or(c_int::MAX), syncs).map(|(ask, _)| ask)
}

/// Asks for the log to be moved.
#[derive(Clone)]
pub(crate) struct Ask(mpsc::SyncSender<()>);

impl Ask {
    /// If the mover is asked already that will do, and without one the writer moves what gets too long.
    pub(crate) fn ask(&self) {
        let _ = self.0.try_send(());
    }
}

/// The same for a log of any length.
fn from(writer: &mut Connection, file: &Path, long: c_int, syncs: &Syncs) -> rusqlite::Result<(Ask, Arc<Progress>)> {
    let [syncs, movers_syncs] = [(); 2].map(|()| syncs.clone());
    let (ask, asked) = mpsc::sync_channel(1);
    let (file, shared, mut next) = (file.to_owned(), Arc::new(Progress::default()), long);
    let (ask, asker) = (Ask(ask.clone()), Ask(ask));
    let [progress, movers] = [(); 2].map(|()| Arc::clone(&shared));
    let mover = std::thread::Builder::new().name("towpath-checkpoint".to_owned());
    // Without a thread the writer moves everything, later than it would by itself.
    let _ = mover.spawn(move || move_when_asked(&file, &asked, &movers, &movers_syncs));
    writer.wal_hook(Some(move |log: &mut rusqlite::hooks::Wal, pages: c_int| {
        if pages < progress.length.swap(pages, Ordering::Relaxed) {
            next = long;
        }
        let due = pages >= next;
        if due {
            next = pages + long / 4;
        }
        if progress.nearly.swap(false, Ordering::Relaxed) || (due && pages >= 4 * long) {
            // Moved whole it begins anew at the next commit. This one has succeeded whatever comes of it, and waits for nobody
            // who reads what is old: then it is tried again later.
            syncs.try_moving(|| {
                log.checkpoint_v2(CheckpointMode::PASSIVE).inspect_err(|error| syncs.failed_if("file", error)).ok()
            });
        } else if due {
            asker.ask();
        }
        Ok(())
    }))?;
    Ok((ask, shared))
}

fn move_when_asked(file: &Path, asked: &mpsc::Receiver<()>, progress: &Progress, syncs: &Syncs) {
    let mut mover = None;
    while asked.recv().is_ok() {
        mover = mover.or_else(|| Mover::new(file));
        let nearly = mover.as_ref().is_some_and(|mover| mover.move_most(progress, syncs));
        progress.nearly.store(nearly, Ordering::Relaxed);
    }
    if let Some(mover) = mover {
        syncs.before_closing(&mover.connection);
    }
}

struct Mover {
    connection: Connection,
    /// Never closed: with any descriptor of a file that a process closes it loses all its locks on it, SQLite's too.
    /// Source: <https://www.sqlite.org/howtocorrupt.html>, section 2.2.
    file: ManuallyDrop<File>,
}

impl Mover {
    fn new(file: &Path) -> Option<Mover> {
        // Of a file that somebody removed no new one is made.
        let flags = schema::flags().difference(OpenFlags::SQLITE_OPEN_CREATE);
        let connection = Connection::open_with_flags(file, flags).ok()?;
        Some(Mover { connection, file: ManuallyDrop::new(File::open(file).ok()?) })
    }

    /// Moves what is in the log, and what comes meanwhile, as long as that becomes less. Whether only a few pages are left.
    fn move_most(&self, progress: &Progress, syncs: &Syncs) -> bool {
        let mut before = c_int::MAX;
        loop {
            let Some(left) = self.move_once(progress, syncs) else { return false };
            if left <= FEW || left >= before {
                return left <= FEW;
            }
            before = left;
        }
    }

    /// Moves what is in the log. How many pages are left, or came meanwhile; nothing if it could not be moved, or must not.
    fn move_once(&self, progress: &Progress, syncs: &Syncs) -> Option<c_int> {
        let moved: c_int = syncs.moving(|| {
            // What cannot be moved stays in the log, where it is as safe. As a function of the library it would do nothing
            // on a connection that has not read anything yet.
            let moved = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2));
            let moved = moved.inspect_err(|error| syncs.failed_if("file", error)).ok()?;
            // SQLite syncs the file only where it has moved the whole log: that would all be left to the writer.
            self.file.sync_data().inspect_err(|error| syncs.failed("file", error)).ok()?;
            Some(moved)
        })?;
        Some(progress.length.load(Ordering::Relaxed) - moved)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tempfile::TempDir;

    use super::*;

    const PAGE: u64 = 4096;
    const LONG: c_int = 1000;

    fn fill(connection: &Connection, pages: c_int) {
        for _ in 0..pages / 100 {
            connection.execute("INSERT INTO t VALUES (randomblob(400000))", []).expect("room");
        }
    }

    /// How often the log began anew. Source: "The WAL-Index and WAL-File Format" of SQLite, section 1.1.
    fn beginnings(log: &Path) -> u32 {
        let bytes = std::fs::read(log).expect("log");
        u32::from_be_bytes(bytes.get(12..16).expect("a header").try_into().expect("four bytes"))
    }

    /// A writer whose log is moved from `LONG` pages on, into `moved_to`.
    fn writer(file: &Path, moved_to: &Path) -> (Connection, Arc<Progress>) {
        let mut writer = Connection::open_with_flags(file, schema::flags()).expect("file");
        schema::prepare(&mut writer).expect("tables");
        let (_, progress) = from(&mut writer, moved_to, LONG, &Syncs::default()).expect("hook");
        writer.execute_batch("CREATE TABLE t (x)").expect("table");
        (writer, progress)
    }

    #[test]
    fn no_commit_waits_for_somebody_who_reads_what_is_old() {
        static WAITED: AtomicBool = AtomicBool::new(false);
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("t.db");
        let (mut writer, _) = writer(&file, &file);
        let waits = |_| {
            WAITED.store(true, Ordering::Relaxed);
            false
        };
        writer.busy_handler(Some(waits)).expect("handler");
        let reader = Connection::open_with_flags(&file, schema::flags()).expect("file");
        reader.execute_batch("BEGIN; SELECT * FROM t;").expect("a reader");
        fill(&writer, 6 * LONG);
        assert!(!WAITED.load(Ordering::Relaxed));
    }

    #[test]
    fn the_log_is_moved_while_the_writer_does_nothing() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("t.db");
        let (writer, progress) = writer(&file, &file);
        fill(&writer, LONG);
        let until = Instant::now() + Duration::from_secs(60);
        while !progress.nearly.load(Ordering::Relaxed) {
            assert!(Instant::now() < until, "nobody moved it");
            std::thread::yield_now();
        }
        let moved = std::fs::metadata(&file).expect("file").len() / PAGE;
        assert!(moved > LONG as u64 / 2, "the file has {moved} pages");
    }

    #[test]
    fn the_writer_moves_what_the_mover_left_and_begins_anew() {
        let folder = TempDir::new().expect("folder");
        let (file, log) = (folder.path().join("t.db"), folder.path().join("t.db-wal"));
        let (writer, progress) = writer(&file, &file);
        fill(&writer, 200);
        let before = beginnings(&log);
        progress.nearly.store(true, Ordering::Relaxed);
        fill(&writer, 100);
        assert_eq!(beginnings(&log), before, "this commit was in the log when it was moved");
        fill(&writer, 100);
        assert_ne!(beginnings(&log), before);
        let rows: i64 = writer.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("rows");
        assert_eq!(rows, 4);
    }

    #[test]
    fn a_log_that_nobody_moves_is_moved_by_the_writer() {
        let folder = TempDir::new().expect("folder");
        let (file, log) = (folder.path().join("t.db"), folder.path().join("t.db-wal"));
        let (writer, _) = writer(&file, &folder.path().join("not-there"));
        fill(&writer, 20 * LONG);
        let pages = std::fs::metadata(&log).expect("log").len() / PAGE;
        assert!(pages < 5 * LONG as u64, "the log has {pages} pages");
    }
}
