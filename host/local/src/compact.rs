//! Returns free space to the file system: a few pages at a time while the store is in use, or all at once with a VACUUM
//! while no process uses it.

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

/// The size of a store before and after, in bytes: database file and WAL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compacted {
    pub before: u64,
    pub after: u64,
}

impl Store {
    /// Returns up to `step` free pages to the file system, if at least `pages` pages, and at least one in `share`, are
    /// free. Returns whether it did; then there may be more. A store created before version 4 must be compacted once
    /// before it can shrink.
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
        // The file gets shorter only at the next checkpoint.
        self.move_log();
        Ok(true)
    }
}

/// The value of `PRAGMA auto_vacuum` for `INCREMENTAL`.
const INCREMENTAL: u32 = 2;

/// How long to wait for another process to close the store.
const PATIENCE: Duration = Duration::from_secs(1);

/// Rewrites the store in this folder without its free pages. Needs as much disk space again while it runs, and fails if a
/// process has the store open.
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
    // If anything fails below, the WAL stays for the next process that opens the store.
    let mut connection = connection::connect(&file).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(failed)?;
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT").map_err(failed)?;
    write_log_again(&connection, &file)?;
    let version = schema::prepare(&mut connection).map_err(failed)?;
    schema::check(&file, version)?;
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM").map_err(failed)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)?;
    // The WAL is empty now, so closing may remove it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    Ok(Compacted { before, after: size(&file) })
}

/// Writes the WAL again and fsyncs it, before anything is checkpointed: it may come from a process whose fsync failed, so
/// that its pages look written and are not (see `disk.rs`). No other process may have the store open.
fn write_log_again(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    let frames = connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get::<_, i64>(1));
    let frames = frames.map_err(|error| StoreError::open(file.to_owned(), error))?;
    // -1 means that there is no WAL.
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

    /// A store that was filled and purged, and now has one message.
    async fn emptied(folder: &Path) -> Store {
        let store = Store::open(folder, Clock::wall()).expect("store");
        let queue = store.set_queue("q.fifo", QueueSettings::default()).await.expect("queue");
        for n in 0..60 {
            let body = "x".repeat(100_000);
            let message = NewMessage {
                group: "g".into(),
                dedup_id: Some(n.to_string().into()),
                body: body.into(),
                attributes: Default::default(),
            };
            queue.send(message).await.expect("send");
        }
        queue.purge().await.expect("purge");
        let message = NewMessage {
            group: "g".into(),
            dedup_id: Some("last".into()),
            body: "x".into(),
            attributes: Default::default(),
        };
        queue.send(message).await.expect("send");
        store
    }

    async fn messages(store: &Store) -> u64 {
        let queue = store.find("q.fifo").await.expect("read").expect("a queue");
        queue.depth().await.expect("depth").messages
    }

    #[tokio::test]
    async fn shrink_returns_free_pages_a_few_at_a_time_while_the_store_is_open() {
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
    async fn compact_removes_the_free_pages_of_a_store_that_no_process_uses() {
        let folder = TempDir::new().expect("folder");
        let store = emptied(folder.path()).await;
        assert!(matches!(compact(folder.path()), Err(StoreError::InUse { .. })));
        let file = store.file().to_owned();
        drop(store);
        // The store closes on another thread.
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
    async fn an_older_store_can_shrink_once_it_was_compacted() {
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
