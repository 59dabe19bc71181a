//! Opens and configures connections to a store.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::folder;

/// The interval and number of tries for a lock that another process holds: ten seconds or more in all. SQLite's own busy
/// timeout backs off to 100 ms, and would keep missing the short pauses of a process that writes all the time.
const PAUSE: Duration = Duration::from_micros(200);
const TRIES: i32 = 50_000;

pub(crate) fn ask_again(tries: i32) -> bool {
    std::thread::sleep(PAUSE);
    tries < TRIES
}

/// `NO_MUTEX`, because one thread at a time uses a connection. `NOFOLLOW`, because a planted link could redirect the store.
pub(crate) fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
}

/// The format version of a store.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Opens a connection, and creates the file if it is missing. The connection never checkpoints by itself, not even when it is
/// closed: only code that knows that the WAL is not in doubt may checkpoint.
pub(crate) fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(folder::resolved(file), flags())?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// Configures a connection that writes, and opens the WAL.
pub(crate) fn set(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(ask_again))?;
    // Lets a new file return free pages to the file system; an existing one needs a VACUUM for that, which `compact`
    // does. Set only on an empty file: on one that has it already, SQLite would write.
    if connection.query_row("PRAGMA page_count", [], |row| row.get::<_, u32>(0))? == 0 {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    // If SQLite cannot change the mode it keeps the old one, without an error.
    let mode =
        patiently(|| connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)))?;
    if mode != "wal" {
        let cannot = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
        let problem = format!("the journal mode stays {mode} instead of WAL, which needs a local file system");
        return Err(rusqlite::Error::SqliteFailure(cannot, Some(problem)));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    // Without this, SQLite prepares a statement with a bound LIMIT again at each run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    // SQLite opens the WAL at the first read.
    version(connection).map(drop)
}

/// Tries again while another process has the lock. For what SQLite does without the busy handler: when two processes change
/// the mode of a new file at once, both hold a read lock and one must give way.
fn patiently<T>(mut attempt: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let mut tries = 0;
    loop {
        match attempt() {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && ask_again(tries) => tries += 1,
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use tempfile::TempDir;
    use towpath_types::clock::Clock;

    use crate::Store;

    #[test]
    fn hosts_that_open_a_new_store_at_the_same_time_all_open_it() {
        for _ in 0..100 {
            let folder = TempDir::new().expect("folder");
            let together = Barrier::new(4);
            let open = || {
                together.wait();
                Store::open(folder.path(), Clock::wall()).map(drop)
            };
            std::thread::scope(|scope| {
                let hosts = [(); 4].map(|()| scope.spawn(open));
                for host in hosts {
                    host.join().expect("no panic").expect("it opens");
                }
            });
        }
    }
}
