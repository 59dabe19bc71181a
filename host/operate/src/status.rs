//! The state of targets, and what waits.

mod archive;

use std::time::Duration;

use towpath_archive::Stats;
use towpath_engine::next_try::HELD_CAP;
use towpath_local::{GroupDepth, LetterCount};
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::holds::{BreakerReport, Drain, Hold, HoldState};
use towpath_types::queue::{MAX_RETENTION, QueueLimits};

use crate::place::{Backend, Found};
use crate::waiting::Waiting;

pub use archive::ArchiveSize;

/// The state of targets, and what waits.
#[derive(Debug)]
pub struct Status {
    /// The targets of the config, and those that only the holds name.
    pub targets: Vec<TargetStatus>,
    /// What waits to be delivered, if that queue is known.
    pub queue: Option<Waiting>,
    /// What waits in the dead-letter queue.
    pub dead_letters: Waiting,
    /// The dead letters by route and reason, the most frequent first; `None` on SQS, which does not tell.
    pub letters: Option<Vec<LetterCount>>,
    /// What is kept of the webhooks that ingest turned away, if that queue is known.
    pub refused: Option<Waiting>,
    /// The groups with the most messages; `None` if nobody wants them, and on SQS, which does not tell.
    pub groups: Option<Vec<GroupDepth>>,
    /// What is in the archive, if somebody wants that, and the config has one that exists.
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

/// The state of all targets.
#[derive(Debug)]
pub struct Targets {
    /// The targets of the config, and those that only the holds name.
    pub targets: Vec<TargetStatus>,
    /// Why the holds cannot be read.
    pub holds_problem: Option<String>,
}

/// The state of the targets alone.
pub async fn targets(found: &Found) -> anyhow::Result<Targets> {
    Ok(targets_of(found, found.backend.events().await?.as_ref()).await)
}

/// What costs more than the rest of a status, and is read only for who wants it.
#[derive(Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// This many groups, those with the most messages first: every message that waits is counted.
    pub groups: Option<usize>,
    /// What the archive holds.
    pub archive: Option<&'a ArchiveSize>,
}

/// The status of a place.
pub async fn status(found: &Found, wanted: Wanted<'_>) -> anyhow::Result<Status> {
    let queue = found.backend.events().await?;
    let Targets { targets, holds_problem } = targets_of(found, queue.as_ref()).await;
    let dead_letters = found.backend.dead_letters().await?;
    let refused = found.backend.refused().await?;
    let (groups, letters) = match &found.backend {
        Backend::Local(queues) => {
            let dead_letters = queues.dead_letters.clone();
            let letters = tokio::task::spawn_blocking(move || dead_letters.standing()).await??.letters;
            let groups = match wanted.groups {
                Some(most) => Some(queues.events.groups(most).await?),
                None => None,
            };
            (groups, Some(letters))
        }
        Backend::Sqs { .. } => (None, None),
    };
    let (archive, archive_problem) = match wanted.archive {
        None => (None, None),
        Some(size) => match size.of(found).await {
            Ok(archive) => (archive, None),
            Err(problem) => (None, Some(problem)),
        },
    };
    Ok(Status { targets, queue, dead_letters, letters, refused, groups, archive, archive_problem, holds_problem })
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

async fn targets_of(found: &Found, queue: Option<&Waiting>) -> Targets {
    let (state, reports, holds_problem) = match known(found).await {
        Ok((state, reports)) => (state, reports, None),
        Err(problem) => (HoldState::default(), Vec::new(), Some(format!("{problem:#}"))),
    };
    let limits = if state.holds.is_empty() {
        QueueLimits::LOCAL
    } else {
        found.backend.limits().await.unwrap_or(QueueLimits::ASSUMED)
    };
    Targets { targets: each(found, &state, &reports, limits, queue), holds_problem }
}

fn each(
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
