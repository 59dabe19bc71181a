//! `replay`: sends archived events again, or compares another build on them.

use indicatif::ProgressBar;
use towpath_archive::Limit;
use towpath_compose::{engine, signals};
use towpath_operate::archive::{Named, Progress};
use towpath_operate::dlq::diff::NewBuild;
use towpath_operate::json;
use towpath_operate::place::Found;
use towpath_operate::replay::compare::{Row, compare};
use towpath_operate::replay::{Conditions, Listed, Plan, Report, Request, Run, State, list, plan};

use towpath_types::clock::Clock;

use super::archive::skipped;
use crate::args::{QueuePlace, Replay, ReplayCommand};
use crate::case;
use crate::output::{Exit, Output};
use crate::reading::Reading;

/// How many groups with later events are named.
const NAMED: usize = 10;

const DROPPED: &str = "events that the archive dropped are neither replayed nor counted as later: check towpath.archive.dropped for this time";

pub(super) async fn run(args: Replay, output: &Output) -> anyhow::Result<Exit> {
    if let Some(ReplayCommand::List { place }) = &args.command {
        return listed(place, output).await;
    }
    let found = Found::find(&args.place.wanted()).await?;
    let reading = Reading::narrowed(output, args.filter.since.is_some() || args.resume.is_some());
    let progress: Progress<'_> = &|files| reading.show(files);
    if let Some(run) = &args.resume {
        let (run, plan) = Run::resume(
            &found,
            run,
            |request| {
                request.overtaken |= args.overtaken;
                request.per_second = args.rate.map(|rate| rate.per_second()).or(request.per_second);
            },
            progress,
        )
        .await?;
        tell_plan(&plan, output);
        if run.late() > 0 {
            let late = run.late();
            output.note(format!("left out: {late} that reached the archive after later events were sent"));
        }
        return send(run, &args.place, output).await;
    }
    if let Some(at) = args.plugin {
        let new = NewBuild { at, name: args.name };
        let conditions = Conditions::of(&args.filter.wanted(Limit::All));
        return compared(&found, &args.archive.wanted(), &conditions, new, progress, output).await;
    }
    let now = Clock::wall().now();
    let mut conditions = Conditions::of(&args.filter.wanted(Limit::All));
    if !conditions.is_everything() {
        // What arrives from now on is not part of the run, nor of one that goes on with it.
        conditions.until = Some(conditions.until.map_or(now, |until| until.min(now)));
    }
    let request = Request {
        conditions,
        archive: args.archive.wanted(),
        to: args.to,
        new_ids: args.new_ids,
        overtaken: args.overtaken,
        per_second: args.rate.map(|rate| rate.per_second()),
        note: args.note,
    };
    let plan = plan(&found, &request, None, progress).await?;
    if args.plan {
        if output.is_json() {
            output.json(&json::ReplayPlan::of(&plan));
        } else {
            plan_lines(&plan).iter().for_each(|line| output.line(line));
        }
        return Ok(Exit::Done);
    }
    tell_plan(&plan, output);
    if plan.events == 0 {
        output.note("nothing to send");
        if output.is_json() {
            output.json(&json::ReplayPlan::of(&plan));
        }
        return Ok(Exit::Done);
    }
    send(Run::start(&found, request, &plan, progress).await?, &args.place, output).await
}

async fn send(run: Run<'_>, place: &QueuePlace, output: &Output) -> anyhow::Result<Exit> {
    output.note(format!("replay {}: sending {} events", run.name(), run.left()));
    let bar: ProgressBar = output.progress(run.left(), "replay");
    let shown = bar.clone();
    let stop = async {
        if let Err(error) = signals::first().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot wait for Ctrl-C");
            std::future::pending::<()>().await;
        }
    };
    let mut stop = std::pin::pin!(stop);
    let report = run.go(stop.as_mut(), move |sent| shown.inc(sent)).await;
    bar.finish_and_clear();
    let report = report?;
    if output.is_json() {
        output.json(&json::Replayed::of(&report));
    }
    Ok(tell(&report, place, output))
}

fn tell(report: &Report, place: &QueuePlace, output: &Output) -> Exit {
    let record = &report.record;
    output.say(format!("replay {}: sent {} of {} events", record.run, record.sent, record.events));
    let go_on = format!("`towpath replay --resume {}{}` goes on", record.run, place.options());
    match &record.state {
        State::Stopped => {
            output.note(format!("stopped: what was sent stays sent; {go_on}"));
            Exit::Interrupted
        }
        State::Failed(problem) => {
            output.note(format!("stopped: an event could not be sent: {problem}; {go_on}"));
            Exit::Findings
        }
        State::Running | State::Complete => Exit::Done,
    }
}

fn tell_plan(plan: &Plan, output: &Output) {
    plan_lines(plan).iter().for_each(|line| output.note(line));
}

fn plan_lines(plan: &Plan) -> Vec<String> {
    let mut lines = vec![format!("{} events of {} groups, {} bytes", plan.events, plan.groups, plan.bytes)];
    lines.extend(plan.sent.map(|[first, last]| format!("first stored from {first} to {last}")));
    for (count, why) in [
        (plan.redacted, "redacted: their bodies are not complete"),
        (plan.replays, "replays of archived events"),
        (plan.unrouted, "without a route in the config"),
    ] {
        if count > 0 {
            lines.push(format!("left out: {count} {why}"));
        }
    }
    if !plan.overtaken.is_empty() {
        lines.push(format!("groups with later events: {}", plan.overtaken.len()));
    }
    for group in plan.overtaken.iter().take(NAMED) {
        lines.push(format!("  {}: {} delivered later, {} waiting", group.group, group.delivered, group.waiting));
    }
    if plan.overtaken.len() > NAMED {
        lines.push(format!("  and {} more", plan.overtaken.len() - NAMED));
    }
    if !plan.knows_waiting {
        lines.push("SQS does not list waiting messages: later events that still wait are not counted".to_owned());
    }
    if plan.lags {
        lines.push("events reach S3 after a minute or more: those that were delivered last are not counted".to_owned());
        lines.push(DROPPED.to_owned());
    }
    if plan.damaged > 0 {
        lines.push(skipped(plan.damaged));
    }
    lines
}

async fn compared(
    found: &Found,
    named: &Named,
    conditions: &Conditions,
    new: NewBuild,
    progress: Progress<'_>,
    output: &Output,
) -> anyhow::Result<Exit> {
    if new.at.is_dir() {
        super::plugin::build_if_stale(&new.at, output)?;
    }
    let mut rows = Vec::new();
    let differs = |row: Row| {
        if output.is_json() {
            rows.push(row);
            return;
        }
        output.line(format!("{} {}: {}", row.message_id, row.group, row.difference));
        output.diff(&case::pretty(&row.now), &case::pretty(&row.new));
    };
    let compared = tokio::select! {
        compared = compare(found, named, conditions, engine(1)?, &new, progress, differs) => compared?,
        signal = signals::first() => {
            signal?;
            output.note("interrupted");
            return Ok(Exit::Interrupted);
        }
    };
    if output.is_json() {
        output.json(&json::Compared { compared: &compared, rows: &rows });
    }
    output.say(format!("{}: {} events compared, {} differ", compared.plugin, compared.events, compared.differ));
    if compared.left_out > 0 {
        output.say(format!("left out: {} that are redacted or cannot be read", compared.left_out));
    }
    if compared.damaged > 0 {
        output.say(skipped(compared.damaged));
    }
    Ok(if compared.differ == 0 { Exit::Done } else { Exit::Findings })
}

async fn listed(place: &QueuePlace, output: &Output) -> anyhow::Result<Exit> {
    let found = Found::find(&place.wanted()).await?;
    let runs = list(&found)?;
    if output.is_json() {
        output.json(&runs.iter().map(json::ReplayRun::of).collect::<Vec<_>>());
        return Ok(Exit::Done);
    }
    if runs.is_empty() {
        output.line("nothing was replayed here");
        return Ok(Exit::Done);
    }
    let row = |Listed { record, is_interrupted }: &Listed| {
        let state = if *is_interrupted { "interrupted" } else { record.state.name() };
        vec![
            record.run.clone(),
            record.started_at.to_string(),
            record.by.clone(),
            state.to_owned(),
            format!("{}/{}", record.sent, record.events),
            record.request.note.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    output.table(&["RUN", "STARTED", "BY", "STATE", "SENT", "NOTE"], &rows);
    Ok(Exit::Done)
}
