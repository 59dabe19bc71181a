//! Free space: the archive stops before the queue has none.

use std::io;
use std::path::Path;

/// The space of a file system, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Space {
    pub(crate) total: u64,
    /// What this process may still use.
    pub(crate) free: u64,
}

/// The least that is left to the queue and everybody else.
const LEAST: u64 = 1 << 30;

impl Space {
    pub(crate) fn of(folder: &Path) -> io::Result<Space> {
        let found = rustix::fs::statvfs(folder)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Space { total: bytes(found.f_blocks), free: bytes(found.f_bavail) })
    }

    /// Whether an event may be kept: 1 GiB must stay free, but never more than a quarter of a small disk.
    pub(crate) fn suffices(self) -> bool {
        self.free >= LEAST.min(self.total / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_reserve_stays_free_that_fits_the_disk() {
        let cases = [("large", 1_000 * GIB, GIB), ("small", 2 * GIB, GIB / 2)];
        for (case, total, reserve) in cases {
            assert!(Space { total, free: reserve }.suffices(), "{case}");
            assert!(!Space { total, free: reserve - 1 }.suffices(), "{case}");
        }
    }

    #[test]
    fn the_space_of_a_folder_is_known() {
        let space = Space::of(&std::env::temp_dir()).expect("a file system");
        assert!(space.total > 0 && space.free <= space.total, "{space:?}");
    }
}
