//! `plugin test`: the golden cases of plugins.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use console::style;
use serde::Serialize;
use towpath_core::plugin::{Engine, Plugin, Settings};

use super::plugin_folders;
use crate::case::{self, Ended};
use crate::compose::engine;
use crate::output::{Exit, Output};

/// How one case ended.
#[derive(Serialize)]
struct Row {
    plugin: String,
    case: String,
    result: &'static str,
    fuel: u64,
}

pub(super) fn run(folders: &[PathBuf], update: bool, filter: Option<&str>, output: &Output) -> anyhow::Result<Exit> {
    let engine = engine(1)?;
    let mut rows = Vec::new();
    for folder in plugin_folders(folders)? {
        test(&engine, &folder, update, filter, &mut rows, output)?;
    }
    let count = |result| rows.iter().filter(|row| row.result == result).count();
    let (passed, updated, failed) = (count("passed"), count("updated"), count("failed"));
    if output.is_json() {
        output.json(&rows);
    }
    if rows.is_empty() {
        output.note("no case was run");
        return Ok(Exit::Findings);
    }
    let updated = if updated > 0 { format!(", {updated} updated") } else { String::new() };
    output.say(format!("\n{passed} passed, {failed} failed{updated}"));
    if failed > 0 {
        output.note("if the new verdicts are right, run it again with --update and look at git diff");
        return Ok(Exit::Findings);
    }
    Ok(Exit::Done)
}

fn test(
    engine: &Engine,
    folder: &Path,
    update: bool,
    filter: Option<&str>,
    rows: &mut Vec<Row>,
    output: &Output,
) -> anyhow::Result<()> {
    let folder = folder.canonicalize().with_context(|| format!("finding {}", folder.display()))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut settings = Settings::at(&name, &folder);
    let config = folder.join("cases/config.json");
    if config.is_file() {
        settings.config = std::fs::read_to_string(&config).with_context(|| format!("reading {}", config.display()))?;
    }
    let plugin = Plugin::load(engine, settings).with_context(|| format!("loading {}", folder.display()))?;
    output.headline(format!("{name} {}", plugin.description().version));
    let wanted = |case: &case::Case| filter.is_none_or(|filter| case.name.contains(filter));
    for case in case::cases(&folder)?.into_iter().filter(wanted) {
        let (ended, fuel) = case.run(&plugin, update).with_context(|| format!("{name}: {}", case.name))?;
        let (result, mark) = match &ended {
            Ended::Passed => ("passed", style("ok").green()),
            Ended::Updated => ("updated", style("updated").yellow()),
            Ended::Differs { .. } => ("failed", style("FAILED").red().bold()),
        };
        output.say(format!("  {mark} {} {}", case.name, style(format!("({fuel} fuel)")).dim()));
        if let Ended::Differs { expected, found } = &ended {
            if expected.is_empty() {
                output.say("      there is no expected.json: --update writes it");
            }
            output.diff(expected, found);
        }
        rows.push(Row { plugin: name.clone(), case: case.name, result, fuel });
    }
    Ok(())
}
