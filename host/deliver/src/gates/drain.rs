//! Drains: a target that was resumed at a rate gets its backlog one message at a time, evenly spaced.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use towpath_types::clock::Timestamp;
use towpath_types::holds::Drain;

/// The longest that a message waits here for its turn. Beyond that it is released.
const WAIT: Duration = Duration::from_secs(5);

/// The next turn at each target.
#[derive(Debug, Default)]
pub(super) struct Drains(Mutex<HashMap<String, Turns>>);

#[derive(Clone, Copy, Debug)]
struct Turns {
    /// The time of the resume that the turns belong to.
    of: Timestamp,
    next: Instant,
}

/// A reserved turn. It is given up unless it is used.
#[derive(Debug)]
struct DrainTurn<'a> {
    drains: &'a Drains,
    target: &'a str,
    at: Instant,
    /// The value of `next` after the reservation.
    then: Instant,
    used: bool,
}

impl Drains {
    /// Waits for a turn. If none comes soon enough, none is reserved, and the error is when to ask again.
    pub(super) async fn turn(&self, target: &str, drain: &Drain, deadline: Instant) -> Result<(), Duration> {
        let mut turn = self.take(target, drain, deadline)?;
        sleep_until(turn.at).await;
        turn.used = true;
        Ok(())
    }

    fn take<'a>(&'a self, target: &'a str, drain: &Drain, deadline: Instant) -> Result<DrainTurn<'a>, Duration> {
        let now = Instant::now();
        // At a rate of 0 the drain would never end. The command refuses it, but a file may contain it.
        let space = Duration::try_from_secs_f64(1.0 / drain.per_second).unwrap_or(WAIT);
        let mut all = self.0.lock();
        let turns = all.entry(target.to_owned()).or_insert(Turns { of: drain.at, next: now });
        if turns.of != drain.at {
            *turns = Turns { of: drain.at, next: now };
        }
        let at = turns.next.max(now);
        if at > deadline.min(now + WAIT) {
            return Err(at - now);
        }
        turns.next = at + space;
        Ok(DrainTurn { drains: self, target, at, then: at + space, used: false })
    }
}

impl Drop for DrainTurn<'_> {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        // If a later turn is reserved already, it stays, and this one is lost.
        if let Some(turns) = self.drains.0.lock().get_mut(self.target).filter(|turns| turns.next == self.then) {
            turns.next = self.at;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_evenly_spaced_and_distant_ones_are_not_reserved() {
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
        assert_eq!(drains.turn("sss", &later, soon).await, Ok(()), "another resume starts over");
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_turn_goes_to_the_next_message() {
        let drains = Drains::default();
        let drain = Drain { at: Timestamp(1), per_second: 1.0 };
        let started = Instant::now();
        let far = started + Duration::from_secs(60);
        drains.turn("sss", &drain, far).await.expect("a turn");
        for _ in 0..20 {
            let gave_up = timeout(Duration::from_millis(10), drains.turn("sss", &drain, far)).await;
            assert!(gave_up.is_err(), "it is not its turn yet");
        }
        drains.turn("sss", &drain, far).await.expect("a turn");
        assert_eq!(started.elapsed(), Duration::from_secs(1));
    }
}
