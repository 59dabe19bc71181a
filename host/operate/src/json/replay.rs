//! Replays.

use serde::Serialize;

use super::Rfc3339;
use crate::replay::compare::{self, Row};
use crate::replay::{Listed, Overtaken, Plan, Record, Report, State};

/// What a replay would send.
#[derive(Debug, Serialize)]
pub struct ReplayPlan<'a> {
    events: u64,
    groups: usize,
    bytes: u64,
    first_sent_at: Option<Rfc3339>,
    last_sent_at: Option<Rfc3339>,
    redacted: u64,
    replays: u64,
    unrouted: u64,
    overtaken: Vec<OvertakenGroup<'a>>,
    knows_waiting: bool,
    lags: bool,
    damaged: u64,
}

/// A group with later events.
#[derive(Debug, Serialize)]
struct OvertakenGroup<'a> {
    group: &'a str,
    delivered: u64,
    waiting: u64,
}

impl ReplayPlan<'_> {
    /// The shape of a plan.
    pub fn of(plan: &Plan) -> ReplayPlan<'_> {
        let overtaken = plan.overtaken.iter().map(|Overtaken { group, delivered, waiting }| OvertakenGroup {
            group: group.as_str(),
            delivered: *delivered,
            waiting: *waiting,
        });
        ReplayPlan {
            events: plan.events,
            groups: plan.groups,
            bytes: plan.bytes,
            first_sent_at: plan.sent.map(|[first, _]| Rfc3339(first)),
            last_sent_at: plan.sent.map(|[_, last]| Rfc3339(last)),
            redacted: plan.redacted,
            replays: plan.replays,
            unrouted: plan.unrouted,
            overtaken: overtaken.collect(),
            knows_waiting: plan.knows_waiting,
            lags: plan.lags,
            damaged: plan.damaged,
        }
    }
}

/// A run.
#[derive(Debug, Serialize)]
pub struct ReplayRun<'a> {
    run: &'a str,
    by: &'a str,
    note: &'a str,
    started_at: Rfc3339,
    updated_at: Rfc3339,
    /// `running`, `interrupted`, `stopped`, `failed` or `complete`.
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    events: u64,
    sent: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    new_ids: bool,
}

impl ReplayRun<'_> {
    /// The shape of a run.
    pub fn of(listed: &Listed) -> ReplayRun<'_> {
        let run = ReplayRun::of_record(&listed.record);
        if listed.is_interrupted { ReplayRun { state: "interrupted", ..run } } else { run }
    }

    fn of_record(record: &Record) -> ReplayRun<'_> {
        let problem = if let State::Failed(problem) = &record.state { Some(problem.as_str()) } else { None };
        ReplayRun {
            run: &record.run,
            by: &record.by,
            note: &record.request.note,
            started_at: Rfc3339(record.started_at),
            updated_at: Rfc3339(record.updated_at),
            state: record.state.name(),
            problem,
            events: record.events,
            sent: record.sent,
            late: Some(record.late).filter(|late| *late > 0),
            to: record.request.to.as_deref(),
            new_ids: record.request.new_ids,
        }
    }
}

/// What a replay sent.
#[derive(Debug, Serialize)]
pub struct Replayed<'a> {
    #[serde(flatten)]
    run: ReplayRun<'a>,
    /// By this command.
    sent_now: u64,
}

impl Replayed<'_> {
    /// The shape of a report.
    pub fn of(report: &Report) -> Replayed<'_> {
        Replayed { run: ReplayRun::of_record(&report.record), sent_now: report.sent }
    }
}

/// What another build would do.
#[derive(Debug, Serialize)]
pub struct Compared<'a> {
    /// The counts.
    #[serde(flatten)]
    pub compared: &'a compare::Compared,
    /// What differs.
    pub rows: &'a [Row],
}
