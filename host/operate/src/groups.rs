//! The groups that wait in a local store: why the head of each waits, since when, and how many are behind it; and what an operator does to a head.
//! SQS does not tell which groups a queue holds, so there is nothing of this on SQS.

mod act;
mod cursor;

use std::collections::HashSet;

use anyhow::{Context as _, bail};
use towpath_config::route::OnDeadLetter;
use towpath_local::{Head, Standing};
use towpath_types::clock::Clock;
use towpath_types::message::{origin_of, webhook_id};
use towpath_types::queue::{GroupId, MessageId};

use crate::place::{Backend, Found};
use crate::queues::{Queues, STORY};
use crate::story::{Entry, last_passes};

pub use act::{Action, Done, GroupError, dead_letter, park, retry};
pub use cursor::Cursor;
pub use towpath_local::MOST_BEHIND;

/// How many groups are listed if nobody says.
pub const PAGE: usize = 50;

/// The most groups that are listed at once.
pub const MOST: usize = 500;

/// Which groups to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// Only groups whose name begins so, by name; otherwise all, those whose head waits first.
    pub begins: Option<String>,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// How many; [`PAGE`] if it is 0, and at most [`MOST`].
    pub limit: usize,
}

/// A page of groups.
#[derive(Debug)]
pub struct Page {
    /// The groups.
    pub groups: Vec<Group>,
    /// Where the next page begins; `None` if there is none.
    pub next: Option<Cursor>,
}

/// A group, and why its head waits.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// Its first message.
    pub head: Head,
    /// The line of the head's last pass, if the end of the story has it.
    pub last: Option<Entry>,
    /// What a dead letter does to the group; `None` without a config, or a route for it.
    pub on_dead_letter: Option<OnDeadLetter>,
}

impl Group {
    /// The id under which its head was first stored.
    pub fn message_id(&self) -> MessageId {
        origin_of(&self.head.attributes).map_or_else(|| self.head.id.clone(), |origin| origin.id)
    }

    /// What targets receive as `webhook-id` of its head.
    pub fn webhook_id(&self) -> MessageId {
        webhook_id(&self.head.id, &self.head.attributes)
    }

    /// Why its head waits: `ready`, `in-flight`, `delayed`, `held`, `retried`, or `waits` if the story does not tell.
    pub fn state(&self) -> &'static str {
        match (self.head.standing, self.last.as_ref().map(Entry::what).as_deref()) {
            (Standing::Ready, _) => "ready",
            (Standing::InFlight, _) => "in-flight",
            (Standing::Delayed, _) => "delayed",
            (Standing::Waits, Some("held")) => "held",
            (Standing::Waits, Some(_)) => "retried",
            (Standing::Waits, None) => "waits",
        }
    }
}

/// A page of groups; `None` on SQS.
pub async fn list(found: &Found, wanted: Wanted) -> anyhow::Result<Option<Page>> {
    let Backend::Local(queues) = &found.backend else { return Ok(None) };
    let limit = if wanted.limit == 0 { PAGE } else { wanted.limit.min(MOST) };
    let heads = match (&wanted.begins, &wanted.after) {
        (None, Some(Cursor::Named(_))) | (Some(_), Some(Cursor::At { .. })) => {
            bail!("this cursor belongs to another list: begin with its first page")
        }
        (Some(begins), after) => {
            let after = match after {
                Some(Cursor::Named(name)) => Some(name.as_str()),
                _ => None,
            };
            queues.events.heads_named(begins, after, limit + 1).await?
        }
        (None, after) => {
            let (place, now) = match after {
                Some(Cursor::At { place, now }) => (Some(*place), *now),
                _ => (None, Clock::wall().now()),
            };
            return page(found, queues, queues.events.heads(place, now, limit + 1).await?, limit, |head| Cursor::At {
                place: head.place,
                now,
            })
            .await
            .map(Some);
        }
    };
    page(found, queues, heads, limit, |head| Cursor::Named(head.group.to_string())).await.map(Some)
}

/// One group; `None` if nothing of it waits. Fails on SQS.
pub async fn show(found: &Found, group: &GroupId) -> anyhow::Result<Option<Group>> {
    let queues = local(found)?;
    let heads = queues.events.head(group).await?.into_iter().collect();
    Ok(with_reasons(found, queues, heads).await?.pop())
}

fn local(found: &Found) -> anyhow::Result<&Queues> {
    match &found.backend {
        Backend::Local(queues) => Ok(queues),
        Backend::Sqs { .. } => Err(GroupError::OnSqs.into()),
    }
}

async fn page(
    found: &Found,
    queues: &Queues,
    mut heads: Vec<Head>,
    limit: usize,
    cursor: impl Fn(&Head) -> Cursor,
) -> anyhow::Result<Page> {
    let is_more = heads.len() > limit;
    heads.truncate(limit);
    let next = heads.last().filter(|_| is_more).map(cursor);
    Ok(Page { groups: with_reasons(found, queues, heads).await?, next })
}

/// The groups of these heads, with what the story says of those that wait.
async fn with_reasons(found: &Found, queues: &Queues, heads: Vec<Head>) -> anyhow::Result<Vec<Group>> {
    let ids: HashSet<String> =
        heads.iter().filter(|head| head.receive_count > 0).map(|head| head.id.to_string()).collect();
    let folder = queues.events.store().file().parent().map(std::path::Path::to_owned).unwrap_or_default();
    let read = move || last_passes(&folder.join(STORY), &ids);
    let mut passes =
        tokio::task::spawn_blocking(read).await.context("reading the story")?.context("reading the story")?;
    let group = |head: Head| {
        let last = passes.remove(head.id.as_str());
        let on_dead_letter = policy(found, &head.group);
        Group { head, last, on_dead_letter }
    };
    Ok(heads.into_iter().map(group).collect())
}

fn policy(found: &Found, group: &GroupId) -> Option<OnDeadLetter> {
    found.config.as_deref()?.routes.by_group(group).map(|route| route.on_dead_letter)
}

#[cfg(test)]
mod race;
#[cfg(test)]
#[path = "groups/tests.rs"]
mod tests;
