//! The events that a replay sends, in order, and why it leaves others out.

use std::io;

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
    /// It is itself the replay of an event, which is archived too.
    Replay,
    /// Parts of its body are gone.
    Redacted,
    /// No route of the config has its group: it would be dead-lettered.
    Unrouted,
}

/// What a replay makes of the events after this position.
pub(super) async fn events<'a>(
    found: &'a Found,
    named: &Named,
    conditions: &Conditions,
    after: Option<&'a Position>,
    progress: Progress<'_>,
) -> anyhow::Result<impl Iterator<Item = io::Result<Selected>> + Send + use<'a>> {
    let filter = conditions.filter()?;
    let events = archive(found, named).await?.events(Wanted::whole(&filter), progress).await?;
    let is_left = move |event: &io::Result<Archived>| {
        let Ok(event) = event else { return true };
        after.is_none_or(|position| position.is_before(event))
    };
    Ok(events.filter(is_left).map(|event| event.map(|event| select(found, event))))
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
