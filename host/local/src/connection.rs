//! Connections to the file of a store, and how they are set.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::folder;

/// How long a process waits between two tries to write while another one writes, and how often it tries: for
/// ten seconds or more. SQLite's own waits grow to a tenth of a second; a process that writes without a rest
/// would never be met in one of its short pauses.
const PAUSE: Duration = Duration::from_micros(200);
const TRIES: i32 = 50_000;

pub(crate) fn ask_again(tries: i32) -> bool {
    std::thread::sleep(PAUSE);
    tries < TRIES
}

/// A connection has one user at a time: a mutex for each of its calls would cost for nothing.
pub(crate) fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
}

/// The version of a file.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// A connection to this file, which is made if it is missing. By itself it never moves the log, not even when it is closed:
/// that is for those who know that the log is whole.
pub(crate) fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(folder::resolved(file), flags())?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// Sets what is to be set on a connection, and opens the log.
pub(crate) fn set(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(ask_again))?;
    // A new file can give pages back, an older one once it was compacted. SQLite would write to one that can already.
    if connection.query_row("PRAGMA page_count", [], |row| row.get::<_, u32>(0))? == 0 {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    // SQLite keeps the old mode, and says so, where it cannot change it.
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let cannot = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
        return Err(rusqlite::Error::SqliteFailure(cannot, Some(format!("its journal mode stays {mode}"))));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    // Or statements with a bound LIMIT are planned anew each time that they run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    // The log is opened with the first look.
    version(connection).map(drop)
}
