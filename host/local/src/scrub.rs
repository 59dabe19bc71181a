//! Leaves no byte of what was deleted in the files of a store, while hosts use it.
//!
//! SQLite deletes by forgetting: the bytes stay in free pages, in gaps of other pages and in the WAL until something overwrites
//! them. `secure_delete` would not help: it comes too late for earlier deletes, and pages that SQLite has rebalanced keep copies of
//! rows that moved. A VACUUM writes every page again. It is one long write, and hosts wait for it.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::connection;
use crate::error::StoreError;
use crate::store::Store;
use crate::writer::Durability;

/// How long to wait until the WAL can be emptied: each reader must have finished once.
const PATIENCE: Duration = Duration::from_secs(60);

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
        let opened = open(&file)?;
        // Failed fsyncs up to here are seen by the store's own descriptors, later ones by those of this connection. See `disk.rs`.
        self.settle().await?;
        let path = file.clone();
        let vacuumed = tokio::task::spawn_blocking(move || {
            opened.execute_batch("VACUUM").map_err(|error| StoreError::open(path, error)).map(|()| opened)
        });
        let vacuumed = vacuumed.await.map_err(|error| StoreError::scrub(&file, error))??;
        self.settle().await?;
        let store = self.clone();
        let path = file.clone();
        let emptied = tokio::task::spawn_blocking(move || empty_log(&store, &vacuumed, &path)).await;
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

/// Checkpoints the whole WAL and truncates it. Another process may checkpoint, or read an old page, so it is tried for a while.
fn empty_log(store: &Store, connection: &Connection, file: &Path) -> Result<(), StoreError> {
    let until = Instant::now() + PATIENCE;
    loop {
        // Most of it while others write.
        for mode in ["PASSIVE", "TRUNCATE"] {
            let checkpoint = || {
                let sql = format!("PRAGMA wal_checkpoint({mode})");
                let busy = connection.query_row(&sql, [], |row| row.get::<_, bool>(0));
                Some(busy.inspect_err(|error| store.syncs().failed_if("database file", error)))
            };
            match store.syncs().moving(checkpoint) {
                Some(Ok(false)) if mode == "TRUNCATE" => return Ok(()),
                Some(Err(error)) => return Err(StoreError::open(file.to_owned(), error)),
                Some(Ok(_)) | None => {}
            }
        }
        if Instant::now() >= until {
            let why = "a process has been reading or checkpointing it for a minute";
            return Err(StoreError::scrub(file, why));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests;
