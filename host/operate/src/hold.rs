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

/// The longest timed hold. A longer one is meant to be a hold without an end.
pub const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The longest reason.
const LONGEST_REASON: usize = 500;

/// A hold that somebody else will read about, so it has a reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Why.
    pub reason: String,
    /// How long it lasts at most; `None` until the target is resumed.
    pub length: Option<Duration>,
}

impl Asked {
    /// Fails without a reason, or if the length is not from 1 second to 366 days.
    pub fn new(reason: String, length: Option<Duration>) -> Result<Asked, AskedError> {
        let reason = reason.trim().to_owned();
        if reason.is_empty() {
            return Err(AskedError::NoReason);
        }
        if reason.len() > LONGEST_REASON || reason.chars().any(char::is_control) {
            return Err(AskedError::BadReason);
        }
        if length.is_some_and(|length| !(Duration::from_secs(1)..=LONGEST).contains(&length)) {
            return Err(AskedError::Length);
        }
        Ok(Asked { reason, length })
    }

    /// Reads a length such as `45m`; an empty one is none.
    pub fn read(reason: String, length: &str) -> Result<Asked, AskedError> {
        let length = match length.trim() {
            "" => None,
            text => Some(humantime::parse_duration(text).map_err(|_| AskedError::Unreadable(text.to_owned()))?),
        };
        Asked::new(reason, length)
    }
}

/// Why a hold or a drain is not possible as asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AskedError {
    /// Whoever finds the target on hold needs to know why.
    #[error("a hold needs a reason: say what it is for")]
    NoReason,
    /// It is shown in one line.
    #[error("the reason must be one line of at most {LONGEST_REASON} bytes")]
    BadReason,
    /// Out of range.
    #[error("a hold lasts from 1 second to 366 days: leave the length out for a hold without an end")]
    Length,
    /// No length of time.
    #[error("{0:?} is not a length of time: write 90s, 45m, 2h or 3d")]
    Unreadable(String),
    /// Not above 0.
    #[error("a rate is a number of messages per second above 0")]
    Rate,
}

impl From<AskedError> for String {
    fn from(error: AskedError) -> String {
        error.to_string()
    }
}

/// A rate in messages per second. Fails unless it is above 0.
pub fn rate(per_second: f64) -> Result<f64, AskedError> {
    if per_second.is_finite() && per_second > 0.0 { Ok(per_second) } else { Err(AskedError::Rate) }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_needs_a_reason_in_one_line_and_a_length_within_a_year() {
        let hour = Asked { reason: "release".to_owned(), length: Some(Duration::from_secs(3600)) };
        let cases = [
            ("trimmed", " release ", "1h", Ok(hour.clone())),
            ("without an end", "release", " ", Ok(Asked { length: None, ..hour })),
            ("no reason", " ", "1h", Err(AskedError::NoReason)),
            ("two lines", "a\nb", "1h", Err(AskedError::BadReason)),
            ("too short", "a", "0s", Err(AskedError::Length)),
            ("too long", "a", "367d", Err(AskedError::Length)),
            ("no length of time", "a", "soon", Err(AskedError::Unreadable("soon".to_owned()))),
        ];
        for (name, reason, length, expected) in cases {
            assert_eq!(Asked::read(reason.to_owned(), length), expected, "{name}");
        }
    }

    #[test]
    fn a_rate_is_above_zero() {
        assert_eq!(rate(0.5), Ok(0.5));
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(rate(wrong), Err(AskedError::Rate), "{wrong}");
        }
    }
}
