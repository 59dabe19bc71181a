//! Authentication of operators' notes: proof that an operator left them, and not just anyone who can send to the queue.

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use towpath_config::value::Digest;
use towpath_config::{Form, Secret, Secrets};
use towpath_types::dead_letter::{DeadLetter, Stored};
use towpath_types::message::{Note, Origin, origin_of, webhook};
use towpath_types::queue::{Attributes, GroupId, MessageId, Received};

/// The MAC keys for notes: the first one signs, all of them verify. Without a key no note is trusted.
#[derive(Clone, Debug, Default)]
pub struct NoteKeys(Vec<Secret>);

/// What a MAC covers. A note belongs to one event of one group and route, and to the body that the operator saw.
#[derive(Serialize)]
struct Covered<'a> {
    /// Domain separation: a MAC made for another purpose with the same key never matches.
    purpose: &'static str,
    id: &'a MessageId,
    sent_at: u64,
    group: &'a str,
    route: &'a str,
    body: String,
    notes: &'a [Note],
}

impl NoteKeys {
    /// Newest first.
    pub fn new(keys: Vec<Secret>) -> NoteKeys {
        NoteKeys(keys)
    }

    /// The secrets of these names, or the problem with one of them.
    pub fn of(names: &[String], secrets: &Secrets) -> Result<NoteKeys, String> {
        let key = |name: &String| secrets.get(name, Form::Key).map_err(|(problem, hint)| format!("{problem}: {hint}"));
        names.iter().map(key).collect::<Result<_, _>>().map(NoteKeys)
    }

    /// Adds a key as the last one.
    #[must_use]
    pub fn and(mut self, key: Secret) -> NoteKeys {
        self.0.push(key);
        self
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The MAC over this origin's notes, for a message of this group and route with this body. `None` without a key.
    pub fn seal(&self, origin: &Origin, group: &GroupId, route: &str, body: &[u8]) -> Option<String> {
        let key = self.0.first()?.expose();
        Some(hex::encode(mac(&key, origin, group, route, body)))
    }

    /// Whether one of the keys made the MAC over the notes of a message, for this route and body. Refreshes rotated
    /// keys, until `deadline`.
    pub async fn vouch_for(&self, received: &Received, route: &str, body: &[u8], deadline: Instant) -> bool {
        let Some(origin) = origin_of(&received.attributes).filter(|origin| !origin.notes.is_empty()) else {
            return false;
        };
        let seen = self.exposed();
        if vouch(&seen, &origin, &received.group, route, body) {
            return true;
        }
        if origin.mac.is_none() {
            return false;
        }
        let mut renewed = false;
        for (key, seen) in self.0.iter().zip(&seen) {
            renewed |= timeout_at(deadline, key.is_renewed(seen)).await.unwrap_or(false);
        }
        renewed && self.vouch(&origin, &received.group, route, body)
    }

    fn vouch(&self, origin: &Origin, group: &GroupId, route: &str, body: &[u8]) -> bool {
        vouch(&self.exposed(), origin, group, route, body)
    }

    fn exposed(&self) -> Vec<Arc<str>> {
        self.0.iter().map(Secret::expose).collect()
    }
}

/// What authenticates the note of an edit.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'a> {
    pub keys: &'a NoteKeys,
    /// The group of the letter after the edit.
    pub group: &'a GroupId,
    /// The path of its route.
    pub route: &'a str,
}

impl Seal<'_> {
    /// Body and attributes of a letter with a new webhook body and a note that stays on the message. Earlier notes are
    /// kept only if the keys authenticate them: the new MAC must not vouch for what somebody else wrote.
    pub fn edit(&self, letter: &DeadLetter, stored: &Stored<'_>, body: Vec<u8>, note: Note) -> (String, Attributes) {
        let before = webhook(stored.body, stored.attributes).unwrap_or_default();
        let vouched = |origin: &Origin| self.keys.vouch(origin, stored.group, self.route, &before.body);
        let mut notes = origin_of(stored.attributes).filter(vouched).map(|origin| origin.notes).unwrap_or_default();
        notes.push(note);
        letter.edited(stored, body, notes, |origin, body| self.keys.seal(origin, self.group, self.route, body))
    }
}

fn vouch(keys: &[Arc<str>], origin: &Origin, group: &GroupId, route: &str, body: &[u8]) -> bool {
    let Some(given) = origin.mac.as_deref().and_then(|text| hex::decode(text).ok()) else { return false };
    keys.iter().fold(false, |vouched, key| {
        let right = mac(key, origin, group, route, body);
        vouched | bool::from(subtle::ConstantTimeEq::ct_eq(right.as_slice(), given.as_slice()))
    })
}

#[expect(clippy::expect_used, reason = "a fallback would cover less than it says")]
fn mac(key: &str, origin: &Origin, group: &GroupId, route: &str, body: &[u8]) -> Vec<u8> {
    let Origin { id, sent_at, notes, .. } = origin;
    let body = hex::encode(Sha256::digest(body));
    let purpose = "towpath-notes-1";
    let sent_at = sent_at.0;
    let group = group.as_str();
    let covered = serde_json::to_vec(&Covered { purpose, id, sent_at, group, route, body, notes });
    let covered = covered.expect("a struct of texts and numbers is always JSON");
    crate::mac(Digest::Sha256, key.as_bytes(), &[&covered])
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;

    use super::*;
    use towpath_config::{NotFetched, SecretStore};
    use towpath_types::clock::Timestamp;
    use towpath_types::message::ORIGIN_ATTRIBUTE;
    use towpath_types::queue::Attribute;

    fn origin(mac: Option<String>) -> Origin {
        let note = Note { at: Timestamp(2), by: "ann".into(), text: "typo".into(), unverified: false };
        Origin { id: "m-1".into(), sent_at: Timestamp(1), notes: vec![note], mac }
    }

    /// A store in which the key is rotated after the first fetch.
    struct Rotated(AtomicBool);

    #[async_trait]
    impl SecretStore for Rotated {
        async fn fetch(&self, _: &str) -> Result<String, NotFetched> {
            Ok(if self.0.swap(true, Ordering::Relaxed) { "new" } else { "old" }.to_owned())
        }
    }

    #[tokio::test]
    async fn a_rotated_key_is_refreshed_before_a_note_is_rejected() {
        let names = ["notes".to_owned()];
        let secrets = Secrets::from_store(Arc::new(Rotated(AtomicBool::new(false))), names.clone()).await;
        let keys = NoteKeys::of(&names, &secrets).expect("a key");
        let group = GroupId::from("g");
        let editor = NoteKeys::new(vec![Secret::new("new")]);
        let sealed = origin(editor.seal(&origin(None), &group, "crm", b"body"));
        let text = serde_json::to_string(&sealed).expect("JSON");
        let received = Received {
            id: "m-2".into(),
            group,
            dedup_id: None,
            sequence: None,
            receive_count: 1,
            sent_at: Timestamp(1),
            body: "body".to_owned(),
            attributes: [(ORIGIN_ATTRIBUTE.to_owned(), Attribute::text(text))].into(),
            trace: None,
            handle: "h".into(),
        };
        let soon = Instant::now() + Duration::from_secs(10);
        assert!(keys.vouch_for(&received, "crm", b"body", soon).await);
        assert!(!keys.vouch_for(&received, "crm", b"another", soon).await, "no key fits another body");
    }

    #[test]
    fn a_mac_matches_only_its_own_event_group_route_body_and_notes() {
        let keys = NoteKeys::new(vec![Secret::new("new"), Secret::new("old")]);
        let old = NoteKeys::new(vec![Secret::new("old")]);
        let group = GroupId::from("g");
        let sealed = origin(old.seal(&origin(None), &group, "crm", b"body"));
        assert!(keys.vouch(&sealed, &group, "crm", b"body"), "an older key still checks");
        assert!(!NoteKeys::new(vec![Secret::new("new")]).vouch(&sealed, &group, "crm", b"body"), "another key");
        assert!(!NoteKeys::default().vouch(&sealed, &group, "crm", b"body"), "no key");
        assert!(!keys.vouch(&origin(None), &group, "crm", b"body"), "no MAC");
        assert!(!keys.vouch(&origin(Some(String::new())), &group, "crm", b"body"), "an empty one");
        assert!(!keys.vouch(&sealed, &"h".into(), "crm", b"body"), "group");
        assert!(!keys.vouch(&sealed, &group, "erp", b"body"), "route");
        assert!(!keys.vouch(&sealed, &group, "crm", b"another"), "body");
        let changed: [fn(&mut Origin); 4] = [
            |origin| origin.id = "m-2".into(),
            |origin| origin.sent_at = Timestamp(3),
            |origin| origin.notes[0].text = "ok".into(),
            |origin| origin.notes[0].unverified = true,
        ];
        for (case, change) in changed.into_iter().enumerate() {
            let mut forged = sealed.clone();
            change(&mut forged);
            assert!(!keys.vouch(&forged, &group, "crm", b"body"), "case {case}");
        }
    }
}
