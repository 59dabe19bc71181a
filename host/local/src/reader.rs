//! Read-only connections. They never wait for the writer or block it, and change neither the database file nor the WAL.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::TempDir;
use towpath_files::private;

use crate::wal::beside;
use crate::{connection, folder};

/// At most this many idle connections are kept.
const IDLE: usize = 4;

/// The read-only connections of a store.
pub(crate) struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<Reader>>,
}

struct Reader {
    connection: Connection,
    at: At,
}

/// What a connection reads.
enum At {
    /// The database file and the WAL, which others may write.
    Live,
    /// The database file alone, as immutable: no process had it open, and there was no WAL. Holds the file's version at
    /// that time.
    Still(Option<FileVersion>),
    /// A copy: a process left a WAL, but SQLite cannot create the WAL index next to it, for example on a read-only folder.
    Copy { _folder: TempDir },
}

impl Readers {
    pub(crate) fn of(file: &Path) -> Readers {
        Readers { file: file.to_owned(), idle: Mutex::default() }
    }

    /// Reads from one snapshot, which contains at least everything committed before the call.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let idle = self.idle.lock().pop();
        let reader = match idle {
            Some(reader) => reader,
            None => Reader::open(&self.file)?,
        };
        let found = reader.look(look);
        match reader.at {
            At::Live if found.is_ok() => {
                let mut idle = self.idle.lock();
                if idle.len() < IDLE {
                    idle.push(reader);
                }
            }
            // SQLite read the file as immutable, so a change meanwhile makes the result unreliable.
            At::Still(version) if version != FileVersion::of(&self.file) => return Err(changed()),
            // Not kept: the next read checks again whether a process has the store open.
            At::Live | At::Still(_) | At::Copy { .. } => {}
        }
        found
    }

    /// Keeps new reads waiting until this is dropped.
    #[cfg(test)]
    pub(crate) fn keep_waiting(&self) -> impl Sized + '_ {
        self.idle.lock()
    }
}

impl Reader {
    fn look<T>(&self, look: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let transaction = self.connection.unchecked_transaction()?;
        let found = look(&transaction)?;
        transaction.commit()?;
        Ok(found)
    }

    fn open(file: &Path) -> rusqlite::Result<Reader> {
        let log = std::fs::metadata(beside(file, "-wal")).map(|log| log.len());
        let opened = match log {
            // There is no WAL, and opening the file normally would create one.
            Err(_) => return Reader::still(file),
            Ok(_) => connect(&folder::resolved(file), OpenFlags::empty()),
        };
        match (opened, log.unwrap_or_default()) {
            (Ok(connection), _) => Ok(Reader { connection, at: At::Live }),
            (Err(error), length) if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) => match length {
                0 => Reader::still(file),
                _ => Reader::copy(file),
            },
            (Err(error), _) => Err(error),
        }
    }

    fn still(file: &Path) -> rusqlite::Result<Reader> {
        let version = FileVersion::of(file);
        let file = folder::resolved(file);
        let escaped = file.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        let connection = connect(Path::new(&format!("file:{escaped}?immutable=1")), OpenFlags::SQLITE_OPEN_URI)?;
        Ok(Reader { connection, at: At::Still(version) })
    }

    fn copy(file: &Path) -> rusqlite::Result<Reader> {
        let cannot = |error: std::io::Error| {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
            rusqlite::Error::SqliteFailure(code, Some(format!("cannot copy the store to read it: {error}")))
        };
        let folder = private::passing_folder("towpath-look-", None).map_err(cannot)?;
        let copy = folder.path().join("look.db");
        private::copy(&beside(file, "-wal"), &beside(&copy, "-wal")).map_err(cannot)?;
        private::copy(file, &copy).map_err(cannot)?;
        Ok(Reader {
            connection: connect(&folder::resolved(&copy), OpenFlags::empty())?,
            at: At::Copy { _folder: folder },
        })
    }
}

/// Identifies a version of a file: it differs after a write, and after the file was replaced.
#[derive(PartialEq, Eq)]
struct FileVersion {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl FileVersion {
    /// `None` if there is no file.
    fn of(file: &Path) -> Option<FileVersion> {
        let found = std::fs::metadata(file).ok()?;
        let changed = (found.ctime(), found.ctime_nsec());
        Some(FileVersion { inode: found.ino(), length: found.len(), changed })
    }
}

fn changed() -> rusqlite::Error {
    let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    rusqlite::Error::SqliteFailure(busy, Some("a host started on the store during this read: try again".to_owned()))
}

fn connect(path: &Path, besides: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(path, flags | besides)?;
    connection.busy_handler(Some(connection::ask_again))?;
    // Even the last connection to close must leave the WAL as it is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(16);
    // SQLite opens the file at the first read.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use towpath_types::clock::Clock;
    use towpath_types::queue::{NewMessage, Queue as _};

    use super::*;
    use crate::{LocalQueue, QueueSettings, Store, StoreError};

    async fn send(queue: &LocalQueue, id: &str) {
        let group = "g".into();
        let dedup_id = Some(id.into());
        let body = id.to_owned();
        queue
            .send(NewMessage { group, dedup_id, body: body.into(), attributes: Default::default() })
            .await
            .expect("send");
    }

    async fn filled(folder: &Path) -> LocalQueue {
        let store = Store::open(folder, Clock::wall()).expect("store");
        let queue = store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue");
        send(&queue, "1").await;
        queue
    }

    /// All files of a store except the WAL index: their bytes and modification times.
    fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
        let entries = std::fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path());
        let mut paths: Vec<PathBuf> = entries.filter(|path| !path.to_string_lossy().ends_with("-shm")).collect();
        paths.sort();
        let written = |path: &Path| std::fs::metadata(path).and_then(|found| found.modified()).expect("a time");
        let file = |path: PathBuf| (path.clone(), std::fs::read(&path).expect("file"), written(&path));
        paths.into_iter().map(file).collect()
    }

    /// Copies the files of a running process, as a killed one leaves them.
    fn killed(from: &Path, to: &Path) {
        for (path, bytes, _) in files(from) {
            std::fs::write(to.join(path.file_name().expect("a name")), bytes).expect("copied");
        }
    }

    async fn looked_at(folder: &Path) -> u64 {
        let store = Store::look(folder, Clock::wall()).expect("it can be looked at");
        let queue = store.find("q.fifo").await.expect("read").expect("its queue");
        assert_eq!(queue.browse(None, 10).await.expect("messages")[0].body.as_text(), Some("1"));
        assert!(queue.has_group(&"g".into()).await.expect("read").expect("known"));
        assert_eq!(queue.groups(10).await.expect("groups").len(), 1);
        queue.last_sequence().await.expect("read");
        queue.standing().expect("read");
        assert_eq!(store.queue_names().await.expect("names"), ["q.fifo"]);
        queue.depth().await.expect("depth").messages
    }

    #[tokio::test]
    async fn a_read_changes_no_file_whether_a_host_runs_was_killed_or_has_stopped() {
        let running = TempDir::new().expect("folder");
        let killed_one = TempDir::new().expect("folder");
        let queue = filled(running.path()).await;
        killed(running.path(), killed_one.path());
        let unreadable_index = TempDir::new().expect("folder");
        killed(running.path(), unreadable_index.path());
        std::fs::create_dir(unreadable_index.path().join("towpath.db-shm")).expect("in the way");
        let stopped = TempDir::new().expect("folder");
        drop(filled(stopped.path()).await);
        // The store closes on another thread.
        while stopped.path().join("towpath.db-wal").exists() {
            tokio::task::yield_now().await;
        }
        for (name, folder) in [
            ("running", &running),
            ("killed", &killed_one),
            ("killed, where nothing can be written", &unreadable_index),
            ("stopped", &stopped),
        ] {
            let before = files(folder.path());
            assert_eq!(looked_at(folder.path()).await, 1, "{name}");
            assert!(before == files(folder.path()), "{name}: a read changed it");
        }
        send(&queue, "2").await;
    }

    #[tokio::test]
    async fn a_reader_of_a_stopped_store_sees_what_a_new_host_writes() {
        let folder = TempDir::new().expect("folder");
        drop(filled(folder.path()).await);
        let store = Store::look(folder.path(), Clock::wall()).expect("store");
        let looked = store.find("q.fifo").await.expect("read").expect("its queue");
        assert_eq!(looked.depth().await.expect("depth").messages, 1);
        let host = Store::open(folder.path(), Clock::wall()).expect("a host starts");
        send(&host.find("q.fifo").await.expect("read").expect("its queue"), "2").await;
        assert_eq!(looked.depth().await.expect("depth").messages, 2);
    }

    #[tokio::test]
    async fn a_reader_sees_what_a_host_wrote_between_two_reads_even_without_a_wal() {
        let folder = TempDir::new().expect("folder");
        let stopped = || async {
            while folder.path().join("towpath.db-wal").exists() {
                tokio::task::yield_now().await;
            }
        };
        drop(filled(folder.path()).await);
        stopped().await;
        let store = Store::look(folder.path(), Clock::wall()).expect("store");
        let looked = store.find("q.fifo").await.expect("read").expect("its queue");
        assert_eq!(looked.depth().await.expect("depth").messages, 1);
        let host = Store::open(folder.path(), Clock::wall()).expect("a host starts");
        send(&host.find("q.fifo").await.expect("read").expect("its queue"), "2").await;
        drop(host);
        stopped().await;
        assert_eq!(looked.depth().await.expect("depth").messages, 2);
    }

    #[tokio::test]
    async fn a_read_of_an_immutable_file_fails_if_the_file_changes_meanwhile() {
        let folder = TempDir::new().expect("folder");
        drop(filled(folder.path()).await);
        while folder.path().join("towpath.db-wal").exists() {
            tokio::task::yield_now().await;
        }
        let store = Store::look(folder.path(), Clock::wall()).expect("store");
        let changes = |_: &Connection| {
            let other = Connection::open(folder.path().join("towpath.db"))?;
            other.execute_batch("CREATE TABLE t AS SELECT randomblob(100000); PRAGMA wal_checkpoint")?;
            Ok(())
        };
        let error = store.read_now(changes).expect_err("it changed").to_string();
        assert!(error.contains("try again"), "{error}");
        store.read_now(|_| Ok(())).expect("the next read succeeds");
    }

    #[tokio::test]
    async fn a_store_that_was_opened_for_reading_can_still_write() {
        let folder = TempDir::new().expect("folder");
        drop(filled(folder.path()).await);
        let store = Store::look(folder.path(), Clock::wall()).expect("store");
        let queue = store.find("q.fifo").await.expect("read").expect("its queue");
        send(&queue, "2").await;
        assert_eq!(queue.depth().await.expect("depth").messages, 2);
    }

    #[tokio::test]
    async fn reading_where_there_is_no_store_fails_and_creates_none() {
        let folder = TempDir::new().expect("folder");
        let none = folder.path().join("none");
        assert!(matches!(Store::look(&none, Clock::wall()), Err(StoreError::Missing { .. })));
        assert!(!none.exists());
        std::fs::write(folder.path().join("towpath.db"), "").expect("an empty file");
        assert!(matches!(Store::look(folder.path(), Clock::wall()), Err(StoreError::Older { found: 0, .. })));
    }

    #[tokio::test]
    async fn a_read_does_not_wait_for_a_writer() {
        let folder = TempDir::new().expect("folder");
        let queue = filled(folder.path()).await;
        let other = Connection::open(folder.path().join("towpath.db")).expect("file");
        other.execute_batch("BEGIN IMMEDIATE; DELETE FROM messages").expect("another writer");
        assert_eq!(queue.depth().await.expect("depth").messages, 1, "it is not committed");
        other.execute_batch("COMMIT").expect("committed");
        assert_eq!(queue.depth().await.expect("depth").messages, 0);
    }
}
