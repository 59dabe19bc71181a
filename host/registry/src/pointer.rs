//! Pointers: which version a channel means, which versions it meant before, and who moved it.

use serde::{Deserialize, Serialize};

use super::key::verifies;
use super::{PublicKey, RegistryError, SigningKey, is_name};
use towpath_types::clock::Timestamp;

/// How many earlier versions, and how many moves, are kept.
const MEMORY: usize = 20;

/// A version, and the digest of its manifest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Chosen {
    pub version: String,
    /// The SHA-256 of its `manifest.json`, in hex.
    pub manifest_sha256: String,
}

/// One move of a pointer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Move {
    /// The destination.
    pub version: String,
    /// `publish`, `rollback`, `promote`, `pin`, `unpin` or `sign`.
    pub how: String,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// The content of `NAME/pointers/CHANNEL.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pointer {
    /// The version of this format: 1.
    pub v: u32,
    /// The version that runs.
    pub current: Chosen,
    /// Earlier versions, the most recent one last. A rollback goes back along them; so does a host that cannot load the
    /// current version at its start.
    #[serde(default)]
    pub previous: Vec<Chosen>,
    /// Whether a publish leaves it unchanged.
    #[serde(default)]
    pub pinned: bool,
    /// The last moves, the most recent one last.
    #[serde(default)]
    pub moves: Vec<Move>,
    /// Grows with every move, so that hosts recognise an older pointer: milliseconds since 1970, or the previous value
    /// plus one, whichever is larger. 0 where pointers are not signed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
    /// An Ed25519 signature, in base64, over the rest of the pointer, its plugin and its channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// A channel of a plugin in the registry.
#[derive(Debug)]
pub struct Channel {
    pub name: String,
    /// The pointer, if it can be read.
    pub pointer: Option<Pointer>,
    /// Why no host would follow it.
    pub problem: Option<RegistryError>,
}

/// Prefix of the bytes that are signed for a pointer; those for a manifest never begin like this.
const SIGNED: &str = "towpath pointer 1";

impl Pointer {
    /// A new pointer, without history.
    pub fn at(chosen: Chosen, made: Move) -> Pointer {
        Pointer {
            v: 1,
            current: chosen,
            previous: Vec::new(),
            pinned: false,
            moves: vec![made],
            sequence: 0,
            signature: None,
        }
    }

    /// Checks that this host knows the pointer's format, and that no version in it is a path out of the registry.
    pub(super) fn checked(self) -> Result<Pointer, String> {
        if self.v != 1 {
            return Err(format!("it has format version {}, but this host reads version 1: upgrade the host", self.v));
        }
        let mut all = std::iter::once(&self.current).chain(&self.previous);
        match all.find(|chosen| !is_name(&chosen.version)) {
            Some(wrong) => Err(format!("{:?} is not a version", wrong.version)),
            None => Ok(self),
        }
    }

    /// The pointer after a move to another version.
    pub fn advanced(mut self, to: Chosen, made: Move) -> Pointer {
        if to.version != self.current.version {
            self.previous.retain(|chosen| chosen.version != to.version);
            self.previous.push(std::mem::replace(&mut self.current, to));
        } else {
            // The same version with another manifest replaces the old one, which is not kept as an earlier good
            // version.
            self.current = to;
        }
        self.moved(made)
    }

    /// The pointer after a move back to an earlier version; later ones are forgotten.
    pub fn returned(mut self, to: &str, made: Move) -> Option<Pointer> {
        let position = self.previous.iter().rposition(|chosen| chosen.version == to)?;
        let chosen = self.previous.get(position)?.clone();
        self.previous.truncate(position);
        self.current = chosen;
        Some(self.moved(made))
    }

    /// The pointer after it was pinned or unpinned.
    pub fn with_pin(mut self, pinned: bool, made: Move) -> Pointer {
        self.pinned = pinned;
        self.moved(made)
    }

    /// The pointer with a higher sequence, signed for this plugin and channel.
    pub(super) fn signed_by(
        mut self,
        key: &SigningKey,
        name: &str,
        channel: &str,
    ) -> Result<Pointer, serde_json::Error> {
        let now = self.moves.last().map_or(0, |made| made.at.0);
        self.sequence = self.sequence.saturating_add(1).max(now);
        self.signature = Some(key.sign(&self.signed_bytes(name, channel)?));
        Ok(self)
    }

    /// Whether this key signed all of it, for this plugin and channel; else what is wrong.
    pub(super) fn verified_by(&self, key: &PublicKey, name: &str, channel: &str) -> Result<(), &'static str> {
        let signature = self.signature.as_ref().ok_or("it is not signed")?;
        let wrong = "it was altered, belongs to another plugin or channel, or was signed with another key";
        let bytes = self.signed_bytes(name, channel).map_err(|_| wrong)?;
        if verifies(key, &bytes, signature.as_bytes()) { Ok(()) } else { Err(wrong) }
    }

    /// The signed bytes: a line with the purpose, one with the name, one with the channel, and the pointer without its
    /// signature as compact JSON, with keys in the order of the fields above.
    fn signed_bytes(&self, name: &str, channel: &str) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = format!("{SIGNED}\n{name}\n{channel}\n").into_bytes();
        serde_json::to_writer(&mut bytes, &Pointer { signature: None, ..self.clone() })?;
        Ok(bytes)
    }

    /// Records a move.
    pub(super) fn moved(mut self, made: Move) -> Pointer {
        // The signature covers the pointer before the move.
        self.signature = None;
        self.moves.push(made);
        self.moves.drain(..self.moves.len().saturating_sub(MEMORY));
        self.previous.drain(..self.previous.len().saturating_sub(MEMORY));
        self
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
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
    fn a_rollback_forgets_later_versions() {
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
    fn a_version_is_recorded_once_and_eventually_forgotten() {
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
    fn a_pointer_out_of_its_registry_is_invalid() {
        let mut pointer = Pointer::at(chosen("1"), made("1"));
        pointer.previous.push(chosen("../../other"));
        assert!(pointer.clone().checked().is_err());
        assert!(Pointer { v: 2, previous: Vec::new(), ..pointer }.checked().is_err());
    }

    #[test]
    fn a_signature_covers_one_whole_pointer_in_one_place() {
        let (key, _) = SigningKey::generate().expect("a key");
        let (other, _) = SigningKey::generate().expect("a key");
        let pointer = Pointer::at(chosen("1"), made("1")).advanced(chosen("2"), made("2"));
        let signed = pointer.clone().signed_by(&key, "crm", "current").expect("signed");
        let text = serde_json::to_vec_pretty(&signed).expect("JSON");
        let read: Pointer = serde_json::from_slice(&text).expect("a pointer");
        assert_eq!(read.verified_by(&key.public(), "crm", "current"), Ok(()));
        assert_eq!(pointer.verified_by(&key.public(), "crm", "current"), Err("it is not signed"));
        type Change = fn(&mut Pointer);
        let changes: [(&str, Change); 8] = [
            ("version", |pointer| pointer.current.version = "1".to_owned()),
            ("digest", |pointer| pointer.current.manifest_sha256.push('0')),
            ("previous", |pointer| pointer.previous.clear()),
            ("pinned", |pointer| pointer.pinned = true),
            ("moves", |pointer| drop(pointer.moves.pop())),
            ("sequence", |pointer| pointer.sequence += 1),
            ("signature", |pointer| pointer.signature = Some("AAAA".to_owned())),
            ("no signature", |pointer| pointer.signature = None),
        ];
        for (what, change) in changes {
            let mut changed = read.clone();
            change(&mut changed);
            assert!(changed.verified_by(&key.public(), "crm", "current").is_err(), "{what}");
        }
        for (name, channel) in [("erp", "current"), ("crm", "candidate")] {
            assert!(read.verified_by(&key.public(), name, channel).is_err(), "{name}@{channel}");
        }
        assert!(read.verified_by(&other.public(), "crm", "current").is_err(), "another key");
    }

    #[test]
    fn a_sequence_only_grows_whatever_the_clock_says() {
        let (key, _) = SigningKey::generate().expect("a key");
        let at = |millis| Move { at: Timestamp(millis), ..made("1") };
        let sign = |pointer: Pointer| pointer.signed_by(&key, "crm", "current").expect("signed");
        let first = sign(Pointer::at(chosen("1"), at(1000)));
        let back = sign(first.clone().advanced(chosen("2"), at(10)));
        let later = sign(back.clone().with_pin(true, at(5000)));
        assert_eq!([first.sequence, back.sequence, later.sequence], [1000, 1001, 5000]);
    }
}
