//! The rate of a move task.

use std::time::Duration;

use tokio::time::Instant;

use super::task::MAX_MOVES_PER_SECOND;

/// The interval of a running task's steps. A step is one transaction.
pub(super) const PACE: Duration = Duration::from_millis(100);

/// A stalled task catches up at most this much time at once. Otherwise it would exceed the requested rate.
const MOST_CREDIT: Duration = Duration::from_secs(1);

/// How many messages a task may move for this credit.
pub(super) fn allowance(per_second: Option<u32>, credit: Duration) -> u32 {
    let messages = credit.as_nanos() * u128::from(per_second.unwrap_or(MAX_MOVES_PER_SECOND));
    u32::try_from(messages / Duration::from_secs(1).as_nanos()).unwrap_or(u32::MAX)
}

/// Keeps a task to its rate. The credit is elapsed time for which it has not moved messages yet.
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

    /// Spends the allowance of a step, even if fewer messages were there to move: a step cannot save its rest for the next.
    pub(super) fn spend(&mut self, messages: u32, per_second: Option<u32>) {
        let spent = Duration::from_secs(1) * messages / per_second.unwrap_or(MAX_MOVES_PER_SECOND).max(1);
        self.credit = self.credit.saturating_sub(spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stalled_task_catches_up_at_most_one_second() {
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
    fn a_task_slower_than_one_message_a_step_keeps_its_rate() {
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
