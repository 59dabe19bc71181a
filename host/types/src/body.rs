//! What a message carries: a webhook as it came, or the text that was sent to the queue itself.

use std::borrow::Cow;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::envelope::{self, EnvelopeError, Webhook};

/// The body of a message.
///
/// Only SQS needs text: there a webhook travels in an [`envelope`]. A store keeps its [`parts`](Body::parts).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// A webhook, byte for byte. Shared, so that a copy costs nothing.
    Webhook(Arc<Webhook>),
    /// What a client sent: a webhook's own body, or an envelope.
    Text(String),
}

impl Body {
    /// As SQS holds it.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Body::Webhook(webhook) => Cow::Owned(envelope::encode(webhook)),
            Body::Text(text) => Cow::Borrowed(text),
        }
    }

    /// The same, without a copy of a text.
    pub fn into_text(self) -> String {
        match self {
            Body::Webhook(webhook) => envelope::encode(&webhook),
            Body::Text(text) => text,
        }
    }

    /// The text, if it was sent as one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Body::Webhook(_) => None,
            Body::Text(text) => Some(text),
        }
    }

    /// Its length as SQS holds it, in bytes. Encodes nothing but the headers.
    pub fn len(&self) -> usize {
        match self {
            Body::Webhook(webhook) => envelope::encoded_len(webhook),
            Body::Text(text) => text.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.as_text() == Some("")
    }

    /// Whether it brings its own headers. Those of a direct body are its message's attributes.
    pub fn has_headers(&self) -> bool {
        self.as_text().is_none_or(envelope::is_envelope)
    }

    /// The webhook, without the headers that a direct body has in its attributes.
    pub fn webhook(&self) -> Result<Arc<Webhook>, EnvelopeError> {
        match self {
            Body::Webhook(webhook) => Ok(Arc::clone(webhook)),
            Body::Text(text) => envelope::decode(text).map(Arc::new),
        }
    }

    /// How a store keeps it: the head of a webhook, and bytes. A text has no head.
    pub fn parts(&self) -> (Option<String>, &[u8]) {
        match self {
            Body::Webhook(webhook) => (Some(envelope::head(webhook)), &webhook.body),
            Body::Text(text) => (None, text.as_bytes()),
        }
    }

    /// What was kept as these parts. A damaged head, or a text that is no longer one, makes an envelope that cannot be read, with all
    /// that is there: its message must become a dead letter.
    pub fn from_parts(head: Option<String>, bytes: Vec<u8>) -> Body {
        let kept = match head {
            Some(head) => envelope::joined(&head, bytes).map(Body::from),
            None => {
                String::from_utf8(bytes).map(Body::Text).map_err(|error| envelope::unreadable("", error.as_bytes()))
            }
        };
        kept.unwrap_or_else(Body::Text)
    }

    /// The SHA-256 of the text, without making one of a webhook.
    pub fn digest(&self) -> [u8; 32] {
        match self {
            Body::Webhook(webhook) => envelope::digest(webhook),
            Body::Text(text) => Sha256::digest(text).into(),
        }
    }
}

impl From<Webhook> for Body {
    fn from(webhook: Webhook) -> Body {
        Body::Webhook(Arc::new(webhook))
    }
}

impl From<Arc<Webhook>> for Body {
    fn from(webhook: Arc<Webhook>) -> Body {
        Body::Webhook(webhook)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Body::Text(text)
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Body {
        Body::Text(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhooks() -> [Webhook; 4] {
        let odd = vec![("x".to_owned(), b"\xff\xfe".to_vec()), ("y".to_owned(), "\"\u{1F6F6}\u{FFFF}\t".into())];
        [
            Webhook::default(),
            Webhook { headers: odd, body: b"\x00\xff{".to_vec(), ..Webhook::default() },
            Webhook { body: b"12".to_vec(), query: "a=\"".to_owned(), ..Webhook::default() },
            Webhook {
                method: http::Method::PUT,
                path: vec![("tenant".to_owned(), "a%2Fb".to_owned())],
                body: vec![b'x'; 1000],
                ..Webhook::default()
            },
        ]
    }

    #[test]
    fn a_webhook_is_the_same_after_it_was_kept_and_after_it_was_sent_as_text() {
        for webhook in webhooks() {
            let body = Body::from(webhook.clone());
            let (head, bytes) = body.parts();
            assert_eq!(Body::from_parts(head, bytes.to_vec()), body);
            assert_eq!(*Body::Text(body.text().into_owned()).webhook().expect("an envelope"), webhook);
        }
    }

    #[test]
    fn the_length_is_that_of_the_text() {
        for body in webhooks().map(Body::from).into_iter().chain(["", "{}", "\u{1F6F6}"].map(Body::from)) {
            assert_eq!(body.len(), body.text().len(), "{body:?}");
        }
    }

    #[test]
    fn the_digest_is_that_of_the_text() {
        let long = (0..20_000u32).map(|n| n.to_le_bytes()[0]).collect::<Vec<u8>>();
        let long =
            [9_000, 9_001, 9_002, 20_000].map(|length| Webhook { body: long[..length].to_vec(), ..Webhook::default() });
        let texts = ["", "{}"].map(Body::from);
        for body in webhooks().into_iter().chain(long).map(Body::from).chain(texts) {
            assert_eq!(body.digest()[..], Sha256::digest(&*body.text())[..]);
        }
    }

    #[test]
    fn a_text_that_is_damaged_is_unreadable_and_still_has_its_bytes() {
        let body = Body::from_parts(None, b"\xffevent".to_vec());
        assert!(body.webhook().is_err() && body.text().contains("/2V2ZW50"), "{body:?}");
    }

    #[test]
    fn a_text_is_kept_as_it_is() {
        for text in ["", "{}", "{\"v\":1,\"headers\":[],\"body\":\"\"}", "\u{1F6F6}"] {
            let body = Body::from(text);
            let (head, bytes) = body.parts();
            assert_eq!(head, None);
            assert_eq!(Body::from_parts(None, bytes.to_vec()), body);
        }
    }

    #[test]
    fn a_damaged_head_makes_an_unreadable_text_that_still_has_the_bytes() {
        for head in ["", "{}", "null", "{\"v\":1,\"headers\":[[\"a\"]]}", "{\"v\":9,\"headers\":[]}"] {
            let body = Body::from_parts(Some(head.to_owned()), b"event".to_vec());
            assert!(matches!(&body, Body::Text(text) if text.contains("ZXZlbnQ=")), "{head}: {body:?}");
            assert!(body.has_headers() && body.webhook().is_err(), "{head}: {body:?}");
        }
    }
}
