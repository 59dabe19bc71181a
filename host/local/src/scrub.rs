//! Leaves no byte of what was deleted in the files of a store, while hosts use it.
//!
//! SQLite deletes by forgetting: the bytes stay in free pages, in gaps of other pages and in the WAL until something overwrites
//! them. `secure_delete` would not help: it comes too late for earlier deletes, and pages that SQLite has rebalanced keep copies of
//! rows that moved. A VACUUM writes every page again. It is one long write, and hosts wait for it.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::connection;
use crate::error::{StoreError, Trouble};
use crate::store::Store;
use crate::writer::Durability;

/// How long to try until the WAL can be emptied: each reader must have finished once.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two attempts to empty the WAL. No lock is held meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

/// How often an attempt to empty the WAL tries a lock, every 0.2 ms. Other processes cannot write while it waits for a reader.
const TRIES: i32 = 50;

/// The result of [`Store::scrub`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scrubbed {
    Done,
    /// More bytes are in use than the caller allowed; nothing was done.
    TooLarge {
        bytes: u64,
    },
}

impl Store {
    /// Rewrites the store without its deleted bytes, and empties the WAL, unless more than `most` bytes are in use. Operations of all
    /// processes on the store wait meanwhile; each fails after ten seconds or more. Needs as much free disk space twice.
    pub async fn scrub(&self, most: u64) -> Result<Scrubbed, StoreError> {
        let file = self.file().to_owned();
        let bytes = self.read(in_use).await.map_err(|error| StoreError::scrub(&file, error))?;
        if bytes > most {
            return Ok(Scrubbed::TooLarge { bytes });
        }
        let mut opened = open(&file)?;
        // Failed fsyncs up to here are seen by the store's own descriptors, later ones by those of this connection. See `disk.rs`.
        self.settle().await?;
        let store = self.clone();
        let vacuumed = tokio::task::spawn_blocking(move || vacuum(&store, &mut opened).map(|()| opened));
        let mut vacuumed = vacuumed.await.map_err(|error| StoreError::scrub(&file, error))??;
        self.settle().await?;
        let store = self.clone();
        let emptied = tokio::task::spawn_blocking(move || empty_log(&store, &mut vacuumed)).await;
        emptied.map_err(|error| StoreError::scrub(&file, error))??;
        Ok(Scrubbed::Done)
    }

    /// Ends the doubt about the WAL, if there is one.
    async fn settle(&self) -> Result<(), StoreError> {
        let settled = self.run(Durability::Synced, |_| Ok(())).await;
        settled.map_err(|error| StoreError::scrub(self.file(), error))
    }
}

/// How many bytes of the database file are in use.
fn in_use(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, u64>(0));
    Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
}

fn open(file: &Path) -> Result<Connection, StoreError> {
    let failed = |error| StoreError::open(file.to_owned(), error);
    let mut connection = connection::connect(file).map_err(failed)?;
    connection::set(&mut connection).map_err(failed)?;
    Ok(connection)
}

/// Rewrites the file. What is in the WAL before is checkpointed first, if that is possible at once, so that the WAL does not grow by both.
fn vacuum(store: &Store, connection: &mut Connection) -> Result<(), StoreError> {
    let failed = |error| StoreError::scrub(store.file(), Trouble(error));
    has_emptied_log(store, connection).map_err(failed)?;
    connection.busy_handler(Some(connection::ask_again)).map_err(failed)?;
    let vacuumed = connection.execute_batch("VACUUM");
    vacuumed.inspect_err(|error| store.syncs().failed_if("WAL", error)).map_err(failed)
}

/// Checkpoints the whole WAL and truncates it. Another process may checkpoint, or read an old page, so it is tried for a while.
fn empty_log(store: &Store, connection: &mut Connection) -> Result<(), StoreError> {
    let until = Instant::now() + PATIENCE;
    while !has_emptied_log(store, connection).map_err(|error| StoreError::scrub(store.file(), Trouble(error)))? {
        if Instant::now() >= until {
            let why = "a process has been reading or checkpointing it for a minute";
            return Err(StoreError::scrub(store.file(), why));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Tries once to empty the WAL. To truncate it, SQLite keeps writers out while it waits for readers, so it waits for a few milliseconds only.
fn has_emptied_log(store: &Store, connection: &mut Connection) -> rusqlite::Result<bool> {
    connection.busy_handler(Some(ask_briefly))?;
    // Most of it while others write.
    checkpoint(store, connection, "PASSIVE")?;
    checkpoint(store, connection, "TRUNCATE")
}

fn ask_briefly(tries: i32) -> bool {
    tries < TRIES && connection::ask_again(tries)
}

/// Whether it checkpointed all that it was to.
fn checkpoint(store: &Store, connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
    let checkpoint = || {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let busy = connection.query_row(&sql, [], |row| row.get::<_, bool>(0));
        Some(busy.inspect_err(|error| store.syncs().failed_if("database file", error)))
    };
    store.syncs().moving(checkpoint).unwrap_or(Ok(true)).map(|is_busy| !is_busy)
}

#[cfg(test)]
mod tests;
