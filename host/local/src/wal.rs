//! SQLite's WAL and WAL index as bytes, for two steps of the repair after a failed fsync that SQLite cannot do itself:
//! write the WAL again in place, and forget which frames were checkpointed. Source:
//! <https://www.sqlite.org/walformat.html>.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use towpath_files::private;

/// The lengths of the WAL header and of each frame's header.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Offsets in the WAL index: its two copies of the header, in each of them the number of committed frames (`mxFrame`),
/// and after them the number of checkpointed frames (`nBackfill`). All numbers are in native byte order.
const INDEX_COPIES: [u64; 2] = [0, 48];
const COMMITTED: u64 = 16;
const MOVED: u64 = 96;

/// The WAL index, the `-shm` file that every connection maps into memory.
pub(crate) struct Index {
    /// Never closed. Closing any descriptor of a file drops all of this process's POSIX locks on it, SQLite's too.
    /// Source: <https://www.sqlite.org/howtocorrupt.html>, section 2.2.
    file: ManuallyDrop<File>,
}

impl Index {
    /// The WAL index of this database file, which a connection must have open.
    pub(crate) fn of(file: &Path) -> io::Result<Index> {
        let file = private::update(&beside(file, "-shm"))?;
        Ok(Index { file: ManuallyDrop::new(file) })
    }

    /// The number of committed frames. It can change unless the caller holds SQLite's write lock.
    pub(crate) fn committed(&self) -> io::Result<u32> {
        let [first, second] = INDEX_COPIES.map(|copy| self.number(copy + COMMITTED));
        let first = first?;
        let second = second?;
        if first == second { Ok(first) } else { Err(io::Error::other("the WAL index is being written")) }
    }

    /// Makes the next checkpoint copy every frame again, by setting `nBackfill` to 0. The caller must hold SQLite's write
    /// lock and keep all processes from checkpointing.
    pub(crate) fn forget_moved(&self) -> io::Result<()> {
        self.file.write_all_at(&0_u32.to_ne_bytes(), MOVED)
    }

    fn number(&self, at: u64) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(u32::from_ne_bytes(bytes))
    }
}

/// The path of the file that SQLite keeps next to a database file.
pub(crate) fn beside(file: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes the first `frames` frames of the WAL again, in place. They are read from the page cache. After a failed fsync
/// the kernel may have replaced a page there with older data from the disk, so each frame's checksum is verified before
/// it is written.
pub(crate) fn write_again(log: &File, frames: u32) -> io::Result<()> {
    if frames == 0 {
        return Ok(());
    }
    let mut header = [0; HEADER];
    log.read_exact_at(&mut header, 0)?;
    let magic = be(&header, 0);
    let page = be(&header, 8) as usize;
    let salts = header.get(16..24).map(<[u8]>::to_vec);
    let mut sum = Checksum { big_endian: magic & 1 == 1, sums: (0, 0) };
    sum.add(header.get(..24).unwrap_or_default());
    if magic & !1 != 0x377f_0682 || sum.sums != (be(&header, 24), be(&header, 28)) {
        return Err(lost());
    }
    log.write_all_at(&header, 0)?;
    let mut frame = vec![0; FRAME_HEADER + page];
    for number in 0..u64::from(frames) {
        let at = HEADER as u64 + number * frame.len() as u64;
        log.read_exact_at(&mut frame, at)?;
        sum.add(frame.get(..8).unwrap_or_default());
        sum.add(frame.get(FRAME_HEADER..).unwrap_or_default());
        let whole = sum.sums == (be(&frame, 16), be(&frame, 20)) && frame.get(8..16) == salts.as_deref();
        if !whole {
            return Err(lost());
        }
        log.write_all_at(&frame, at)?;
    }
    Ok(())
}

fn lost() -> io::Error {
    io::Error::other(
        "an fsync failed, and the kernel dropped data before it was written: stop every process that uses the store, check the \
         disk, and start again; acknowledged messages are safe",
    )
}

/// The WAL's cumulative checksum.
struct Checksum {
    big_endian: bool,
    sums: (u32, u32),
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let word = |at: &[u8; 4]| if self.big_endian { u32::from_be_bytes(*at) } else { u32::from_le_bytes(*at) };
        let (words, _) = bytes.as_chunks::<4>();
        let (pairs, _) = words.as_chunks::<2>();
        for [first, second] in pairs {
            self.sums.0 = self.sums.0.wrapping_add(word(first)).wrapping_add(self.sums.1);
            self.sums.1 = self.sums.1.wrapping_add(word(second)).wrapping_add(self.sums.0);
        }
    }
}

/// A number in the WAL, which is big-endian.
fn be(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;
    use crate::{connection, schema};

    /// A store with rows in its WAL.
    fn store(folder: &TempDir) -> (Connection, File, Index) {
        let file = folder.path().join("t.db");
        let mut connection = Connection::open_with_flags(&file, connection::flags()).expect("file");
        schema::prepare(&mut connection).expect("tables");
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (randomblob(40000))").expect("rows");
        let log = File::options().read(true).write(true).open(beside(&file, "-wal")).expect("log");
        let index = Index::of(&file).expect("index");
        (connection, log, index)
    }

    #[test]
    fn rewriting_the_wal_changes_no_byte() {
        let folder = TempDir::new().expect("folder");
        let (_connection, log, index) = store(&folder);
        let before = std::fs::read(folder.path().join("t.db-wal")).expect("log");
        assert!(index.committed().expect("index") >= 10);
        write_again(&log, index.committed().expect("index")).expect("written");
        assert_eq!(std::fs::read(folder.path().join("t.db-wal")).expect("log"), before);
    }

    #[test]
    fn a_wal_with_a_wrong_checksum_is_not_rewritten() {
        let folder = TempDir::new().expect("folder");
        let (_connection, log, index) = store(&folder);
        let whole = std::fs::read(folder.path().join("t.db-wal")).expect("log");
        let frames = index.committed().expect("index");
        for at in [0, 20, HEADER + 4, HEADER + 12, HEADER + FRAME_HEADER + 7, whole.len() - 1] {
            log.write_all_at(&[whole[at] ^ 1], at as u64).expect("written");
            let error = write_again(&log, frames).expect_err("a byte is wrong").to_string();
            assert!(error.contains("dropped"), "byte {at}: {error}");
            log.write_all_at(&[whole[at]], at as u64).expect("written");
        }
        write_again(&log, frames).expect("it is whole again");
        log.set_len(whole.len() as u64 - 1).expect("cut");
        write_again(&log, frames).expect_err("the end is gone");
    }

    #[test]
    fn after_forget_moved_a_checkpoint_copies_every_frame_again() {
        let folder = TempDir::new().expect("folder");
        let (connection, _log, index) = store(&folder);
        // A reader keeps the end of the WAL from being checkpointed.
        let reader = Connection::open_with_flags(folder.path().join("t.db"), connection::flags()).expect("file");
        reader.execute_batch("BEGIN; SELECT * FROM t;").expect("a reader");
        connection.execute_batch("INSERT INTO t VALUES (1)").expect("a row");
        let moved =
            || -> i64 { connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2)).expect("moved") };
        let before = moved();
        // Closing it would drop SQLite's locks.
        let file = File::options().read(true).write(true).open(folder.path().join("t.db")).expect("file");
        let file = ManuallyDrop::new(file);
        let last = file.metadata().expect("file").len() - 4096;
        let page = || {
            let mut page = vec![0; 4096];
            file.read_exact_at(&mut page, last).map(|()| page).expect("a page")
        };
        let whole = page();
        file.write_all_at(&[0xAA; 4096], last).expect("what a failed fsync may leave");
        assert_eq!(moved(), before);
        assert_ne!(page(), whole, "SQLite counts it as checkpointed");
        index.forget_moved().expect("written");
        assert_eq!(moved(), before);
        assert_eq!(page(), whole);
    }
}
