//! A redrive or a drop that runs in the console.

use serde::Serialize;

use super::{Report, Rfc3339};
use crate::dlq::bulk::{self, Action, State};

/// A job.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Job<'a> {
    job: &'a str,
    action: Action,
    by: &'a str,
    note: &'a str,
    /// `running`, `stopping`, `cancelled`, `complete` or `failed`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    /// How many letters the plan was for.
    planned: u64,
    /// How many were sent back or dropped.
    done: u64,
    started_at: Rfc3339,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Report<'a>>,
}

impl Job<'_> {
    /// The shape of a job.
    pub fn of(job: &bulk::Job) -> Job<'_> {
        let problem = if let State::Failed(problem) = &job.state { Some(problem.as_str()) } else { None };
        Job {
            job: &job.id,
            action: job.action,
            by: &job.by,
            note: &job.note,
            state: job.state.name(),
            problem,
            planned: job.planned,
            done: job.done,
            started_at: Rfc3339(job.started_at),
            ended_at: job.ended_at.map(Rfc3339),
            report: job.report.as_ref().map(Report::of),
        }
    }
}
