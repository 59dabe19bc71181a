//! Archived events that are sent again.

use serde::{Deserialize, Serialize};

use crate::archive::Archived;
use crate::body::Body;
use crate::clock::Timestamp;
use crate::dead_letter::{DEAD_LETTER_ATTRIBUTE, MAX_ATTRIBUTES, as_envelope, legal};
use crate::message::{ORIGIN_ATTRIBUTE, Origin, WEBHOOK_ID_ATTRIBUTE, origin_of, webhook_id};
use crate::queue::{Attribute, Attributes, MessageId, NewMessage};

/// The attribute that carries a [`Replay`] as JSON.
pub const REPLAY_ATTRIBUTE: &str = "towpath-replay";

/// What makes a message a replay. The MAC of its [`Origin`] covers the text of this attribute.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Replay {
    /// When it was replayed.
    pub at: Timestamp,
    /// Which run of `towpath replay` did it.
    pub run: String,
    /// The target of all its requests, instead of those that the mapping names. A host honours it only if a note key vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The `webhook-id` that the run gave it, instead of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
}

impl Replay {
    /// The attribute's text.
    pub fn text(&self) -> String {
        legal(serde_json::to_string(self).unwrap_or_default())
    }
}

/// The replay in these attributes, authenticated or not.
pub fn replay_of(attributes: &Attributes) -> Option<Replay> {
    serde_json::from_str(replay_text(attributes)?).ok()
}

/// What a MAC of the origin covers of a replay.
pub fn replay_text(attributes: &Attributes) -> Option<&str> {
    attributes.get(REPLAY_ATTRIBUTE)?.as_text()
}

/// The deduplication id of an event in a run: who sends a batch again within five minutes sends nothing twice.
pub fn dedup_id(run: &str, event: &MessageId) -> String {
    format!("replay-{run}-{event}")
}

impl Archived {
    /// Where the event first came from, with the notes that it carried, authenticated or not.
    pub fn origin(&self) -> Origin {
        origin_of(&self.attributes).unwrap_or_else(|| Origin {
            id: self.id.clone(),
            sent_at: self.sent_at,
            notes: Vec::new(),
            mac: None,
        })
    }

    /// Whether it was delivered by a replay.
    pub fn is_replay(&self) -> bool {
        self.attributes.contains_key(REPLAY_ATTRIBUTE)
    }

    /// The message that sends the event again: in its group, with its `webhook-id` and first time. `origin` says what operators
    /// did to it.
    pub fn again(&self, origin: &Origin, replay: &Replay) -> NewMessage {
        let mut attributes = self.attributes.clone();
        attributes.remove(DEAD_LETTER_ATTRIBUTE);
        let mut own = vec![
            (ORIGIN_ATTRIBUTE, legal(serde_json::to_string(origin).unwrap_or_default())),
            (REPLAY_ATTRIBUTE, replay.text()),
        ];
        // An event that never had an id of its own has that of its origin.
        let id = replay.id.as_ref().unwrap_or(&self.webhook_id);
        if attributes.contains_key(WEBHOOK_ID_ATTRIBUTE) || *id != origin.id {
            own.push((WEBHOOK_ID_ATTRIBUTE, id.as_str().to_owned()));
        }
        let (body, mut attributes) = with_room(&self.body, attributes, &own);
        attributes.extend(own.into_iter().map(|(name, text)| (name.to_owned(), Attribute::text(text))));
        debug_assert_eq!(webhook_id(&self.id, &attributes), *id);
        let dedup_id = dedup_id(&replay.run, &self.id).into();
        NewMessage { group: self.group.clone(), dedup_id: Some(dedup_id), body, attributes }
    }
}

/// Moves headers into an envelope if they and these attributes are too many.
fn with_room(body: &Body, attributes: Attributes, own: &[(&str, String)]) -> (Body, Attributes) {
    let more = own.iter().filter(|(name, _)| !attributes.contains_key(*name)).count();
    if attributes.len() + more > MAX_ATTRIBUTES { as_envelope(body, &attributes) } else { (body.clone(), attributes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Ending;
    use crate::message::{Message, Note};
    use crate::queue::{Handle, Received};

    fn event() -> Archived {
        Archived {
            id: "m-1".into(),
            webhook_id: "m-1".into(),
            group: "g".into(),
            dedup_id: Some("d".into()),
            sequence: Some("7".to_owned()),
            route: "crm".to_owned(),
            plugin: None,
            digest: None,
            sent_at: Timestamp(5),
            ended_at: Timestamp(9),
            receive_count: 3,
            ending: Ending::Delivered,
            reason: None,
            attempts: Vec::new(),
            attributes: Attributes::new(),
            redacted: false,
            body: Body::from("{}"),
        }
    }

    fn replay() -> Replay {
        Replay { at: Timestamp(20), run: "r1".to_owned(), to: Some("new".to_owned()), id: None }
    }

    fn message(event: &Archived, replay: &Replay) -> Message {
        let note = Note { at: Timestamp(20), by: "ann".to_owned(), text: "replay".to_owned(), unverified: false };
        let origin = Origin { notes: vec![note], ..event.origin() };
        let NewMessage { group, dedup_id, body, attributes } = event.again(&origin, replay);
        assert!(attributes.len() <= MAX_ATTRIBUTES, "{}", attributes.len());
        assert_eq!(replay_of(&attributes).as_ref(), Some(replay));
        let received = Received {
            id: "m-2".into(),
            group,
            dedup_id,
            sequence: None,
            receive_count: 1,
            sent_at: Timestamp(30),
            body,
            attributes,
            trace: None,
            handle: Handle::from("h"),
        };
        Message::read(&received, "q").expect("readable")
    }

    #[test]
    fn a_replayed_event_keeps_its_group_id_time_and_body() {
        let message = message(&event(), &replay());
        assert_eq!((message.id.as_str(), message.group.as_str(), message.sent_at), ("m-1", "g", Timestamp(5)));
        assert_eq!(message.dedup_id, Some("replay-r1-m-1".into()));
        assert_eq!(message.webhook.body, b"{}");
    }

    #[test]
    fn an_event_that_was_sent_back_or_has_a_key_keeps_the_id_that_its_target_knows() {
        let origin = r#"{"id":"m-0","sent_at":1}"#;
        let mut sent_back = Archived { webhook_id: "m-0".into(), sent_at: Timestamp(1), ..event() };
        sent_back.attributes.insert(ORIGIN_ATTRIBUTE.to_owned(), Attribute::text(origin));
        let message_of = message(&sent_back, &replay());
        assert_eq!((message_of.id.as_str(), message_of.sent_at), ("m-0", Timestamp(1)));
        let keyed = Archived { webhook_id: "msg_7".into(), ..event() };
        assert_eq!(message(&keyed, &replay()).id.as_str(), "msg_7");
    }

    #[test]
    fn a_new_id_replaces_the_old_one() {
        let replay = Replay { id: Some("new-1".into()), ..replay() };
        let mut keyed = Archived { webhook_id: "msg_7".into(), ..event() };
        keyed.attributes.insert(WEBHOOK_ID_ATTRIBUTE.to_owned(), Attribute::text("msg_7"));
        for event in [event(), keyed] {
            assert_eq!(message(&event, &replay).id.as_str(), "new-1");
        }
    }

    #[test]
    fn ten_headers_of_a_direct_message_leave_room_for_ours() {
        let mut event = event();
        event.attributes.extend((0..10).map(|n| (format!("x-{n}"), Attribute::text(n.to_string()))));
        let message = message(&event, &replay());
        assert_eq!(message.webhook.header("x-9"), Some(b"9".as_slice()));
        assert_eq!(message.webhook.headers.len(), 10);
    }
}
