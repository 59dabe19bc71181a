//! The file of an erasure that is under way. It names the ids of events that are perhaps erased already, so that the next run finds what else tells
//! of them.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use towpath_files::private;
use towpath_types::clock::Timestamp;

use super::Subject;

/// An erasure that is under way, or was interrupted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Unfinished {
    pub(super) by: String,
    pub(super) started_at: Timestamp,
    pub(super) note: String,
    pub(super) subject: Subject,
    /// Another archive that was searched too.
    #[serde(default)]
    pub(super) folder: Option<PathBuf>,
    pub(super) ids: BTreeSet<String>,
}

impl Unfinished {
    /// `None` if nothing was interrupted.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Option<Unfinished>> {
        let path = path(folder);
        let text = private::read(&path).with_context(|| format!("reading {}", path.display()))?;
        text.map(|text| serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))).transpose()
    }

    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = path(folder);
        private::replace(&path, &serde_json::to_vec(self)?).with_context(|| format!("writing {}", path.display()))
    }

    pub(super) fn remove(folder: &Path) -> anyhow::Result<()> {
        let path = path(folder);
        for file in [path.with_extension("tmp"), path.clone()] {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("removing {}", file.display()));
                }
                _ => {}
            }
        }
        private::sync_folder(folder).with_context(|| format!("fsyncing {}", folder.display()))
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("erasing.json")
}
