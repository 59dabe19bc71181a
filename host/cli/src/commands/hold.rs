//! `hold`, `resume`: take a target away for a release, and give it back.

use towpath_operate::hold::{self, Checks};
use towpath_operate::json;
use towpath_operate::place::Found;

use crate::args;
use crate::output::{Exit, Output};

pub(super) async fn hold(args: args::Hold, output: &Output) -> anyhow::Result<Exit> {
    let found = Found::find(&args.place.wanted()).await?;
    if found.config.is_none() {
        output.note(format!("no config is here, so nobody checked that there is a target {}: --config", args.target));
    }
    let state = hold::hold(&found, &args.target, args.length, args.reason).await?;
    if output.is_json() {
        output.json(&json::Holds::of(&state));
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
    let resumed = hold::resume(&found, &target, args.rate.map(|rate| rate.per_second())).await?;
    if output.is_json() {
        output.json(&json::Resumed::of(&resumed));
    }
    if let Some(file) = &resumed.held_by {
        output.note(format!(
            "{target} stays on hold: {} says `hold = true`; remove that and restart the hosts, and it is resumed",
            file.display()
        ));
        return Ok(Exit::Findings);
    }
    output.say(match resumed.checks {
        None => format!("{target} was not on hold"),
        Some(Checks { by, older_by }) if by == older_by => {
            format!("{target} is resumed; what waited comes by {by}, in order")
        }
        Some(Checks { by, older_by }) => format!(
            "{target} is resumed; what waited since the hold began comes by {by}, in order, what had waited before by {older_by} at the \
            latest"
        ),
    });
    if let Some(rate) = args.rate {
        output.say(format!("what was stored before now is drained at {rate}, by each running host"));
    }
    Ok(Exit::Done)
}
