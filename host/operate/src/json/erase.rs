//! Erasures.

use serde::Serialize;

use super::Rfc3339;
use crate::erase::{Counts, Expires, Plan, Report, Unreachable};

/// What would be erased.
#[derive(Debug, Serialize)]
pub struct ErasurePlan<'a> {
    found: Counted,
    in_flight: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    interrupted: Option<Interrupted<'a>>,
    unreachable: Vec<Beyond<'a>>,
}

/// What was erased.
#[derive(Debug, Serialize)]
pub struct Erasure<'a> {
    complete: bool,
    erased: Counted,
    deduplication_ids: u64,
    in_flight: u64,
    arrived: u64,
    queues_searched: bool,
    store_rewritten: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    earlier: Option<Completed<'a>>,
    unreachable: Vec<Beyond<'a>>,
}

/// Counts by place.
#[derive(Debug, Serialize)]
struct Counted {
    waiting: u64,
    dead_letters: u64,
    refused: u64,
    other_queues: u64,
    archived: u64,
    story_lines: u64,
    audit_entries: u64,
    replays: u64,
}

/// An erasure that was interrupted.
#[derive(Debug, Serialize)]
struct Interrupted<'a> {
    by: &'a str,
    started_at: Rfc3339,
}

/// An erasure that was interrupted, and was completed first.
#[derive(Debug, Serialize)]
struct Completed<'a> {
    by: &'a str,
    started_at: Rfc3339,
    erased: Counted,
}

/// What is not erased.
#[derive(Debug, Serialize)]
struct Beyond<'a> {
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<&'static str>,
}

impl ErasurePlan<'_> {
    /// The shape of a plan.
    pub fn of(plan: &Plan) -> ErasurePlan<'_> {
        let interrupted = plan.interrupted.as_ref();
        ErasurePlan {
            found: Counted::of(plan.counts),
            in_flight: plan.in_flight,
            interrupted: interrupted.map(|(by, started_at)| Interrupted { by, started_at: Rfc3339(*started_at) }),
            unreachable: plan.unreachable.iter().map(Beyond::of).collect(),
        }
    }
}

impl Erasure<'_> {
    /// The shape of a report.
    pub fn of(report: &Report) -> Erasure<'_> {
        Erasure {
            complete: report.is_complete(),
            erased: Counted::of(report.erased),
            deduplication_ids: report.deduplication_ids,
            in_flight: report.in_flight,
            arrived: report.arrived,
            queues_searched: report.searched_queues,
            store_rewritten: report.is_rewritten,
            earlier: report.earlier.as_ref().map(|earlier| Completed {
                by: &earlier.by,
                started_at: Rfc3339(earlier.started_at),
                erased: Counted::of(earlier.erased),
            }),
            unreachable: report.unreachable.iter().map(Beyond::of).collect(),
        }
    }
}

impl Counted {
    fn of(counts: Counts) -> Counted {
        let Counts { waiting, dead_letters, refused, other_queues, archived, story, audit, replays } = counts;
        Counted {
            waiting,
            dead_letters,
            refused,
            other_queues,
            archived,
            story_lines: story,
            audit_entries: audit,
            replays,
        }
    }
}

impl Beyond<'_> {
    fn of(unreachable: &Unreachable) -> Beyond<'_> {
        let (expires_at, expires) = match unreachable.expires {
            Expires::By(at) => (Some(Rfc3339(at)), None),
            Expires::As(how) => (None, Some(how)),
            Expires::Unknown => (None, None),
        };
        Beyond { what: &unreachable.what, expires_at, expires }
    }
}
