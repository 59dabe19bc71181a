//! SIGTERM and Ctrl-C: the first stops, the second quits.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Waits for the first signal.
pub(crate) async fn first() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Cancels `stop` on the first signal and ends the process on the second. Runs until then.
pub(crate) async fn watch(stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut next = async || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "Ctrl-C",
        }
    };
    let name = next().await;
    info!(signal = name, "stopping; once more quits at once");
    stop.cancel();
    let name = next().await;
    warn!(signal = name, "quitting at once; what was not finished comes again");
    std::process::exit(130);
}
