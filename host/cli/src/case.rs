//! Golden cases: a recorded event and the expected verdict.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use towpath_files::regular::{self, MAX_EVENT};
use towpath_operate::verdict::describe;
use towpath_plugin::Plugin;
use towpath_types::outcome::Fault;

use towpath_operate::event::{self, Event};

/// The file with the expectation, next to `message.json`.
const EXPECTED: &str = "expected.json";

/// How far fuel may differ from the expectation, as a fraction. Another build of the standard library uses other amounts; a
/// mistake that matters uses many times as much.
const FUEL_TOLERANCE: f64 = 0.2;

/// One case.
pub(crate) struct Case {
    pub(crate) name: String,
    folder: PathBuf,
}

/// Whether a run writes expectations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Update {
    No,
    /// Verdicts only. A failure as expectation would make a bug pass forever.
    Verdicts,
    /// Verdicts and failures.
    Faults,
}

/// How a case ended.
pub(crate) enum Ended {
    Passed,
    Updated,
    /// Expected and actual, as text to compare.
    Differs {
        expected: String,
        found: String,
    },
}

/// The result of running a case.
pub(crate) struct Ran {
    pub(crate) ended: Ended,
    /// How the plugin failed, if it did, with its output and stack trace.
    pub(crate) fault: Option<Fault>,
    pub(crate) fuel: u64,
    pub(crate) time: Duration,
}

/// The cases of a plugin, by name.
pub(crate) fn cases(plugin: &Path) -> anyhow::Result<Vec<Case>> {
    let root = plugin.join("cases");
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let files = event::find(std::slice::from_ref(&root))?;
    let case = |file: PathBuf| {
        let folder = file.parent().unwrap_or(&root).to_owned();
        let name = folder.strip_prefix(&root).unwrap_or(&folder).display().to_string();
        Case { name, folder }
    };
    Ok(files.into_iter().map(case).collect())
}

impl Case {
    /// Runs the plugin on the case's event, and compares the result or writes it as the new expectation.
    pub(crate) fn run(&self, plugin: &Plugin, update: Update) -> anyhow::Result<Ran> {
        let file = self.folder.join(event::FILE);
        let message = Event::read(&file)?.message(&file)?;
        let started = Instant::now();
        let transformed = plugin.transform(&message, plugin.limits());
        let fuel = transformed.fuel;
        let time = started.elapsed();
        let fault = transformed.verdict.as_ref().err().cloned();
        let ran = |ended| Ran { ended, fault, fuel, time };
        let found = describe(&transformed);
        let file = self.folder.join(EXPECTED);
        let expected = match regular::read_text(&file, MAX_EVENT) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?,
            Err(_) => Value::Null,
        };
        let same_fuel = expected
            .get("fuel")
            .and_then(Value::as_f64)
            .is_some_and(|expected| (fuel as f64 - expected).abs() <= expected * FUEL_TOLERANCE);
        if same_fuel && expected.get("verdict") == found.get("verdict") {
            return Ok(ran(Ended::Passed));
        }
        let writes = match update {
            Update::No => false,
            Update::Verdicts => transformed.verdict.is_ok(),
            Update::Faults => true,
        };
        if writes {
            std::fs::write(&file, pretty(&found) + "\n").with_context(|| format!("writing {}", file.display()))?;
            return Ok(ran(Ended::Updated));
        }
        let mut expected = expected;
        if let (true, Some(entry)) = (same_fuel, expected.get_mut("fuel")) {
            // Fuel within its tolerance must not show up in the diff.
            *entry = json!(fuel);
        }
        let expected = if expected.is_null() { String::new() } else { pretty(&expected) };
        Ok(ran(Ended::Differs { expected, found: pretty(&found) }))
    }
}

pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
