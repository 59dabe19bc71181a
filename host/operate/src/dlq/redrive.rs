//! Sends dead letters back to the queue that they came from, in order.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use towpath_types::clock::{Clock, Timestamp};

use super::filter::Filter;
use crate::audit::Audit;
use crate::letters::{Letter, Letters, Moved};
use crate::pace::Pace;
use crate::place::Found;
use crate::stop::Stop;

/// With a rate, the letters of this time are one portion.
const PORTION: Duration = Duration::from_millis(100);

/// How much of a digest tells letters from others.
const DIGITS: usize = 16;

/// What a redrive would send back.
#[derive(Debug, Default)]
pub struct Plan {
    /// The number of letters.
    pub letters: u64,
    /// The number of their groups.
    pub groups: usize,
    /// When the oldest of their messages was first stored.
    pub oldest: Option<Timestamp>,
    /// The number of letters by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Letters that go back too because they are parked behind these.
    pub parked_along: u64,
    /// Targets of these letters that are on hold, where messages will wait.
    pub held_targets: BTreeSet<String>,
    /// Tells these letters from any others, in whatever order they were read.
    pub digest: String,
    /// The targets that these letters were sent to.
    targets: BTreeSet<String>,
}

/// A result, and an error if the operator named something that does not exist.
pub type Done<T> = (T, anyhow::Result<()>);

/// What a redrive did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was sent back, and what was not.
    pub moved: Moved,
    /// Letters that were sent back and dead-lettered again during the redrive.
    pub died_again: u64,
    /// Whether it stopped because of too many failures.
    pub stopped: bool,
}

/// The limits of a redrive.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Limits {
    /// Letters per second.
    pub per_second: Option<f64>,
    /// The redrive stops after more failures than this.
    pub max_failures: Option<u64>,
}

/// How a redrive is done, and why.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// Its limits.
    pub limits: Limits,
    /// The operator's reason, for the audit.
    pub note: String,
    /// Stops it between two portions.
    pub stop: Stop,
}

/// How far a redrive or a drop is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It starts with about this many letters.
    Of(u64),
    /// It has read this many more letters.
    LookedAt(u64),
    /// It has sent back or dropped this many more letters.
    Done(u64),
}

/// What a redrive of the letters that match would do. Sends nothing.
pub async fn plan(found: &Found, letters: &mut dyn Letters, mut filter: Filter) -> anyhow::Result<Done<Plan>> {
    let mut plan = Plan::default();
    let mut groups = HashSet::new();
    let mut parked = BTreeMap::<_, u64>::new();
    let mut ids = BTreeSet::new();
    loop {
        let page = letters.next().await?;
        if page.is_empty() {
            break;
        }
        for letter in page {
            if !filter.wants(&letter) {
                if letter.is_parked() {
                    *parked.entry(letter.group).or_default() += 1;
                }
                continue;
            }
            plan.letters += 1;
            plan.oldest = Some(plan.oldest.map_or(letter.death.sent_at, |oldest| oldest.min(letter.death.sent_at)));
            *plan.reasons.entry(letter.death.reason).or_default() += 1;
            plan.targets.extend(letter.death.attempts.into_iter().map(|attempt| attempt.target));
            groups.insert(letter.group);
            ids.insert(letter.id);
        }
    }
    plan.groups = groups.len();
    let hash = ids.iter().fold(Sha256::new(), |hash, id| hash.chain_update(id.as_str()).chain_update(b"\n"));
    plan.digest = hex::encode(hash.finalize());
    plan.digest.truncate(DIGITS);
    plan.parked_along = parked.into_iter().filter(|(group, _)| groups.contains(group)).map(|(_, count)| count).sum();
    // Without a place for holds nothing is on hold.
    if let Ok(holds) = found.holds().await {
        let state = holds.read().await?;
        let now = Clock::wall().now();
        let configured = found.config.iter().flat_map(|config| config.targets.values());
        let configured = configured.filter(|target| target.hold).map(|target| target.name.clone());
        let held = state.holds.keys().filter(|name| state.hold(name, now).is_some()).cloned().chain(configured);
        // A letter that was never sent to a target may be for any.
        plan.held_targets = held.filter(|name| plan.targets.is_empty() || plan.targets.contains(name)).collect();
    }
    Ok((plan, filter.check(found)))
}

/// Sends the letters that match back. Each is written to the audit before.
pub async fn redrive(
    found: &Found,
    letters: &mut dyn Letters,
    mut filter: Filter,
    orders: Orders,
    mut progress: impl FnMut(Progress) + Send,
) -> anyhow::Result<Done<Report>> {
    let Orders { limits, note, stop } = orders;
    let audit = Audit::of(found);
    let count = letters.count().await?;
    progress(Progress::Of(count));
    let mut pace = Pace::new(limits.per_second, PORTION);
    let mut report = Report::default();
    let mut sent: HashSet<String> = HashSet::new();
    letters.only_those_here().await?;
    // The first call starts counting.
    letters.died_again(&|_| false).await?;
    loop {
        let page = letters.next().await?;
        if page.is_empty() || stop.is_asked() {
            break;
        }
        let looked_at = page.len() as u64;
        let wanted: Vec<Letter> = page.into_iter().filter(|letter| filter.wants(letter)).collect();
        for chunk in wanted.chunks(pace.chunk()) {
            // Only between portions: one that has begun is in the audit, and is finished.
            tokio::select! {
                biased;
                () = stop.asked() => return Ok((report, Ok(()))),
                () = pace.wait(chunk.len()) => {}
            }
            let alone = audit.alone().await?;
            for letter in chunk {
                // A letter that waits for its turn is read twice, and one that is gone is not sent.
                if letters.is_there(letter).await? && sent.insert(letter.death.id.clone()) {
                    audit.write("redrive", &note, letter)?;
                }
            }
            drop(alone);
            let Moved { moved, failed, perhaps_twice } = letters.send_back(chunk.to_vec()).await?;
            report.moved.moved += moved;
            progress(Progress::Done(moved));
            report.moved.failed.extend(failed);
            report.moved.perhaps_twice.extend(perhaps_twice);
            report.died_again += letters.died_again(&|id| sent.contains(id)).await?;
            let failures = report.moved.failed.len() as u64 + report.died_again;
            if limits.max_failures.is_some_and(|most| failures > most) {
                report.stopped = true;
                // Letters that were not read may have what the operator named.
                return Ok((report, Ok(())));
            }
        }
        progress(Progress::LookedAt(looked_at));
    }
    report.moved.failed.extend(letters.unreached());
    // Letters that were not read may have what the operator named.
    let known = if stop.is_asked() { Ok(()) } else { filter.check(found) };
    Ok((report, known))
}
