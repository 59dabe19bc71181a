//! Deleting received messages, and changing how long they stay invisible.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_types::clock::Timestamp;
use towpath_types::queue::{Handle, MAX_VISIBILITY, QueueError};

use crate::error::failed;
use crate::handle::Receipt;
use crate::rows::{end_lease, refresh};
use crate::settings::QueueSettings;
use crate::values::{millis, timestamp};

/// [`change_visibility`] or [`release`].
pub(crate) type Change = fn(&Connection, i64, &QueueSettings, &Handle, Duration, Timestamp) -> Result<(), QueueError>;

struct Held {
    group: i64,
    nonce: Option<i64>,
    visible_at: i64,
    received_at: Option<i64>,
}

/// Deletes a message, and returns whether its group has another one. A message that no longer exists is not an error. In
/// a FIFO queue, a handle whose visibility timeout has expired is: the message may be received again already.
pub(crate) fn delete(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    handle: &Handle,
    now: Timestamp,
) -> Result<bool, QueueError> {
    let receipt = Receipt::read(handle, queue)?;
    let Some(held) = held(connection, receipt.seq).map_err(failed)? else { return Ok(false) };
    let latest = held.nonce == Some(receipt.nonce);
    if settings.fifo {
        if !latest || held.visible_at <= millis(now) {
            return Err(QueueError::HandleExpired);
        }
    } else if !latest {
        // A standard queue accepts the last handle even after its timeout, and ignores older ones, as SQS does.
        return Ok(false);
    }
    let delete = "DELETE FROM messages WHERE seq = ?1";
    connection.prepare_cached(delete).and_then(|mut delete| delete.execute([receipt.seq])).map_err(failed)?;
    refresh(connection, held.group, settings.retention).map_err(failed)
}

/// Makes a message invisible for `wait` from now on; zero makes it visible.
pub(crate) fn change_visibility(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    handle: &Handle,
    wait: Duration,
    now: Timestamp,
) -> Result<(), QueueError> {
    let receipt = Receipt::read(handle, queue)?;
    let held = held(connection, receipt.seq).map_err(failed)?.ok_or(QueueError::NotInFlight)?;
    let latest = held.nonce == Some(receipt.nonce);
    if settings.fifo {
        if !latest || held.visible_at <= millis(now) {
            return Err(QueueError::NotInFlight);
        }
    } else if !latest {
        // As in `delete`.
        return Ok(());
    }
    let received_at = held.received_at.map_or(now, timestamp);
    // SQS counts whole seconds.
    if Duration::from_secs(now.since(received_at).as_secs()) + wait > MAX_VISIBILITY {
        return Err(QueueError::Invalid(format!(
            "Value {} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
            wait.as_secs()
        )));
    }
    // The nonce of a released message is negative; whoever changes it after that is at work on it.
    let sql = "UPDATE messages SET visible_at = ?2, nonce = abs(nonce) WHERE seq = ?1";
    let values = params![receipt.seq, millis(now + wait)];
    connection.prepare_cached(sql).and_then(|mut update| update.execute(values)).map_err(failed)?;
    refresh(connection, held.group, settings.retention).map(drop).map_err(failed)
}

/// Like [`change_visibility`], and ends the lease on the group: the rest of the wait is no lease that may be cut short. The message is marked as
/// released, which proves that nobody works on it: its nonce becomes negative. Its handle stays as good as before.
pub(crate) fn release(
    connection: &Connection,
    queue: i64,
    settings: &QueueSettings,
    handle: &Handle,
    wait: Duration,
    now: Timestamp,
) -> Result<(), QueueError> {
    change_visibility(connection, queue, settings, handle, wait, now)?;
    let receipt = Receipt::read(handle, queue)?;
    let Some(held) = held(connection, receipt.seq).map_err(failed)? else { return Ok(()) };
    let sql = "UPDATE messages SET nonce = -abs(nonce) WHERE seq = ?1 AND abs(nonce) = ?2";
    let values = [receipt.seq, receipt.nonce];
    connection.prepare_cached(sql).and_then(|mut update| update.execute(values)).map_err(failed)?;
    end_lease(connection, held.group, receipt.nonce).map_err(failed)
}

fn held(connection: &Connection, seq: i64) -> rusqlite::Result<Option<Held>> {
    let sql = "SELECT grp, nonce, visible_at, received_at FROM messages WHERE seq = ?1";
    let held = |row: &rusqlite::Row<'_>| {
        let nonce = row.get::<_, Option<i64>>(1)?.map(i64::saturating_abs);
        Ok(Held { group: row.get(0)?, nonce, visible_at: row.get(2)?, received_at: row.get(3)? })
    };
    connection.prepare_cached(sql)?.query_row([seq], held).optional()
}

/// The results of a batch. If the store itself failed on one entry, returns that error, so that the whole batch is rolled
/// back.
pub(crate) fn unless_broken(
    mut results: Vec<Result<(), QueueError>>,
) -> Result<Vec<Result<(), QueueError>>, QueueError> {
    match results.iter().position(|result| matches!(result, Err(QueueError::Unavailable { .. }))) {
        Some(broken) => Err(results.swap_remove(broken).err().unwrap_or(QueueError::HandleInvalid)),
        None => Ok(results),
    }
}
