//! Holds: a target is taken away for a release, and given back.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use towpath_config::env;
use towpath_deliver::holds::MEMORY;
use towpath_engine::next_try::HELD_CAP;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::holds::{Change, Drain, Hold, HoldState};
use towpath_types::queue::QueueLimits;

use crate::known::Known;
use crate::place::Found;

/// Puts a target on hold, for so long or until it is resumed. All holds and drains after that.
pub async fn hold(
    found: &Found,
    target: &str,
    length: Option<Duration>,
    reason: Option<String>,
) -> anyhow::Result<HoldState> {
    check(found, target)?;
    let now = Clock::wall().now();
    let until = length.map(|length| now + length);
    let by = env::user().unwrap_or_default();
    let hold = Hold { since: now, until, reason: reason.unwrap_or_default(), by };
    Ok(found.holds().await?.change(Change::Hold(target.to_owned(), hold)).await?)
}

/// Gives a target back. What waited is drained at so many messages a second, if that is said.
pub async fn resume(found: &Found, target: &str, per_second: Option<f64>) -> anyhow::Result<Resumed> {
    check(found, target)?;
    let now = Clock::wall().now();
    let drain = per_second.map(|per_second| Drain { at: now, per_second });
    let holds = found.holds().await?;
    let before = holds.read().await?;
    if found.config.is_none() {
        // Without a config these are all the targets that can be known.
        Known::new("target", before.holds.keys().chain(before.drains.keys()).cloned())
            .check(target)
            .context("no config is here: give --config")?;
    }
    let was_held = before.hold(target, now).cloned();
    let held_by = found.config.as_ref().filter(|config| config.targets.get(target).is_some_and(|target| target.hold));
    let held_by = held_by.map(|config| config.file.clone());
    let state = holds.change(Change::Resume(target.to_owned(), drain)).await?;
    let checks = match was_held {
        Some(hold) => Some(Checks::after(found, &hold, now).await),
        None => None,
    };
    Ok(Resumed { state, checks, held_by })
}

/// What came of a resume.
#[derive(Debug)]
pub struct Resumed {
    /// All holds and drains.
    pub state: HoldState,
    /// When what waited comes; `None` if the target was not on hold.
    pub checks: Option<Checks>,
    /// The config that holds the target all the same.
    pub held_by: Option<PathBuf>,
}

/// When hosts look again at what waits for a target that was on hold.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// The latest time for messages that were stored while it was on hold.
    pub by: Timestamp,
    /// The latest time for messages that had already waited when the hold began.
    pub older_by: Timestamp,
}

impl Checks {
    async fn after(found: &Found, hold: &Hold, now: Timestamp) -> Checks {
        // Without permission to read the queue's attributes, the Terraform module's settings are assumed.
        let limits = found.backend.limits().await.unwrap_or(QueueLimits::ASSUMED);
        let within = |waited| MEMORY + limits.look_within(waited, HELD_CAP);
        Checks { by: now + within(now.since(hold.since)), older_by: now + within(limits.last_call()) }
    }
}

/// A target that the config does not have is a typo. Without a config nobody knows.
fn check(found: &Found, target: &str) -> anyhow::Result<()> {
    let Some(config) = &found.config else { return Ok(()) };
    let known = Known::new("target", config.targets.keys().cloned());
    known.check(target).with_context(|| format!("looking for it in {}", config.file.display()))
}
