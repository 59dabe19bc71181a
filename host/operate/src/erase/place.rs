//! Where this machine keeps events.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use towpath_archive::Folder;
use towpath_local::Store;

use super::{EraseError, Request};
use crate::place::{Backend, Found};
use crate::replay::{ReplayError, archive_folder, held, state_folder};

/// Where this machine keeps events.
pub(super) struct Place {
    /// The store; `None` if the queues are on SQS.
    pub(super) store: Option<Store>,
    /// That of the store, and another one that the operator named.
    pub(super) archives: Vec<Folder>,
    /// The folder of the store, or of what commands keep about queues on SQS.
    pub(super) folder: PathBuf,
}

impl Place {
    pub(super) fn of(found: &Found, request: &Request) -> anyhow::Result<Place> {
        let folder = state_folder(found);
        let store = match &found.backend {
            Backend::Local(queues) => Some(queues.events.store().clone()),
            Backend::Sqs { .. } => None,
        };
        // Events that were kept before it was switched off are still there.
        let own = archive_folder(found).or_else(|| Some(folder.join("archive")).filter(|archive| archive.is_dir()));
        let mut archives = Vec::from_iter(own);
        if let Some(named) = &request.folder {
            ensure!(named.is_dir(), "there is no folder {}", named.display());
            if !archives.iter().any(|own| is_same(own, named)) {
                archives.push(named.clone());
            }
        }
        let archives = archives.into_iter().map(Folder::new).collect();
        Ok(Place { store, archives, folder })
    }

    /// Keeps replays and other erasures out while the file is open.
    pub(super) fn alone(&self) -> anyhow::Result<File> {
        held(&self.folder).map_err(|error| if error.is::<ReplayError>() { EraseError::Busy.into() } else { error })
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().ok().is_some_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}
