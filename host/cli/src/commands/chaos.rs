//! `chaos`: injects faults by a seed, and checks the run against the target's record.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use console::Style;
use serde::Serialize;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use towpath_compose::signals;
use towpath_files::private;
use towpath_proof::chaos::{self, Report, Settings};
use towpath_proof::{Judgement, Violation};

use crate::args::Chaos;
use crate::output::{Exit, Output, plain};

pub(super) async fn run(args: Chaos, output: &Output) -> anyhow::Result<Exit> {
    let place = RunFolder::of(args.folder)?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    if !cfg!(feature = "aws") && args.poll > 0 {
        bail!("this build of towpath has no AWS support and cannot poll: use --poll 0");
    }
    #[cfg(feature = "faults")]
    let planted = args.planted;
    #[cfg(not(feature = "faults"))]
    let planted = None;
    let find = |path: PathBuf| {
        let missing =
            || format!("there is no file {}: `cargo build -p towpath-lambda` builds the function", path.display());
        path.canonicalize().with_context(missing)
    };
    let bootstrap = args.bootstrap.map(find).transpose()?;
    let settings = Settings {
        binary: std::env::current_exe().context("finding this binary")?,
        folder: place.folder.clone(),
        seed,
        length: Duration::from_secs_f64(args.minutes * 60.0),
        groups: args.groups,
        rate: args.rate,
        hosts: (usize::from(args.serve), usize::from(args.poll)),
        bootstrap,
        clocks: cfg!(feature = "faults"),
        planted,
    };
    output.note(format!("seed {seed}"));
    if !settings.clocks {
        output.note("clocks are not moved: that needs a build with `--features faults`");
    }
    let stop = CancellationToken::new();
    let say = |text: &str| output.note(text);
    let report = tokio::select! {
        result = signals::watch(stop.clone()) => { result?; return Ok(Exit::Interrupted) }
        report = chaos::run(&settings, say, &stop) => report?,
    };
    let Some(report) = report else { return Ok(Exit::Interrupted) };
    Ok(tell(&report, place, output))
}

/// A report as `--json` prints it.
#[derive(Serialize)]
struct Shown<'a> {
    seed: u64,
    accepted: usize,
    delivered: usize,
    skipped: usize,
    archived: usize,
    dead: usize,
    duplicated: usize,
    attempts: usize,
    violations: Vec<ViolationShown<'a>>,
    faults: &'a BTreeMap<&'static str, usize>,
    drained_seconds: f64,
    histories: Vec<History<'a>>,
}

/// Something that must not have happened.
#[derive(Serialize)]
struct ViolationShown<'a> {
    violation: Violation,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<u32>,
    detail: &'a str,
}

/// What happened to a group.
#[derive(Serialize)]
struct History<'a> {
    group: u32,
    lines: &'a [String],
}

impl Shown<'_> {
    fn of(report: &Report) -> Shown<'_> {
        let Judgement { accepted, delivered, skipped, archived, dead, duplicated, attempts, violations } =
            &report.verdict;
        let violations = violations.iter().map(|(violation, group, detail)| ViolationShown {
            violation: *violation,
            group: *group,
            detail,
        });
        Shown {
            seed: report.seed,
            accepted: *accepted,
            delivered: *delivered,
            skipped: *skipped,
            archived: *archived,
            dead: *dead,
            duplicated: *duplicated,
            attempts: *attempts,
            violations: violations.collect(),
            faults: &report.faults,
            drained_seconds: report.drained_s,
            histories: report.histories.iter().map(|(group, lines)| History { group: *group, lines }).collect(),
        }
    }
}

fn tell(report: &Report, place: RunFolder, output: &Output) -> Exit {
    if output.is_json() {
        output.json(&Shown::of(report));
    }
    let faults = report.faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect::<Vec<_>>().join(", ");
    output.say(format!("seed {}: {}", report.seed, report.verdict));
    output.say(format!("faults: {faults}; drained {:.1} s after the last one", report.drained_s));
    if report.verdict.violations.is_empty() {
        return Exit::Done;
    }
    for (violation, group, detail) in report.verdict.violations.iter().take(50) {
        let group = group.map(|group| format!("group {group}: ")).unwrap_or_default();
        let told = plain(format!(" {violation:?}: {group}{detail}"));
        output.say_spans([(Style::new().red().bold(), "WRONG:".to_owned()), told]);
    }
    for (group, history) in &report.histories {
        output.headline(format!("group {group}"));
        history.iter().for_each(|line| output.say(line));
    }
    output.note(format!("store and logs are in {}", place.keep().display()));
    Exit::Findings
}

/// The folder of a run. A temporary one is removed, unless the run found a violation.
struct RunFolder {
    folder: PathBuf,
    passing: Option<TempDir>,
}

impl RunFolder {
    fn of(folder: Option<PathBuf>) -> anyhow::Result<RunFolder> {
        let Some(folder) = folder else {
            let passing = private::passing_folder("towpath-chaos-", None).context("making a folder for the run")?;
            return Ok(RunFolder { folder: passing.path().to_owned(), passing: Some(passing) });
        };
        if folder.join("store").exists() {
            bail!("{} contains another run: use another folder", folder.display());
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let folder = std::path::absolute(&folder).with_context(|| format!("finding {}", folder.display()))?;
        Ok(RunFolder { folder, passing: None })
    }

    fn keep(self) -> PathBuf {
        self.passing.map(TempDir::keep).unwrap_or(self.folder)
    }
}
