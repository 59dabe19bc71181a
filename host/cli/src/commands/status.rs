//! `status`: targets with their holds and breakers, what waits, and how long already.

use serde::Serialize;
use towpath_engine::decide::HELD_CAP;
use towpath_local::GroupDepth;
use towpath_operate::place::{Backend, Found};
use towpath_operate::waiting::Waiting;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::holds::{BreakerReport, Drain, Hold, HoldState};
use towpath_types::queue::{MAX_RETENTION, QueueLimits};

use crate::args;
use crate::output::{Exit, Output};

/// Everything that is shown.
#[derive(Serialize)]
struct Status {
    targets: Vec<Target>,
    queue: Option<Waiting>,
    dead_letters: Waiting,
    /// The groups with the most messages; SQS cannot tell them.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<GroupDepth>>,
    /// Why the holds are not known, if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    holds_problem: Option<String>,
}

#[derive(Serialize)]
struct Target {
    name: String,
    /// `ok`, `held`, `breaker open` or `draining`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<Hold>,
    /// Within how many seconds hosts look at a message again that has waited since the hold began.
    #[serde(skip_serializing_if = "Option::is_none")]
    looked_at_within_s: Option<u64>,
    held_by_config: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    drain: Option<Drain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<BreakerReport>,
}

pub(super) async fn run(args: args::Status, output: &Output) -> anyhow::Result<Exit> {
    let found = Found::find(&args.place.wanted()).await?;
    let (state, reports, holds_problem) = match known(&found).await {
        Ok((state, reports)) => (state, reports, None),
        Err(problem) => (HoldState::default(), Vec::new(), Some(format!("{problem:#}"))),
    };
    let limits = match state.holds.is_empty() {
        true => QueueLimits::LOCAL,
        false => found.backend.limits().await.unwrap_or(QueueLimits::ASSUMED),
    };
    let (queue, dead_letters) = (found.backend.events().await?, found.backend.dead_letters().await?);
    let groups = match &found.backend {
        Backend::Local(queues) => Some(queues.events.groups(args.groups).await?),
        Backend::Sqs { .. } => None,
    };
    let targets = targets(&found, &state, &reports, limits, queue.as_ref());
    let status = Status { targets, queue, dead_letters, groups, holds_problem };
    match output.is_json() {
        true => output.json(&status),
        false => show(&status, output),
    }
    Ok(Exit::Done)
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
) -> Vec<Target> {
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
        let within = |hold: &Hold| limits.look_within(now.since(hold.since), HELD_CAP).as_secs();
        let looked_at_within_s = hold.as_ref().map(within);
        Target { name, state: state_of, hold, looked_at_within_s, held_by_config, drain, breaker }
    };
    names(found, state).into_iter().map(target).collect()
}

/// Whether messages from before a drain may still wait. Where the queue does not tell how old its oldest message is, as SQS
/// does not, they may as long as anything waits that SQS would not have forgotten.
fn is_going_on(drain: Drain, queue: Option<&Waiting>, now: Timestamp) -> bool {
    match queue {
        Some(Waiting { oldest: Some(oldest), .. }) => *oldest <= drain.at,
        Some(Waiting { messages: 0, .. }) => false,
        _ => now.since(drain.at) < MAX_RETENTION,
    }
}

fn show(status: &Status, output: &Output) {
    let now = Clock::wall().now();
    let rows = status.targets.iter().map(|target| vec![target.name.clone(), target.state.to_owned(), why(target, now)]);
    output.table(&["TARGET", "STATE", ""], &rows.collect::<Vec<_>>());
    if let Some(problem) = &status.holds_problem {
        output.line(format!("holds and breakers are not known: {problem}"));
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
    let Some(groups) = status.groups.as_ref().filter(|groups| !groups.is_empty()) else { return };
    output.line("");
    let rows = groups.iter().map(|group| {
        let next = match group.ready_at > now {
            true => format!("in {}", humantime::format_duration(whole(group.ready_at.since(now)))),
            false => "now".to_owned(),
        };
        let receives = group.receive_count.to_string();
        vec![group.group.to_string(), group.messages.to_string(), age(group.oldest, now), receives, next]
    });
    output.table(&["GROUP", "WAITING", "OLDEST", "RECEIVES", "NEXT"], &rows.collect::<Vec<_>>());
}

fn why(target: &Target, now: Timestamp) -> String {
    let mut parts = Vec::new();
    if let Some(hold) = &target.hold {
        let until = hold.until.map_or(String::new(), |until| format!(", until {until}"));
        let by = if hold.by.is_empty() { String::new() } else { format!(" by {}", hold.by) };
        let reason = if hold.reason.is_empty() { String::new() } else { format!(": {}", hold.reason) };
        parts.push(format!("for {}{by}{until}{reason}", age(hold.since, now)));
    }
    if let Some(seconds) = target.looked_at_within_s {
        let within = humantime::format_duration(std::time::Duration::from_secs(seconds));
        parts.push(format!("what waits is looked at every {within}"));
    }
    if target.held_by_config {
        parts.push("hold = true in the config".to_owned());
    }
    if let Some(breaker) = &target.breaker {
        let probe = breaker.probe_at.filter(|at| *at > now);
        let probe = probe.map_or(String::new(), |at| format!(", tried again at {at}"));
        parts.push(format!("breaker open since {}{probe}", breaker.at));
    }
    if let Some(drain) = &target.drain {
        parts.push(format!("what was stored before {} is drained at {}/s", drain.at, drain.per_second));
    }
    parts.join("; ")
}

fn age(since: Timestamp, now: Timestamp) -> String {
    humantime::format_duration(whole(now.since(since))).to_string()
}

fn whole(duration: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_secs(duration.as_secs())
}
