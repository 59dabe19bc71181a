//! `status`: targets with their holds and breakers, and what waits.

use towpath_operate::json;
use towpath_operate::place::Found;
use towpath_operate::status::{ArchiveSize, Status, TargetStatus, Wanted, status};
use towpath_types::clock::{Clock, Timestamp};

use super::archive::size;
use crate::args;
use crate::output::{Exit, Output};

pub(super) async fn run(args: args::Status, output: &Output) -> anyhow::Result<Exit> {
    let found = Found::find(&args.place.wanted()).await?;
    let status = status(&found, Wanted { groups: Some(args.groups), archive: Some(&ArchiveSize::default()) }).await?;
    if output.is_json() {
        output.json(&json::Status::of(&status))
    } else {
        show(&status, output)
    }
    Ok(Exit::Done)
}

fn show(status: &Status, output: &Output) {
    let now = Clock::wall().now();
    let rows = status.targets.iter().map(|target| vec![target.name.clone(), target.state.to_owned(), why(target, now)]);
    output.table(&["TARGET", "STATE", ""], &rows.collect::<Vec<_>>());
    if let Some(problem) = &status.holds_problem {
        output.line(format!("holds and breakers unreadable: {problem}"));
    }
    output.line("");
    let rows = [("events", status.queue.as_ref()), ("dead letters", Some(&status.dead_letters))];
    let rows = rows.into_iter().filter_map(|(name, waiting)| {
        let waiting = waiting?;
        let groups = waiting.groups.map_or("-".to_owned(), |groups| groups.to_string());
        let oldest = waiting.oldest.map_or("-".to_owned(), |oldest| age(oldest, now));
        Some(vec![name.to_owned(), waiting.messages.to_string(), waiting.invisible.to_string(), groups, oldest])
    });
    output.table(&["QUEUE", "MESSAGES", "IN FLIGHT OR DELAYED", "GROUPS", "OLDEST"], &rows.collect::<Vec<_>>());
    if let Some(archive) = &status.archive {
        let oldest =
            archive.ended.map_or(String::new(), |[oldest, _]| format!(", the oldest {} old", age(oldest, now)));
        output.line(format!("archive: {} events, {}{oldest}", archive.events, size(archive)));
    }
    if let Some(problem) = &status.archive_problem {
        output.line(format!("archive unreadable: {problem}"));
    }
    let Some(groups) = status.groups.as_ref().filter(|groups| !groups.is_empty()) else { return };
    output.line("");
    let rows = groups.iter().map(|group| {
        let next = if group.ready_at > now {
            format!("in {}", humantime::format_duration(whole(group.ready_at.since(now))))
        } else {
            "now".to_owned()
        };
        let receives = group.receive_count.to_string();
        vec![group.group.to_string(), group.messages.to_string(), age(group.oldest, now), receives, next]
    });
    output.table(&["GROUP", "WAITING", "OLDEST", "RECEIVES", "NEXT"], &rows.collect::<Vec<_>>());
}

fn why(target: &TargetStatus, now: Timestamp) -> String {
    let mut parts = Vec::new();
    if let Some(hold) = &target.hold {
        let until = hold.until.map_or(String::new(), |until| format!(", until {until}"));
        let by = if hold.by.is_empty() { String::new() } else { format!(" by {}", hold.by) };
        let reason = if hold.reason.is_empty() { String::new() } else { format!(": {}", hold.reason) };
        parts.push(format!("for {}{by}{until}{reason}", age(hold.since, now)));
    }
    if let Some(within) = target.checked_within {
        let within = humantime::format_duration(whole(within));
        parts.push(format!("what waits is checked every {within}"));
    }
    if target.held_by_config {
        parts.push("hold = true in the config".to_owned());
    }
    if let Some(breaker) = &target.breaker {
        let probe = breaker.probe_at.filter(|at| *at > now);
        let probe = probe.map_or(String::new(), |at| format!(", probed at {at}"));
        parts.push(format!("breaker open since {}{probe}", breaker.at));
    }
    if let Some(drain) = &target.drain {
        parts.push(format!("draining what was stored before {} at {}/s", drain.at, drain.per_second));
    }
    parts.join("; ")
}

fn age(since: Timestamp, now: Timestamp) -> String {
    humantime::format_duration(whole(now.since(since))).to_string()
}

fn whole(duration: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_secs(duration.as_secs())
}
