//! The events that a replay sends, in order, and why it leaves others out.

use std::io;

use towpath_archive::Events;
use towpath_types::archive::Archived;

use super::conditions::{Conditions, archive};
use super::position::Position;
use crate::archive::{Named, Progress, Wanted};
use crate::place::Found;

/// What a replay does with an event that meets the conditions.
#[derive(Debug)]
pub(super) enum Selected {
    /// It is sent, to the route of this path.
    Sent { event: Box<Archived>, route: String },
    /// It is not behind the position: it was sent, or it reached the archive too late.
    Passed,
    /// It is itself the replay of an event, which is archived too.
    Replay,
    /// Parts of its body are gone.
    Redacted,
    /// No route of the config has its group: it would be dead-lettered.
    Unrouted,
}

/// The events that meet the conditions, with what a replay makes of each.
pub(super) struct Selection<'a> {
    found: &'a Found,
    events: Events,
    after: Option<&'a Position>,
}

/// What a replay makes of the events after this position.
pub(super) async fn events<'a>(
    found: &'a Found,
    named: &Named,
    conditions: &Conditions,
    after: Option<&'a Position>,
    progress: Progress<'_>,
) -> anyhow::Result<Selection<'a>> {
    let filter = conditions.filter()?;
    let events = archive(found, named).await?.events(Wanted::whole(&filter), progress).await?;
    Ok(Selection { found, events, after })
}

impl Selection<'_> {
    /// How many damaged records, frames and lines were skipped so far.
    pub(super) fn damaged(&self) -> u64 {
        self.events.damaged()
    }

    /// `None` for an event that was left out before.
    fn select(&self, event: Archived) -> Option<Selected> {
        let is_left = self.after.is_none_or(|position| position.is_before(&event));
        match select(self.found, event) {
            Selected::Sent { .. } if !is_left => Some(Selected::Passed),
            selected => is_left.then_some(selected),
        }
    }
}

impl Iterator for Selection<'_> {
    type Item = io::Result<Selected>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.events.next()? {
                Ok(event) => match self.select(event) {
                    Some(selected) => return Some(Ok(selected)),
                    None => continue,
                },
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn select(found: &Found, event: Archived) -> Selected {
    if event.is_replay() {
        return Selected::Replay;
    }
    if event.redacted {
        return Selected::Redacted;
    }
    let route = match &found.config {
        Some(config) => config.routes.by_group(&event.group).map(|route| route.path.clone()),
        None => Some(event.route.clone()),
    };
    match route {
        Some(route) => Selected::Sent { event: Box::new(event), route },
        None => Selected::Unrouted,
    }
}
