//! Limits failed logins, of one address and of all together: whoever guesses may have many addresses.
//!
//! While a limit is reached, right tokens that could be guessed are refused too, or the limit would slow nobody down. Sessions go on.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How many failures there may be at once, and how long it takes until one more may be.
#[derive(Clone, Copy)]
struct Limit {
    burst: u32,
    every: Duration,
}

const OF_ONE: Limit = Limit { burst: 10, every: Duration::from_secs(6) };
const OF_ALL: Limit = Limit { burst: 100, every: Duration::from_millis(600) };

/// The failures of the last minute.
#[derive(Default)]
pub(super) struct Attempts(Mutex<Failures>);

#[derive(Default)]
struct Failures {
    of_all: Failed,
    /// No more entries than [`OF_ALL`] allows failures in the time that [`OF_ONE`] remembers.
    of_one: HashMap<Option<IpAddr>, Failed>,
}

/// When the failures of somebody are forgotten: each moves it away by one step.
#[derive(Clone, Copy, Default)]
struct Failed(Option<Instant>);

impl Failed {
    fn left(self, now: Instant) -> Duration {
        self.0.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// How long to wait for the next attempt; zero if it may be made now.
    fn wait(self, limit: Limit, now: Instant) -> Duration {
        self.left(now).saturating_sub(limit.every * (limit.burst - 1))
    }

    fn again(self, limit: Limit, now: Instant) -> Failed {
        Failed(Some(now + self.left(now) + limit.every))
    }
}

impl Attempts {
    /// How long this address has to wait before its next attempt, if at all.
    pub(super) fn wait(&self, address: Option<IpAddr>) -> Option<Duration> {
        let now = Instant::now();
        let failures = self.0.lock();
        let own = failures.of_one.get(&address).copied().unwrap_or_default();
        let wait = failures.of_all.wait(OF_ALL, now).max(own.wait(OF_ONE, now));
        (!wait.is_zero()).then_some(wait)
    }

    /// An attempt of this address failed.
    pub(super) fn failed(&self, address: Option<IpAddr>) {
        let now = Instant::now();
        let mut failures = self.0.lock();
        failures.of_one.retain(|_, failed| !failed.left(now).is_zero());
        failures.of_all = failures.of_all.again(OF_ALL, now);
        let own = failures.of_one.entry(address).or_default();
        *own = own.again(OF_ONE, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, number]))
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_guesses_has_to_wait_and_others_have_not() {
        let attempts = Attempts::default();
        for guess in 0..OF_ONE.burst {
            assert_eq!(attempts.wait(address(1)), None, "{guess}");
            attempts.failed(address(1));
        }
        assert_eq!(attempts.wait(address(1)), Some(OF_ONE.every));
        assert_eq!(attempts.wait(address(2)), None);
        tokio::time::advance(OF_ONE.every).await;
        assert_eq!(attempts.wait(address(1)), None);
        attempts.failed(address(1));
        assert_eq!(attempts.wait(address(1)), Some(OF_ONE.every), "one step lets in one more attempt");
        tokio::time::advance(OF_ONE.every * OF_ONE.burst).await;
        attempts.failed(address(2));
        assert_eq!(attempts.0.lock().of_one.len(), 1, "what is over is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_together_have_to_wait_too() {
        let attempts = Attempts::default();
        for number in 0..100 {
            assert_eq!(attempts.wait(address(number)), None, "{number}");
            attempts.failed(address(number));
        }
        assert_eq!(attempts.wait(address(200)), Some(OF_ALL.every));
        tokio::time::advance(OF_ALL.every).await;
        assert_eq!(attempts.wait(address(200)), None);
    }
}
