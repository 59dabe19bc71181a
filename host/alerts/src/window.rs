//! How much a counter grew within a length of time.

use std::collections::VecDeque;
use std::time::Duration;

use towpath_types::clock::Timestamp;

/// Looks at a counter that only grows while its process lives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    looks: VecDeque<(Timestamp, u64)>,
}

impl Window {
    /// How much the counter grew in the time before `now`. The first look counts nothing: what was before it is not known.
    pub(crate) fn grown(&mut self, count: u64, within: Duration, now: Timestamp) -> u64 {
        // The last look before the window is where it begins.
        while self.looks.get(1).is_some_and(|(at, _)| *at + within <= now) {
            self.looks.pop_front();
        }
        self.looks.push_back((now, count));
        self.looks.front().map_or(0, |(_, first)| count.saturating_sub(*first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_within_the_window_counts() {
        let mut window = Window::default();
        let within = Duration::from_secs(60);
        let mut grown = |count: u64, second: u64| window.grown(count, within, Timestamp(second * 1000));
        assert_eq!(grown(100, 0), 0, "what was before is not known");
        assert_eq!(grown(103, 30), 3);
        assert_eq!(grown(103, 59), 3);
        assert_eq!(grown(103, 100), 0);
        assert_eq!(grown(110, 110), 7);
    }
}
