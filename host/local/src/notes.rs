//! Notes: small named texts in the store, through which hosts and operators' commands share state.

use rusqlite::{Connection, OptionalExtension as _};
use towpath_types::queue::QueueError;

use crate::error::failed;
use crate::store::Store;
use crate::writer::Durability;

impl Store {
    pub async fn note(&self, name: &'static str) -> Result<Option<String>, QueueError> {
        self.read(move |connection| read(connection, name)).await
    }

    /// The note with this name, which is set to `text` if there is none. Concurrent callers all get the same text.
    pub async fn note_or(&self, name: &'static str, text: String) -> Result<String, QueueError> {
        if let Some(kept) = self.note(name).await? {
            return Ok(kept);
        }
        let keep = move |connection: &Connection| {
            if let Some(kept) = read(connection, name)? {
                return Ok(kept);
            }
            write(connection, name, &text).map(|()| text.clone())
        };
        self.run(Durability::Synced, move |connection| keep(connection).map_err(failed)).await
    }

    /// Sets the note with this name, or removes it. Returns after the fsync.
    pub async fn set_note(&self, name: &'static str, text: Option<String>) -> Result<(), QueueError> {
        let set = move |connection: &Connection| match &text {
            Some(text) => write(connection, name, text),
            None => connection.execute("DELETE FROM notes WHERE name = ?1", [name]).map(drop),
        };
        self.run(Durability::Synced, move |connection| set(connection).map_err(failed)).await
    }
}

pub(crate) fn read(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT value FROM notes WHERE name = ?1";
    connection.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()
}

pub(crate) fn write(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO notes (name, value) VALUES (?1, ?2)";
    connection.prepare_cached(sql)?.execute([name, value]).map(drop)
}
