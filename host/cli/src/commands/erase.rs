//! `erase`: erases a person's events, or shows what would be erased.

use towpath_operate::erase::{Counts, Earlier, Expires, Plan, Report, Request, Unreachable, plan, run as erase};
use towpath_operate::json;
use towpath_operate::place::Found;

use crate::args::Erase;
use crate::output::{Exit, Output};

pub(super) async fn run(args: Erase, output: &Output) -> anyhow::Result<Exit> {
    let found = Found::find(&args.place.wanted()).await?;
    let request = args.wanted();
    if args.yes { erased(&found, &request, output).await } else { planned(&found, &request, output).await }
}

async fn planned(found: &Found, request: &Request, output: &Output) -> anyhow::Result<Exit> {
    let plan = plan(found, request).await?;
    if output.is_json() {
        output.json(&json::ErasurePlan::of(&plan));
    }
    let Plan { counts, in_flight, unreachable, interrupted, unknown_group } = &plan;
    table(counts, "FOUND", output);
    if *in_flight > 0 {
        output.say(format!("{in_flight} of those that wait are being delivered now: --yes waits for them"));
    }
    beyond(unreachable, output);
    if let Some((by, started_at)) = interrupted {
        output.note(format!("an erasure that {by} started at {started_at} was interrupted: --yes completes it first"));
    }
    check(unknown_group.as_deref(), output);
    output.note("nothing was erased: --yes erases it");
    Ok(Exit::Done)
}

async fn erased(found: &Found, request: &Request, output: &Output) -> anyhow::Result<Exit> {
    let bar = output.progress(0, "erasing");
    let shown = bar.clone();
    let progress = |what, done, all| {
        shown.set_message(what);
        shown.set_length(all);
        shown.set_position(done);
    };
    let report = erase(found, request, &progress).await;
    bar.finish_and_clear();
    let report = report?;
    if output.is_json() {
        output.json(&json::Erasure::of(&report));
    }
    table(&report.erased, "ERASED", output);
    beyond(&report.unreachable, output);
    if let Some(Earlier { by, started_at, erased, .. }) = &report.earlier {
        let erased = erased.sum();
        output.note(format!("completed the erasure that {by} started at {started_at} first: {erased} erased, which are not counted above"));
    }
    check(report.unknown_group.as_deref(), output);
    let left = left(&report);
    left.iter().for_each(|line| output.note(line));
    Ok(if report.is_complete() { Exit::Done } else { Exit::Findings })
}

fn check(unknown_group: Option<&str>, output: &Output) {
    if let Some(group) = unknown_group {
        output.note(format!("no route of the config makes a group {group:?}: check its name"));
    }
}

/// What is left on this machine, and what to do about it.
fn left(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    if !report.searched_queues {
        lines.push("the queues are on SQS, and were not searched: `towpath dlq drop` deletes dead letters".to_owned());
    }
    if report.in_flight > 0 {
        lines.push(format!("{} are still being delivered, and were not erased: run it again", report.in_flight));
    }
    if report.arrived > 0 {
        lines.push(format!("{} arrived meanwhile: stop the sender, and run it again", report.arrived));
    }
    if let Some(bytes) = report.too_large {
        lines.push(format!(
            "the store was not rewritten, so deleted bytes are left in its file: {} MiB of it are in use, and hosts would wait for seconds; \
             run it again when less waits, or with --accept-pause",
            bytes >> 20
        ));
    }
    lines
}

fn table(counts: &Counts, header: &str, output: &Output) {
    if output.is_json() {
        return;
    }
    let Counts { waiting, dead_letters, refused, other_queues, archived, story, audit, replays } = *counts;
    let rows = [
        ("waiting to be delivered", waiting),
        ("dead letters", dead_letters),
        ("turned away by ingest", refused),
        ("queues of SQS clients", other_queues),
        ("archive", archived),
        ("lines of the story", story),
        ("entries of the audit", audit),
        ("files of replays", replays),
    ];
    let rows: Vec<Vec<String>> = rows.iter().map(|(what, count)| vec![(*what).to_owned(), count.to_string()]).collect();
    output.table(&["WHERE", header], &rows);
}

fn beyond(unreachable: &[Unreachable], output: &Output) {
    if output.is_json() {
        return;
    }
    let row = |unreachable: &Unreachable| {
        let expires = match &unreachable.expires {
            Expires::By(at) => at.to_string(),
            Expires::As(how) => (*how).to_owned(),
            Expires::Unknown => "not known".to_owned(),
        };
        vec![unreachable.what.clone(), expires]
    };
    output.line("");
    output.table(&["NOT ERASED", "EXPIRES BY"], &unreachable.iter().map(row).collect::<Vec<_>>());
}
