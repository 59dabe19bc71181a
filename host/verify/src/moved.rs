//! Letters that SQS itself moves back, by a redrive in AWS's console. Their messages keep id and time if a note key vouches for
//! them, which proves that a host wrote the letter with this id and time, for this group and body.

use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;

use towpath_config::value::Digest;
use towpath_types::body::Body;
use towpath_types::dead_letter::{DeadLetter, moved_back};
use towpath_types::queue::{GroupId, Received};

use crate::note_keys::NoteKeys;

/// A received message, seen as a letter that SQS moved back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Moved {
    /// It is no moved letter.
    No,
    /// The message as `towpath dlq redrive` would have sent it.
    Restored(Box<Received>),
    /// No note key of this host vouches for it, so it is treated as a new message.
    Unsealed,
}

/// What the MAC covers.
#[derive(Serialize)]
struct Covered<'a> {
    /// A MAC made for another purpose with the same key never matches.
    purpose: &'static str,
    id: &'a str,
    sent_at: u64,
    group: &'a str,
    /// A digest of the body as SQS holds it.
    body: String,
}

/// The MAC of a letter with this group and stored body. `None` without a key.
pub fn seal(keys: &NoteKeys, letter: &DeadLetter, group: &GroupId, body: &Body) -> Option<String> {
    Some(hex::encode(mac(&keys.signing()?, &covered(letter, group, body))))
}

/// Restores a letter that SQS moved back. Refreshes rotated keys, until `deadline`.
pub async fn restore(keys: &NoteKeys, received: &Received, deadline: Instant) -> Moved {
    let Some(letter) = moved_back(received) else { return Moved::No };
    let Some(given) = letter.mac.as_deref().and_then(|text| hex::decode(text).ok()) else { return Moved::Unsealed };
    let covered = covered(&letter, &received.group, &received.body);
    let is_right =
        |keys: &[Arc<str>]| keys.iter().fold(false, |right, key| right | crate::same(&mac(key, &covered), &given));
    if !keys.fits(is_right, deadline).await {
        return Moved::Unsealed;
    }
    Moved::Restored(Box::new(letter.restored(received)))
}

fn mac(key: &str, covered: &[u8]) -> Vec<u8> {
    crate::mac(Digest::Sha256, key.as_bytes(), &[covered])
}

#[expect(clippy::expect_used, reason = "a fallback would cover less than it says")]
fn covered(letter: &DeadLetter, group: &GroupId, body: &Body) -> Vec<u8> {
    let covered = Covered {
        purpose: "towpath-letter-1",
        id: &letter.id,
        sent_at: letter.sent_at.0,
        group: group.as_str(),
        body: hex::encode(body.digest()),
    };
    serde_json::to_vec(&covered).expect("a struct of texts and numbers is always JSON")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use towpath_config::Secret;
    use towpath_types::clock::Timestamp;
    use towpath_types::message::{ORIGIN_ATTRIBUTE, origin};

    fn keys(names: &[&'static str]) -> NoteKeys {
        NoteKeys::new(names.iter().map(|name| Secret::new(*name)).collect())
    }

    fn letter() -> DeadLetter {
        DeadLetter { id: "m-1".to_owned(), sent_at: Timestamp(1), ..DeadLetter::default() }
    }

    /// A letter as SQS moves it back: with another id and time.
    fn moved(letter: &DeadLetter, sealed_by: &NoteKeys) -> Received {
        let mac = seal(sealed_by, letter, &"g".into(), &"body".into());
        let message = DeadLetter { mac, ..letter.clone() }.carried_by("g".into(), "body".into(), Default::default());
        Received {
            id: "m-2".into(),
            group: message.group,
            dedup_id: None,
            sequence: None,
            receive_count: 1,
            sent_at: Timestamp(9),
            body: message.body,
            attributes: message.attributes,
            trace: None,
            handle: "h".into(),
        }
    }

    async fn restored(keys: &NoteKeys, received: &Received) -> Moved {
        restore(keys, received, Instant::now() + Duration::from_secs(10)).await
    }

    #[tokio::test]
    async fn a_sealed_letter_keeps_id_and_time_and_sheds_its_letter() {
        let received = moved(&letter(), &keys(&["old"]));
        let Moved::Restored(message) = restored(&keys(&["new", "old"]), &received).await else {
            panic!("not restored")
        };
        let origin = origin(&message);
        assert_eq!((origin.id.as_str(), origin.sent_at, message.sent_at), ("m-1", Timestamp(1), Timestamp(9)));
        assert_eq!(moved_back(&message), None);
        assert_eq!(DeadLetter::read(&message.attributes), None);
        assert_eq!(restored(&keys(&["new", "old"]), &message).await, Moved::No);
    }

    #[tokio::test]
    async fn a_letter_is_restored_by_a_key_of_this_host_only_and_as_it_was_sealed() {
        let key = keys(&["key"]);
        let sealed = moved(&letter(), &key);
        assert_eq!(restored(&keys(&["another"]), &sealed).await, Moved::Unsealed);
        assert_eq!(restored(&NoteKeys::default(), &sealed).await, Moved::Unsealed);
        assert_eq!(restored(&key, &moved(&letter(), &NoteKeys::default())).await, Moved::Unsealed);
        assert_eq!(restored(&key, &Received { group: "h".into(), ..sealed.clone() }).await, Moved::Unsealed);
        assert_eq!(restored(&key, &Received { body: "another".into(), ..sealed.clone() }).await, Moved::Unsealed);
        let mac = DeadLetter::read(&sealed.attributes).and_then(|letter| letter.mac);
        for forged in [
            DeadLetter { id: "m-3".to_owned(), mac: mac.clone(), ..letter() },
            DeadLetter { sent_at: Timestamp(2), mac, ..letter() },
            DeadLetter { mac: Some(String::new()), ..letter() },
        ] {
            let message = forged.carried_by("g".into(), "body".into(), Default::default());
            let received = Received { attributes: message.attributes, ..sealed.clone() };
            assert_eq!(restored(&key, &received).await, Moved::Unsealed, "{forged:?}");
        }
    }

    #[tokio::test]
    async fn a_recorded_origin_comes_before_the_letter() {
        let key = keys(&["key"]);
        let mut received = moved(&letter(), &key);
        let recorded = towpath_types::queue::Attribute::text(r#"{"id":"m-0","sent_at":0}"#);
        received.attributes.insert(ORIGIN_ATTRIBUTE.to_owned(), recorded);
        assert_eq!(restored(&key, &received).await, Moved::No);
        assert_eq!(origin(&received).id.as_str(), "m-0");
    }
}
