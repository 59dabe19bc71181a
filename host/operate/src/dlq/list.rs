//! Letters as they are listed and shown.

use serde::Serialize;
use serde_json::{Map, Value};
use towpath_types::dead_letter::{DEAD_LETTER_ATTRIBUTE, DeadLetter, carried_notes};
use towpath_types::message::{Note, webhook};
use towpath_types::queue::{GroupId, MessageId};

use super::body::field;
use super::filter::Filter;
use crate::letters::{Letter, Letters};
use crate::place::Found;
use crate::secret_headers::SecretHeaders;

/// A letter in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Row<'a> {
    /// Its group.
    pub group: &'a GroupId,
    /// The id under which its message was first stored.
    pub id: MessageId,
    /// Why it is there.
    pub letter: &'a DeadLetter,
    /// Its id in its queue.
    pub letter_id: &'a MessageId,
}

impl Row<'_> {
    /// That of a letter.
    pub fn of(letter: &Letter) -> Row<'_> {
        Row { id: letter.first_id(), letter_id: &letter.id, group: &letter.group, letter: &letter.death }
    }
}

/// What was listed.
pub struct Listed {
    /// The letters that are wanted.
    pub letters: Vec<Letter>,
    /// How many were looked at.
    pub looked_at: u64,
    /// About how many there are.
    pub all: u64,
}

/// Lists the letters that are wanted, so many at most.
pub async fn list(
    place: &Found,
    letters: &mut dyn Letters,
    mut filter: Filter,
    limit: usize,
) -> anyhow::Result<Listed> {
    let mut found = Vec::new();
    let mut looked_at = 0;
    let all = letters.count().await?;
    while found.len() < limit {
        let page = letters.next().await?;
        if page.is_empty() {
            break;
        }
        looked_at += page.len() as u64;
        found.extend(page.into_iter().filter(|letter| filter.wants(letter)));
    }
    found.truncate(limit);
    if found.is_empty() {
        filter.check(place)?;
    }
    Ok(Listed { letters: found, looked_at, all })
}

/// A letter as it is shown: whole, but for the values of headers with secrets.
#[derive(Debug, Serialize)]
pub struct Whole<'a> {
    /// The names of what its queue keeps beside it.
    pub attributes: Vec<&'a String>,
    /// The body in JSON.
    #[serde(flatten)]
    body: Map<String, Value>,
    /// Its group.
    pub group: &'a GroupId,
    /// The headers, with `text` for what is no text.
    pub headers: Vec<(String, String)>,
    /// The id under which its message was first stored.
    pub id: MessageId,
    /// Why it is there.
    pub letter: &'a DeadLetter,
    /// Its id in its queue.
    pub letter_id: &'a MessageId,
    /// Who edited it.
    pub notes: Vec<Note>,
    /// What the target sees as `webhook-id`.
    pub webhook_id: MessageId,
    /// The body.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

impl Whole<'_> {
    /// That of a letter; `text` makes a text of a header's value.
    pub fn of<'a>(letter: &'a Letter, secrets: &SecretHeaders, text: impl Fn(&[u8]) -> String) -> Whole<'a> {
        let webhook = secrets.hidden(webhook(&letter.body, &letter.attributes).unwrap_or_default());
        Whole {
            id: letter.first_id(),
            letter_id: &letter.id,
            webhook_id: letter.webhook_id(),
            group: &letter.group,
            letter: &letter.death,
            notes: carried_notes(&letter.attributes),
            headers: webhook.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            attributes: letter.attributes.keys().filter(|name| *name != DEAD_LETTER_ATTRIBUTE).collect(),
            body: field("body", &webhook.body),
            bytes: webhook.body,
        }
    }
}
