//! SIGTERM, Ctrl-C and SIGHUP: the first one drains, a later SIGTERM or Ctrl-C quits at once.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The exit code of a process that quits at once.
pub const INTERRUPTED: u8 = 130;

/// Shells and service managers often send two signals: one that follows within this time belongs to the first.
const SAME: Duration = Duration::from_secs(1);

/// A signal that ends a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Terminate,
    Interrupt,
    Hangup,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Terminate => "SIGTERM",
            Kind::Interrupt => "Ctrl-C",
            Kind::Hangup => "SIGHUP",
        }
    }

    /// Whether it ends a process at once that has drained for this long. A closed terminal never does.
    fn quits(self, after: Duration) -> bool {
        self != Kind::Hangup && after >= SAME
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// `None` where hangups are ignored.
    hangup: Option<Signal>,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        // `nohup` starts a process with SIGHUP ignored, to outlive its terminal.
        let hangup = if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())?, hangup })
    }

    async fn next(&mut self) -> Kind {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Kind::Terminate,
            _ = self.interrupt.recv() => Kind::Interrupt,
            _ = hangup => Kind::Hangup,
        }
    }
}

/// Whether this process was started with SIGHUP ignored; false if the system does not tell.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// Waits for the first signal.
pub async fn first() -> io::Result<()> {
    Signals::new()?.next().await;
    Ok(())
}

/// Cancels `stop` on the first signal and ends the process on a later one. Runs until then.
pub async fn watch(stop: CancellationToken) -> io::Result<()> {
    let mut signals = Signals::new()?;
    let first = signals.next().await;
    let began = Instant::now();
    info!(signal = first.name(), "stopping: draining, a second SIGTERM or Ctrl-C quits at once");
    stop.cancel();
    loop {
        let kind = signals.next().await;
        if kind.quits(began.elapsed()) {
            warn!(signal = kind.name(), "quitting at once, messages in flight will be delivered again");
            std::process::exit(INTERRUPTED.into());
        }
        info!(signal = kind.name(), "still draining");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_quits_only_if_it_comes_a_second_after_the_first_and_is_no_hangup() {
        let just_before = SAME - Duration::from_millis(1);
        for kind in [Kind::Terminate, Kind::Interrupt] {
            assert!(!kind.quits(Duration::ZERO) && !kind.quits(just_before) && kind.quits(SAME), "{kind:?}");
        }
        assert!(!Kind::Hangup.quits(SAME) && !Kind::Hangup.quits(SAME * 3600));
    }
}
