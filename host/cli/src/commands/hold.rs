//! `hold`, `resume`: take a target away for a release, and give it back.

use std::collections::BTreeSet;

use anyhow::bail;
use towpath_core::clock::Clock;
use towpath_core::config::env;
use towpath_core::holds::{Change, Drain, Hold};

use crate::args;
use crate::output::{Exit, Output};
use crate::place::Found;

pub(super) async fn hold(args: args::Hold, output: &Output) -> anyhow::Result<Exit> {
    let found = Found::find(&args.place).await?;
    check(&found, &args.target)?;
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
    let found = Found::find(&args.place).await?;
    check(&found, &target)?;
    let drain = args.rate.map(|rate| Drain { at: Clock::wall().now(), per_second: rate.per_second() });
    let holds = found.holds().await?;
    let was_held = holds.read().await?.holds.contains_key(&target);
    let state = holds.change(Change::Resume(target.clone(), drain)).await?;
    if output.is_json() {
        output.json(&state);
        return Ok(Exit::Done);
    }
    match was_held {
        true => output.line(format!("{} is resumed; what waited comes within a minute, in order", target)),
        false => output.line(format!("{} was not on hold", target)),
    }
    if let Some(rate) = args.rate {
        output.line(format!("what was stored before now is drained at {rate}, by each running host"));
    }
    Ok(Exit::Done)
}

/// A target that the config does not have is a slip of the pen.
fn check(found: &Found, target: &str) -> anyhow::Result<()> {
    let Some(config) = &found.config else { return Ok(()) };
    if config.targets.contains_key(target) {
        return Ok(());
    }
    let known: BTreeSet<&str> = config.targets.keys().map(String::as_str).collect();
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    bail!("there is no target {target:?} in {}; known are: {known}", config.file.display())
}
