//! Limits how fast messages are sent back or again, in small portions.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The largest portion.
pub(crate) const MOST: usize = 100;

pub(crate) struct Pace {
    per_second: Option<f64>,
    /// The time whose messages go at once.
    portion: Duration,
    next: Instant,
}

impl Pace {
    pub(crate) fn new(per_second: Option<f64>, portion: Duration) -> Pace {
        Pace { per_second, portion, next: Instant::now() }
    }

    /// How many go at once, at least one.
    pub(crate) fn chunk(&self) -> usize {
        let most = MOST as f64;
        self.per_second.map_or(MOST, |rate| (rate * self.portion.as_secs_f64()).clamp(1.0, most) as usize)
    }

    /// The time until the next portion may go; none without a rate.
    pub(crate) fn space(&self, messages: usize) -> Duration {
        let space = |rate| Duration::try_from_secs_f64(messages as f64 / rate).unwrap_or(Duration::MAX);
        self.per_second.map_or(Duration::ZERO, space)
    }

    /// Waits until these may go. What came late is made up for, by one portion at most: never by a burst.
    pub(crate) async fn wait(&mut self, messages: usize) {
        if self.per_second.is_none() {
            return;
        }
        sleep_until(self.next).await;
        let space = self.space(messages);
        let earliest = Instant::now().checked_sub(space).unwrap_or(self.next);
        self.next = self.next.max(earliest).checked_add(space).unwrap_or(self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn send(pace: &mut Pace, messages: usize) -> Duration {
        let began = Instant::now();
        let mut sent = 0;
        while sent < messages {
            let chunk = pace.chunk().min(messages - sent);
            pace.wait(chunk).await;
            // Sending takes a while too.
            tokio::time::advance(Duration::from_micros(700)).await;
            sent += chunk;
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_although_sending_takes_time() {
        let mut pace = Pace::new(Some(300.0), Duration::from_millis(10));
        assert_eq!(pace.chunk(), 3);
        let took = send(&mut pace, 3_000).await;
        assert!((9.9..10.1).contains(&took.as_secs_f64()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_at_most_one_portion_is_made_up_for() {
        let mut pace = Pace::new(Some(100.0), Duration::from_millis(10));
        send(&mut pace, 10).await;
        tokio::time::advance(Duration::from_secs(60)).await;
        let took = send(&mut pace, 100).await;
        assert!(took > Duration::from_millis(950), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_rate_sends_one_at_a_time_and_none_sends_large_portions() {
        let mut pace = Pace::new(Some(0.5), Duration::from_millis(100));
        assert_eq!(pace.chunk(), 1);
        assert!(send(&mut pace, 3).await >= Duration::from_secs(4));
        assert_eq!(Pace::new(None, Duration::from_millis(10)).chunk(), MOST);
    }
}
