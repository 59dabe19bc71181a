//! Everything that is known of one event, from the door to its end, in one order: from the story, the queues, the audit and the archive.

mod again;
mod content;
mod only;
mod step;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use towpath_types::archive::Archived;
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::DeadLetter;
use towpath_types::queue::{GroupId, MessageId};

use crate::archive::FoundArchive;
use crate::aws;
use crate::letters::Letter;
use crate::place::{Backend, Found};
use crate::queues::STORY;
use crate::story::{About, Entry, LogGroups, MOST_LINES, StoryPlace, about, from_storage};

pub use again::{Again, compute_again};
pub use content::{Content, Origin};
use only::Several;
pub use step::{Attempt, Step};

/// The shortest beginning of an id that names an event.
const SHORTEST: usize = 8;

/// By how much clocks of hosts may differ, and the line of a storage be late.
const CLOCKS: Duration = Duration::from_secs(3600);

/// Where what is known of events is.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The queues, and the config.
    pub found: &'a Found,
    /// The story, if it is not that of a local store: a file, or log groups of CloudWatch.
    pub story: &'a StoryPlace,
    /// The archive.
    pub archive: Option<&'a FoundArchive>,
}

/// Where an event is now.
#[derive(Clone, PartialEq, Debug)]
pub enum Place {
    /// In the queue.
    Waits {
        /// Its group.
        group: GroupId,
        /// How often it was received.
        receive_count: u32,
    },
    /// In the dead-letter queue.
    Dead(Box<Letter>),
    /// In the archive: it was delivered or skipped.
    Archived,
    /// In neither of those that were searched.
    Elsewhere,
}

/// Everything that is known of one event.
#[derive(Debug)]
pub struct Timeline {
    /// The id under which it was first stored.
    pub message_id: MessageId,
    /// What targets receive as `webhook-id`, if it is known.
    pub webhook_id: Option<MessageId>,
    /// Its group.
    pub group: Option<GroupId>,
    /// Its route.
    pub route: Option<String>,
    /// Its plugin.
    pub plugin: Option<String>,
    /// When it was first stored, if that is known.
    pub sent_at: Option<Timestamp>,
    /// What happened to it, in order.
    pub steps: Vec<Step>,
    /// Whether the story has more lines about it than are read; the oldest are left out.
    pub is_cut: bool,
    /// Where it is now.
    pub place: Place,
    /// Its content, from wherever it is. Whoever shows it writes that to the audit ([`Audit::look`](crate::audit::Audit::look)).
    pub content: Option<Content>,
}

impl Timeline {
    /// Finds an event by the id under which it was first stored, its `webhook-id`, or its id in a queue, or the beginning of one. `None` if nothing is
    /// known of it. An archive on S3 is not searched. Fails if it is the beginning of several ids, and names them.
    pub async fn of(sources: Sources<'_>, id: &str) -> anyhow::Result<Option<Timeline>> {
        if id.len() < SHORTEST {
            bail!("an id, or its beginning, has at least {SHORTEST} characters");
        }
        let mut told = told(sources, id).await?;
        let mut ids = told.ids(id);
        let (mut place, mut content) = content::in_queues(sources.found, &ids, &told.groups()).await?;
        if let Place::Dead(letter) = &place
            && told.entries.is_empty()
        {
            // It was asked for by its id in the dead-letter queue.
            let first = letter.first_id();
            told = self::told(sources, first.as_str()).await?;
            ids = told.ids(first.as_str());
        }
        let mut ended: Option<Archived> = None;
        if let (Place::Elsewhere, Some(archive)) = (&place, sources.archive) {
            ended = content::in_archive(archive, &ids, told.stored_before()).await?;
            if let Some(event) = &ended {
                place = Place::Archived;
                content = Some(content::of_archived(sources.found, archive, event));
            }
        }
        if told.entries.is_empty() && place == Place::Elsewhere {
            return Ok(None);
        }
        let mut steps = step::of_story(&told.entries);
        steps.extend(step::of_audit(audit(sources.found), &ids).await?);
        if let Place::Dead(letter) = &place {
            step::know_excerpts(&mut steps, &letter.death);
        }
        if let (Some(event), false) = (&ended, steps.iter().any(Step::is_end)) {
            steps.push(step::of_archived(event));
        }
        step::sort(&mut steps);
        let field = |name: &str| told.entries.iter().rev().map(|e| e.field(name)).find(|text| !text.is_empty());
        let group = match &place {
            Place::Waits { group, .. } => Some(group.clone()),
            Place::Dead(letter) => Some(letter.group.clone()),
            _ => ended.as_ref().map(|event| event.group.clone()).or_else(|| field("group").map(GroupId::from)),
        };
        let message_id = content.as_ref().map(|content| content.message_id.clone());
        let message_id = message_id.unwrap_or_else(|| told.first(id).into());
        Ok(Some(Timeline {
            webhook_id: content.as_ref().map(|content| content.webhook_id.clone()),
            group,
            route: content.as_ref().and_then(|c| c.route.clone()).or_else(|| field("route").map(str::to_owned)),
            plugin: content.as_ref().and_then(|c| c.plugin.clone()).or_else(|| field("plugin").map(str::to_owned)),
            sent_at: content.as_ref().map(|content| content.sent_at),
            message_id,
            steps,
            is_cut: told.is_cut,
            place,
            content,
        }))
    }

    /// Why it was dead-lettered, if it is a dead letter.
    pub fn death(&self) -> Option<&DeadLetter> {
        match &self.place {
            Place::Dead(letter) => Some(&letter.death),
            _ => None,
        }
    }
}

/// What the story says, and the ids that it has for the event.
struct Told {
    entries: Vec<Entry>,
    is_cut: bool,
}

impl Told {
    /// The id that asks for it, and those that the story has.
    fn ids(&self, asked: &str) -> Vec<String> {
        let story = self.entries.iter().flat_map(|entry| [entry.field("message_id"), entry.field("webhook_id")]);
        let mut ids: Vec<String> = story.chain([asked]).filter(|id| !id.is_empty()).map(str::to_owned).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// A time before which it was not stored, if the story has its storage. Clocks of two hosts may differ.
    fn stored_before(&self) -> Option<Timestamp> {
        let stored = self.entries.iter().find(|entry| entry.what() == "stored")?;
        step::time(&stored.at).map(|at| at - CLOCKS)
    }

    fn groups(&self) -> Vec<GroupId> {
        let mut groups: Vec<&str> = self.entries.iter().map(|entry| entry.field("group")).collect();
        groups.sort_unstable();
        groups.dedup();
        groups.into_iter().filter(|group| !group.is_empty()).map(GroupId::from).collect()
    }

    /// The id under which it was first stored.
    fn first(&self, asked: &str) -> String {
        let stored = self.entries.iter().find(|entry| entry.what() == "stored");
        let first = stored.or(self.entries.first()).map(|entry| entry.field("message_id").to_owned());
        first.unwrap_or_else(|| asked.to_owned())
    }
}

/// Reads the story. A line names the event by its id in the queue, and by its `webhook-id` where that differs: then a second search by that finds what
/// happened before a redrive.
async fn told(sources: Sources<'_>, id: &str) -> anyhow::Result<Told> {
    let (found, firsts) = match (&sources.story.logs, story(sources)) {
        (Some(logs), _) => told_in_logs(logs, id).await?,
        (None, Some(file)) => told_in_file(file, id.to_owned()).await?,
        (None, None) => (About::default(), Vec::new()),
    };
    if firsts.len() > 1 {
        bail!(Several { asked: id.to_owned(), names: firsts });
    }
    Ok(Told { entries: from_storage(found.entries), is_cut: found.is_cut })
}

async fn told_in_file(file: PathBuf, asked: String) -> anyhow::Result<(About, Vec<String>)> {
    let read = move || {
        let found = about(&file, &asked)?;
        let firsts = firsts(&found);
        let more = match by_first(&found, &firsts) {
            Some(first) => Some(about(&file, first)?),
            None => None,
        };
        Ok::<_, std::io::Error>((fuller(found, more), firsts))
    };
    tokio::task::spawn_blocking(read).await.context("reading the story")?.context("reading the story")
}

async fn told_in_logs(logs: &LogGroups, asked: &str) -> anyhow::Result<(About, Vec<String>)> {
    let found = about_in_logs(logs, asked).await?;
    let firsts = firsts(&found);
    let more = match by_first(&found, &firsts) {
        Some(first) if first != asked => Some(about_in_logs(logs, first).await?),
        _ => None,
    };
    Ok((fuller(found, more), firsts))
}

async fn about_in_logs(logs: &LogGroups, id: &str) -> anyhow::Result<About> {
    let mut entries = aws::Logs::of(logs.names.clone(), logs.back).await?.about(id).await?;
    // The pattern of CloudWatch has fewer characters than ids may have.
    entries.retain(|entry| entry.is_about(id));
    let over = entries.len().saturating_sub(MOST_LINES);
    Ok(About { entries: entries.split_off(over), is_cut: over > 0 })
}

/// The first ids that these lines have.
fn firsts(found: &About) -> Vec<String> {
    let mut firsts: Vec<String> = found.entries.iter().map(|entry| entry.first_id().to_owned()).collect();
    firsts.sort();
    firsts.dedup();
    firsts
}

/// The id for a second search, if all lines are about one event.
fn by_first<'a>(found: &About, firsts: &'a [String]) -> Option<&'a str> {
    match firsts {
        [first] if !first.is_empty() && !found.is_cut => Some(first),
        _ => None,
    }
}

fn fuller(found: About, more: Option<About>) -> About {
    more.filter(|more| more.entries.len() >= found.entries.len()).unwrap_or(found)
}

fn story(sources: Sources<'_>) -> Option<PathBuf> {
    match (&sources.story.file, folder(sources.found)) {
        (Some(file), _) => Some(file.clone()),
        (None, folder) => folder.map(|folder| folder.join(STORY)),
    }
}

fn folder(found: &Found) -> Option<PathBuf> {
    match &found.backend {
        Backend::Local(queues) => queues.events.store().file().parent().map(PathBuf::from),
        Backend::Sqs { .. } => None,
    }
}

fn audit(found: &Found) -> PathBuf {
    crate::audit::Audit::of(found).file().to_owned()
}

#[cfg(test)]
#[path = "timeline/tests.rs"]
mod tests;
