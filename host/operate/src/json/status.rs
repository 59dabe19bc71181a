//! Targets, and what waits.

use serde::Serialize;
use towpath_local::{GroupDepth, LetterCount};
use towpath_types::queue::GroupId;

use super::Rfc3339;
use super::archive::InArchive;
use super::holds::{Breaker, Drain, Hold};
use crate::status;
use crate::waiting;

/// Targets, and what waits.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Status<'a> {
    targets: Vec<Target<'a>>,
    queue: Option<Waiting>,
    dead_letters: Waiting,
    #[serde(skip_serializing_if = "Option::is_none")]
    letters: Option<Vec<Letters<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Waiting>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<Group<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<InArchive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive_problem: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds_problem: Option<&'a str>,
}

impl Status<'_> {
    /// The shape of a status.
    pub fn of(status: &status::Status) -> Status<'_> {
        Status {
            targets: status.targets.iter().map(Target::of).collect(),
            queue: status.queue.as_ref().map(Waiting::of),
            dead_letters: Waiting::of(&status.dead_letters),
            letters: status.letters.as_ref().map(|letters| letters.iter().map(Letters::of).collect()),
            refused: status.refused.as_ref().map(Waiting::of),
            groups: status.groups.as_ref().map(|groups| groups.iter().map(Group::of).collect()),
            archive: status.archive.as_ref().map(InArchive::of),
            archive_problem: status.archive_problem.as_deref(),
            holds_problem: status.holds_problem.as_deref(),
        }
    }
}

/// The targets alone.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Targets<'a> {
    targets: Vec<Target<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds_problem: Option<&'a str>,
}

impl Targets<'_> {
    /// The shape of targets.
    pub fn of(status: &status::Targets) -> Targets<'_> {
        Targets {
            targets: status.targets.iter().map(Target::of).collect(),
            holds_problem: status.holds_problem.as_deref(),
        }
    }
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
struct Target<'a> {
    name: &'a str,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<Hold<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_within_seconds: Option<u64>,
    held_by_config: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    drain: Option<Drain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<Breaker<'a>>,
}

impl Target<'_> {
    fn of(target: &status::TargetStatus) -> Target<'_> {
        Target {
            name: &target.name,
            state: target.state,
            hold: target.hold.as_ref().map(Hold::of),
            checked_within_seconds: target.checked_within.map(|within| within.as_secs()),
            held_by_config: target.held_by_config,
            drain: target.drain.map(Drain::from),
            breaker: target.breaker.as_ref().map(Breaker::of),
        }
    }
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
struct Waiting {
    messages: u64,
    invisible: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_sent_at: Option<Rfc3339>,
}

impl Waiting {
    fn of(waiting: &waiting::Waiting) -> Waiting {
        let waiting::Waiting { messages, invisible, groups, oldest } = *waiting;
        Waiting { messages, invisible, groups, oldest_sent_at: oldest.map(Rfc3339) }
    }
}

/// The dead letters of one route and reason.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
struct Letters<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    route: &'a str,
    reason: &'a str,
    letters: u64,
}

impl Letters<'_> {
    fn of(count: &LetterCount) -> Letters<'_> {
        Letters { route: &count.route, reason: &count.reason, letters: count.messages }
    }
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
struct Group<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    group: &'a GroupId,
    messages: u64,
    oldest_sent_at: Rfc3339,
    ready_at: Rfc3339,
    receive_count: u32,
}

impl Group<'_> {
    fn of(depth: &GroupDepth) -> Group<'_> {
        let GroupDepth { group, messages, oldest, ready_at, receive_count } = depth;
        Group {
            group,
            messages: *messages,
            oldest_sent_at: Rfc3339(*oldest),
            ready_at: Rfc3339(*ready_at),
            receive_count: *receive_count,
        }
    }
}
