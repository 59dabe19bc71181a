//! `plugin diff`: compares two builds of a plugin on the same recorded events.

use serde::Serialize;
use serde_json::Value;
use towpath_compose::engine;
use towpath_operate::event::{self, Event};
use towpath_operate::verdict::describe;

use super::{build_if_stale, load};
use crate::args::PluginDiff;
use crate::case;
use crate::output::{Exit, Output};

/// The verdicts of both builds on one event.
#[derive(Serialize)]
struct Row {
    event: String,
    changed: bool,
    old: Value,
    new: Value,
}

pub(super) fn run(args: &PluginDiff, output: &Output) -> anyhow::Result<Exit> {
    build_if_stale(&args.old, output)?;
    build_if_stale(&args.new, output)?;
    let engine = engine(1)?;
    let old = load(&engine, &args.old)?;
    let new = load(&engine, &args.new)?;
    let mut rows = Vec::new();
    for file in event::find(&args.events)? {
        let message = Event::read(&file)?.message(&file)?;
        let verdict = |plugin: &towpath_plugin::Plugin| {
            let described = describe(&plugin.transform(&message, plugin.limits()));
            described.get("verdict").cloned().unwrap_or_default()
        };
        let old = verdict(&old);
        let new = verdict(&new);
        rows.push(Row { event: file.display().to_string(), changed: old != new, old, new });
    }
    let changed = rows.iter().filter(|row| row.changed).count();
    if output.is_json() {
        output.json(&rows);
    }
    for row in rows.iter().filter(|row| row.changed) {
        output.headline(&row.event);
        output.diff(&case::pretty(&row.old), &case::pretty(&row.new));
    }
    output.say("");
    output.say(format!("{} events, {changed} verdicts change", rows.len()));
    Ok(if changed > 0 { Exit::Findings } else { Exit::Done })
}
