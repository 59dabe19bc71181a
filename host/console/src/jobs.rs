//! Redrives and drops of many letters: one at a time, with progress, and stopped between two portions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::task::JoinSet;
use towpath_operate::dlq::bulk::{Approval, Bulk, Job, State};
use towpath_operate::dlq::redrive::{Progress, Report};
use towpath_operate::letters;
use towpath_operate::place::Found;
use towpath_operate::stop::Stop;
use towpath_types::clock::Clock;

use crate::Problem;
use crate::dead::problem;

/// How many jobs are remembered.
const KEPT: usize = 20;

/// The jobs of a console. They end with it, between two transactions.
#[derive(Clone, Default)]
pub(crate) struct Jobs(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// The newest first.
    kept: Mutex<VecDeque<Arc<Kept>>>,
    tasks: Mutex<JoinSet<()>>,
    number: AtomicU64,
    is_trying: AtomicBool,
}

struct Kept {
    job: Mutex<Job>,
    stop: Stop,
}

impl Jobs {
    /// Starts a job, if the letters that match are those that somebody approved, and no other job runs.
    pub(crate) async fn start(
        &self,
        found: Found,
        refused: bool,
        bulk: Bulk,
        approval: Approval,
    ) -> Result<Job, Problem> {
        self.is_free()?;
        let mut letters = letters::open(&found.backend, None, refused).await?;
        let approved = bulk.approve(&found, &mut *letters, &approval).await;
        letters.release().await;
        approved.map_err(problem)?;
        let kept = self.keep(&found, &bulk, approval.letters)?;
        let job = kept.job.lock().clone();
        let mut tasks = self.0.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(run(kept, found, refused, bulk));
        Ok(job)
    }

    /// The job with this id.
    pub(crate) fn get(&self, id: &str) -> Result<Job, Problem> {
        self.find(id).map(|kept| kept.job.lock().clone())
    }

    /// Asks a job to stop after its portion. One that has ended stays as it is.
    pub(crate) fn cancel(&self, id: &str) -> Result<Job, Problem> {
        let kept = self.find(id)?;
        let mut job = kept.job.lock();
        if job.state == State::Running {
            job.state = State::Stopping;
            kept.stop.ask();
        }
        Ok(job.clone())
    }

    /// The job that runs.
    pub(crate) fn running(&self) -> Option<Job> {
        let kept = self.0.kept.lock();
        kept.iter().map(|kept| kept.job.lock().clone()).find(|job| job.ended_at.is_none())
    }

    /// The right to run another build, which one has at a time: it takes a core of this machine.
    pub(crate) fn trial(&self) -> Result<Trial, Problem> {
        if self.0.is_trying.swap(true, Ordering::AcqRel) {
            return Err(Problem::conflict("another build is being tried: wait for its end"));
        }
        Ok(Trial(Arc::clone(&self.0)))
    }

    fn is_free(&self) -> Result<(), Problem> {
        match self.running() {
            None => Ok(()),
            Some(Job { id, by, .. }) => {
                Err(Problem::conflict(format!("the job {id} of {by} runs: wait for its end, or cancel it")))
            }
        }
    }

    fn keep(&self, found: &Found, bulk: &Bulk, planned: u64) -> Result<Arc<Kept>, Problem> {
        let now = Clock::wall().now();
        let number = self.0.number.fetch_add(1, Ordering::Relaxed);
        let job = Job {
            // Not the id of a job from before a restart.
            id: format!("{:x}-{number}", now.0),
            action: bulk.action,
            by: found.by.clone(),
            note: bulk.note.clone(),
            planned,
            done: 0,
            started_at: now,
            ended_at: None,
            state: State::Running,
            report: None,
        };
        let mut kept = self.0.kept.lock();
        if kept.iter().any(|kept| kept.job.lock().ended_at.is_none()) {
            drop(kept);
            self.is_free()?;
            return Err(Problem::conflict("another job runs"));
        }
        let new = Arc::new(Kept { job: Mutex::new(job), stop: Stop::default() });
        kept.push_front(Arc::clone(&new));
        kept.truncate(KEPT);
        Ok(new)
    }

    fn find(&self, id: &str) -> Result<Arc<Kept>, Problem> {
        let kept = self.0.kept.lock();
        let found = kept.iter().find(|kept| kept.job.lock().id == id).cloned();
        found.ok_or_else(|| Problem::not_found(format!("there is no job {id} since this console started")))
    }
}

/// The right to run another build, until it is dropped.
pub(crate) struct Trial(Arc<Shared>);

impl Drop for Trial {
    fn drop(&mut self) {
        self.0.is_trying.store(false, Ordering::Release);
    }
}

async fn run(kept: Arc<Kept>, found: Found, refused: bool, bulk: Bulk) {
    let ending = Ending(Arc::clone(&kept));
    let result = done(&kept, &found, refused, &bulk).await;
    let mut job = ending.0.job.lock();
    job.state = match &result {
        Err(error) => State::Failed(format!("{error:#}")),
        Ok(_) if kept.stop.is_asked() => State::Cancelled,
        Ok(_) => State::Complete,
    };
    job.report = result.ok();
}

async fn done(kept: &Kept, found: &Found, refused: bool, bulk: &Bulk) -> anyhow::Result<Report> {
    let mut letters = letters::open(&found.backend, None, refused).await?;
    let progress = |progress| {
        if let Progress::Done(more) = progress {
            kept.job.lock().done += more;
        }
    };
    let result = bulk.run(found, &mut *letters, kept.stop.clone(), progress).await;
    letters.release().await;
    result
}

/// Ends a job however its task ends: one that panicked must not keep others from starting.
struct Ending(Arc<Kept>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut job = self.0.job.lock();
        if matches!(job.state, State::Running | State::Stopping) {
            job.state = State::Failed("it ended unexpectedly: see the log".to_owned());
        }
        job.ended_at = Some(Clock::wall().now());
    }
}
