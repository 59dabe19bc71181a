//! Puts a target on hold, for a release for example, and resumes it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use towpath_deliver::holds::MEMORY;
use towpath_engine::next_try::HELD_CAP;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::holds::{Change, Drain, Hold, HoldState};
use towpath_types::queue::QueueLimits;

use crate::known::{Known, UnknownWithoutConfig};
use crate::place::Found;

/// Puts a target on hold, for a length of time or until it is resumed. Returns the new state.
pub async fn hold(
    found: &Found,
    target: &str,
    length: Option<Duration>,
    reason: Option<String>,
) -> anyhow::Result<HoldState> {
    check(found, target)?;
    let now = Clock::wall().now();
    let until = length.map(|length| now + length);
    let hold = Hold { since: now, until, reason: reason.unwrap_or_default(), by: found.by.clone() };
    Ok(found.holds().await?.change(Change::Hold(target.to_owned(), hold)).await?)
}

/// Resumes a target. With a rate, its backlog is drained at that many messages a second.
pub async fn resume(found: &Found, target: &str, per_second: Option<f64>) -> anyhow::Result<Resumed> {
    check(found, target)?;
    let now = Clock::wall().now();
    let drain = per_second.map(|per_second| Drain { at: now, per_second });
    let holds = found.holds().await?;
    let before = holds.read().await?;
    if found.config.is_none() {
        // Without a config only the state names targets.
        Known::new("target", before.holds.keys().chain(before.drains.keys()).cloned())
            .check(target)
            .map_err(UnknownWithoutConfig)?;
    }
    let was_held = before.hold(target, now).cloned();
    let held_by = found.config.as_deref().filter(|config| config.targets.get(target).is_some_and(|target| target.hold));
    let held_by = held_by.map(|config| config.file.clone());
    let state = holds.change(Change::Resume(target.to_owned(), drain)).await?;
    let checks = match was_held {
        Some(hold) => Some(Checks::after(found, &hold, now).await),
        None => None,
    };
    Ok(Resumed { state, checks, held_by })
}

/// The result of a resume.
#[derive(Debug)]
pub struct Resumed {
    /// The new state.
    pub state: HoldState,
    /// When waiting messages are checked again; `None` if the target was not on hold.
    pub checks: Option<Checks>,
    /// The config that still holds the target.
    pub held_by: Option<PathBuf>,
}

/// The time by which hosts have checked every message again that waited for a target.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// For messages that were stored during the hold.
    pub by: Timestamp,
    /// For messages that waited before the hold began.
    pub older_by: Timestamp,
}

impl Checks {
    async fn after(found: &Found, hold: &Hold, now: Timestamp) -> Checks {
        // Without permission to read the queue's attributes, assume the settings of the Terraform module.
        let limits = found.backend.limits().await.unwrap_or(QueueLimits::ASSUMED);
        let within = |waited| MEMORY + limits.look_within(waited, HELD_CAP);
        Checks { by: now + within(now.since(hold.since)), older_by: now + within(limits.last_call()) }
    }
}

/// Fails if the config does not have the target, which is a typo. Without a config there is nothing to check against.
fn check(found: &Found, target: &str) -> anyhow::Result<()> {
    let Some(config) = &found.config else { return Ok(()) };
    let known = Known::new("target", config.targets.keys().cloned());
    known.check(target).with_context(|| format!("looking for it in {}", config.file.display()))
}
