//! Moving SQLite's log into its file beside the writer, so that no message waits for it.
//!
//! By itself the connection that writes does it, at the commit that makes the log too long: the messages of that commit wait
//! for all pages to be written and synced. Here a connection of its own does it meanwhile. While it does, the log grows on,
//! and only where it is moved whole it begins anew; under load that never happens by itself, so that the writer moves the
//! last few pages, which takes less than a millisecond. Source: "Write-Ahead Logging" of SQLite, sections 2.1 and 6.

use std::cell::OnceCell;
use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;
use tracing::warn;

use crate::connection;
use crate::disk::Syncs;

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

/// Moves the log of a writer from a thread of its own, until it is dropped.
pub(crate) struct Mover {
    ask: mpsc::SyncSender<Asked>,
    thread: Option<JoinHandle<()>>,
}

/// What is asked of the thread.
enum Asked {
    Move,
    End,
}

impl Mover {
    /// Moves the log of the writer on this connection, from so many pages on, or when it is asked to. Where it is in doubt
    /// it has it written again first.
    pub(crate) fn beside(
        writer: &mut Connection,
        connection: Moving,
        long: u32,
        syncs: &Syncs,
        again: impl Fn() + Send + 'static,
    ) -> rusqlite::Result<Mover> {
        from(writer, connection, c_int::try_from(long).unwrap_or(c_int::MAX), syncs, again).map(|(mover, _)| mover)
    }

    /// If it is asked already that will do, and without a thread the writer moves what gets too long.
    pub(crate) fn ask(&self) {
        let _ = self.ask.try_send(Asked::Move);
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        // It fails if there is no thread.
        let _ = self.ask.send(Asked::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The same for a log of any length.
fn from(
    writer: &mut Connection,
    moving: Moving,
    long: c_int,
    syncs: &Syncs,
    again: impl Fn() + Send + 'static,
) -> rusqlite::Result<(Mover, Arc<Progress>)> {
    let [syncs, movers_syncs] = [(); 2].map(|()| syncs.clone());
    let (ask, asked) = mpsc::sync_channel(1);
    let shared = Arc::new(Progress::default());
    let mut next = long;
    let asker = ask.clone();
    let [progress, movers] = [(); 2].map(|()| Arc::clone(&shared));
    let thread = std::thread::Builder::new().name("towpath-checkpoint".to_owned());
    // Without a thread the writer moves everything, later than it would by itself.
    let thread = thread.spawn(move || moving.when_asked(&asked, &movers, &movers_syncs, again)).ok();
    let mover = Mover { ask, thread };
    writer.wal_hook(Some(move |log: &mut rusqlite::hooks::Wal, pages: c_int| {
        if pages < progress.length.swap(pages, Ordering::Relaxed) {
            next = long;
        }
        let due = pages >= next;
        if due {
            next = pages + long / 4;
        }
        let nearly = progress.nearly.swap(false, Ordering::Relaxed);
        if (nearly || (due && pages >= 4 * long)) && !syncs.in_doubt() {
            // Moved whole it begins anew at the next commit. This one has succeeded whatever comes of it, and waits for nobody
            // who reads what is old: then it is tried again later.
            syncs.try_moving(|| {
                log.checkpoint_v2(CheckpointMode::PASSIVE).inspect_err(|error| syncs.failed_if("file", error)).ok()
            });
        } else if due {
            let _ = asker.try_send(Asked::Move);
        }
        Ok(())
    }))?;
    Ok((mover, shared))
}

/// A connection that moves the log of the store in this file. It is opened with the store, so that it hears of every sync
/// that fails from then on.
pub(crate) fn connect(file: &Path) -> rusqlite::Result<Moving> {
    let connection = connection::connect(file)?;
    // The log is opened with the first look.
    connection::version(&connection)?;
    Ok(Moving { connection, path: file.to_owned(), file: OnceCell::new() })
}

pub(crate) struct Moving {
    connection: Connection,
    path: PathBuf,
    /// Never closed: with any descriptor of a file that a process closes it loses all its locks on it, SQLite's too.
    /// Source: <https://www.sqlite.org/howtocorrupt.html>, section 2.2.
    file: OnceCell<ManuallyDrop<File>>,
}

impl Moving {
    fn when_asked(self, asked: &mpsc::Receiver<Asked>, progress: &Progress, syncs: &Syncs, again: impl Fn()) {
        while let Ok(Asked::Move) = asked.recv() {
            if syncs.in_doubt() {
                again();
            }
            progress.nearly.store(self.move_most(progress, syncs), Ordering::Relaxed);
        }
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
            let file = self
                .file()
                .inspect_err(|error| {
                    warn!(error = error as &dyn std::error::Error, "cannot open the file to move the log")
                })
                .ok()?;
            // What cannot be moved stays in the log, where it is as safe.
            let moved = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2));
            let moved = moved.inspect_err(|error| {
                warn!(error = error as &dyn std::error::Error, "cannot move the log, trying again when it is longer");
                syncs.failed_if("file", error);
            });
            let moved = moved.ok()?;
            // SQLite syncs the file only where it has moved the whole log: that would all be left to the writer.
            file.sync_data().inspect_err(|error| syncs.failed("file", error)).ok()?;
            Some(moved)
        })?;
        Some(progress.length.load(Ordering::Relaxed) - moved)
    }

    fn file(&self) -> io::Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let opened = File::open(&self.path)?;
        Ok(self.file.get_or_init(|| ManuallyDrop::new(opened)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tempfile::TempDir;

    use super::*;
    use crate::schema;

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

    /// A writer whose log is moved from `LONG` pages on.
    fn writer(file: &Path) -> (Connection, Mover, Arc<Progress>) {
        let mut writer = connection::connect(file).expect("file");
        schema::prepare(&mut writer).expect("tables");
        let moving = connect(file).expect("file");
        let (mover, progress) = from(&mut writer, moving, LONG, &Syncs::default(), || {}).expect("hook");
        writer.execute_batch("CREATE TABLE t (x)").expect("table");
        (writer, mover, progress)
    }

    #[test]
    fn no_commit_waits_for_somebody_who_reads_what_is_old() {
        static WAITED: AtomicBool = AtomicBool::new(false);
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("t.db");
        let (mut writer, _mover, _) = writer(&file);
        let waits = |_| {
            WAITED.store(true, Ordering::Relaxed);
            false
        };
        writer.busy_handler(Some(waits)).expect("handler");
        let reader = Connection::open_with_flags(&file, connection::flags()).expect("file");
        reader.execute_batch("BEGIN; SELECT * FROM t;").expect("a reader");
        fill(&writer, 6 * LONG);
        assert!(!WAITED.load(Ordering::Relaxed));
    }

    #[test]
    fn the_log_is_moved_while_the_writer_does_nothing() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("t.db");
        let (writer, _mover, progress) = writer(&file);
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
        let file = folder.path().join("t.db");
        let log = folder.path().join("t.db-wal");
        let (writer, _mover, progress) = writer(&file);
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
        let file = folder.path().join("t.db");
        let log = folder.path().join("t.db-wal");
        let (writer, mover, _) = writer(&file);
        drop(mover);
        fill(&writer, 20 * LONG);
        let pages = std::fs::metadata(&log).expect("log").len() / PAGE;
        assert!(pages < 5 * LONG as u64, "the log has {pages} pages");
    }
}
