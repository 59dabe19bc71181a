//! `dlq redrive`: sends dead letters back to the queue that they came from, in order.

use std::sync::{Arc, OnceLock};

use anyhow::bail;
use indicatif::ProgressBar;
use towpath_operate::dlq::filter::Filter;
use towpath_operate::dlq::redrive::{Limits, Orders, Plan, Progress, Report, plan, redrive};
use towpath_operate::json;
use towpath_operate::letters::NotSentBack;
use towpath_operate::stop::Stop;

use super::{interrupted, with_letters};
use crate::args::DlqRedrive;
use crate::hints;
use crate::output::{Exit, Output};

pub(super) async fn run(args: DlqRedrive, output: &Output) -> anyhow::Result<Exit> {
    let filter = Filter::new(args.filter.wanted(), args.ids.clone());
    if filter.is_everything() && !args.all {
        bail!("no letters selected: give ids, a filter such as --reason refused, or --all");
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
    let limits = Limits { per_second: args.rate.map(|rate| rate.per_second()), max_failures: args.max_failures };
    let orders = Orders { limits, note: args.note, stop: Stop::default() };
    let bar = Bar::new(*output);
    let shown = bar.clone();
    let progress = move |progress| shown.advance(progress);
    let work = with_letters(&place, to.as_deref(), |found, letters| {
        Box::pin(redrive(found, letters, filter, orders, progress))
    });
    let done = work.await;
    bar.clear();
    let Some((report, known)) = done? else {
        output.note("interrupted: what was sent back stays sent; run the same command again for the rest");
        return Ok(Exit::Interrupted);
    };
    tell(&report, output);
    known?;
    let fine = report.moved.failed.is_empty() && report.died_again == 0 && !report.stopped;
    Ok(if fine { Exit::Done } else { Exit::Findings })
}

/// Shows how far a redrive is, once the number of letters is known.
#[derive(Clone)]
struct Bar {
    output: Output,
    bar: Arc<OnceLock<ProgressBar>>,
}

impl Bar {
    fn new(output: Output) -> Bar {
        Bar { output, bar: Arc::default() }
    }

    fn advance(&self, progress: Progress) {
        match (progress, self.bar.get()) {
            (Progress::Of(count), _) => {
                self.bar.get_or_init(|| self.output.progress(count, "redrive"));
            }
            (Progress::LookedAt(by), Some(bar)) => {
                bar.set_position((bar.position() + by).min(bar.length().unwrap_or(u64::MAX)));
            }
            (Progress::LookedAt(_), None) | (Progress::Done(_), _) => {}
        }
    }

    fn clear(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

fn show(plan: &Plan, output: &Output) {
    if output.is_json() {
        output.json(&json::Plan::of(plan));
        return;
    }
    let oldest = plan.oldest.map_or("-".to_owned(), |oldest| oldest.to_string());
    output
        .line(format!("would send back {} letters of {} groups, the oldest from {oldest}", plan.letters, plan.groups));
    for (reason, count) in &plan.reasons {
        output.line(format!("  {reason}: {count}"));
    }
    if plan.parked_along > 0 {
        output.line(format!("and {} more that are parked behind them, in order", plan.parked_along));
    }
    for target in &plan.held_targets {
        output.line(format!("target {target} is on hold: its messages will wait"));
    }
}

fn tell(report: &Report, output: &Output) {
    if output.is_json() {
        output.json(&json::Report::of(report));
        return;
    }
    output.line(format!("sent back: {}", report.moved.moved));
    for NotSentBack { id, problem, error } in &report.moved.failed {
        let hint = error.as_ref().map_or(String::new(), |error| format!("; {}", hints::of_letters(error)));
        output.line(format!("not sent back: {id}: {problem}{hint}"));
    }
    for id in &report.moved.perhaps_twice {
        output.line(format!(
            "perhaps sent twice: {id}: an earlier redrive was interrupted while sending it; both carry the same webhook-id"
        ));
    }
    if report.died_again > 0 {
        output.line(format!("dead-lettered again during the redrive: {}", report.died_again));
    }
    if report.stopped {
        output.line("stopped at --max-failures; the other letters are still in the dead-letter queue");
    }
}
