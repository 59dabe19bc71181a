//! `dlq redrive`: dead letters go back to the queue that they came from, in order.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use anyhow::bail;
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};
use towpath_operate::audit::Audit;
use towpath_operate::letters::{Letter, Letters, Moved};
use towpath_operate::place::Found;
use towpath_types::clock::{Clock, Timestamp};

use super::filter::Filter;
use super::{interrupted, with_letters};
use crate::args::DlqRedrive;
use crate::output::{Exit, Output};

/// What would be sent back.
#[derive(Debug, Default, Serialize)]
struct Plan {
    letters: u64,
    groups: usize,
    oldest: Option<Timestamp>,
    /// Letters by reason.
    reasons: BTreeMap<String, u64>,
    /// Letters that go along because they were parked behind one of these.
    parked_along: u64,
    /// Targets of these letters that are on hold: what is sent back waits there.
    held_targets: BTreeSet<String>,
    /// The targets that these letters met.
    #[serde(skip)]
    targets: BTreeSet<String>,
}

/// What was done, and whether something was asked for that there is not.
type Done<T> = (T, anyhow::Result<()>);

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Report {
    #[serde(flatten)]
    moved: Moved,
    /// Letters that were sent back and died again while this ran.
    died_again: u64,
    stopped: bool,
}

pub(super) async fn run(args: DlqRedrive, output: &Output) -> anyhow::Result<Exit> {
    let filter = Filter::new(args.filter.clone(), args.ids.clone());
    if filter.is_everything() && !args.all {
        bail!("which letters? give ids, a filter such as --reason refused, or --all");
    }
    let place = args.place.clone();
    let to = args.to.clone();
    if args.plan {
        let planned = with_letters(&place, to.as_deref(), |found, letters| Box::pin(plan(found, letters, filter)));
        let Some((plan, known)) = planned.await? else { return Ok(interrupted(output)) };
        known?;
        show(&plan, output);
        return Ok(Exit::Done);
    }
    let shown = *output;
    let work =
        with_letters(&place, to.as_deref(), |found, letters| Box::pin(redrive(found, letters, filter, args, shown)));
    let Some((report, known)) = work.await? else {
        output.note("what was sent back is sent back; run the same command again for the rest");
        return Ok(Exit::Interrupted);
    };
    tell(&report, output);
    known?;
    let fine = report.moved.failed.is_empty() && report.died_again == 0 && !report.stopped;
    Ok(if fine { Exit::Done } else { Exit::Findings })
}

async fn plan(found: &Found, letters: &mut dyn Letters, mut filter: Filter) -> anyhow::Result<Done<Plan>> {
    let mut plan = Plan::default();
    let (mut groups, mut parked) = (HashSet::new(), BTreeMap::<_, u64>::new());
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
        }
    }
    plan.groups = groups.len();
    plan.parked_along = parked.into_iter().filter(|(group, _)| groups.contains(group)).map(|(_, count)| count).sum();
    // A place without holds has none.
    if let Ok(holds) = found.holds().await {
        let (state, now) = (holds.read().await?, Clock::wall().now());
        let configured = found.config.iter().flat_map(|config| config.targets.values());
        let configured = configured.filter(|target| target.hold).map(|target| target.name.clone());
        let held = state.holds.keys().filter(|name| state.hold(name, now).is_some()).cloned().chain(configured);
        // A letter that never met a target may be for any.
        plan.held_targets = held.filter(|name| plan.targets.is_empty() || plan.targets.contains(name)).collect();
    }
    Ok((plan, filter.check(found)))
}

async fn redrive(
    found: &Found,
    letters: &mut dyn Letters,
    mut filter: Filter,
    args: DlqRedrive,
    output: Output,
) -> anyhow::Result<Done<Report>> {
    let (audit, count) = (Audit::of(found), letters.count().await?);
    let bar = output.progress(count, "redrive");
    let mut pace = Pace::new(args.rate.map(|rate| rate.per_second()));
    let mut report = Report::default();
    let mut sent: HashSet<String> = HashSet::new();
    // From here on it is watched what dies.
    letters.died_again(&|_| false).await?;
    loop {
        let page = letters.next().await?;
        if page.is_empty() {
            break;
        }
        let looked_at = page.len() as u64;
        let wanted: Vec<Letter> = page.into_iter().filter(|letter| filter.wants(letter)).collect();
        for chunk in wanted.chunks(pace.chunk()) {
            pace.wait(chunk.len()).await;
            for letter in chunk {
                // One that has to wait for its turn is met again.
                if sent.insert(letter.death.id.clone()) {
                    audit.write("redrive", "", letter)?;
                }
            }
            let Moved { moved, failed, perhaps_twice } = letters.send_back(chunk.to_vec()).await?;
            report.moved.moved += moved;
            report.moved.failed.extend(failed);
            report.moved.perhaps_twice.extend(perhaps_twice);
            report.died_again += letters.died_again(&|id| sent.contains(id)).await?;
            let failures = report.moved.failed.len() as u64 + report.died_again;
            if args.max_failures.is_some_and(|most| failures > most) {
                report.stopped = true;
                bar.finish_and_clear();
                // What was not looked at may have what was asked for.
                return Ok((report, Ok(())));
            }
        }
        advance(&bar, looked_at);
    }
    bar.finish_and_clear();
    report.moved.failed.extend(letters.unreached());
    Ok((report, filter.check(found)))
}

fn advance(bar: &ProgressBar, by: u64) {
    bar.set_position((bar.position() + by).min(bar.length().unwrap_or(u64::MAX)));
}

/// So many letters a second, in small portions.
struct Pace {
    per_second: Option<f64>,
    next: Instant,
}

impl Pace {
    fn new(per_second: Option<f64>) -> Pace {
        Pace { per_second, next: Instant::now() }
    }

    /// How many letters go at once: what a tenth of a second has room for, and one at least.
    fn chunk(&self) -> usize {
        self.per_second.map_or(100, |rate| (rate / 10.0).clamp(1.0, 100.0) as usize)
    }

    async fn wait(&mut self, letters: usize) {
        let Some(rate) = self.per_second else { return };
        sleep_until(self.next).await;
        let space = Duration::try_from_secs_f64(letters as f64 / rate).unwrap_or(Duration::MAX);
        self.next = Instant::now().checked_add(space).unwrap_or(self.next);
    }
}

fn show(plan: &Plan, output: &Output) {
    if output.is_json() {
        output.json(plan);
        return;
    }
    let oldest = plan.oldest.map_or("-".to_owned(), |oldest| oldest.to_string());
    output
        .line(format!("would send back {} letters of {} groups, the oldest from {oldest}", plan.letters, plan.groups));
    for (reason, count) in &plan.reasons {
        output.line(format!("  {reason}: {count}"));
    }
    if plan.parked_along > 0 {
        output.line(format!("and {} that are parked behind them, in order", plan.parked_along));
    }
    for target in &plan.held_targets {
        output.line(format!("target {target} is on hold: what is for it waits there"));
    }
}

fn tell(report: &Report, output: &Output) {
    if output.is_json() {
        output.json(report);
        return;
    }
    output.line(format!("sent back: {}", report.moved.moved));
    for (id, problem) in &report.moved.failed {
        output.line(format!("not sent back: {id}: {problem}"));
    }
    for id in &report.moved.perhaps_twice {
        output.line(format!(
            "perhaps twice: {id}: an earlier redrive was cut off while sending it; both carry the same webhook-id"
        ));
    }
    if report.died_again > 0 {
        output.line(format!("died again meanwhile: {}", report.died_again));
    }
    if report.stopped {
        output.line("stopped at --max-failures; the other letters are where they were");
    }
}
