//! How long to wait between retries.

use std::time::Duration;

use crate::queue::GroupId;

/// `base`, doubled with every consecutive failure, up to `cap`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    pub base: Duration,
    pub cap: Duration,
}

impl Default for Backoff {
    /// Two seconds, up to 15 minutes.
    fn default() -> Backoff {
        Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(15 * 60) }
    }
}

impl Backoff {
    /// The wait after this many consecutive failures (from 1).
    pub fn plain(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// The same, spread by group over the upper half of the interval, so that groups blocked by one outage do not all
    /// retry in the same second.
    pub fn after(&self, failures: u32, group: &GroupId) -> Duration {
        let full = self.plain(failures);
        full.div_f64(2.0) + full.mul_f64(spread(group, failures) / 2.0)
    }
}

/// A number in 0..1 that depends only on the group and the count (FNV-1a).
fn spread(group: &GroupId, failures: u32) -> f64 {
    let bytes = group.as_str().bytes().chain(failures.to_le_bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    f64::from(hash) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_cap_and_spreads_by_group() {
        let backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(60) };
        for (failures, full) in [(0, 2), (1, 2), (2, 4), (5, 32), (6, 60), (u32::MAX, 60)] {
            let full = Duration::from_secs(full);
            assert_eq!(backoff.plain(failures), full);
            for group in ["a", "b", "c"] {
                let wait = backoff.after(failures, &group.into());
                assert!(wait >= full / 2 && wait <= full, "{failures} failures of {group}: {wait:?}");
            }
        }
        let waits: std::collections::HashSet<_> =
            (0..100).map(|n| backoff.after(3, &format!("group-{n}").into())).collect();
        assert!(waits.len() > 90, "groups share waits: {}", waits.len());
    }
}
