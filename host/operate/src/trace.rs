//! The whole story of one message.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::DeadLetter;
use towpath_types::message::{origin_of, webhook_id};
use towpath_types::queue::MessageId;

use crate::audit::Audit;
use crate::aws;
use crate::queues::Queues;
use crate::story::{Entry, FollowedFile, Source, StoryPlace, from_storage};

/// How many messages are read at a time.
const PAGE: usize = 500;

/// Where a message is now.
#[derive(Clone, PartialEq, Debug)]
pub enum MessagePlace {
    /// In the queue.
    Waits {
        /// How often it was received.
        receives: u32,
        /// Its group.
        group: String,
        /// When it was stored.
        sent_at: Timestamp,
    },
    /// In the dead-letter queue.
    Dead {
        /// Why it was dead-lettered.
        death: Box<DeadLetter>,
        /// Its id there.
        letter: MessageId,
        /// Its group.
        group: String,
    },
    /// In neither queue of the store.
    Gone,
    /// Not known, because only a log was read.
    Unknown,
}

/// Everything that was found about a message.
#[derive(Clone, PartialEq, Debug)]
pub struct Traced {
    /// The id under which it was first stored.
    pub id: String,
    /// The lines about it, oldest first.
    pub entries: Vec<Entry>,
    /// Where it is now.
    pub place: MessagePlace,
}

impl Traced {
    /// Reads the story in the folder of a store, or in a file. With a store it also searches the queues.
    pub async fn of(asked: &str, at: &StoryPlace) -> anyhow::Result<Traced> {
        let story = Source::of(at).await?.file;
        if at.file.is_some() && !story.exists() {
            bail!("there is no {}", story.display());
        }
        let lines = FollowedFile::open(&story)?.whole()?;
        let entries = lines.iter().filter_map(|line| Entry::read(line)).collect();
        match story.parent().filter(|store| store.join("towpath.db").is_file()) {
            Some(store) => {
                let queues = Queues::look(store).await?;
                if let Some((first, place)) = find(&queues, asked).await? {
                    return told_of(asked, first, entries, place);
                }
                let first = redriven(store, asked)?;
                let place = find(&queues, &first).await?.map_or(MessagePlace::Gone, |(_, place)| place);
                told_of(asked, first, entries, place)
            }
            None => told_of(asked, asked.to_owned(), entries, MessagePlace::Unknown),
        }
    }

    /// Reads the story in log groups of CloudWatch, this far back.
    pub async fn of_logs(asked: &str, groups: Vec<String>, back: Duration) -> anyhow::Result<Traced> {
        let mut logs = aws::Logs::of(groups, back).await?;
        told_of(asked, asked.to_owned(), logs.about(asked).await?, MessagePlace::Unknown)
    }

    /// The last pass. Later lines, such as a repeated post of the same event, do not change the state of the message.
    pub fn last_pass(&self) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.is_pass())
    }

    /// The group of the message, with the first one in brackets if an edit moved it.
    pub fn group(&self) -> Option<String> {
        group(&self.entries, &self.place)
    }
}

fn group(entries: &[Entry], place: &MessagePlace) -> Option<String> {
    let is_in = match place {
        MessagePlace::Waits { group, .. } | MessagePlace::Dead { group, .. } => Some(group.as_str()),
        MessagePlace::Gone | MessagePlace::Unknown => None,
    };
    let mut stored = HashSet::new();
    // A repeated post was not stored again, whatever its group would be.
    let told = entries.iter().filter(|entry| entry.what() != "stored" || stored.insert(entry.field("message_id")));
    let groups: Vec<&str> =
        told.map(|entry| entry.field("group")).chain(is_in).filter(|group| !group.is_empty()).collect();
    let mut groups = groups.into_iter();
    let first = groups.next()?;
    match groups.next_back() {
        Some(last) if last != first => Some(format!("{last} (was {first})")),
        _ => Some(first.to_owned()),
    }
}

/// Selects the lines about one message, by any id that it had: after a redrive they name its first id too.
fn told_of(asked: &str, first: String, entries: Vec<Entry>, place: MessagePlace) -> anyhow::Result<Traced> {
    let about = |id: &str| entries.iter().filter(|entry| entry.is_about(id)).collect::<Vec<_>>();
    let ids: BTreeSet<&str> = about(&first).into_iter().map(Entry::first_id).collect();
    if ids.len() > 1 {
        let ids = ids.into_iter().collect::<Vec<_>>().join(", ");
        bail!("more than one message has an id that begins with {asked}: {ids}; give a longer one");
    }
    let id = ids.first().map_or(first, |id| (*id).to_owned());
    let entries = from_storage(about(&id).into_iter().cloned().collect());
    if entries.is_empty() && matches!(place, MessagePlace::Gone | MessagePlace::Unknown) {
        bail!(
            "nothing is known of {asked}: check the id, and that its host logs here; `towpath tail` and `towpath dlq list` show ids"
        );
    }
    Ok(Traced { id, entries, place })
}

/// The first id of a letter that has left its queue, according to the audit.
fn redriven(store: &Path, letter: &str) -> anyhow::Result<String> {
    let entries = Audit::in_folder(store).read()?;
    let entry = entries.into_iter().rev().find(|entry| entry.id.as_str().starts_with(letter));
    Ok(entry.map_or_else(|| letter.to_owned(), |entry| entry.letter.id))
}

/// Searches the queues of a store for a message: by its id in the queue, its `webhook-id`, or its first id. Returns its first id and its
/// place.
async fn find(queues: &Queues, id: &str) -> anyhow::Result<Option<(String, MessagePlace)>> {
    for queue in [&queues.events, &queues.dead_letters] {
        let mut after: Option<String> = None;
        loop {
            let page = queue.browse(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.sequence.clone());
            for message in page {
                let death = DeadLetter::read(&message.attributes);
                let first = origin_of(&message.attributes).map(|origin| origin.id.into());
                let first: Option<String> = death.as_ref().map(|death| death.message_id().into()).or(first);
                let first = first.unwrap_or_else(|| message.id.to_string());
                let shown = webhook_id(&message.id, &message.attributes);
                if ![message.id.as_str(), first.as_str(), shown.as_str()].iter().any(|own| own.starts_with(id)) {
                    continue;
                }
                let place = match death {
                    Some(death) => {
                        MessagePlace::Dead { death: Box::new(death), letter: message.id, group: message.group.into() }
                    }
                    None => MessagePlace::Waits {
                        receives: message.receive_count,
                        group: message.group.into(),
                        sent_at: message.sent_at,
                    },
                };
                return Ok(Some((first, place)));
            }
        }
    }
    Ok(None)
}
