//! The keys that prove operators' notes on the messages of a store.

use anyhow::Context as _;
use towpath_config::Secret;
use towpath_local::Store;
use towpath_verify::note_keys::NoteKeys;

use crate::token;

/// The name of the store's own key, which it creates itself.
const NOTE_KEY: &str = "note-key";

/// The keys of the config, which other hosts share, followed by the store's own.
pub async fn of_store(store: &Store, configured: NoteKeys) -> anyhow::Result<NoteKeys> {
    let own = store.note_or(NOTE_KEY, token::made()).await.context("reading the key for operators' notes")?;
    Ok(configured.and(Secret::new(own)))
}
