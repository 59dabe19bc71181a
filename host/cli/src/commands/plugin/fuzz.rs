//! `plugin fuzz`: runs a plugin on mutated recorded events. Any verdict is fine; a failure of the plugin is a finding, and its
//! input becomes a case.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use fastrand::Rng;
use serde::Serialize;
use towpath_compose::engine;
use towpath_operate::event::{self, Event};
use towpath_plugin::{Plugin, digest};
use towpath_types::message::Message;
use towpath_types::outcome::{Fault, FaultKind};

use super::{build_if_stale, load, mutate};
use crate::args::PluginFuzz;
use crate::output::{Exit, Output};

/// Fuzzing stops after this many different findings.
const MOST: usize = 10;

/// A way in which the plugin fails.
#[derive(Serialize)]
struct Finding {
    kind: FaultKind,
    message: String,
    /// The function that failed, if the trap names it.
    at: Option<String>,
    case: PathBuf,
}

#[derive(Serialize)]
struct Report {
    seed: u64,
    runs: u64,
    findings: Vec<Finding>,
}

pub(super) fn run(args: &PluginFuzz, output: &Output) -> anyhow::Result<Exit> {
    build_if_stale(&args.plugin, output)?;
    let plugin = load(&engine(1)?, &args.plugin)?;
    let cases = args.plugin.join("cases");
    if !cases.is_dir() {
        bail!(
            "there are no recorded events in {}: fuzzing mutates real ones, see `towpath record --help`",
            cases.display()
        );
    }
    let seeds: Result<Vec<Message>, _> =
        event::find(std::slice::from_ref(&cases))?.iter().map(|file| Event::read(file)?.message(file)).collect();
    let seeds = seeds?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u32(..).into());
    output.note(format!("fuzzing {} from {} events, seed {seed}", plugin.name(), seeds.len()));
    let mut rng = Rng::with_seed(seed);
    let until = Instant::now() + Duration::from_secs_f64(args.minutes * 60.0);
    let mut findings = BTreeMap::new();
    let mut runs = 0;
    let bar = output.progress(args.runs.unwrap_or(0), "fuzzing");
    while Instant::now() < until && args.runs.is_none_or(|most| runs < most) && findings.len() < MOST {
        let Some(message) = rng.choice(&seeds) else { break };
        let mut message = message.clone();
        let webhook = Arc::make_mut(&mut message.webhook);
        webhook.body = mutate::body(&mut rng, &webhook.body);
        mutate::headers(&mut rng, &mut webhook.headers);
        runs += 1;
        bar.inc(1);
        let Some(fault) = failure(&plugin, &message) else { continue };
        let at = fault.trace.iter().find(|function| !is_runtime(function)).cloned();
        let key = (format!("{:?}", fault.kind), at.clone(), at.is_none().then(|| fault.message.clone()));
        if findings.contains_key(&key) {
            continue;
        }
        let case = cases.join(format!("fuzz-{}", digest(&message.webhook.body).get(..10).unwrap_or_default()));
        save(&message, &case)?;
        output.note(format!("{:?} at {}: {}", fault.kind, at.as_deref().unwrap_or("-"), case.display()));
        findings.insert(key, Finding { kind: fault.kind, message: fault.message, at, case });
    }
    bar.finish_and_clear();
    let report = Report { seed, runs, findings: findings.into_values().collect() };
    if output.is_json() {
        output.json(&report);
    }
    output.say(format!("{runs} events, {} findings", report.findings.len()));
    if report.findings.is_empty() {
        return Ok(Exit::Done);
    }
    output.note(
        "each finding is a case now: fix the plugin, then `towpath plugin test --update` writes the expected verdicts",
    );
    Ok(Exit::Findings)
}

/// How the plugin failed, if it did. An error that it returns on purpose is not a failure.
fn failure(plugin: &Plugin, message: &Message) -> Option<Fault> {
    let fault = plugin.transform(message, plugin.limits()).verdict.err()?;
    (fault.kind != FaultKind::Error).then_some(fault)
}

/// Whether a function of a trace belongs to the language's runtime. The first one that does not is where it failed.
fn is_runtime(function: &str) -> bool {
    let runtime = ["core::", "std::", "alloc::", "rust_", "__rust", "<core", "<std", "<alloc", "abort", "function "];
    runtime.iter().any(|prefix| function.starts_with(prefix)) || function.contains("panic")
}

fn save(message: &Message, case: &std::path::Path) -> anyhow::Result<()> {
    let mut event = Event::of("fuzz", &message.webhook);
    event.group = Some(message.group.to_string());
    event.write(case).context("saving a finding")
}
