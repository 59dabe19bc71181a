//! `hold`, `resume`: take a target away for a release, and give it back.

use anyhow::Context as _;
use serde::Serialize;
use towpath_config::env;
use towpath_deliver::holds::MEMORY;
use towpath_engine::decide::HELD_CAP;
use towpath_operate::known::Known;
use towpath_operate::place::Found;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::holds::{Change, Drain, Hold, HoldState};
use towpath_types::queue::QueueLimits;

use crate::args;
use crate::output::{Exit, Output};

pub(super) async fn hold(args: args::Hold, output: &Output) -> anyhow::Result<Exit> {
    let found = Found::find(&args.place.wanted()).await?;
    check(&found, &args.target)?;
    if found.config.is_none() {
        output.note(format!("no config is here, so nobody checked that there is a target {}: --config", args.target));
    }
    let now = Clock::wall().now();
    let until = args.length.map(|length| now + length);
    let by = env::user().unwrap_or_default();
    let hold = Hold { since: now, until, reason: args.reason.unwrap_or_default(), by };
    let state = found.holds().await?.change(Change::Hold(args.target.clone(), hold)).await?;
    if output.is_json() {
        output.json(&state);
        return Ok(Exit::Done);
    }
    match args.length {
        Some(length) => {
            let length = humantime::format_duration(length);
            output.line(format!("{} is on hold for {length}; its messages wait, in order", args.target));
        }
        None => output.line(format!(
            "{} is on hold until `towpath resume {}`; its messages wait, in order",
            args.target, args.target
        )),
    }
    output.line("running hosts feel it within 10 seconds");
    Ok(Exit::Done)
}

pub(super) async fn resume(args: args::Resume, output: &Output) -> anyhow::Result<Exit> {
    let target = args.target.unwrap_or_default();
    let found = Found::find(&args.place.wanted()).await?;
    check(&found, &target)?;
    let now = Clock::wall().now();
    let drain = args.rate.map(|rate| Drain { at: now, per_second: rate.per_second() });
    let holds = found.holds().await?;
    let before = holds.read().await?;
    if found.config.is_none() {
        // Without a config these are all the targets that can be known.
        Known::new("target", before.holds.keys().chain(before.drains.keys()).cloned())
            .check(&target)
            .context("no config is here: give --config")?;
    }
    let was_held = before.hold(&target, now).cloned();
    let held_by_config = found.target(&target).is_some_and(|target| target.hold);
    let state = holds.change(Change::Resume(target.clone(), drain)).await?;
    let looks = match was_held {
        Some(hold) => Some(Looks::after(&found, &hold, now).await),
        None => None,
    };
    if output.is_json() {
        output.json(&Resumed { state, looks });
    }
    if held_by_config {
        let file = found.config.as_ref().map(|config| config.file.display().to_string()).unwrap_or_default();
        output.note(format!(
            "{target} stays on hold: {file} says `hold = true`; remove that and restart the hosts, and it is resumed"
        ));
        return Ok(Exit::Findings);
    }
    output.say(match looks {
        None => format!("{target} was not on hold"),
        Some(Looks { by, older_by }) if by == older_by => {
            format!("{target} is resumed; what waited comes by {by}, in order")
        }
        Some(Looks { by, older_by }) => format!(
            "{target} is resumed; what waited since the hold began comes by {by}, in order, what had waited before by {older_by} at the \
            latest"
        ),
    });
    if let Some(rate) = args.rate {
        output.say(format!("what was stored before now is drained at {rate}, by each running host"));
    }
    Ok(Exit::Done)
}

/// What `resume` prints as JSON.
#[derive(Serialize)]
struct Resumed {
    #[serde(flatten)]
    state: HoldState,
    #[serde(skip_serializing_if = "Option::is_none")]
    looks: Option<Looks>,
}

/// When hosts look again at what waits for a target that was on hold.
#[derive(Clone, Copy, Serialize)]
struct Looks {
    /// The latest time for messages that were stored while it was on hold.
    by: Timestamp,
    /// The latest time for messages that had already waited when the hold began.
    older_by: Timestamp,
}

impl Looks {
    async fn after(found: &Found, hold: &Hold, now: Timestamp) -> Looks {
        // Without permission to read the queue's attributes, the Terraform module's settings are assumed.
        let limits = found.backend.limits().await.unwrap_or(QueueLimits::ASSUMED);
        let within = |waited| MEMORY + limits.look_within(waited, HELD_CAP);
        Looks { by: now + within(now.since(hold.since)), older_by: now + within(limits.last_call()) }
    }
}

/// A target that the config does not have is a typo. Without a config nobody knows.
fn check(found: &Found, target: &str) -> anyhow::Result<()> {
    let Some(config) = &found.config else { return Ok(()) };
    let known = Known::new("target", config.targets.keys().cloned());
    known.check(target).with_context(|| format!("looking for it in {}", config.file.display()))
}
