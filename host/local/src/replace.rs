//! Deletes or edits a message only if it is as somebody read it.

use rusqlite::Connection;
use towpath_types::body::Body;
use towpath_types::queue::{Attributes, GroupId, QueueError};

use crate::as_read::{AsRead, Still, still};
use crate::error::failed;
use crate::letters::{Claim, edited, take};
use crate::queue::LocalQueue;
use crate::rows::refresh;
use crate::values::millis;
use crate::writer::Durability;

impl LocalQueue {
    /// Deletes a message if it is [`Still::Same`].
    pub async fn discard_as_read(&self, read: AsRead) -> Result<Still, QueueError> {
        let queue = self.id;
        let clock = self.store.clock;
        let work = move |connection: &Connection, retention| {
            let now = millis(clock.now());
            let still = still(connection, queue, &read, now)?;
            if still == Still::Same
                && let Claim::Taken { group } = take(connection, queue, &read.sequence, now)?
            {
                refresh(connection, group, retention)?;
            }
            Ok(still)
        };
        self.run(Durability::Synced, move |connection, now| work(connection, now.retention).map_err(failed)).await
    }

    /// Replaces the body, attributes and group of a message if it is [`Still::Same`]. It keeps its sequence number.
    pub async fn edit_as_read(
        &self,
        read: AsRead,
        group: &GroupId,
        body: Body,
        attributes: &Attributes,
    ) -> Result<Still, QueueError> {
        let attributes = serde_json::to_string(attributes).unwrap_or_default();
        let queue = self.id;
        let group = group.clone();
        let clock = self.store.clock;
        let work = move |connection: &Connection, retention| {
            let still = still(connection, queue, &read, millis(clock.now()))?;
            if still == Still::Same {
                let sequence = read.sequence.parse().unwrap_or_default();
                edited(connection, (queue, sequence), (&group, &body, &attributes), retention)?;
            }
            Ok(still)
        };
        self.run(Durability::Synced, move |connection, now| work(connection, now.retention).map_err(failed)).await
    }
}

#[cfg(test)]
mod tests;
