//! Releases the leases of hosts that ended without releasing them, such as killed ones.
//!
//! Three rules keep this safe. A lease is released only if the lock of its holder proves that the holder's process has
//! ended. It is released only when every request that the process may have begun has timed out, and never later than
//! without this. And only messages with the nonce of the lease are touched, so what a client of the SQS endpoint or another
//! host received keeps its timeout.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_files::alive::{self, Creator, FileId, Lock};
use towpath_types::clock::Timestamp;
use towpath_types::queue::QueueError;
use tracing::{debug, info, warn};

use crate::error::failed;
use crate::folder::HOLDER;
use crate::holder;
use crate::rows::{end_lease, refresh};
use crate::seen;
use crate::store::Store;
use crate::values::{millis, timestamp};
use crate::writer::Durability;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

/// What was released of one host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Released {
    /// The name of its lock file.
    pub holder: String,
    /// The groups and messages that become visible earlier than at the end of their timeout.
    pub groups: usize,
    pub messages: usize,
    /// When they do.
    pub visible_at: Timestamp,
}

/// A row of `holders`.
#[derive(Clone, Copy)]
struct Row {
    id: i64,
    file: FileId,
    longest: i64,
}

impl Store {
    /// Releases the leases of hosts that are known to have ended, and removes what they left.
    pub async fn release_gone(&self) -> Result<Vec<Released>, QueueError> {
        let folder = self.folder().to_owned();
        let mut released = Vec::new();
        for (row, creator) in self.read(move |connection| creators(connection, &folder)).await? {
            let holder = holder::name(row.id);
            match creator {
                Ok(Creator::Runs) => {}
                Ok(Creator::Ended(lock)) => released.push(self.release(row, lock).await?),
                Ok(Creator::Unknown(problem)) => {
                    warn!(
                        event = "leases-kept",
                        holder, problem, "host cannot be told from a running one, its leases run out"
                    );
                    let forget = move |connection: &Connection| holder::remove(connection, row.id).map_err(failed);
                    self.run(Durability::Written, forget).await?;
                }
                Err(error) => warn!(
                    event = "leases-kept",
                    holder,
                    problem = %error,
                    "lock of a host cannot be read, its leases run out"
                ),
            }
        }
        Ok(released)
    }

    /// Releases the leases of a host that has ended. `lock` keeps others from doing the same.
    async fn release(&self, row: Row, lock: Lock) -> Result<Released, QueueError> {
        // All its leases are committed: it ended before its lock was free.
        let groups = self.read(move |connection| leased(connection, row.id)).await?;
        let store = self.clone();
        let release = move |connection: &Connection| {
            let (released, queues) = release(connection, row, &groups, store.clock.now()).map_err(failed)?;
            queues.iter().for_each(|queue| store.wake(*queue));
            Ok(released)
        };
        let released = self.run(Durability::Written, release).await?;
        let Released { holder, groups, messages, visible_at } = &released;
        info!(
            event = "leases-released",
            holder,
            groups,
            messages,
            visible_at = %visible_at,
            "host ended without releasing its leases, released them"
        );
        // If this fails, or the process ends first, the next call removes the abandoned file.
        if let Err(error) = lock.remove() {
            debug!(holder, error = %error, "lock file cannot be removed");
        }
        Ok(released)
    }
}

/// All holders, and what their lock files say. Removes lock files without a row.
fn creators(connection: &Connection, folder: &Path) -> rusqlite::Result<Vec<(Row, io::Result<Creator>)>> {
    // Listed before the rows are read: a holder locks its file before it has a row.
    let files = files(folder);
    let mut statement = connection.prepare_cached("SELECT id, device, inode, longest FROM holders")?;
    let rows = statement.query_map([], |row| {
        let file =
            FileId { device: row.get::<_, i64>(1)?.cast_unsigned(), inode: row.get::<_, i64>(2)?.cast_unsigned() };
        Ok(Row { id: row.get(0)?, file, longest: row.get(3)? })
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<Row>>>()?;
    let names: BTreeSet<String> = rows.iter().map(|row| holder::name(row.id)).collect();
    for file in files.into_iter().filter(|file| !names.contains(file)) {
        if let Err(error) = alive::remove_abandoned(&folder.join(&file)) {
            debug!(file, error = %error, "abandoned lock file cannot be removed");
        }
    }
    Ok(rows.into_iter().map(|row| (row, alive::creator(&holder::file(folder, row.id), row.file))).collect())
}

/// The names of the lock files in a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(HOLDER)).collect()
}

/// The groups that a host received from last.
fn leased(connection: &Connection, holder: i64) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached("SELECT id FROM groups WHERE holder = ?1")?;
    statement.query_map([holder], |row| row.get(0))?.collect()
}

/// Releases what a host holds of these groups, and removes its row. Returns also the queues of the groups.
fn release(
    connection: &Connection,
    row: Row,
    groups: &[i64],
    now: Timestamp,
) -> rusqlite::Result<(Released, BTreeSet<i64>)> {
    // The host ended before `now`, so a request that it began ends by then.
    let visible_at = millis(now).saturating_add(row.longest);
    let mut released =
        Released { holder: holder::name(row.id), groups: 0, messages: 0, visible_at: timestamp(visible_at) };
    let mut queues = BTreeSet::new();
    for group in groups {
        // Another host may have received from the group since.
        let sql = "SELECT queue, lease FROM groups WHERE id = ?1 AND holder = ?2";
        let found: Option<(i64, i64)> = connection
            .prepare_cached(sql)?
            .query_row([*group, row.id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((queue, lease)) = found else { continue };
        end_lease(connection, *group, lease)?;
        // A removed queue has no settings, and its messages are being deleted.
        let Some(settings) = seen::settings(connection, queue)? else { continue };
        let messages = hasten(connection, *group, lease, visible_at)?;
        if messages > 0 {
            refresh(connection, *group, settings.retention)?;
            queues.insert(queue);
            released.groups += 1;
            released.messages += messages;
        }
    }
    holder::remove(connection, row.id)?;
    Ok((released, queues))
}

/// Makes the messages of a lease visible at this time, unless they are earlier. They are in front of the first message that
/// was never received, so a long group is not read to its end.
fn hasten(connection: &Connection, group: i64, lease: i64, visible_at: i64) -> rusqlite::Result<usize> {
    let sql = "SELECT seq FROM messages WHERE grp = ?1 AND coalesce(received_at, 0) <= 0 ORDER BY seq LIMIT 1";
    let untouched: Option<i64> = connection.prepare_cached(sql)?.query_row([group], |row| row.get(0)).optional()?;
    let sql = "UPDATE messages SET visible_at = ?4 WHERE grp = ?1 AND seq < ?2 AND nonce = ?3 AND visible_at > ?4";
    connection.prepare_cached(sql)?.execute(params![group, untouched.unwrap_or(i64::MAX), lease, visible_at])
}
