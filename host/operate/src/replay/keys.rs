//! What authenticates a replay to the hosts.

use towpath_verify::note_keys::NoteKeys;

use super::error::ReplayError;
use crate::place::{Backend, Found};
use crate::{aws, note_keys};

/// The keys that vouch for a replay: those of the config, and a local store's own. On SQS there may be none; then hosts verify the events
/// again, at their first time.
pub(super) async fn of(found: &Found, to: Option<&str>) -> anyhow::Result<NoteKeys> {
    let configured = match &found.config {
        Some(config) => aws::note_keys(config).await?,
        None => NoteKeys::default(),
    };
    let keys = match &found.backend {
        Backend::Local(queues) => note_keys::of_store(queues.events.store(), configured).await?,
        Backend::Sqs { .. } => configured,
    };
    if keys.is_empty() && to.is_some() {
        return Err(ReplayError::NoNoteKey.into());
    }
    Ok(keys)
}
