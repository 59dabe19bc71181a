//! `plugin run`: runs a plugin on one event.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::json;
use towpath_compose::engine;
use towpath_files::regular::{self, MAX_EVENT};
use towpath_operate::verdict::describe;

use super::{build_if_stale, load};

use crate::args::PluginRun;
use crate::case;
use crate::output::{Exit, Output};
use towpath_operate::event::Event;
use towpath_types::envelope::Webhook;

pub(super) fn run(args: &PluginRun, output: &Output) -> anyhow::Result<Exit> {
    build_if_stale(&args.plugin, output)?;
    let (event, file) = event(args)?;
    let plugin = load(&engine(1)?, &args.plugin)?;
    let message = event.message(&file)?;
    let started = Instant::now();
    let transformed = plugin.transform(&message, plugin.limits());
    let time = started.elapsed();
    let fault = transformed.verdict.as_ref().err();
    let trace = fault.map(|fault| fault.trace.clone()).unwrap_or_default();
    if output.is_json() {
        let mut shown = describe(&transformed);
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("time_ms".to_owned(), json!(time.as_secs_f64() * 1_000.0));
            shown.insert("printed".to_owned(), json!(transformed.printed));
            shown.insert("trace".to_owned(), json!(trace));
        }
        output.json(&shown);
    } else {
        let verdict = describe(&transformed).get("verdict").cloned().unwrap_or_default();
        output.lines(&case::pretty(&verdict));
        if !trace.is_empty() {
            output.line("");
            output.line("where it was, innermost first:");
            trace.iter().for_each(|function| output.line(format!("  {function}")));
        }
        if !transformed.printed.is_empty() {
            output.line("");
            output.line("what it printed (the last 16 KiB):");
            output.block("  ", &transformed.printed);
        }
        let limits = plugin.limits();
        let part = transformed.fuel as f64 * 100.0 / limits.fuel as f64;
        output.line("");
        output.line(format!("{} fuel ({part:.2} % of the limit), {time:.2?}", transformed.fuel));
    }
    Ok(if fault.is_some() { Exit::Findings } else { Exit::Done })
}

fn event(args: &PluginRun) -> anyhow::Result<(Event, PathBuf)> {
    if let Some(file) = &args.event {
        return Ok((Event::read(file)?, file.clone()));
    }
    let file = args.body.clone().unwrap_or_default();
    let body = regular::read(&file, MAX_EVENT).with_context(|| format!("reading {}", file.display()))?;
    let mut headers = Vec::new();
    for header in &args.header {
        let (name, value) =
            header.split_once(':').with_context(|| format!("{header:?} is not a header: write NAME:VALUE"))?;
        headers.push((name.trim().to_owned(), value.trim().as_bytes().to_vec()));
    }
    Ok((Event::of("test", &Webhook { headers, body, ..Webhook::default() }), file))
}
