//! The highest sequence seen of each signed pointer, so that a host never accepts an older one.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::warn;

use towpath_files::lock::lock;
use towpath_files::{private, regular};

/// Limit for the file, in bytes: some ten thousand pointers.
const MAX_FILE: u64 = 1024 * 1024;

/// How long to wait while another process writes the file.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the recorded sequences cannot be read. A host does not start without them: it could accept an older pointer.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read {}, the record of registry pointers seen so far ({problem}): delete it, but first make sure that nobody \
    put older pointers into the registry",
    file.display()
)]
pub struct SequencesError {
    pub file: PathBuf,
    pub problem: String,
}

/// The highest sequences seen. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Sequences(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Where they survive the process, if anywhere.
    file: Option<PathBuf>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    highest: BTreeMap<String, u64>,
    /// Whether the file is missing entries because it could not be written.
    is_unkept: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSequences {
    v: u32,
    /// By registry, plugin and channel.
    highest: BTreeMap<String, u64>,
}

impl Sequences {
    /// Those recorded in this file, which is created with the first one. Blocks.
    pub fn kept_in(file: impl Into<PathBuf>) -> Result<Sequences, SequencesError> {
        let file = file.into();
        let highest = match read(&file) {
            Ok(highest) => highest,
            Err(error) => return Err(SequencesError { file, problem: error.to_string() }),
        };
        Ok(Sequences(Arc::new(Shared { file: Some(file), memory: Mutex::new(Memory { highest, is_unkept: false }) })))
    }

    /// The highest sequence seen of a pointer, or 0.
    pub(super) fn highest(&self, pointer: &str) -> u64 {
        let memory = self.0.memory.lock();
        memory.highest.get(pointer).copied().unwrap_or_default()
    }

    /// Accepts a sequence unless a higher one was seen, which is then the error. Blocks if the file must be written.
    pub(super) fn take(&self, pointer: &str, sequence: u64) -> Result<(), u64> {
        let mut memory = self.0.memory.lock();
        match memory.highest.get(pointer).copied() {
            Some(seen) if sequence < seen => return Err(seen),
            Some(seen) if sequence == seen && !memory.is_unkept => return Ok(()),
            _ => drop(memory.highest.insert(pointer.to_owned(), sequence)),
        }
        let Some(file) = &self.0.file else { return Ok(()) };
        match keep(file, &memory.highest) {
            // Another host that shares the file may have seen more.
            Ok(kept) => {
                let seen = kept.get(pointer).copied().unwrap_or_default();
                *memory = Memory { highest: kept, is_unkept: false };
                if sequence < seen { Err(seen) } else { Ok(()) }
            }
            // Writing is retried at the next check; the warning is logged once.
            Err(_) if memory.is_unkept => Ok(()),
            Err(error) => {
                memory.is_unkept = true;
                let file = file.display();
                let problem = error.to_string();
                warn!(file = %file, problem, "cannot record the newest pointer, a restart would accept an older one");
                Ok(())
            }
        }
    }
}

/// Merges these into the file; the higher sequence of each pointer wins.
fn keep(file: &Path, seen: &BTreeMap<String, u64>) -> io::Result<BTreeMap<String, u64>> {
    if let Some(folder) = file.parent() {
        private::make_folder(folder)?;
    }
    let beside = file.with_added_extension("lock");
    private::make(&beside)?;
    let _lock = lock(&beside, PATIENCE)?;
    let mut highest = read(file)?;
    for (pointer, sequence) in seen {
        let kept = highest.entry(pointer.clone()).or_default();
        *kept = (*kept).max(*sequence);
    }
    let text = serde_json::to_vec_pretty(&StoredSequences { v: 1, highest: highest.clone() })?;
    let unfinished = file.with_added_extension(uuid::Uuid::new_v4().simple().to_string());
    let mut written = private::create(&unfinished)?;
    let renamed =
        written.write_all(&text).and_then(|()| written.sync_all()).and_then(|()| fs::rename(&unfinished, file));
    if renamed.is_err() {
        drop(fs::remove_file(&unfinished));
    }
    renamed.map(|()| highest)
}

fn read(file: &Path) -> io::Result<BTreeMap<String, u64>> {
    let bytes = match regular::read(file, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let kept: StoredSequences = serde_json::from_slice(&bytes)?;
    match kept.v {
        1 => Ok(kept.highest),
        v => {
            Err(io::Error::other(format!("it has format version {v}, but this host reads version 1: upgrade the host")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_lower_sequence_is_rejected_even_after_a_restart_and_by_another_host() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("store/pointers.json");
        let first = Sequences::kept_in(&file).expect("none yet");
        let second = Sequences::kept_in(&file).expect("none yet");
        assert_eq!(first.take("crm@current", 5), Ok(()));
        assert_eq!(first.take("crm@current", 5), Ok(()), "the same is looked at again and again");
        assert_eq!(first.take("crm@current", 4), Err(5));
        assert_eq!(first.take("erp@current", 1), Ok(()), "each has its own");
        assert_eq!(second.take("crm@current", 3), Err(5), "another process with the same file");
        assert_eq!(second.take("crm@current", 7), Ok(()));
        let restarted = Sequences::kept_in(&file).expect("kept");
        assert_eq!(restarted.take("crm@current", 6), Err(7));
        assert_eq!(restarted.take("erp@current", 0), Err(1));
        let names: Vec<_> = fs::read_dir(folder.path().join("store")).expect("folder").collect();
        assert_eq!(names.len(), 2, "the file and its lock: {names:?}");
        for name in names.into_iter().flatten() {
            let mode = name.metadata().expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_and_one_that_cannot_be_written_is_not() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("pointers.json");
        fs::write(&file, "{").expect("written");
        let error = Sequences::kept_in(&file).expect_err("damaged").to_string();
        assert!(error.contains("delete it"), "{error}");
        fs::File::create(&file).and_then(|file| file.set_len(3 << 30)).expect("sparse");
        assert!(Sequences::kept_in(&file).expect_err("endless").to_string().contains("larger than"));
        // A file in the place of its folder.
        let nowhere = Sequences::kept_in(folder.path().join("nowhere/pointers.json")).expect("none yet");
        fs::write(folder.path().join("nowhere"), "").expect("written");
        assert_eq!(nowhere.take("crm@current", 2), Ok(()));
        assert_eq!(nowhere.take("crm@current", 1), Err(2), "remembered as long as it runs");
        // It is written as soon as that is possible, even if no pointer moved since.
        fs::remove_file(folder.path().join("nowhere")).expect("out of the way");
        assert_eq!(nowhere.take("crm@current", 2), Ok(()));
        let restarted = Sequences::kept_in(folder.path().join("nowhere/pointers.json")).expect("kept");
        assert_eq!(restarted.take("crm@current", 1), Err(2));
    }
}
