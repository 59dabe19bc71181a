//! What would be erased.

use std::sync::Arc;

use towpath_local::{Match, Wanted};
use towpath_types::clock::{Clock, Timestamp};

use super::person::{Person, ids};
use super::place::Place;
use super::unfinished::Unfinished;
use super::unreachable::{Unreachable, all};
use super::{Counts, EraseError, Request, traces};
use crate::known::Groups;
use crate::place::Found;
use crate::queues::{DEAD_LETTERS, EVENTS, REFUSED};

/// What would be erased, and what not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// What was found.
    pub counts: Counts,
    /// How many of those that wait are being delivered now.
    pub in_flight: u64,
    /// What is not erased.
    pub unreachable: Vec<Unreachable>,
    /// Who started an erasure that was interrupted, and when: it is completed first.
    pub interrupted: Option<(String, Timestamp)>,
    /// A group that no route of the config makes, and of which nothing was found: perhaps a typo.
    pub unknown_group: Option<String>,
}

/// Looks for everything that would be erased. Changes nothing.
pub async fn plan(found: &Found, request: &Request) -> anyhow::Result<Plan> {
    if request.subject.is_everything() {
        return Err(EraseError::Everything.into());
    }
    let place = Place::of(found, request)?;
    let interrupted = Unfinished::read(&place.folder)?;
    let known = interrupted.iter().filter(|unfinished| unfinished.subject == request.subject);
    let mut person =
        Person::new(request.subject.clone(), known.flat_map(|unfinished| unfinished.ids.clone()).collect())?;
    let events = Events::find(&place, &mut person, &mut || {}).await?;
    let traces = traces::count(&place.folder, &person)?;
    let counts = Counts { story: traces.story, audit: traces.audit, replays: traces.replays, ..events.counts };
    Ok(Plan {
        counts,
        in_flight: events.in_flight(),
        unreachable: all(found, events.damaged, Clock::wall().now()),
        interrupted: interrupted.map(|unfinished| (unfinished.by, unfinished.started_at)),
        unknown_group: if counts.sum() == 0 { unknown_groups(found, request).next().cloned() } else { None },
    })
}

/// The groups that no route of the config makes.
pub(super) fn unknown_groups<'a>(found: &Found, request: &'a Request) -> impl Iterator<Item = &'a String> {
    let config = found.config.as_deref();
    let is_unknown = move |group: &&String| config.is_some_and(|config| Groups(group).check(config).is_err());
    request.subject.groups.iter().filter(is_unknown)
}

/// A person's events in the store and in the archive.
#[derive(Default)]
pub(super) struct Events {
    pub(super) counts: Counts,
    /// Sequence numbers, and whether each is being delivered.
    pub(super) stored: Vec<(String, bool)>,
    /// Damaged records of the archive.
    pub(super) damaged: u64,
}

impl Events {
    /// Finds them. The person learns their ids. `looked` is called after each part of the archive.
    pub(super) async fn find(place: &Place, person: &mut Person, looked: &mut dyn FnMut()) -> anyhow::Result<Events> {
        let mut events = Events::default();
        if let Some(store) = &place.store {
            let known = person.clone();
            let wanted = Wanted {
                groups: person.subject.groups.clone(),
                is_one: Arc::new(move |message| known.has(message.group.as_str(), || message.body.clone())),
            };
            let mut after = None;
            loop {
                let searched = store.search(&wanted, after.as_deref()).await?;
                searched.found.into_iter().for_each(|found| events.add(found, person));
                after = searched.next;
                if after.is_none() {
                    break;
                }
            }
        }
        for archive in &place.archives {
            let known = person.clone();
            let found = archive.search(
                &|event, body| known.has_archived(event, body),
                &mut |event| {
                    person.learn(ids(&event.id, &event.attributes));
                },
                looked,
            )?;
            events.counts.archived += found.events;
            events.damaged += found.damaged;
        }
        Ok(events)
    }

    fn add(&mut self, found: Match, person: &mut Person) {
        let count = match found.queue.as_str() {
            EVENTS => &mut self.counts.waiting,
            DEAD_LETTERS => &mut self.counts.dead_letters,
            REFUSED => &mut self.counts.refused,
            _ => &mut self.counts.other_queues,
        };
        *count += 1;
        person.learn(ids(&found.message.id, &found.message.attributes));
        self.stored.push((found.message.sequence, found.is_leased));
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.stored.iter().filter(|(_, is_leased)| *is_leased).count() as u64
    }
}
