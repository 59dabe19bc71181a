//! Holders: the running hosts that lease messages of a store. Each keeps a lock file in the store's folder and a row that
//! names the file, so that the next host can tell whether it still runs (`gone.rs`).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, params};
use towpath_files::alive::Lock;
use towpath_types::clock::Timestamp;

use crate::error::{StoreError, failed};
use crate::folder::HOLDER;
use crate::store::Store;
use crate::values::millis;
use crate::writer::Durability;

/// How often to try another file if one was removed before it was locked.
const TRIES: usize = 3;

/// A host that leases messages, until it leaves or its process ends.
pub struct Holder {
    store: Store,
    id: i64,
    lock: Lock,
}

impl Store {
    /// Registers this process as a holder. `longest` is how long a request of it may still run after its process has
    /// ended. `None` if locks on the file system of the store prove nothing.
    pub async fn hold(&self, longest: Duration) -> Result<Option<Holder>, StoreError> {
        let Some((id, lock)) = lock(self.folder())? else { return Ok(None) };
        let clock = self.clock;
        let file = lock.id();
        let longest = millis(Timestamp::default() + longest);
        let insert = move |connection: &Connection| {
            let sql = "INSERT INTO holders (id, device, inode, opened_at, longest) VALUES (?1, ?2, ?3, ?4, ?5)";
            let values = params![id, file.device.cast_signed(), file.inode.cast_signed(), millis(clock.now()), longest];
            connection.execute(sql, values).map(drop).map_err(failed)
        };
        // A power cut that undoes this also undoes every receive after it.
        self.run(Durability::Written, insert).await?;
        Ok(Some(Holder { store: self.clone(), id, lock }))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.file().parent().unwrap_or(Path::new(""))
    }
}

impl Holder {
    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    /// Ends the registration. No work on leased messages may be under way; what is still leased becomes visible when its
    /// timeout ends.
    pub async fn leave(self) -> Result<(), StoreError> {
        let Holder { store, id, lock } = self;
        let delete = move |connection: &Connection| remove(connection, id).map_err(failed);
        store.run(Durability::Written, delete).await?;
        lock.remove().map_err(|source| StoreError::Holder { file: file(store.folder(), id), source })
    }
}

pub(crate) fn remove(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM holders WHERE id = ?1", [id]).map(drop)
}

/// The lock file of a holder.
pub(crate) fn file(folder: &Path, id: i64) -> PathBuf {
    folder.join(name(id))
}

pub(crate) fn name(id: i64) -> String {
    format!("{HOLDER}{id:016x}.lock")
}

/// Creates a lock file for a new holder.
fn lock(folder: &Path) -> Result<Option<(i64, Lock)>, StoreError> {
    let mut tries = 0;
    loop {
        let id = fastrand::i64(1 << 56..);
        let file = file(folder, id);
        tries += 1;
        match Lock::create(&file) {
            Ok(lock) => return Ok(lock.map(|lock| (id, lock))),
            // Another host took it for abandoned.
            Err(error) if tries < TRIES && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::WouldBlock) => {}
            Err(source) => return Err(StoreError::Holder { file, source }),
        }
    }
}
