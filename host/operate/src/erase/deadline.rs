//! How long to wait for what is being delivered.

use std::time::Duration;

use tokio::time::Instant;

/// Begins with the first question: what is done before, such as reading a large archive, takes nothing from it.
pub(super) struct Deadline {
    after: Duration,
    at: Option<Instant>,
}

impl Deadline {
    pub(super) fn after(after: Duration) -> Deadline {
        Deadline { after, at: None }
    }

    pub(super) fn is_over(&mut self) -> bool {
        let now = Instant::now();
        now >= *self.at.get_or_insert(now + self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_done_before_the_wait_takes_nothing_from_it() {
        let wait = Duration::from_secs(60);
        let mut deadline = Deadline::after(wait);
        tokio::time::advance(wait * 10).await;
        assert!(!deadline.is_over());
        tokio::time::advance(wait / 2).await;
        assert!(!deadline.is_over());
        tokio::time::advance(wait / 2).await;
        assert!(deadline.is_over());
        assert!(Deadline::after(Duration::ZERO).is_over());
    }
}
