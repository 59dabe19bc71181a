//! What a redrive would do, and what it or a drop did.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use towpath_types::queue::MessageId;

use super::Rfc3339;
use crate::dlq::redrive;
use crate::letters::{Moved, NotSentBack};

/// What a redrive would send back.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = LettersPlan))]
pub struct Plan<'a> {
    letters: u64,
    groups: usize,
    oldest_sent_at: Option<Rfc3339>,
    reasons: &'a BTreeMap<String, u64>,
    parked_along: u64,
    held_targets: &'a BTreeSet<String>,
    /// Tells these letters from any others.
    digest: &'a str,
}

impl Plan<'_> {
    /// The shape of a plan.
    pub fn of(plan: &redrive::Plan) -> Plan<'_> {
        Plan {
            letters: plan.letters,
            groups: plan.groups,
            oldest_sent_at: plan.oldest.map(Rfc3339),
            reasons: &plan.reasons,
            parked_along: plan.parked_along,
            held_targets: &plan.held_targets,
            digest: &plan.digest,
        }
    }
}

/// What a redrive did.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = LettersReport))]
pub struct Report<'a> {
    moved: u64,
    failed: Vec<Failed<'a>>,
    /// The ids of messages that may have been sent back twice.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>))]
    perhaps_twice: &'a [MessageId],
    died_again: u64,
    stopped: bool,
}

/// What a drop did.
#[derive(Debug, Serialize)]
pub struct Dropped<'a> {
    dropped: u64,
    failed: Vec<Failed<'a>>,
}

impl Dropped<'_> {
    /// The shape of a drop.
    pub fn of(dropped: &Moved) -> Dropped<'_> {
        Dropped { dropped: dropped.moved, failed: dropped.failed.iter().map(Failed::of).collect() }
    }
}

/// A letter that was not sent back, or not dropped.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = NotSentBack))]
struct Failed<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    message_id: &'a MessageId,
    problem: &'a str,
}

impl Failed<'_> {
    fn of(letter: &NotSentBack) -> Failed<'_> {
        Failed { message_id: &letter.id, problem: &letter.problem }
    }
}

impl Report<'_> {
    /// The shape of a report.
    pub fn of(report: &redrive::Report) -> Report<'_> {
        Report {
            moved: report.moved.moved,
            failed: report.moved.failed.iter().map(Failed::of).collect(),
            perhaps_twice: &report.moved.perhaps_twice,
            died_again: report.died_again,
            stopped: report.stopped,
        }
    }
}
