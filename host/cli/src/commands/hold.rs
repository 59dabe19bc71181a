//! `hold` and `resume`: put a target on hold, and resume it.

use towpath_operate::hold::{self, Checks};
use towpath_operate::json;
use towpath_operate::place::Found;

use crate::args;
use crate::output::{Exit, Output};

pub(super) async fn hold(args: args::Hold, output: &Output) -> anyhow::Result<Exit> {
    let found = Found::find(&args.place.wanted()).await?;
    if found.config.is_none() {
        output.note(format!("no config was read, so the target {} is not checked: give --config FILE", args.target));
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
    output.line("running hosts notice within 10 seconds");
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
            "{target} stays on hold: {} says `hold = true`; remove that line and restart the hosts to resume it",
            file.display()
        ));
        return Ok(Exit::Findings);
    }
    output.say(match resumed.checks {
        None => format!("{target} was not on hold"),
        Some(Checks { by, older_by }) if by == older_by => {
            format!("{target} is resumed; what waited is checked again by {by}, in order")
        }
        Some(Checks { by, older_by }) => format!(
            "{target} is resumed; what was stored during the hold is checked again by {by}, what waited before it by {older_by}, all in \
            order"
        ),
    });
    if let Some(rate) = args.rate {
        output.say(format!("each running host drains what was stored before now at {rate}"));
    }
    Ok(Exit::Done)
}
