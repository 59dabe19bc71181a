//! Pointers: which version a channel means, which it meant before, and who moved it.

use serde::{Deserialize, Serialize};

use super::is_name;
use crate::clock::Timestamp;

/// How many versions that were good before are remembered, and how many moves.
const MEMORY: usize = 20;

/// A version, and the digest of its manifest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Chosen {
    /// The version.
    pub version: String,
    /// The SHA-256 of its `manifest.json`, in hex.
    pub manifest_sha256: String,
}

/// One move of a pointer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Move {
    /// Where it went.
    pub version: String,
    /// `publish`, `rollback`, `promote`, `pin` or `unpin`.
    pub how: String,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// What stands in `NAME/pointers/CHANNEL.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pointer {
    /// The version of this format: 1.
    pub v: u32,
    /// What runs.
    pub current: Chosen,
    /// What ran before, the last one last. A rollback goes back along it, and a host that starts and finds the
    /// current one broken does too.
    #[serde(default)]
    pub previous: Vec<Chosen>,
    /// Whether a publish leaves it where it is.
    #[serde(default)]
    pub pinned: bool,
    /// The last moves, the last one last.
    #[serde(default)]
    pub moves: Vec<Move>,
}

impl Pointer {
    /// A pointer that was never anywhere else.
    pub fn at(chosen: Chosen, made: Move) -> Pointer {
        Pointer { v: 1, current: chosen, previous: Vec::new(), pinned: false, moves: vec![made] }
    }

    /// The pointer, if it is of a version that this host knows, and leaves the registry nowhere.
    pub(super) fn checked(self) -> Result<Pointer, String> {
        if self.v != 1 {
            return Err(format!("it has version {}, this host reads version 1: upgrade the host", self.v));
        }
        let mut all = std::iter::once(&self.current).chain(&self.previous);
        match all.find(|chosen| !is_name(&chosen.version)) {
            Some(wrong) => Err(format!("{:?} is no version", wrong.version)),
            None => Ok(self),
        }
    }

    /// The same pointer moved on to another version.
    pub fn advanced(mut self, to: Chosen, made: Move) -> Pointer {
        if to.version != self.current.version {
            self.previous.retain(|chosen| chosen.version != to.version);
            self.previous.push(std::mem::replace(&mut self.current, to));
        } else {
            // The same version with another manifest: what was there is not good any more.
            self.current = to;
        }
        self.moved(made)
    }

    /// The same pointer moved back to a version that it was at before; what came after it is forgotten.
    pub fn returned(mut self, to: &str, made: Move) -> Option<Pointer> {
        let position = self.previous.iter().rposition(|chosen| chosen.version == to)?;
        let chosen = self.previous.get(position)?.clone();
        self.previous.truncate(position);
        self.current = chosen;
        Some(self.moved(made))
    }

    /// The same pointer, pinned or not.
    pub fn with_pin(mut self, pinned: bool, made: Move) -> Pointer {
        self.pinned = pinned;
        self.moved(made)
    }

    fn moved(mut self, made: Move) -> Pointer {
        self.moves.push(made);
        self.moves.drain(..self.moves.len().saturating_sub(MEMORY));
        self.previous.drain(..self.previous.len().saturating_sub(MEMORY));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(version: &str) -> Chosen {
        Chosen { version: version.to_owned(), manifest_sha256: format!("sha-{version}") }
    }

    fn made(version: &str) -> Move {
        Move { version: version.to_owned(), how: "publish".to_owned(), at: Timestamp(0), by: String::new() }
    }

    fn previous(pointer: &Pointer) -> Vec<&str> {
        pointer.previous.iter().map(|chosen| chosen.version.as_str()).collect()
    }

    #[test]
    fn a_rollback_forgets_what_it_turned_away_from() {
        let pointer = Pointer::at(chosen("1"), made("1")).advanced(chosen("2"), made("2"));
        let pointer = pointer.advanced(chosen("3"), made("3"));
        assert_eq!(previous(&pointer), ["1", "2"]);
        let back = pointer.clone().returned("2", made("2")).expect("it was at 2");
        assert_eq!((back.current.version.as_str(), previous(&back)), ("2", vec!["1"]));
        let further = pointer.clone().returned("1", made("1")).expect("it was at 1");
        assert!(previous(&further).is_empty());
        assert_eq!(further.moves.len(), 4);
        assert!(pointer.returned("9", made("9")).is_none());
    }

    #[test]
    fn a_version_is_remembered_once_and_not_for_ever() {
        let mut pointer = Pointer::at(chosen("0"), made("0"));
        for n in 1..50 {
            pointer = pointer.advanced(chosen(&n.to_string()), made("n"));
        }
        assert_eq!((pointer.previous.len(), pointer.moves.len()), (MEMORY, MEMORY));
        let again = pointer.advanced(chosen("48"), made("48"));
        assert_eq!(previous(&again).iter().filter(|version| **version == "48").count(), 0);
        let same = again.clone().advanced(chosen("48"), made("48"));
        assert_eq!(previous(&same), previous(&again));
    }

    #[test]
    fn a_pointer_that_leaves_its_registry_is_none() {
        let mut pointer = Pointer::at(chosen("1"), made("1"));
        pointer.previous.push(chosen("../../other"));
        assert!(pointer.clone().checked().is_err());
        assert!(Pointer { v: 2, previous: Vec::new(), ..pointer }.checked().is_err());
    }
}
