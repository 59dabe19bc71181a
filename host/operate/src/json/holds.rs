//! Holds, drains and breakers.

use std::collections::BTreeMap;

use serde::Serialize;
use towpath_types::holds::{BreakerReport, Drain as StoredDrain, Hold as StoredHold, HoldState};

use super::Rfc3339;
use crate::hold;

/// A target on hold.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub(super) struct Hold<'a> {
    started_at: Rfc3339,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<Rfc3339>,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    by: &'a str,
}

impl Hold<'_> {
    pub(super) fn of(hold: &StoredHold) -> Hold<'_> {
        let StoredHold { since, until, reason, by } = hold;
        Hold { started_at: Rfc3339(*since), ends_at: until.map(Rfc3339), reason, by }
    }
}

/// A target whose backlog is sent at a limited rate.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub(super) struct Drain {
    resumed_at: Rfc3339,
    per_second: f64,
}

impl From<StoredDrain> for Drain {
    fn from(drain: StoredDrain) -> Drain {
        Drain { resumed_at: Rfc3339(drain.at), per_second: drain.per_second }
    }
}

/// An open breaker.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub(super) struct Breaker<'a> {
    target: &'a str,
    opened_at: Rfc3339,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_at: Option<Rfc3339>,
}

impl Breaker<'_> {
    pub(super) fn of(report: &BreakerReport) -> Breaker<'_> {
        Breaker { target: &report.target, opened_at: Rfc3339(report.at), probe_at: report.probe_at.map(Rfc3339) }
    }
}

/// All holds and drains, by target.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Holds<'a> {
    holds: BTreeMap<&'a str, Hold<'a>>,
    drains: BTreeMap<&'a str, Drain>,
}

impl Holds<'_> {
    /// The shape of a state.
    pub fn of(state: &HoldState) -> Holds<'_> {
        Holds {
            holds: state.holds.iter().map(|(target, hold)| (target.as_str(), Hold::of(hold))).collect(),
            drains: state.drains.iter().map(|(target, drain)| (target.as_str(), Drain::from(*drain))).collect(),
        }
    }
}

/// The result of a resume.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Resumed<'a> {
    #[serde(flatten)]
    state: Holds<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_again: Option<CheckedAgain>,
}

/// The time by which hosts have checked every waiting message again.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
struct CheckedAgain {
    latest_at: Rfc3339,
    /// For messages that waited before the hold began.
    older_latest_at: Rfc3339,
}

impl Resumed<'_> {
    /// The shape of a result.
    pub fn of(resumed: &hold::Resumed) -> Resumed<'_> {
        let checked = |checks: hold::Checks| CheckedAgain {
            latest_at: Rfc3339(checks.by),
            older_latest_at: Rfc3339(checks.older_by),
        };
        Resumed { state: Holds::of(&resumed.state), checked_again: resumed.checks.map(checked) }
    }
}
