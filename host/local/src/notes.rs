//! Small texts that a store keeps by name beside its messages: what operators and hosts must know of each other.

use rusqlite::{Connection, OptionalExtension as _};
use towpath_types::queue::QueueError;

use crate::error::failed;
use crate::store::Store;
use crate::writer::Durability;

impl Store {
    /// The text of this name, if there is one.
    pub async fn note(&self, name: &'static str) -> Result<Option<String>, QueueError> {
        self.read(move |connection| read(connection, name)).await
    }

    /// The text of this name; if there is none, `text` is kept under it first. Whoever else does so at the same time gets the
    /// same text.
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

    /// Keeps a text under this name, on the disk before this returns; with none, nothing is kept any more.
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
