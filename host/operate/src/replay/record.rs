//! The file of a run, by which it goes on after a crash.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use towpath_files::lock::lock;
use towpath_files::private;
use towpath_types::clock::Timestamp;

use super::Request;
use super::error::ReplayError;
use super::places::Places;
use super::position::Position;
use crate::place::{Backend, Found};

/// A run, as far as it came.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub run: String,
    /// Who started it.
    pub by: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it last sent something.
    pub updated_at: Timestamp,
    /// From where and to where it sends; a run of an older version does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<Places>,
    /// What was asked for. The time of its events ends at the start.
    pub request: Request,
    /// How many events were to be sent.
    pub events: u64,
    /// How many were sent.
    pub sent: u64,
    /// How many events reached the archive too late to be sent in order, and are left out. It is counted when the run is resumed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub late: u64,
    /// The last that was sent.
    pub position: Option<Position>,
    /// How it ended.
    pub state: State,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It runs, or was killed.
    Running,
    /// An operator stopped it.
    Stopped,
    /// An event could not be sent, for this reason.
    Failed(String),
    /// All its events were sent.
    Complete,
}

impl State {
    /// Its name, without its reason.
    pub fn name(&self) -> &'static str {
        match self {
            State::Running => "running",
            State::Stopped => "stopped",
            State::Failed(_) => "failed",
            State::Complete => "complete",
        }
    }
}

/// A run that is listed.
#[derive(Clone, PartialEq, Debug)]
pub struct Listed {
    /// The run.
    pub record: Record,
    /// Whether it was killed, and can go on.
    pub is_interrupted: bool,
}

/// The runs of this place, newest first.
pub fn list(found: &Found) -> anyhow::Result<Vec<Listed>> {
    let folder = folder(found);
    let is_running = folder.is_dir() && matches!(held(&folder), Err(error) if error.is::<ReplayError>());
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", folder.display())),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let runs: Vec<String> = names
        .filter_map(|name| Some(name.strip_prefix("replay-")?.strip_suffix(".json")?.to_owned()))
        .filter(|run| is_run(run))
        .collect();
    let mut listed = Vec::new();
    for run in runs {
        let record = read(&folder, &run)?;
        listed.push(Listed { is_interrupted: record.state == State::Running && !is_running, record });
    }
    listed.sort_by_key(|listed| std::cmp::Reverse(listed.record.started_at));
    Ok(listed)
}

/// Where runs are kept: in the folder of a local store, or for SQS in `.towpath` of the working directory.
pub(crate) fn folder(found: &Found) -> PathBuf {
    match &found.backend {
        Backend::Local(queues) => queues.events.store().file().parent().map(PathBuf::from).unwrap_or_default(),
        Backend::Sqs { .. } => PathBuf::from(".towpath"),
    }
}

/// Keeps other runs out while the file is open.
pub(crate) fn held(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("replay.lock");
    match private::make(&path).and_then(|()| lock(&path, Duration::ZERO)) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Err(ReplayError::Running.into()),
        Err(error) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}

/// The run of this name.
pub(super) fn read(folder: &Path, run: &str) -> anyhow::Result<Record> {
    let none = || ReplayError::NoRun(run.to_owned());
    if !is_run(run) {
        return Err(none().into());
    }
    let path = path(folder, run);
    let text = private::read(&path).with_context(|| format!("reading {}", path.display()))?.ok_or_else(none)?;
    serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
}

/// Replaces the file of a run. After a power cut it is the old or the new one, and whole.
pub(crate) fn write(folder: &Path, record: &Record) -> anyhow::Result<()> {
    let path = path(folder, &record.run);
    let write = || private::replace(&path, &serde_json::to_vec(record)?);
    write().with_context(|| format!("writing {}", path.display()))
}

fn path(folder: &Path, run: &str) -> PathBuf {
    folder.join(format!("replay-{run}.json"))
}

/// Whether this can be the name of a run, and is no path.
fn is_run(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
