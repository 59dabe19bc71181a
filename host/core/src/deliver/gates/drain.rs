//! Turns: a target that was resumed at a rate gets what waited one after another, evenly spaced.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::clock::Timestamp;
use crate::holds::Drain;

/// The longest that a message waits for its turn where it is; beyond that it is given back.
const WAIT: Duration = Duration::from_secs(5);

/// When the next turn at each target is.
#[derive(Debug, Default)]
pub(super) struct Drains(Mutex<HashMap<String, Turns>>);

#[derive(Clone, Copy, Debug)]
struct Turns {
    /// The resume that the turns belong to.
    of: Timestamp,
    next: Instant,
}

impl Drains {
    /// Waits for a turn. If there is none soon enough it is not taken, and the error says when to ask again.
    pub(super) async fn turn(&self, target: &str, drain: &Drain, deadline: Instant) -> Result<(), Duration> {
        let at = self.take(target, drain, deadline)?;
        sleep_until(at).await;
        Ok(())
    }

    fn take(&self, target: &str, drain: &Drain, deadline: Instant) -> Result<Instant, Duration> {
        let now = Instant::now();
        // A rate of nothing would never end; the command refuses it, a file may hold it.
        let space = Duration::try_from_secs_f64(1.0 / drain.per_second).unwrap_or(WAIT);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = all.entry(target.to_owned()).or_insert(Turns { of: drain.at, next: now });
        if turns.of != drain.at {
            *turns = Turns { of: drain.at, next: now };
        }
        let turn = turns.next.max(now);
        if turn > deadline.min(now + WAIT) {
            return Err(turn - now);
        }
        turns.next = turn + space;
        Ok(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_evenly_spaced_and_far_ones_are_not_taken() {
        let drains = Drains::default();
        let drain = Drain { at: Timestamp(1), per_second: 2.0 };
        let started = Instant::now();
        let far = started + Duration::from_secs(60);
        for turn in 0..4_u32 {
            drains.turn("sss", &drain, far).await.expect("a turn");
            assert_eq!(started.elapsed().as_millis(), u128::from(turn) * 500);
        }
        let soon = Instant::now() + Duration::from_millis(100);
        assert_eq!(drains.turn("sss", &drain, soon).await, Err(Duration::from_millis(500)));
        assert_eq!(drains.turn("other", &drain, soon).await, Ok(()));
        let later = Drain { at: Timestamp(2), ..drain };
        assert_eq!(drains.turn("sss", &later, soon).await, Ok(()), "another resume begins anew");
    }
}
