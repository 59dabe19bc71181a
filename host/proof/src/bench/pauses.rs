//! Measures how often the machine itself pauses, as a virtual machine with shared cores does. All latencies include these pauses.

use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

/// How long to measure.
const LENGTH: Duration = Duration::from_secs(3);

/// Shorter pauses are interrupts and other work of the system.
const PAUSE: Duration = Duration::from_millis(1);

/// The pauses of a core.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Pauses {
    /// Pauses per second.
    pub per_second: f64,
    /// Their share of the time.
    pub percent: f64,
    /// The longest one.
    pub most_ms: f64,
}

/// Reads the clock in a loop on each core. Other load of the machine is measured with it.
pub(crate) fn measure() -> Pauses {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let watches: Vec<_> = (0..cores).map(|_| thread::spawn(|| watch(LENGTH))).collect();
    let found = watches.into_iter().filter_map(|watch| watch.join().ok()).flatten();
    Pauses::of(&found.collect::<Vec<_>>(), LENGTH.as_secs_f64() * cores as f64)
}

/// The pauses within this time.
fn watch(length: Duration) -> Vec<Duration> {
    let began = Instant::now();
    let mut pauses = Vec::new();
    let mut last = began;
    while last - began < length {
        let now = Instant::now();
        pauses.extend(Some(now - last).filter(|gap| *gap >= PAUSE));
        last = now;
    }
    pauses
}

impl Pauses {
    fn of(found: &[Duration], seconds: f64) -> Pauses {
        let longest = found.iter().max().copied().unwrap_or_default();
        let total: Duration = found.iter().sum();
        Pauses {
            per_second: found.len() as f64 / seconds,
            percent: total.as_secs_f64() / seconds * 100.0,
            most_ms: longest.as_secs_f64() * 1e3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_reported_per_core_and_second() {
        let found = [4, 6].map(Duration::from_millis);
        assert_eq!(Pauses::of(&found, 4.0), Pauses { per_second: 0.5, percent: 0.25, most_ms: 6.0 });
        assert_eq!(Pauses::of(&[], 4.0), Pauses::default());
    }
}
