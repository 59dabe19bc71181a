//! What the archive in a folder holds. Every segment is read for it, so it is kept for a while.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use towpath_archive::{Folder, Stats};

use crate::place::Found;

/// How long it is kept.
const KEPT: Duration = Duration::from_secs(60);

/// What the archive of the config holds, at most a minute ago; the reason if it cannot be read.
type Read = Result<Option<Stats>, String>;

/// What the archive of one place holds. It is read by one at a time, and at most once a minute.
#[derive(Default)]
pub struct ArchiveSize(Mutex<Option<(Instant, Read)>>);

impl ArchiveSize {
    /// What the archive of this place holds; `None` if the config has none that exists.
    pub(super) async fn of(&self, found: &Found) -> Read {
        let mut kept = self.0.lock().await;
        if let Some((at, read)) = kept.as_ref()
            && at.elapsed() < KEPT
        {
            return read.clone();
        }
        let read = read(found).await;
        *kept = Some((Instant::now(), read.clone()));
        read
    }
}

async fn read(found: &Found) -> Read {
    let Some(folder) = found.config.as_deref().and_then(|config| config.archive.folder.clone()) else {
        return Ok(None);
    };
    let read = move || folder.is_dir().then(|| Folder::new(folder).stats()).transpose();
    let read = tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?;
    read.map_err(|error| error.to_string())
}
