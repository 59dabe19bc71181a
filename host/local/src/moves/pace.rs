//! The rate of a move task.

use std::time::Duration;

use tokio::time::Instant;

use super::task::MAX_MOVES_PER_SECOND;

/// How often a running task makes a step. A step is one transaction.
pub(super) const PACE: Duration = Duration::from_millis(100);

/// A task that stood still makes up for so much of the time at once, and no more: nobody asked for a higher rate.
const MOST_CREDIT: Duration = Duration::from_secs(1);

/// How many messages a task may move in so much time.
pub(super) fn allowance(per_second: Option<u32>, credit: Duration) -> u32 {
    let messages = credit.as_nanos() * u128::from(per_second.unwrap_or(MAX_MOVES_PER_SECOND));
    u32::try_from(messages / Duration::from_secs(1).as_nanos()).unwrap_or(u32::MAX)
}

/// The time that a task has not moved messages for yet.
pub(super) struct Pace {
    credit: Duration,
    counted: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Pace {
        Pace { credit: PACE, counted: now }
    }

    pub(super) fn credit(&mut self, now: Instant) -> Duration {
        self.credit = (self.credit + now.duration_since(self.counted)).min(MOST_CREDIT);
        self.counted = now;
        self.credit
    }

    /// Whether so many were there or not: what a step did not need is not for the next one.
    pub(super) fn spend(&mut self, messages: u32, per_second: Option<u32>) {
        let spent = Duration::from_secs(1) * messages / per_second.unwrap_or(MAX_MOVES_PER_SECOND).max(1);
        self.credit = self.credit.saturating_sub(spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_stood_still_makes_up_for_a_second_and_no_more() {
        let began = Instant::now();
        let mut pace = Pace::new(began);
        let mut moves = |after: Duration, rate: u32| {
            let room = allowance(Some(rate), pace.credit(began + after));
            pace.spend(room, Some(rate));
            room
        };
        assert_eq!(moves(Duration::ZERO, 500), 50);
        assert_eq!(moves(PACE, 500), 50);
        assert_eq!(moves(Duration::from_secs(60), 500), 500);
        assert_eq!(moves(Duration::from_secs(60) + PACE, 500), 50);
    }

    #[test]
    fn a_task_that_moves_less_than_a_message_a_step_keeps_its_rate() {
        let began = Instant::now();
        let mut pace = Pace::new(began);
        let mut moved = 0;
        for step in 0..100 {
            let room = allowance(Some(3), pace.credit(began + PACE * step));
            pace.spend(room, Some(3));
            moved += room;
        }
        assert!((29..=30).contains(&moved), "{moved} in ten seconds");
    }
}
