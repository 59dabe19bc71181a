//! Authentication of operators' notes: proof that an operator left them, and not just anyone who can send to the queue.

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use towpath_config::value::Digest;
use towpath_config::{Form, Secret, Secrets};
use towpath_types::body::Body;
use towpath_types::dead_letter::{DeadLetter, Stored};
use towpath_types::envelope::Webhook;
use towpath_types::message::{Note, Origin, origin_of, webhook};
use towpath_types::queue::{Attributes, GroupId, MessageId, Received};

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

    /// The MAC over this origin's notes, for a message of this group and route with this webhook. `None` without a key.
    pub fn seal(&self, origin: &Origin, group: &GroupId, route: &str, webhook: &Webhook) -> Option<String> {
        let key = self.signing()?;
        Some(hex::encode(mac(&key, Version::Whole, origin, group, route, webhook)))
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
        self.fits(|keys| vouch(keys, &origin, &received.group, route, webhook), deadline).await
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

    fn vouch(&self, origin: &Origin, group: &GroupId, route: &str, webhook: &Webhook) -> bool {
        vouch(&self.exposed(), origin, group, route, webhook)
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
    /// Body and attributes of a letter with a new webhook body and a note that stays on the message. Earlier notes are
    /// kept only if the keys authenticate them: the new MAC must not vouch for what somebody else wrote.
    pub fn edit(&self, letter: &DeadLetter, stored: &Stored<'_>, body: Vec<u8>, note: Note) -> (Body, Attributes) {
        let before = webhook(stored.body, stored.attributes).unwrap_or_default();
        let vouched = |origin: &Origin| self.keys.vouch(origin, stored.group, self.route, &before);
        let mut notes = origin_of(stored.attributes).filter(vouched).map(|origin| origin.notes).unwrap_or_default();
        notes.push(note);
        letter.edited(stored, body, notes, |origin, webhook| self.keys.seal(origin, self.group, self.route, webhook))
    }
}

fn vouch(keys: &[Arc<str>], origin: &Origin, group: &GroupId, route: &str, webhook: &Webhook) -> bool {
    let Some(given) = origin.mac.as_deref().and_then(|text| hex::decode(text).ok()) else { return false };
    keys.iter().fold(false, |vouched, key| {
        [Version::Whole, Version::Body].into_iter().fold(vouched, |vouched, version| {
            vouched | crate::same(&mac(key, version, origin, group, route, webhook), &given)
        })
    })
}

#[expect(clippy::expect_used, reason = "a fallback would cover less than it says")]
fn mac(key: &str, version: Version, origin: &Origin, group: &GroupId, route: &str, webhook: &Webhook) -> Vec<u8> {
    let Origin { id, sent_at, notes, .. } = origin;
    let body = hex::encode(Sha256::digest(&webhook.body));
    let line = RequestLine { method: webhook.method.as_str(), path: &webhook.path, query: &webhook.query };
    let (purpose, line) = match version {
        Version::Body => ("towpath-notes-1", None),
        Version::Whole => ("towpath-notes-2", Some(line)),
    };
    let sent_at = sent_at.0;
    let group = group.as_str();
    let covered = serde_json::to_vec(&Covered { purpose, id, sent_at, group, route, line, body, notes });
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
        let sealed = origin(editor.seal(&origin(None), &group, "crm", &webhook(b"body")));
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
        let sealed = origin(old.seal(&origin(None), &group, "crm", &webhook(b"body")));
        assert!(keys.vouch(&sealed, &group, "crm", &webhook(b"body")), "an older key still checks");
        assert!(
            !NoteKeys::new(vec![Secret::new("new")]).vouch(&sealed, &group, "crm", &webhook(b"body")),
            "another key"
        );
        assert!(!NoteKeys::default().vouch(&sealed, &group, "crm", &webhook(b"body")), "no key");
        assert!(!keys.vouch(&origin(None), &group, "crm", &webhook(b"body")), "no MAC");
        assert!(!keys.vouch(&origin(Some(String::new())), &group, "crm", &webhook(b"body")), "an empty one");
        assert!(!keys.vouch(&sealed, &"h".into(), "crm", &webhook(b"body")), "group");
        assert!(!keys.vouch(&sealed, &group, "erp", &webhook(b"body")), "route");
        assert!(!keys.vouch(&sealed, &group, "crm", &webhook(b"another")), "body");
        let query = Webhook { query: "a=1".to_owned(), ..webhook(b"body") };
        assert!(!keys.vouch(&sealed, &group, "crm", &query), "query");
        let method = Webhook { method: "PUT".parse().expect("a method"), ..webhook(b"body") };
        assert!(!keys.vouch(&sealed, &group, "crm", &method), "method");
        let path = Webhook { path: vec![("tenant".to_owned(), "a".to_owned())], ..webhook(b"body") };
        assert!(!keys.vouch(&sealed, &group, "crm", &path), "path");
        let changed: [fn(&mut Origin); 4] = [
            |origin| origin.id = "m-2".into(),
            |origin| origin.sent_at = Timestamp(3),
            |origin| origin.notes[0].text = "ok".into(),
            |origin| origin.notes[0].unverified = true,
        ];
        for (case, change) in changed.into_iter().enumerate() {
            let mut forged = sealed.clone();
            change(&mut forged);
            assert!(!keys.vouch(&forged, &group, "crm", &webhook(b"body")), "case {case}");
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
        assert!(keys.vouch(&origin(Some(mac.clone())), &"g".into(), "crm", &webhook(b"body")));
        assert!(!keys.vouch(&origin(Some(mac)), &"g".into(), "crm", &webhook(b"another")));
    }
}
