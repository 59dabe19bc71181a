//! The CPU time and memory of a process, from `/proc`.

use std::time::Duration;

/// CPU time and memory of a process.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Usage {
    /// CPU time, user and system, in steps of 10 ms.
    pub(crate) cpu: Duration,
    /// The peak resident memory, in bytes.
    pub(crate) peak: u64,
}

impl Usage {
    /// The usage of a process and its threads; zero if it is gone.
    pub(crate) fn of(process: u32) -> Usage {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
        let stat = read("stat");
        // utime and stime are the 12th and 13th fields after the name, which may contain anything. They include ended threads.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        let status = read("status");
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        Usage { cpu: Duration::from_millis(ticks * 10), peak: peak.unwrap_or(0_u64) * 1024 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something_and_one_that_is_gone_nothing() {
        let usage = Usage::of(std::process::id());
        assert!(usage.peak > 1_000_000, "{usage:?}");
        assert_eq!(Usage::of(u32::MAX), Usage::default());
    }
}
