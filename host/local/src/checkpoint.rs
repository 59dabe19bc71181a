//! Checkpoints the WAL on a thread and connection of its own, so that no message waits for a checkpoint.
//!
//! By default SQLite checkpoints in the commit that makes the WAL too long, and that commit waits until all pages are
//! written and fsynced. Here another connection checkpoints while the writer continues. The WAL restarts only once it is
//! checkpointed whole, which under load would never happen, because it grows during the checkpoint. So the writer
//! checkpoints the last few pages, in less than a millisecond. Source: "Write-Ahead Logging" of SQLite, sections 2.1 and
//! 6.

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

/// The WAL is checkpointed once it has this many pages of 4 KiB: about 64 MiB. Most of them are versions of the same few
/// pages, and a checkpoint writes only the last version of each.
pub(crate) const LONG: u32 = 16_000;

/// The writer itself checkpoints at most about this many pages.
const FEW: c_int = 100;

/// Shared by the writer and the checkpointer.
#[derive(Default)]
struct Progress {
    /// The pages in the WAL.
    length: AtomicI32,
    /// Whether at most about [`FEW`] pages are left, which the writer is to checkpoint.
    nearly: AtomicBool,
}

/// The thread that checkpoints. Dropping it ends the thread.
pub(crate) struct Checkpointer {
    ask: mpsc::SyncSender<Asked>,
    thread: Option<JoinHandle<()>>,
}

enum Asked {
    Move,
    End,
}

impl Checkpointer {
    /// Starts a thread that checkpoints the writer's WAL once it has `long` pages, or on request. If the WAL is in doubt, the
    /// thread first calls `again` to have it rewritten.
    pub(crate) fn beside(
        writer: &mut Connection,
        connection: Moving,
        long: u32,
        syncs: &Syncs,
        again: impl Fn() + Send + 'static,
    ) -> rusqlite::Result<Checkpointer> {
        from(writer, connection, c_int::try_from(long).unwrap_or(c_int::MAX), syncs, again).map(|(mover, _)| mover)
    }

    /// Requests a checkpoint. One pending request is enough. If the thread could not be started, the writer checkpoints a
    /// WAL that gets too long.
    pub(crate) fn ask(&self) {
        let _ = self.ask.try_send(Asked::Move);
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        // This fails if the thread could not be started.
        let _ = self.ask.send(Asked::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The same, and returns the shared progress for tests.
fn from(
    writer: &mut Connection,
    moving: Moving,
    long: c_int,
    syncs: &Syncs,
    again: impl Fn() + Send + 'static,
) -> rusqlite::Result<(Checkpointer, Arc<Progress>)> {
    let syncs = syncs.clone();
    let movers_syncs = syncs.clone();
    let (ask, asked) = mpsc::sync_channel(1);
    let shared = Arc::new(Progress::default());
    let mut next = long;
    let asker = ask.clone();
    let progress = Arc::clone(&shared);
    let movers = Arc::clone(&shared);
    let thread = std::thread::Builder::new().name("towpath-checkpoint".to_owned());
    // If the thread cannot be started, the writer checkpoints everything, at four times the length.
    let thread = thread.spawn(move || moving.when_asked(&asked, &movers, &movers_syncs, again)).ok();
    let mover = Checkpointer { ask, thread };
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
            // After a whole checkpoint the WAL restarts at the next commit. This commit has already succeeded, so an
            // error here is not its error. PASSIVE does not wait for readers of old pages; then a later commit tries
            // again.
            syncs.try_moving(|| {
                log.checkpoint_v2(CheckpointMode::PASSIVE)
                    .inspect_err(|error| syncs.failed_if("database file", error))
                    .ok()
            });
        } else if due {
            let _ = asker.try_send(Asked::Move);
        }
        Ok(())
    }))?;
    Ok((mover, shared))
}

/// Opens the connection that checkpoints. It must be opened with the store: Linux reports a failed fsync only to
/// descriptors that were open at the time. Source: `fsync(2)`.
pub(crate) fn connect(file: &Path) -> rusqlite::Result<Moving> {
    let connection = connection::connect(file)?;
    // SQLite opens the WAL at the first read.
    connection::version(&connection)?;
    Ok(Moving { connection, path: file.to_owned(), file: OnceCell::new() })
}

pub(crate) struct Moving {
    connection: Connection,
    path: PathBuf,
    /// Never closed. Closing any descriptor of a file drops all of this process's POSIX locks on it, SQLite's too.
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

    /// Checkpoints repeatedly, as long as each pass leaves fewer pages than the one before. Returns whether only a few
    /// are left.
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

    /// Checkpoints once. Returns how many pages are left, including those written meanwhile. `None` if the checkpoint
    /// failed or was skipped.
    fn move_once(&self, progress: &Progress, syncs: &Syncs) -> Option<c_int> {
        let moved: c_int = syncs.moving(|| {
            let file = self
                .file()
                .inspect_err(|error| {
                    warn!(
                        event = "checkpoint-failed",
                        error = error as &dyn std::error::Error,
                        "cannot open the database file to checkpoint the WAL"
                    )
                })
                .ok()?;
            // Pages that cannot be checkpointed stay in the WAL, which is just as durable.
            let moved = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2));
            let moved = moved.inspect_err(|error| {
                warn!(
                    event = "checkpoint-failed",
                    error = error as &dyn std::error::Error,
                    "cannot checkpoint the WAL, retrying when it is longer"
                );
                syncs.failed_if("database file", error);
            });
            let moved = moved.ok()?;
            // SQLite fsyncs the database file only after a whole checkpoint, which is the writer's last step. Doing it
            // here keeps that step short.
            file.sync_data().inspect_err(|error| syncs.failed("database file", error)).ok()?;
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

    /// How often the WAL restarted: the checkpoint sequence number in its header. Source:
    /// <https://www.sqlite.org/walformat.html>.
    fn restarts(log: &Path) -> u32 {
        let bytes = std::fs::read(log).expect("log");
        u32::from_be_bytes(bytes.get(12..16).expect("a header").try_into().expect("four bytes"))
    }

    /// A writer whose WAL is checkpointed at `LONG` pages.
    fn writer(file: &Path) -> (Connection, Checkpointer, Arc<Progress>) {
        let mut writer = connection::connect(file).expect("file");
        schema::prepare(&mut writer).expect("tables");
        let moving = connect(file).expect("file");
        let (mover, progress) = from(&mut writer, moving, LONG, &Syncs::default(), || {}).expect("hook");
        writer.execute_batch("CREATE TABLE t (x)").expect("table");
        (writer, mover, progress)
    }

    #[test]
    fn no_commit_waits_for_a_long_reader() {
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
    fn the_wal_is_checkpointed_while_the_writer_is_idle() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("t.db");
        let (writer, _mover, progress) = writer(&file);
        fill(&writer, LONG);
        let until = Instant::now() + Duration::from_secs(60);
        while !progress.nearly.load(Ordering::Relaxed) {
            assert!(Instant::now() < until, "nothing checkpointed it");
            std::thread::yield_now();
        }
        let moved = std::fs::metadata(&file).expect("file").len() / PAGE;
        assert!(moved > LONG as u64 / 2, "the file has {moved} pages");
    }

    #[test]
    fn the_writer_checkpoints_the_last_pages_and_the_wal_restarts() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("t.db");
        let log = folder.path().join("t.db-wal");
        let (writer, _mover, progress) = writer(&file);
        fill(&writer, 200);
        let before = restarts(&log);
        progress.nearly.store(true, Ordering::Relaxed);
        fill(&writer, 100);
        assert_eq!(restarts(&log), before, "this commit was checkpointed with the WAL");
        fill(&writer, 100);
        assert_ne!(restarts(&log), before);
        let rows: i64 = writer.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("rows");
        assert_eq!(rows, 4);
    }

    #[test]
    fn a_file_that_could_not_be_synced_after_a_move_is_in_doubt() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("t.db");
        let mut writer = connection::connect(&file).expect("file");
        schema::prepare(&mut writer).expect("tables");
        writer.execute_batch("CREATE TABLE t (x)").expect("table");
        let moving = connect(&file).expect("file");
        // A device without a disk behind it cannot be synced.
        let device = File::open("/dev/null").expect("a device");
        assert!(moving.file.set(ManuallyDrop::new(device)).is_ok());
        let syncs = Syncs::default();
        assert!(moving.move_once(&Progress::default(), &syncs).is_none());
        assert!(syncs.in_doubt());
    }

    #[test]
    fn without_a_checkpointer_the_writer_checkpoints_the_wal() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("t.db");
        let log = folder.path().join("t.db-wal");
        let (writer, mover, _) = writer(&file);
        drop(mover);
        fill(&writer, 20 * LONG);
        let pages = std::fs::metadata(&log).expect("log").len() / PAGE;
        assert!(pages < 5 * LONG as u64, "the WAL has {pages} pages");
    }
}
