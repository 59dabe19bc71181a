//! Turns: a target that was resumed at a rate gets what waited one after another, evenly spaced.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use towpath_types::clock::Timestamp;
use towpath_types::holds::Drain;

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

/// A turn that was taken, and is given back unless it is used.
#[derive(Debug)]
struct DrainTurn<'a> {
    drains: &'a Drains,
    target: &'a str,
    at: Instant,
    /// What `next` became with it.
    then: Instant,
    used: bool,
}

impl Drains {
    /// Waits for a turn. If there is none soon enough it is not taken, and the error says when to ask again.
    pub(super) async fn turn(&self, target: &str, drain: &Drain, deadline: Instant) -> Result<(), Duration> {
        let mut turn = self.take(target, drain, deadline)?;
        sleep_until(turn.at).await;
        turn.used = true;
        Ok(())
    }

    fn take<'a>(&'a self, target: &'a str, drain: &Drain, deadline: Instant) -> Result<DrainTurn<'a>, Duration> {
        let now = Instant::now();
        // A rate of nothing would never end; the command refuses it, a file may hold it.
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
        // Somebody who has a later turn keeps it, and this one is lost.
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

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_is_not_waited_for_goes_to_the_next() {
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
