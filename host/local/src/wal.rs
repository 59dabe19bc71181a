//! SQLite's log and its index as bytes, for what SQLite itself cannot do after a failed sync: write the log again where it
//! stands, and forget that pages of it were moved. Source: <https://www.sqlite.org/walformat.html>.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use towpath_files::private;

/// The header of the log, and that of each frame.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The index begins with two copies of its header, which say how many frames are committed; how many of them were moved to
/// the file stands behind them. All of it is in the machine's own byte order.
const INDEX_COPIES: [u64; 2] = [0, 48];
const COMMITTED: u64 = 16;
const MOVED: u64 = 96;

/// The index of the log, which every connection has in its memory.
pub(crate) struct Index {
    /// Never closed: a process that closes any descriptor of a file loses all its locks on that file, SQLite's too.
    /// Source: <https://www.sqlite.org/howtocorrupt.html>, section 2.2.
    file: ManuallyDrop<File>,
}

impl Index {
    /// The index of the store in this file, which a connection has open.
    pub(crate) fn of(file: &Path) -> io::Result<Index> {
        let file = private::update(&beside(file, "-shm"))?;
        Ok(Index { file: ManuallyDrop::new(file) })
    }

    /// How many frames are committed. Only who may write knows that it stays so.
    pub(crate) fn committed(&self) -> io::Result<u32> {
        let [first, second] = INDEX_COPIES.map(|copy| self.number(copy + COMMITTED));
        let first = first?;
        let second = second?;
        if first == second { Ok(first) } else { Err(io::Error::other("the index of the log is being written")) }
    }

    /// Has every frame moved to the file again, by the next who move any. Only who may write, and keeps others from moving,
    /// may do this.
    pub(crate) fn forget_moved(&self) -> io::Result<()> {
        self.file.write_all_at(&0_u32.to_ne_bytes(), MOVED)
    }

    fn number(&self, at: u64) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(u32::from_ne_bytes(bytes))
    }
}

/// The file that SQLite keeps beside this one.
pub(crate) fn beside(file: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes the log again, in place, as far as it is committed: so many frames. Its bytes come from the system's memory, which
/// after a failed sync may have dropped them for what the disk has: each frame must bear out its checksum before it is written.
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
        "a sync failed, and the system has dropped what was to be written: stop all that runs on the store, check the disk, and \
         start it again; what was answered is safe",
    )
}

/// The checksum that runs over the log.
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

/// A number of the log, which is big-endian.
fn be(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;
    use crate::{connection, schema};

    /// A store with rows in its log.
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
    fn a_log_that_is_written_again_is_as_it_was() {
        let folder = TempDir::new().expect("folder");
        let (_connection, log, index) = store(&folder);
        let before = std::fs::read(folder.path().join("t.db-wal")).expect("log");
        assert!(index.committed().expect("index") >= 10);
        write_again(&log, index.committed().expect("index")).expect("written");
        assert_eq!(std::fs::read(folder.path().join("t.db-wal")).expect("log"), before);
    }

    #[test]
    fn a_log_that_the_system_has_dropped_a_byte_of_is_not_written_again() {
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
    fn what_was_moved_is_moved_again() {
        let folder = TempDir::new().expect("folder");
        let (connection, _log, index) = store(&folder);
        // One who reads keeps the end of the log from being moved.
        let reader = Connection::open_with_flags(folder.path().join("t.db"), connection::flags()).expect("file");
        reader.execute_batch("BEGIN; SELECT * FROM t;").expect("a reader");
        connection.execute_batch("INSERT INTO t VALUES (1)").expect("a row");
        let moved =
            || -> i64 { connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2)).expect("moved") };
        let before = moved();
        // Closing it would lose SQLite's locks.
        let file = File::options().read(true).write(true).open(folder.path().join("t.db")).expect("file");
        let file = ManuallyDrop::new(file);
        let last = file.metadata().expect("file").len() - 4096;
        let page = || {
            let mut page = vec![0; 4096];
            file.read_exact_at(&mut page, last).map(|()| page).expect("a page")
        };
        let whole = page();
        file.write_all_at(&[0xAA; 4096], last).expect("what a failed sync may leave");
        assert_eq!(moved(), before);
        assert_ne!(page(), whole, "it counts as moved");
        index.forget_moved().expect("written");
        assert_eq!(moved(), before);
        assert_eq!(page(), whole);
    }
}
