//! Watches files, and groups the changes of an editor or a build into batches.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// An editor writes more than once: events within this time are one change.
const SETTLE: Duration = Duration::from_millis(150);

/// Watches until it is dropped.
pub(crate) struct Watch {
    changes: mpsc::UnboundedReceiver<PathBuf>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches single files, and the parts of folders that an author edits: their own files, `src` and `cases`. Tools and their
    /// installed files would be tens of thousands of folders more.
    pub(crate) fn of<'a>(paths: impl Iterator<Item = &'a Path>) -> anyhow::Result<Watch> {
        let (sender, changes) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if event.kind.is_create() || event.kind.is_modify() {
                for path in event.paths {
                    // The receiver ends with the program.
                    let _ = sender.send(path);
                }
            }
        });
        let mut watcher = watcher.context("watching for changes")?;
        for path in paths {
            let own = if path.is_dir() { path } else { folder(path) };
            let below = ["src", "cases"].map(|name| own.join(name)).into_iter().filter(|below| below.is_dir());
            let below = below.map(|below| (below, RecursiveMode::Recursive));
            for (watched, mode) in std::iter::once((own.to_owned(), RecursiveMode::NonRecursive)).chain(below) {
                watcher.watch(&watched, mode).with_context(|| format!("watching {}", watched.display()))?;
            }
        }
        Ok(Watch { changes, _watcher: watcher })
    }

    /// Waits for the next change; returns its files.
    pub(crate) async fn next(&mut self) -> Option<Vec<PathBuf>> {
        let mut paths = vec![self.changes.recv().await?];
        while let Ok(Some(path)) = timeout(SETTLE, self.changes.recv()).await {
            paths.push(path);
        }
        Some(paths)
    }
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
