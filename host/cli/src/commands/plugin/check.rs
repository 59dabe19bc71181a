//! `plugin check`: checks a plugin as a host does, and as a reviewer would.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use towpath_compose::engine;
use towpath_config::{Config, Secrets};
use towpath_operate::event::{self, Event};
use towpath_plugin::{COMPONENT, Engine, Plugin};

use super::test::test;
use super::{build_if_stale, folders, load};
use crate::args::PluginCheck;
use crate::case::Update;
use crate::output::{Exit, Output, mark, plain};
use crate::toolchain;

/// The largest component that passes. A language's whole runtime is smaller.
const MAX_SIZE: u64 = 64 * 1024 * 1024;

/// The largest share of its fuel that a call may use: larger events need the rest.
const ROOM: f64 = 0.5;

/// One check.
#[derive(Serialize)]
pub(super) struct Row {
    plugin: String,
    check: &'static str,
    pub(super) ok: bool,
    detail: String,
}

pub(super) fn run(args: &PluginCheck, output: &Output) -> anyhow::Result<Exit> {
    let targets = targets(args.config.as_deref())?;
    let engine = engine(1)?;
    let mut rows = Vec::new();
    for folder in folders(&args.folders)? {
        if !args.no_build {
            build_if_stale(&folder, output)?;
        } else if folder.join(COMPONENT).is_file() && toolchain::is_stale(&folder) {
            output.note(format!("{}: the sources are newer than the component", folder.display()));
        }
        let plugin = load(&engine, &folder)?;
        rows.extend(check(&engine, &plugin, &folder, targets.as_deref(), output)?);
    }
    if output.is_json() {
        output.json(&rows);
    }
    Ok(if rows.iter().all(|row| row.ok) { Exit::Done } else { Exit::Findings })
}

/// Checks one plugin, and prints the result of each check.
pub(super) fn check(
    engine: &Engine,
    plugin: &Plugin,
    folder: &Path,
    targets: Option<&[String]>,
    output: &Output,
) -> anyhow::Result<Vec<Row>> {
    output.headline(format!("{} {}", plugin.name(), plugin.description().version));
    let mut rows = Vec::new();
    for (check, found) in checks(engine, plugin, folder, targets, output)? {
        let (ok, detail) = match found {
            Ok(detail) => (true, detail),
            Err(detail) => (false, detail),
        };
        output.say_spans([plain("  "), mark(ok), plain(format!(" {check}: {detail}"))]);
        rows.push(Row { plugin: plugin.name().to_owned(), check, ok, detail });
    }
    Ok(rows)
}

/// The targets of the given config, or of `towpath.toml` if it exists; `None` without a config.
fn targets(config: Option<&Path>) -> anyhow::Result<Option<Vec<String>>> {
    let file = match config {
        Some(file) => file.to_owned(),
        None if Path::new("towpath.toml").is_file() => PathBuf::from("towpath.toml"),
        None => return Ok(None),
    };
    let config = Config::load(&file, &Secrets::placeholders())?;
    Ok(Some(config.targets.into_keys().collect()))
}

/// Each check with its result and what to print.
type Checks = Vec<(&'static str, Result<String, String>)>;

fn checks(
    engine: &Engine,
    plugin: &Plugin,
    folder: &Path,
    targets: Option<&[String]>,
    output: &Output,
) -> anyhow::Result<Checks> {
    let described = plugin.description();
    let named = if described.name == plugin.name() {
        Ok(described.name.clone())
    } else {
        Err(format!("the plugin names itself {:?}, but its folder is {:?}", described.name, plugin.name()))
    };
    let wanted = described.targets.join(", ");
    let targets = match targets {
        _ if described.targets.is_empty() => Err("the plugin lists no target, so it can never deliver".to_owned()),
        None => Ok(format!("{wanted} (not compared with a config: there is no towpath.toml here, give --config)")),
        Some(targets) => match plugin.check_targets(targets.iter().map(String::as_str)) {
            Ok(()) => Ok(wanted),
            Err(error) => Err(error.to_string()),
        },
    };
    let file = folder.join(COMPONENT);
    let bytes = file.metadata().with_context(|| format!("reading {}", file.display()))?.len();
    let size = format!("{} KiB", bytes.div_ceil(1024));
    let size = if bytes <= MAX_SIZE { Ok(size) } else { Err(format!("{size}, more than {} MiB", MAX_SIZE >> 20)) };
    // Loading the plugin checked the world, the version and the imports, and started it.
    let loads = format!("world, version, {} imports, trial start", plugin.imports().len());
    let quiet = Output::new(true);
    let cases = test(engine, folder, Update::No, None, if output.is_json() { &quiet } else { output })?;
    let failed = cases.iter().filter(|row| row.result == "failed").count();
    let cases = match (cases.len(), failed) {
        (0, _) => Err("there is none: record events, see `towpath record --help`".to_owned()),
        (all, 0) => Ok(format!("{all} pass")),
        (all, failed) => Err(format!("{failed} of {all} differ")),
    };
    Ok(vec![
        ("loads", Ok(loads)),
        ("name", named),
        ("targets", targets),
        ("size", size),
        ("limits", limits(plugin, folder)?),
        ("cases", cases),
    ])
}

/// How much of the limits the most expensive case uses.
fn limits(plugin: &Plugin, folder: &Path) -> anyhow::Result<Result<String, String>> {
    let cases = folder.join("cases");
    if !cases.is_dir() {
        return Ok(Ok("unknown without cases".to_owned()));
    }
    let mut most = 0;
    for file in event::find(&[cases])? {
        let transformed = plugin.transform(&Event::read(&file)?.message(&file)?, plugin.limits());
        if let Err(fault) = &transformed.verdict {
            return Ok(Err(format!("{} fails: {}: {}", file.display(), fault.kind.code(), fault.message)));
        }
        most = most.max(transformed.fuel);
    }
    let part = most as f64 / plugin.limits().fuel as f64;
    let said = format!("{most} fuel at most, {:.2} % of the limit", part * 100.0);
    Ok(if part <= ROOM { Ok(said) } else { Err(said + ": a larger event would exceed it") })
}
