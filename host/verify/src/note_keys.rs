//! Authentication of operators' notes: proof that an operator left them, and not just anyone who can send to the queue.

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use towpath_config::value::Digest;
use towpath_config::{Form, Secret, Secrets};
use towpath_types::archive::Archived;
use towpath_types::body::Body;
use towpath_types::dead_letter::{DeadLetter, Stored, legal_note};
use towpath_types::envelope::Webhook;
use towpath_types::message::{Note, Origin, origin_of, webhook};
use towpath_types::queue::{Attributes, GroupId, MessageId, NewMessage, Received};
use towpath_types::replay::{REPLAY_ATTRIBUTE, Replay, replay_text};

/// The MAC keys for notes: the first one signs, all of them verify. Without a key no note is trusted.
#[derive(Clone, Debug, Default)]
pub struct NoteKeys(Vec<Secret>);

/// What a MAC covers. A note belongs to one event of one group and route, and to the webhook that the operator saw.
#[derive(Serialize)]
struct Covered<'a> {
    /// Domain separation: a MAC made for another purpose with the same key never matches.
    purpose: &'static str,
    id: &'a MessageId,
    sent_at: u64,
    group: &'a str,
    route: &'a str,
    /// Missing in the first version.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<RequestLine<'a>>,
    body: String,
    notes: &'a [Note],
    /// The text of the attribute by which the message is a replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<&'a str>,
}

/// The message that a MAC is for.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    pub group: &'a GroupId,
    /// The path of its route.
    pub route: &'a str,
    pub webhook: &'a Webhook,
    /// The text of the attribute by which it is a replay.
    pub replay: Option<&'a str>,
}

#[derive(Serialize)]
struct RequestLine<'a> {
    method: &'a str,
    path: &'a [(String, String)],
    query: &'a str,
}

/// What the MAC of a note covers.
#[derive(Clone, Copy)]
enum Version {
    /// The body alone, as earlier releases sealed it.
    Body,
    /// Method, path and query too.
    Whole,
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

    /// The MAC over this origin's notes, for this message. `None` without a key.
    pub fn seal(&self, origin: &Origin, message: Sealed<'_>) -> Option<String> {
        let key = self.signing()?;
        Some(hex::encode(mac(&key, Version::Whole, origin, message)))
    }

    /// The message that sends an archived event again on this route, with a note of the operator. Earlier notes are kept only if the
    /// keys authenticate them.
    pub fn send_again(&self, event: &Archived, route: &str, replay: &Replay, note: Note) -> NewMessage {
        let webhook = webhook(&event.body, &event.attributes).unwrap_or_default();
        let text = replay.text();
        let sealed = Sealed { group: &event.group, route, webhook: &webhook, replay: Some(&text) };
        let mut origin = event.origin();
        if !self.vouch(&origin, Sealed { replay: replay_text(&event.attributes), ..sealed }) {
            origin.notes.clear();
        }
        origin.notes.push(legal_note(note));
        origin.mac = None;
        origin.mac = self.seal(&origin, sealed);
        event.again(&origin, replay)
    }

    /// Whether one of the keys made the MAC over the notes of a message, for this route and webhook. Refreshes rotated
    /// keys, until `deadline`.
    pub async fn vouch_for(&self, received: &Received, route: &str, webhook: &Webhook, deadline: Instant) -> bool {
        let Some(origin) = origin_of(&received.attributes).filter(|origin| !origin.notes.is_empty()) else {
            return false;
        };
        if origin.mac.is_none() {
            return false;
        }
        let message = Sealed { group: &received.group, route, webhook, replay: replay_text(&received.attributes) };
        self.fits(|keys| vouch(keys, &origin, message), deadline).await
    }

    /// Whether the values of the keys fit. If they do not, rotated keys are refreshed once, until `deadline`.
    pub(crate) async fn fits(&self, fits: impl Fn(&[Arc<str>]) -> bool, deadline: Instant) -> bool {
        let seen = self.exposed();
        if fits(&seen) {
            return true;
        }
        let mut renewed = false;
        for (key, seen) in self.0.iter().zip(&seen) {
            renewed |= timeout_at(deadline, key.is_renewed(seen)).await.unwrap_or(false);
        }
        renewed && fits(&self.exposed())
    }

    /// The value of the key that signs.
    pub(crate) fn signing(&self) -> Option<Arc<str>> {
        self.0.first().map(Secret::expose)
    }

    fn vouch(&self, origin: &Origin, message: Sealed<'_>) -> bool {
        vouch(&self.exposed(), origin, message)
    }

    pub(crate) fn exposed(&self) -> Vec<Arc<str>> {
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
    /// Body and attributes of a letter with a new webhook body and a note that stays on the message. Earlier notes, and what
    /// makes it a replay, are kept only if the keys authenticate them: the new MAC must not vouch for what somebody else wrote.
    pub fn edit(&self, letter: &DeadLetter, stored: &Stored<'_>, body: Vec<u8>, note: Note) -> (Body, Attributes) {
        let before = webhook(stored.body, stored.attributes).unwrap_or_default();
        let replay = replay_text(stored.attributes);
        let sealed = Sealed { group: stored.group, route: self.route, webhook: &before, replay };
        let vouched = origin_of(stored.attributes).filter(|origin| self.keys.vouch(origin, sealed));
        let replay = replay.filter(|_| vouched.is_some());
        let mut notes = vouched.map(|origin| origin.notes).unwrap_or_default();
        notes.push(note);
        let (body, mut attributes) = letter.edited(stored, body, notes, |origin, webhook| {
            self.keys.seal(origin, Sealed { group: self.group, route: self.route, webhook, replay })
        });
        if replay.is_none() {
            attributes.remove(REPLAY_ATTRIBUTE);
        }
        (body, attributes)
    }
}

fn vouch(keys: &[Arc<str>], origin: &Origin, message: Sealed<'_>) -> bool {
    let Some(given) = origin.mac.as_deref().and_then(|text| hex::decode(text).ok()) else { return false };
    keys.iter().fold(false, |vouched, key| {
        [Version::Whole, Version::Body].into_iter().fold(vouched, |vouched, version| {
            // The first version covers no replay.
            let covers = message.replay.is_none() || matches!(version, Version::Whole);
            vouched | (covers && crate::same(&mac(key, version, origin, message), &given))
        })
    })
}

#[expect(clippy::expect_used, reason = "a fallback would cover less than it says")]
fn mac(key: &str, version: Version, origin: &Origin, message: Sealed<'_>) -> Vec<u8> {
    let Origin { id, sent_at, notes, .. } = origin;
    let Sealed { group, route, webhook, replay } = message;
    let body = hex::encode(Sha256::digest(&webhook.body));
    let line = RequestLine { method: webhook.method.as_str(), path: &webhook.path, query: &webhook.query };
    let (purpose, line) = match version {
        Version::Body => ("towpath-notes-1", None),
        Version::Whole => ("towpath-notes-2", Some(line)),
    };
    let sent_at = sent_at.0;
    let group = group.as_str();
    let covered = serde_json::to_vec(&Covered { purpose, id, sent_at, group, route, line, body, notes, replay });
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

    fn webhook(body: &[u8]) -> Webhook {
        Webhook { body: body.to_vec(), ..Webhook::default() }
    }

    fn of<'a>(group: &'a GroupId, route: &'a str, webhook: &'a Webhook) -> Sealed<'a> {
        Sealed { group, route, webhook, replay: None }
    }

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
        let sealed = origin(editor.seal(&origin(None), of(&group, "crm", &webhook(b"body"))));
        let text = serde_json::to_string(&sealed).expect("JSON");
        let received = Received {
            id: "m-2".into(),
            group,
            dedup_id: None,
            sequence: None,
            receive_count: 1,
            sent_at: Timestamp(1),
            body: "body".into(),
            attributes: [(ORIGIN_ATTRIBUTE.to_owned(), Attribute::text(text))].into(),
            trace: None,
            handle: "h".into(),
        };
        let soon = Instant::now() + Duration::from_secs(10);
        assert!(keys.vouch_for(&received, "crm", &webhook(b"body"), soon).await);
        assert!(!keys.vouch_for(&received, "crm", &webhook(b"another"), soon).await, "no key fits another body");
    }

    #[test]
    fn a_mac_matches_only_its_own_event_group_route_body_and_notes() {
        let keys = NoteKeys::new(vec![Secret::new("new"), Secret::new("old")]);
        let old = NoteKeys::new(vec![Secret::new("old")]);
        let group = GroupId::from("g");
        let sealed = origin(old.seal(&origin(None), of(&group, "crm", &webhook(b"body"))));
        assert!(keys.vouch(&sealed, of(&group, "crm", &webhook(b"body"))), "an older key still checks");
        assert!(
            !NoteKeys::new(vec![Secret::new("new")]).vouch(&sealed, of(&group, "crm", &webhook(b"body"))),
            "another key"
        );
        assert!(!NoteKeys::default().vouch(&sealed, of(&group, "crm", &webhook(b"body"))), "no key");
        assert!(!keys.vouch(&origin(None), of(&group, "crm", &webhook(b"body"))), "no MAC");
        assert!(!keys.vouch(&origin(Some(String::new())), of(&group, "crm", &webhook(b"body"))), "an empty one");
        assert!(!keys.vouch(&sealed, of(&"h".into(), "crm", &webhook(b"body"))), "group");
        assert!(!keys.vouch(&sealed, of(&group, "erp", &webhook(b"body"))), "route");
        assert!(!keys.vouch(&sealed, of(&group, "crm", &webhook(b"another"))), "body");
        let query = Webhook { query: "a=1".to_owned(), ..webhook(b"body") };
        assert!(!keys.vouch(&sealed, of(&group, "crm", &query)), "query");
        let method = Webhook { method: "PUT".parse().expect("a method"), ..webhook(b"body") };
        assert!(!keys.vouch(&sealed, of(&group, "crm", &method)), "method");
        let path = Webhook { path: vec![("tenant".to_owned(), "a".to_owned())], ..webhook(b"body") };
        assert!(!keys.vouch(&sealed, of(&group, "crm", &path)), "path");
        let changed: [fn(&mut Origin); 4] = [
            |origin| origin.id = "m-2".into(),
            |origin| origin.sent_at = Timestamp(3),
            |origin| origin.notes[0].text = "ok".into(),
            |origin| origin.notes[0].unverified = true,
        ];
        for (case, change) in changed.into_iter().enumerate() {
            let mut forged = sealed.clone();
            change(&mut forged);
            assert!(!keys.vouch(&forged, of(&group, "crm", &webhook(b"body"))), "case {case}");
        }
    }

    #[test]
    fn a_note_of_an_earlier_release_is_still_vouched_for() {
        // HMAC-SHA-256 with the key `notes` over the JSON that those releases covered.
        let covered = concat!(
            r#"{"purpose":"towpath-notes-1","id":"m-1","sent_at":1,"group":"g","route":"crm","body":""#,
            "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5",
            r#"","notes":[{"at":2,"by":"ann","text":"typo"}]}"#
        );
        let mac = hex::encode(crate::mac(Digest::Sha256, b"notes", &[covered.as_bytes()]));
        let keys = NoteKeys::new(vec![Secret::new("notes")]);
        assert!(keys.vouch(&origin(Some(mac.clone())), of(&"g".into(), "crm", &webhook(b"body"))));
        assert!(!keys.vouch(&origin(Some(mac)), of(&"g".into(), "crm", &webhook(b"another"))));
    }

    fn archived(attributes: Attributes) -> Archived {
        Archived {
            id: "m-1".into(),
            webhook_id: "m-1".into(),
            group: "g".into(),
            dedup_id: None,
            sequence: Some("1".to_owned()),
            route: "crm".to_owned(),
            plugin: None,
            digest: None,
            sent_at: Timestamp(1),
            ended_at: Timestamp(2),
            receive_count: 1,
            ending: towpath_types::archive::Ending::Delivered,
            reason: None,
            attempts: Vec::new(),
            attributes,
            redacted: false,
            body: "body".into(),
        }
    }

    fn replay(to: &str) -> Replay {
        Replay { at: Timestamp(3), run: "r1".to_owned(), to: Some(to.to_owned()), id: None }
    }

    fn note(text: &str) -> Note {
        Note { at: Timestamp(3), by: "ann".into(), text: text.into(), unverified: false }
    }

    fn vouched(keys: &NoteKeys, attributes: &Attributes) -> bool {
        let webhook = webhook(b"body");
        let group = "g".into();
        let sealed = Sealed { replay: replay_text(attributes), ..of(&group, "crm", &webhook) };
        keys.vouch(&origin_of(attributes).expect("an origin"), sealed)
    }

    #[test]
    fn a_mac_covers_what_a_replay_asks_for() {
        let keys = NoteKeys::new(vec![Secret::new("key")]);
        let sealed =
            keys.send_again(&archived(Attributes::new()), "crm", &replay("new"), note("to the new one")).attributes;
        assert!(vouched(&keys, &sealed));
        let with = |text: Option<String>| {
            let mut attributes = sealed.clone();
            attributes.remove(REPLAY_ATTRIBUTE);
            attributes.extend(text.map(|text| (REPLAY_ATTRIBUTE.to_owned(), Attribute::text(text))));
            attributes
        };
        assert!(!vouched(&keys, &with(None)), "taken away");
        assert!(!vouched(&keys, &with(Some(replay("other").text()))), "another target");
        // What operators' edits covered before there were replays vouches for none.
        let covered = format!(
            r#"{{"purpose":"towpath-notes-1","id":"m-1","sent_at":1,"group":"g","route":"crm","body":"{}","notes":[{{"at":2,"by":"ann","text":"typo"}}],"replay":{}}}"#,
            hex::encode(Sha256::digest(b"body")),
            serde_json::to_string(&replay("new").text()).expect("JSON"),
        );
        let first = hex::encode(crate::mac(Digest::Sha256, b"key", &[covered.as_bytes()]));
        let text = serde_json::to_string(&origin(Some(first))).expect("JSON");
        let mut attributes = with(Some(replay("new").text()));
        attributes.insert(ORIGIN_ATTRIBUTE.to_owned(), Attribute::text(text));
        assert!(!vouched(&keys, &attributes), "the first version");
    }

    #[test]
    fn notes_are_kept_by_a_replay_only_if_a_key_vouches_for_them() {
        let keys = NoteKeys::new(vec![Secret::new("key")]);
        let others = NoteKeys::new(vec![Secret::new("other")]);
        for (before, kept) in [(&keys, 2), (&others, 1)] {
            let group = "g".into();
            let webhook = webhook(b"body");
            let edited = Origin { mac: before.seal(&origin(None), of(&group, "crm", &webhook)), ..origin(None) };
            let text = serde_json::to_string(&edited).expect("JSON");
            let event = archived([(ORIGIN_ATTRIBUTE.to_owned(), Attribute::text(text))].into());
            let again = keys.send_again(&event, "crm", &replay("new"), note("again")).attributes;
            assert!(vouched(&keys, &again));
            assert_eq!(origin_of(&again).expect("an origin").notes.len(), kept);
        }
    }

    #[test]
    fn an_edit_keeps_a_replay_that_is_vouched_for_and_no_other() {
        let keys = NoteKeys::new(vec![Secret::new("key")]);
        let group = GroupId::from("g");
        let body = Body::from("body");
        let letter = DeadLetter { id: "m-1".to_owned(), sent_at: Timestamp(1), ..DeadLetter::default() };
        let sealed = keys.send_again(&archived(Attributes::new()), "crm", &replay("new"), note("again")).attributes;
        let mut forged = sealed.clone();
        forged.insert(REPLAY_ATTRIBUTE.to_owned(), Attribute::text(replay("other").text()));
        let id = MessageId::from("d-1");
        for (attributes, kept) in [(&sealed, true), (&forged, false)] {
            let stored = Stored { id: &id, group: &group, body: &body, attributes };
            let seal = Seal { keys: &keys, group: &group, route: "crm" };
            let (_, edited) = seal.edit(&letter, &stored, b"body".to_vec(), note("typo"));
            assert_eq!(edited.contains_key(REPLAY_ATTRIBUTE), kept);
            assert!(vouched(&keys, &edited));
        }
    }
}
