//! Messages as somebody read them: what is done to one is refused once the stored one is another.

use rusqlite::{Connection, OptionalExtension as _, params};
use towpath_types::body::Body;
use towpath_types::queue::{Attributes, GroupId};

use crate::browse::{Browsed, browsed, select};

/// What somebody read of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AsRead {
    pub sequence: String,
    pub group: GroupId,
    pub body: Body,
    pub attributes: Attributes,
}

impl From<Browsed> for AsRead {
    fn from(browsed: Browsed) -> AsRead {
        let Browsed { sequence, group, body, attributes, .. } = browsed;
        AsRead { sequence, group, body, attributes }
    }
}

impl AsRead {
    fn is(&self, stored: &Browsed) -> bool {
        self.group == stored.group && self.body == stored.body && self.attributes == stored.attributes
    }
}

/// How a stored message stands to what somebody read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Still {
    /// It is as it was read.
    Same,
    /// It no longer exists.
    Gone,
    /// It is in flight.
    Held,
    /// Its group, body or attributes are others.
    Changed,
}

/// How the stored message stands to what somebody read.
pub(crate) fn still(connection: &Connection, queue: i64, read: &AsRead, now: i64) -> rusqlite::Result<Still> {
    let sequence: i64 = read.sequence.parse().unwrap_or_default();
    let sql = format!("{} WHERE m.queue = ?1 AND m.seq = ?2", select(", m.visible_at AS visible_at"));
    let row = |row: &rusqlite::Row<'_>| Ok((browsed(row)?, row.get::<_, i64>("visible_at")?));
    let found = connection.prepare_cached(&sql)?.query_row(params![queue, sequence], row).optional()?;
    Ok(match found {
        None => Still::Gone,
        Some((_, visible_at)) if visible_at > now => Still::Held,
        Some((stored, _)) if read.is(&stored) => Still::Same,
        Some(_) => Still::Changed,
    })
}
