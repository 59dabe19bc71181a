//! Giving room back: pages that are free beside the writer, a few at a time, or the whole file, written again while nobody
//! has it open.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};
use towpath_files::private;
use towpath_types::queue::QueueError;

use crate::error::{StoreError, failed};
use crate::folder::FILE;
use crate::store::Store;
use crate::wal::beside;
use crate::writer::Durability;
use crate::{connection, folder, schema, wal};

/// How large a store was, and is: its file and its log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compacted {
    /// Bytes before.
    pub before: u64,
    /// Bytes now.
    pub after: u64,
}

impl Store {
    /// Gives up to `step` free pages of the file back, if there are `pages` of them or more, and one in `share`. Whether
    /// it did: then there may be more. A store of an older version than 4 has to be compacted once before it can.
    pub async fn shrink(&self, pages: u32, share: u32, step: u32) -> Result<bool, QueueError> {
        let look = |connection: &Connection| {
            let number =
                |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, u32>(0));
            Ok((number("freelist_count")?, number("page_count")?, number("auto_vacuum")? == INCREMENTAL))
        };
        let (free, all, can) = self.read(look).await?;
        if !can || free < pages.max(1) || free < all / share.max(1) {
            return Ok(false);
        }
        let give_back = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(&format!("PRAGMA incremental_vacuum({step})"))?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        self.run(Durability::Written, move |connection| give_back(connection).map_err(failed)).await?;
        // The file ends there once the log is moved.
        self.move_log();
        Ok(true)
    }
}

/// `PRAGMA auto_vacuum`, as SQLite tells it.
const INCREMENTAL: u32 = 2;

/// How long somebody is waited for who has the store open.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes the file of the store in this folder again, without what is free in it. It takes as much room again meanwhile, and
/// fails if anybody has the store open.
pub fn compact(folder: &Path) -> Result<Compacted, StoreError> {
    let file = folder.join(FILE);
    folder::refuse_links(folder).map_err(|source| StoreError::Folder { folder: folder.to_owned(), source })?;
    if !file.is_file() {
        return Err(StoreError::Missing { folder: folder.to_owned() });
    }
    let before = size(&file);
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse { file: file.clone() },
        _ => StoreError::open(file.clone(), error),
    };
    folder::make(folder).map_err(|source| StoreError::Folder { folder: folder.to_owned(), source })?;
    // Whatever fails, the log stays for the next who opens the store.
    let mut connection = connection::connect(&file).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(failed)?;
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT").map_err(failed)?;
    write_log_again(&connection, &file)?;
    let version = schema::prepare(&mut connection).map_err(failed)?;
    schema::check(&file, version)?;
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM").map_err(failed)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)?;
    // It is empty: closing removes it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    Ok(Compacted { before, after: size(&file) })
}

/// What is in the log may be of a process whose sync failed: it goes to the disk before anything is moved. Nobody else may
/// have the store open.
fn write_log_again(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    let frames = connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get::<_, i64>(1));
    let frames = frames.map_err(|error| StoreError::open(file.to_owned(), error))?;
    // There is no log where it says -1.
    let Ok(frames @ 1..) = u32::try_from(frames) else { return Ok(()) };
    let log = private::update(&beside(file, "-wal"));
    let written = log.and_then(|log| wal::write_again(&log, frames).and_then(|()| log.sync_data()));
    written.map_err(|source| StoreError::Rewrite { file: file.to_owned(), source })
}

fn size(file: &Path) -> u64 {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    length(file) + length(&beside(file, "-wal"))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use towpath_types::clock::Clock;
    use towpath_types::queue::{NewMessage, Queue as _};

    use super::*;
    use crate::QueueSettings;

    /// A store that was filled and emptied again, and has one message.
    async fn emptied(folder: &Path) -> Store {
        let store = Store::open(folder, Clock::wall()).expect("store");
        let queue = store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue");
        for n in 0..60 {
            let body = "x".repeat(100_000);
            let message =
                NewMessage { group: "g".into(), dedup_id: n.to_string(), body, attributes: Default::default() };
            queue.send(message).await.expect("send");
        }
        queue.purge().await.expect("purge");
        let message =
            NewMessage { group: "g".into(), dedup_id: "last".into(), body: "x".into(), attributes: Default::default() };
        queue.send(message).await.expect("send");
        store
    }

    async fn messages(store: &Store) -> u64 {
        let queue = store.find("q.fifo").await.expect("read").expect("a queue");
        queue.depth().await.expect("depth").messages
    }

    #[tokio::test]
    async fn free_pages_are_given_back_a_few_at_a_time_beside_the_writer() {
        let folder = TempDir::new().expect("folder");
        let store = emptied(folder.path()).await;
        let pages = |connection: &Connection| connection.query_row("PRAGMA page_count", [], |row| row.get::<_, u32>(0));
        let before = store.read(pages).await.expect("pages");
        assert!(!store.shrink(u32::MAX, 4, 100).await.expect("nothing to do"));
        let mut steps = 0;
        while store.shrink(100, 4, 100).await.expect("a step") {
            steps += 1;
        }
        let after = store.read(pages).await.expect("pages");
        assert!(before > 1_400 && after < 200, "{before} pages, then {after}");
        assert!(steps >= (before - after) / 100, "{steps} steps");
        assert_eq!(messages(&store).await, 1);
        let length = || std::fs::metadata(store.file()).expect("file").len();
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while length() > u64::from(after) * 4096 {
            assert!(std::time::Instant::now() < until, "the file has {} bytes", length());
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_store_that_nobody_has_open_is_written_again_without_what_is_free() {
        let folder = TempDir::new().expect("folder");
        let store = emptied(folder.path()).await;
        assert!(matches!(compact(folder.path()), Err(StoreError::InUse { .. })));
        let file = store.file().to_owned();
        drop(store);
        // It closes on a thread of its own.
        let compacted = loop {
            match compact(folder.path()) {
                Err(StoreError::InUse { .. }) => tokio::task::yield_now().await,
                compacted => break compacted.expect("compacted"),
            }
        };
        assert!(compacted.before > 6_000_000 && compacted.after < 200_000, "{compacted:?}");
        assert_eq!(compacted.after, std::fs::metadata(&file).expect("file").len());
        let store = Store::open(folder.path(), Clock::wall()).expect("it opens");
        assert_eq!(messages(&store).await, 1);
        assert!(matches!(compact(&folder.path().join("none")), Err(StoreError::Missing { .. })));
    }

    #[tokio::test]
    async fn an_older_store_gives_pages_back_once_it_was_compacted() {
        let folder = TempDir::new().expect("folder");
        let old = Connection::open(folder.path().join(FILE)).expect("file");
        old.execute_batch(include_str!("schema/v1.sql")).expect("tables");
        old.execute_batch("PRAGMA user_version = 1").expect("version");
        drop(old);
        let automatic =
            |connection: &Connection| connection.query_row("PRAGMA auto_vacuum", [], |row| row.get::<_, u32>(0));
        let store = Store::open(folder.path(), Clock::wall()).expect("it opens");
        assert_eq!(store.read(automatic).await.expect("read"), 0);
        drop(store);
        while let Err(error) = compact(folder.path()) {
            assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
        }
        let store = Store::open(folder.path(), Clock::wall()).expect("it opens");
        assert_eq!(store.read(automatic).await.expect("read"), INCREMENTAL);
    }
}
