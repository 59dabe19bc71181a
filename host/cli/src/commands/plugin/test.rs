//! `plugin test`: runs the golden cases of plugins.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use console::Style;
use towpath_compose::engine;
use towpath_plugin::Engine;

use super::{build_if_stale, built, folders, load};
use crate::args::PluginTest;
use crate::case::{self, Ended, Update};
use crate::junit::{self, Row};
use crate::output::{Exit, Output, mark, plain};
use crate::toolchain::{Language, is_source};
use crate::watch::Watch;

pub(super) async fn run(args: PluginTest, output: &Output) -> anyhow::Result<Exit> {
    let folders = folders(&args.folders)?;
    let engine = engine(1)?;
    if args.watch {
        return watch(&args, &folders, &engine, output).await;
    }
    let rows = all(&args, &folders, &engine, output)?;
    if let Some(file) = &args.junit {
        let report = junit::report(&rows).context("writing the JUnit report")?;
        std::fs::write(file, report).with_context(|| format!("writing {}", file.display()))?;
    }
    if output.is_json() {
        output.json(&rows);
    }
    Ok(summary(&rows, args.update, output))
}

/// Tests, and tests changed plugins again, until Ctrl-C.
async fn watch(args: &PluginTest, folders: &[PathBuf], engine: &Engine, output: &Output) -> anyhow::Result<Exit> {
    let folders: Result<Vec<PathBuf>, _> = folders.iter().map(|folder| folder.canonicalize()).collect();
    let folders = folders.context("finding the plugins")?;
    let mut watch = Watch::of(folders.iter().map(PathBuf::as_path))?;
    let mut wanted = folders.clone();
    loop {
        // An error does not end the watch: the next change may fix it.
        match all(args, &wanted, engine, output) {
            Ok(rows) => drop(summary(&rows, false, output)),
            Err(error) => output.error(&error),
        }
        output.note("waiting for changes; Ctrl-C stops");
        loop {
            let paths = tokio::select! {
                paths = watch.next() => paths.unwrap_or_default(),
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted.context("waiting for Ctrl-C")?;
                    return Ok(Exit::Interrupted);
                }
            };
            wanted = changed(&folders, &paths);
            if !wanted.is_empty() {
                break;
            }
        }
        for folder in wanted.iter().filter(|folder| Language::of(folder).is_some()) {
            output.note(format!("building {}", folder.display()));
            if let Err(error) = built(folder) {
                output.error(&error);
            }
        }
    }
}

/// The plugins that these changes belong to. Output of a build or of `--update` does not count.
fn changed(folders: &[PathBuf], paths: &[PathBuf]) -> Vec<PathBuf> {
    let own = |folder: &Path, path: &Path| {
        let Ok(below) = path.strip_prefix(folder) else { return false };
        is_source(below) || below.starts_with("cases") && below.extension().is_some_and(|kind| kind == "json")
    };
    let folders = folders.iter().filter(|folder| paths.iter().any(|path| own(folder, path)));
    folders.cloned().collect()
}

fn all(args: &PluginTest, folders: &[PathBuf], engine: &Engine, output: &Output) -> anyhow::Result<Vec<Row>> {
    let update = match (args.update, args.accept_faults) {
        (false, _) => Update::No,
        (true, false) => Update::Verdicts,
        (true, true) => Update::Faults,
    };
    let mut rows = Vec::new();
    for folder in folders {
        build_if_stale(folder, output)?;
        rows.extend(test(engine, folder, update, args.filter.as_deref(), output)?);
    }
    match &args.filter {
        Some(filter) if rows.is_empty() => {
            bail!("no case has {filter:?} in its name: `towpath plugin test` lists all")
        }
        _ => Ok(rows),
    }
}

fn summary(rows: &[Row], updates: bool, output: &Output) -> Exit {
    let count = |result| rows.iter().filter(|row| row.result == result).count();
    let passed = count("passed");
    let updated = count("updated");
    let failed = count("failed");
    if rows.is_empty() {
        output.note("there is no case: a case is a folder below cases/ with message.json, see `towpath record --help`");
        return Exit::Findings;
    }
    let updated = if updated > 0 { format!(", {updated} updated") } else { String::new() };
    output.say("");
    output.say(format!("{passed} passed, {failed} failed{updated}"));
    if failed > 0 {
        output.note(if updates {
            "a failure of the plugin is not written as expectation: fix it, or add --accept-faults if it is intended"
        } else {
            "if the new verdicts are right, run it again with --update and review git diff"
        });
        return Exit::Findings;
    }
    Exit::Done
}

/// Runs the cases of one plugin.
pub(super) fn test(
    engine: &Engine,
    folder: &Path,
    update: Update,
    filter: Option<&str>,
    output: &Output,
) -> anyhow::Result<Vec<Row>> {
    let plugin = load(engine, folder)?;
    let name = plugin.name().to_owned();
    output.headline(format!("{name} {}", plugin.description().version));
    let wanted = |case: &case::Case| filter.is_none_or(|filter| case.name.contains(filter));
    let mut rows = Vec::new();
    for case in case::cases(folder)?.into_iter().filter(wanted) {
        let ran = case.run(&plugin, update).with_context(|| format!("{name}: {}", case.name))?;
        let (result, mark) = match &ran.ended {
            Ended::Passed => ("passed", mark(true)),
            Ended::Updated => ("updated", (Style::new().yellow(), "updated".to_owned())),
            Ended::Differs { .. } => ("failed", mark(false)),
        };
        let time_ms = ran.time.as_secs_f64() * 1_000.0;
        let used = (Style::new().dim(), format!("({} fuel, {time_ms:.2} ms)", ran.fuel));
        output.say_spans([plain("  "), mark, plain(format!(" {} ", case.name)), used]);
        let difference = match ran.ended {
            Ended::Differs { expected, found } => Some((expected, found)),
            Ended::Passed | Ended::Updated => None,
        };
        if let Some((expected, found)) = &difference {
            if expected.is_empty() {
                output.say("      there is no expected.json: --update writes it");
            }
            output.diff(expected, found);
        }
        // An expected fault is not shown.
        let fault = ran.fault.filter(|_| difference.is_some()).map(|fault| fault.to_string());
        if let Some(fault) = &fault {
            output.say_block("    ", fault);
        }
        rows.push(Row { plugin: name.clone(), case: case.name, result, fuel: ran.fuel, time_ms, difference, fault });
    }
    Ok(rows)
}
