//! The state of targets, and what waits.

use std::time::Duration;

use towpath_archive::{Folder, Stats};
use towpath_engine::next_try::HELD_CAP;
use towpath_local::GroupDepth;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::holds::{BreakerReport, Drain, Hold, HoldState};
use towpath_types::queue::{MAX_RETENTION, QueueLimits};

use crate::place::{Backend, Found};
use crate::waiting::Waiting;

/// The state of targets, and what waits.
#[derive(Debug)]
pub struct Status {
    /// The targets of the config, and those that only the holds name.
    pub targets: Vec<TargetStatus>,
    /// What waits to be delivered, if that queue is known.
    pub queue: Option<Waiting>,
    /// What waits in the dead-letter queue.
    pub dead_letters: Waiting,
    /// The groups with the most messages; `None` on SQS, which does not tell.
    pub groups: Option<Vec<GroupDepth>>,
    /// What is in the archive, if the config has one that exists.
    pub archive: Option<Stats>,
    /// Why the archive cannot be read.
    pub archive_problem: Option<String>,
    /// Why the holds cannot be read.
    pub holds_problem: Option<String>,
}

/// The state of one target.
#[derive(Debug)]
pub struct TargetStatus {
    /// Its name.
    pub name: String,
    /// `ok`, `held`, `breaker open` or `draining`.
    pub state: &'static str,
    /// Its hold.
    pub hold: Option<Hold>,
    /// How soon hosts check a message again that has waited since the hold began.
    pub checked_within: Option<Duration>,
    /// Whether the config puts it on hold.
    pub held_by_config: bool,
    /// Its drain, while that lasts.
    pub drain: Option<Drain>,
    /// Its breaker, if it is open.
    pub breaker: Option<BreakerReport>,
}

/// The status of a place, with this many groups.
pub async fn status(found: &Found, groups: usize) -> anyhow::Result<Status> {
    let (state, reports, holds_problem) = match known(found).await {
        Ok((state, reports)) => (state, reports, None),
        Err(problem) => (HoldState::default(), Vec::new(), Some(format!("{problem:#}"))),
    };
    let limits = if state.holds.is_empty() {
        QueueLimits::LOCAL
    } else {
        found.backend.limits().await.unwrap_or(QueueLimits::ASSUMED)
    };
    let queue = found.backend.events().await?;
    let dead_letters = found.backend.dead_letters().await?;
    let groups = match &found.backend {
        Backend::Local(queues) => Some(queues.events.groups(groups).await?),
        Backend::Sqs { .. } => None,
    };
    let targets = targets(found, &state, &reports, limits, queue.as_ref());
    let (archive, archive_problem) = match archive(found) {
        Ok(archive) => (archive, None),
        Err(problem) => (None, Some(problem.to_string())),
    };
    Ok(Status { targets, queue, dead_letters, groups, archive, archive_problem, holds_problem })
}

fn archive(found: &Found) -> std::io::Result<Option<Stats>> {
    let folder = found.config.as_deref().and_then(|config| config.archive.folder.clone());
    folder.filter(|folder| folder.is_dir()).map(|folder| Folder::new(folder).stats()).transpose()
}

async fn known(found: &Found) -> anyhow::Result<(HoldState, Vec<BreakerReport>)> {
    let holds = found.holds().await?;
    let state = holds.read().await?;
    let names = names(found, &state);
    let reports = holds.reports(&names).await?;
    Ok((state, reports))
}

/// The targets of the config, and those that only the holds name.
fn names(found: &Found, state: &HoldState) -> Vec<String> {
    let config = found.config.iter().flat_map(|config| config.targets.keys().cloned());
    let mut names: Vec<String> =
        config.chain(state.holds.keys().cloned()).chain(state.drains.keys().cloned()).collect();
    names.sort();
    names.dedup();
    names
}

fn targets(
    found: &Found,
    state: &HoldState,
    reports: &[BreakerReport],
    limits: QueueLimits,
    queue: Option<&Waiting>,
) -> Vec<TargetStatus> {
    let now = Clock::wall().now();
    let target = |name: String| {
        let hold = state.hold(&name, now).cloned();
        let held_by_config = found.target(&name).is_some_and(|target| target.hold);
        let breaker = reports.iter().find(|report| report.target == name && report.open).cloned();
        let drain = state.drains.get(&name).copied().filter(|drain| is_going_on(*drain, queue, now));
        let state_of = match (&hold, held_by_config, &breaker, &drain) {
            (Some(_), ..) | (_, true, ..) => "held",
            (_, _, Some(_), _) => "breaker open",
            (_, _, _, Some(_)) => "draining",
            _ => "ok",
        };
        let within = |hold: &Hold| limits.look_within(now.since(hold.since), HELD_CAP);
        let checked_within = hold.as_ref().map(within);
        TargetStatus { name, state: state_of, hold, checked_within, held_by_config, drain, breaker }
    };
    names(found, state).into_iter().map(target).collect()
}

/// Whether messages from before a drain may still wait. SQS does not tell the age of its oldest message: there they may as long as
/// anything waits, up to the longest retention.
fn is_going_on(drain: Drain, queue: Option<&Waiting>, now: Timestamp) -> bool {
    match queue {
        Some(Waiting { oldest: Some(oldest), .. }) => *oldest <= drain.at,
        Some(Waiting { messages: 0, .. }) => false,
        _ => now.since(drain.at) < MAX_RETENTION,
    }
}
