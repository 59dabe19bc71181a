//! The archive of a host that is a process: segments in a folder, which a task closes and removes.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use towpath_archive::{Segments, Settings};
use towpath_config::ArchiveConfig;
use towpath_metrics as metrics;
use towpath_types::clock::Clock;
use tracing::{error, warn};

use crate::Supervisor;

/// How often segments are looked after, besides each time that one is complete.
const PERIOD: Duration = Duration::from_secs(60);

/// The archive that a config describes; `None` if it has none in a folder.
pub(crate) fn of(config: &ArchiveConfig) -> Option<Arc<Segments>> {
    let settings = Settings { folder: config.folder.clone()?, keep: config.keep, max_size: config.max_size };
    Some(Arc::new(Segments::new(settings, metrics::archive_dropped)))
}

/// Looks after an archive until the host stops. The next process closes the segment that is live then.
pub(crate) fn look_after(archive: Arc<Segments>, clock: Clock, host: &mut Supervisor) {
    host.tasks.spawn("archive", run(archive, clock, host.stop.clone()));
}

async fn run(archive: Arc<Segments>, clock: Clock, stop: CancellationToken) {
    let work = async {
        loop {
            let tidied = Arc::clone(&archive);
            match spawn_blocking(move || tidied.tidy(clock.now())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    warn!(
                        event = "archive-close-failed",
                        error = &error as &dyn Error,
                        "archive cannot be looked after, trying again within a minute"
                    );
                }
                Err(error) => {
                    error!(
                        event = "archive-close-failed",
                        error = &error as &dyn Error,
                        "looking after the archive panicked: this is a bug in towpath"
                    );
                }
            }
            tokio::select! {
                () = archive.rotated() => {}
                () = sleep(PERIOD) => {}
            }
        }
    };
    stop.run_until_cancelled(work).await;
}
