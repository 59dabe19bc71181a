//! Where a page of groups ended, as text.

use std::fmt;
use std::str::FromStr;

use towpath_local::Place;
use towpath_types::clock::Timestamp;

/// Where a page of groups ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cursor {
    /// In the list of all groups.
    At {
        /// After this group.
        place: Place,
        /// The time of the first page, which divides those that wait from those that do not.
        now: Timestamp,
    },
    /// In a list by name, after this one.
    Named(String),
}

/// This text is no cursor of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is not the cursor of a page: leave it out for the first page")]
pub struct NoCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cursor::At { place, now } => write!(f, "at.{}.{}.{}", place.ready_at, place.head, now.0),
            Cursor::Named(name) => write!(f, "named.{name}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Cursor, NoCursor> {
        let (kind, rest) = text.split_once('.').ok_or(NoCursor)?;
        match kind {
            "named" => Ok(Cursor::Named(rest.to_owned())),
            "at" => {
                let mut parts = rest.split('.');
                let mut part = || parts.next().ok_or(NoCursor);
                let ready_at = part()?.parse().map_err(|_| NoCursor)?;
                let head = part()?.parse().map_err(|_| NoCursor)?;
                let now = Timestamp(part()?.parse().map_err(|_| NoCursor)?);
                Ok(Cursor::At { place: Place { ready_at, head }, now })
            }
            _ => Err(NoCursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        let at = Cursor::At { place: Place { ready_at: 1_700_000_000_000, head: 7 }, now: Timestamp(5) };
        for cursor in [at, Cursor::Named("crm/1.2/%\n".to_owned())] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "at", "at.1.2", "at.1.x.3", "other.1"] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }
}
