//! Redrives or drops everything that a filter finds, once a person has approved its plan.

use serde::Serialize;
use towpath_types::clock::Timestamp;

use super::edit::{self, Dropping};
use super::filter::{Conditions, Filter};
use super::redrive::{self, Limits, Orders, Plan, Progress, Report};
use crate::letters::Letters;
use crate::place::Found;
use crate::stop::Stop;

/// What is done to letters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = LettersAction))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// They go back to the queue that they came from.
    Redrive,
    /// They are deleted.
    Drop,
}

/// What somebody wants to be done.
#[derive(Clone, Debug)]
pub struct Bulk {
    /// What.
    pub action: Action,
    /// To which letters.
    pub conditions: Conditions,
    /// Only to letters with one of these ids, if there are any.
    pub ids: Vec<String>,
    /// Of a redrive.
    pub limits: Limits,
    /// Why.
    pub note: String,
}

/// Why nothing is done.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BulkError {
    /// The filter selects every letter.
    #[error("no letters selected: give an id, or a filter such as a reason")]
    Everything,
    /// There is no note.
    #[error("a note is required: it tells in the audit why this was done")]
    NoNote,
    /// The number has changed since the plan.
    #[error("the plan was for {planned} letters, and now {now} match: look at the new plan")]
    Changed {
        /// What was approved.
        planned: u64,
        /// What matches now.
        now: u64,
    },
    /// As many letters match as in the plan, but not the same ones.
    #[error("the plan was for {0} letters, and not all of them are those that match now: look at the new plan")]
    Others(u64),
}

/// What somebody approved: how many letters, and the digest of the plan, which tells which.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Approval {
    /// [`Plan::letters`].
    pub letters: u64,
    /// [`Plan::digest`].
    pub digest: String,
}

impl Bulk {
    /// What it would do. Changes nothing.
    pub async fn plan(&self, found: &Found, letters: &mut dyn Letters) -> anyhow::Result<Plan> {
        let (mut plan, known) = redrive::plan(found, letters, self.filter()?).await?;
        known?;
        if self.action == Action::Drop {
            // What is parked behind a dropped letter stays, and nothing is sent to any target.
            plan.parked_along = 0;
            plan.held_targets.clear();
        }
        Ok(plan)
    }

    /// Fails unless it may be done, and the letters that match are those that somebody approved.
    pub async fn approve(&self, found: &Found, letters: &mut dyn Letters, approval: &Approval) -> anyhow::Result<()> {
        if self.note.trim().is_empty() {
            return Err(BulkError::NoNote.into());
        }
        let plan = self.plan(found, letters).await?;
        let (planned, now) = (approval.letters, plan.letters);
        if now != planned {
            return Err(BulkError::Changed { planned, now }.into());
        }
        if plan.digest == approval.digest { Ok(()) } else { Err(BulkError::Others(planned).into()) }
    }

    /// Does it, in portions that are each one transaction on a local store, until `stop` is asked. Each letter is written to the audit before.
    pub async fn run(
        &self,
        found: &Found,
        letters: &mut dyn Letters,
        stop: Stop,
        progress: impl FnMut(Progress) + Send,
    ) -> anyhow::Result<Report> {
        let filter = self.filter()?;
        let note = self.note.clone();
        let (report, known) = match self.action {
            Action::Redrive => {
                let orders = Orders { limits: self.limits, note, stop };
                redrive::redrive(found, letters, filter, orders, progress).await?
            }
            Action::Drop => {
                let (moved, known) = edit::drop(found, letters, filter, Dropping { note, stop }, progress).await?;
                (Report { moved, ..Report::default() }, known)
            }
        };
        // A name that is nowhere was an error of the plan; what was done is reported in any case.
        if report.moved.moved == 0 {
            known?;
        }
        Ok(report)
    }

    /// Fails if it selects every letter.
    pub fn is_about_something(&self) -> anyhow::Result<()> {
        self.filter()?;
        Ok(())
    }

    fn filter(&self) -> Result<Filter, BulkError> {
        let filter = Filter::new(self.conditions.clone(), self.ids.clone());
        if filter.is_everything() { Err(BulkError::Everything) } else { Ok(filter) }
    }
}

/// A bulk action that runs or has ended.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// What it does.
    pub action: Action,
    /// Who started it.
    pub by: String,
    /// Why.
    pub note: String,
    /// How many letters were approved.
    pub planned: u64,
    /// How many were sent back or dropped.
    pub done: u64,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it stands.
    pub state: State,
    /// What it did, once it has ended.
    pub report: Option<Report>,
}

/// How a job stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// It runs.
    Running,
    /// It was asked to stop, and finishes its portion.
    Stopping,
    /// It was stopped. What was done stays done.
    Cancelled,
    /// It has done all.
    Complete,
    /// It failed. What was done stays done.
    Failed(String),
}

impl State {
    /// `running`, `stopping`, `cancelled`, `complete` or `failed`.
    pub fn name(&self) -> &'static str {
        match self {
            State::Running => "running",
            State::Stopping => "stopping",
            State::Cancelled => "cancelled",
            State::Complete => "complete",
            State::Failed(_) => "failed",
        }
    }
}

#[cfg(test)]
mod tests;
