//! Between which places a run sends: it is resumed only there.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Request;
use super::conditions::archive;
use super::error::ReplayError;
use crate::archive::Archive;
use crate::place::{Backend, Found};

/// From where and to where a run sends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Places {
    /// The URL of the queue, or the folder of the store.
    pub queue: String,
    /// The folder of the archive, on this machine or on S3.
    pub archive: String,
}

impl Places {
    pub(super) async fn of(found: &Found, request: &Request) -> anyhow::Result<Places> {
        let queue = match &found.backend {
            Backend::Local(queues) => {
                shown(&queues.events.store().file().parent().map(PathBuf::from).unwrap_or_default())
            }
            Backend::Sqs { events: Some(url), .. } => url.clone(),
            Backend::Sqs { events: None, .. } => return Err(ReplayError::NoQueue.into()),
        };
        let archive = match archive(found, &request.archive).await? {
            Archive::Folder(folder) => shown(folder.path()),
            bucket @ Archive::Bucket(_) => bucket.to_string(),
        };
        Ok(Places { queue, archive })
    }

    /// Fails if a run of this name was started between other places than these: it would send other events, or to another deployment.
    pub(super) fn check(&self, run: &str, now: &Places) -> Result<(), ReplayError> {
        let elsewhere = |what, then: &String, now: &String| ReplayError::Elsewhere {
            run: run.to_owned(),
            what,
            then: then.clone(),
            now: now.clone(),
        };
        if self.queue != now.queue {
            return Err(elsewhere("sends to the queue", &self.queue, &now.queue));
        }
        if self.archive != now.archive {
            return Err(elsewhere("reads the archive", &self.archive, &now.archive));
        }
        Ok(())
    }
}

/// The same from every working directory.
fn shown(folder: &Path) -> String {
    folder
        .canonicalize()
        .or_else(|_| std::path::absolute(folder))
        .unwrap_or_else(|_| folder.into())
        .display()
        .to_string()
}
