//! `group`: which groups wait and why, and what an operator does to one.

use anyhow::Context as _;
use towpath_local::Standing;
use towpath_operate::groups::{self, Action, Done, GroupError, Wanted};
use towpath_operate::json;
use towpath_operate::place::Found;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::queue::{GroupId, MessageId};

use super::dlq::short;
use crate::args::{Group, GroupAct, GroupList, QueuePlace};
use crate::output::{Exit, Output};

pub(super) async fn run(args: Group, output: &Output) -> anyhow::Result<Exit> {
    match args {
        Group::List(args) => list(args, output).await,
        Group::Show { group, place } => show(&group, &place, output).await,
        Group::Retry(args) => act(Action::Retry, args, output).await,
        Group::DeadLetter(args) => act(Action::DeadLetter, args, output).await,
        Group::Park(args) => act(Action::Park, args, output).await,
    }
}

async fn list(args: GroupList, output: &Output) -> anyhow::Result<Exit> {
    let found = Found::find(&args.place.wanted()).await?;
    let after = args.after.as_deref().map(str::parse).transpose()?;
    let wanted = Wanted { begins: args.begins, after, limit: args.limit.into() };
    let Some(page) = groups::list(&found, wanted).await? else {
        return Err(GroupError::OnSqs.into());
    };
    if output.is_json() {
        output.json(&json::Groups::of(&page));
        return Ok(Exit::Done);
    }
    if page.groups.is_empty() {
        output.line("nothing waits");
        return Ok(Exit::Done);
    }
    let now = Clock::wall().now();
    let row = |group: &groups::Group| {
        let head = &group.head;
        vec![
            head.group.to_string(),
            group.state().to_owned(),
            short(group.message_id().as_str()),
            age(head.sent_at, now),
            head.receive_count.to_string(),
            next(group, now),
            behind(group),
            group.last.as_ref().map(towpath_operate::story::Entry::detail).unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = page.groups.iter().map(row).collect();
    output.table(&["GROUP", "STATE", "HEAD", "AGE", "RECEIVES", "NEXT", "BEHIND", "LAST PASS"], &rows);
    if let Some(next) = &page.next {
        output.note(format!("there are more: --after '{}'", next.to_string().replace('\'', "'\\''")));
    }
    Ok(Exit::Done)
}

async fn show(group: &str, place: &QueuePlace, output: &Output) -> anyhow::Result<Exit> {
    let found = Found::find(&place.wanted()).await?;
    let id = GroupId::from(group);
    let group = groups::show(&found, &id).await?.ok_or(GroupError::Nothing(id))?;
    if output.is_json() {
        output.json(&json::Group::of(&group));
        return Ok(Exit::Done);
    }
    let now = Clock::wall().now();
    output.line(format!("{}: {}", group.head.group, group.state()));
    output.line(format!(
        "  head {}, stored {} ago, received {} times",
        group.message_id(),
        age(group.head.sent_at, now),
        group.head.receive_count
    ));
    output.line(format!("  next try {}, {} behind it", next(&group, now), behind(&group)));
    if let Some(last) = &group.last {
        output.line(format!("  last pass: {}, {}", last.what(), last.detail()));
    }
    for action in [Action::Retry, Action::DeadLetter, Action::Park] {
        output.line(format!("  {}: {}", action.as_str(), action.consequence(&group)));
    }
    Ok(Exit::Done)
}

async fn act(action: Action, args: GroupAct, output: &Output) -> anyhow::Result<Exit> {
    let GroupAct { group, note, head, place } = args;
    let found = Found::find(&place.wanted()).await?;
    let group = GroupId::from(group);
    let head = head.map(MessageId::from);
    let done = match action {
        Action::Retry => groups::retry(&found, &group, head.as_ref(), &note).await,
        Action::DeadLetter => groups::dead_letter(&found, &group, head.as_ref(), &note).await,
        Action::Park => groups::park(&found, &group, head.as_ref(), &note).await,
    };
    let done = done.with_context(|| format!("{} {group}", action.as_str()))?;
    if output.is_json() {
        output.json(&json::GroupAction::of(&done));
    } else {
        said(&done, output);
    }
    Ok(if done.is_rest { Exit::Findings } else { Exit::Done })
}

fn said(done: &Done, output: &Output) {
    let Done { action, group, messages, is_rest } = done;
    let head = group.message_id();
    match action {
        Action::Retry => output.line(format!("{head} is retried now")),
        Action::DeadLetter => {
            output.line(format!("{head} is a dead letter; {}", action.consequence(group)));
        }
        Action::Park => output.line(format!("{messages} messages of {} are parked, in order", group.head.group)),
    }
    if *is_rest {
        output.note("a host took the next message of the group meanwhile: hosts park it and those behind it");
    }
}

fn next(group: &groups::Group, now: Timestamp) -> String {
    match group.head.standing {
        Standing::Ready => "now".to_owned(),
        _ => format!("in {}", span(group.head.ready_at, now)),
    }
}

fn behind(group: &groups::Group) -> String {
    let more = if group.head.behind >= towpath_local::MOST_BEHIND { "+" } else { "" };
    format!("{}{more}", group.head.behind)
}

fn age(since: Timestamp, now: Timestamp) -> String {
    span(now, since)
}

fn span(later: Timestamp, earlier: Timestamp) -> String {
    let whole = std::time::Duration::from_secs(later.since(earlier).as_secs());
    humantime::format_duration(whole).to_string()
}
