//! Packs a letter into a message, cut to the size limit of its queue.
//!
//! Cut, in this order: the story (attempts, stack, stderr), the excerpt of the answer, the detail, and headers that
//! neither verification nor the route's keys need, largest first. The body is never cut.

use std::collections::HashSet;
use std::sync::Arc;

use super::{DEAD_LETTER_ATTRIBUTE, DeadLetter, MAX_ATTRIBUTES, as_envelope, clip, legal, own};
use crate::body::Body;
use crate::envelope::Webhook;
use crate::message::is_own;
use crate::queue::{Attribute, Attributes, GroupId, NewMessage, Received};

/// What is left of a detail that is cut.
const SHORT_DETAIL: usize = 128;

/// The letter is too large even with everything cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the dead letter needs {needed} bytes even after cutting, and its queue allows {most}: raise MaximumMessageSize \
    of the dead-letter queue"
)]
pub struct TooLarge {
    /// Its smallest size.
    pub needed: usize,
    /// The limit of the queue.
    pub most: usize,
}

impl DeadLetter {
    /// The message to send to the dead-letter queue, of at most `most` bytes. `keeps` says which headers (in lower
    /// case) must stay; `seal` makes the MAC of this letter for a group and a stored body.
    ///
    /// Its deduplication id is the id under which the queue held the message just now. For a message that was never
    /// redriven that is its original id; one that is dead-lettered again within five minutes of its redrive must not be
    /// swallowed as a duplicate of its first letter.
    pub fn pack(
        &self,
        received: &Received,
        most: usize,
        keeps: impl Fn(&str) -> bool,
        seal: impl Fn(&GroupId, &Body) -> Option<String>,
    ) -> Result<NewMessage, TooLarge> {
        let mut letter = self.clone();
        let whole = letter.with(received, carried(received), &seal);
        if whole.size() <= most {
            return Ok(whole);
        }
        type Cut = (&'static str, fn(&mut DeadLetter));
        let cuts: [Cut; 3] = [
            ("story", |letter| {
                letter.attempts.clear();
                letter.trace.clear();
                letter.stderr.clear();
            }),
            ("excerpt", |letter| letter.excerpt.clear()),
            ("detail", |letter| letter.detail = clip(std::mem::take(&mut letter.detail), SHORT_DETAIL)),
        ];
        for (what, cut) in cuts {
            cut(&mut letter);
            letter.cut.push(what.to_owned());
            let message = letter.with(received, carried(received), &seal);
            if message.size() <= most {
                return Ok(message);
            }
        }
        letter.without_headers(received, most, keeps, seal)
    }

    /// The letter with as many headers as fit.
    fn without_headers(
        self,
        received: &Received,
        most: usize,
        keeps: impl Fn(&str) -> bool,
        seal: impl Fn(&GroupId, &Body) -> Option<String>,
    ) -> Result<NewMessage, TooLarge> {
        let carried = Carried::read(received);
        let order = carried.order(keeps);
        let without = |count: usize| {
            let mut letter = self.clone();
            letter.cut.push(format!("{count} headers"));
            letter.with(received, carried.without(order.get(..count).unwrap_or_default()), &seal)
        };
        let fits = |message: &NewMessage| message.size() <= most && message.attributes.len() <= MAX_ATTRIBUTES;
        // The smallest number of headers to drop, by bisection: a webhook may have thousands.
        let mut too_few = 0;
        let mut enough = order.len();
        while enough - too_few > 1 {
            let middle = too_few + (enough - too_few) / 2;
            if fits(&without(middle)) { enough = middle } else { too_few = middle }
        }
        let message = without(enough);
        if fits(&message) { Ok(message) } else { Err(TooLarge { needed: message.size(), most }) }
    }

    /// The attribute that carries this letter.
    pub(super) fn attribute(&self) -> Attribute {
        Attribute::text(legal(serde_json::to_string(self).unwrap_or_default()))
    }

    fn with(
        &self,
        received: &Received,
        (body, mut attributes): (Body, Attributes),
        seal: impl Fn(&GroupId, &Body) -> Option<String>,
    ) -> NewMessage {
        let group = received.group.clone();
        let sealed = DeadLetter { mac: seal(&group, &body), ..self.clone() };
        attributes.insert(DEAD_LETTER_ATTRIBUTE.to_owned(), sealed.attribute());
        let dedup_id = Some(received.id.as_str().into());
        NewMessage { group, dedup_id, body, attributes }
    }
}

/// Body and attributes of a message as they travel with a letter.
fn carried(received: &Received) -> (Body, Attributes) {
    let mut attributes = received.attributes.clone();
    attributes.remove(DEAD_LETTER_ATTRIBUTE);
    if attributes.len() >= MAX_ATTRIBUTES {
        as_envelope(&received.body, &attributes)
    } else {
        (received.body.clone(), attributes)
    }
}

/// The same, with headers that can be removed: they are in the envelope, or are the attributes of a direct body.
enum Carried {
    Envelope(Arc<Webhook>, Attributes),
    Direct(Body, Attributes),
}

impl Carried {
    fn read(received: &Received) -> Carried {
        let mut attributes = received.attributes.clone();
        attributes.remove(DEAD_LETTER_ATTRIBUTE);
        match received.body.webhook() {
            Ok(webhook) if received.body.has_headers() => {
                let too_many = attributes.len() >= MAX_ATTRIBUTES;
                Carried::Envelope(webhook, if too_many { own(&attributes) } else { attributes })
            }
            _ => Carried::Direct(received.body.clone(), attributes),
        }
    }

    /// The positions of headers that may be cut, largest first.
    fn order(&self, keeps: impl Fn(&str) -> bool) -> Vec<usize> {
        let mut sizes: Vec<(usize, usize)> = match self {
            Carried::Envelope(webhook, _) => {
                let headers = webhook.headers.iter().enumerate().filter(|(_, (name, _))| !keeps(name));
                headers.map(|(at, (name, value))| (name.len() + value.len(), at)).collect()
            }
            Carried::Direct(_, attributes) => {
                let may_go = |name: &str| !is_own(name) && !keeps(&name.to_ascii_lowercase());
                let headers = attributes.iter().enumerate().filter(|(_, (name, _))| may_go(name));
                headers.map(|(at, (name, value))| (value.size(name), at)).collect()
            }
        };
        sizes.sort_by(|one, other| other.cmp(one));
        sizes.into_iter().map(|(_, at)| at).collect()
    }

    /// Body and attributes without the headers at these positions.
    fn without(&self, gone: &[usize]) -> (Body, Attributes) {
        let gone: HashSet<usize> = gone.iter().copied().collect();
        let stays = |at: &usize| !gone.contains(at);
        match self {
            Carried::Envelope(webhook, attributes) => {
                let headers = webhook.headers.iter().enumerate().filter(|(at, _)| stays(at));
                let headers = headers.map(|(_, header)| header.clone()).collect();
                let Webhook { method, path, query, body, .. } = &**webhook;
                let cut = Webhook {
                    method: method.clone(),
                    path: path.clone(),
                    query: query.clone(),
                    headers,
                    body: body.clone(),
                };
                (cut.into(), attributes.clone())
            }
            Carried::Direct(body, attributes) => {
                let attributes = attributes.iter().enumerate().filter(|(at, _)| stays(at));
                let attributes = attributes.map(|(_, (name, value))| (name.clone(), value.clone())).collect();
                (body.clone(), attributes)
            }
        }
    }
}
