//! Remembers webhooks of which only a part was stored, so that their repeat continues where they stopped.
//!
//! A webhook without a key and a signed time has nothing that tells its repeat from another one with the same body. So each
//! has an id of its own, and only a repeat of one that failed gets the id of the failed one. It is a memory of this process:
//! elsewhere a repeat is stored as a new webhook.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::budget::Recent;

/// Afterwards a queue does not know the ids either. Source: `MessageDeduplicationId` in the `SendMessage` API of SQS.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);

#[derive(Debug, Default)]
pub(crate) struct Unfinished(Mutex<Recent<String, (Instant, String)>>);

/// One try to store a webhook. If it is dropped before it is done, the next one with the same body has the same id.
pub(crate) struct Try<'a> {
    unfinished: &'a Unfinished,
    digest: String,
    pub(crate) id: String,
    done: bool,
}

impl Unfinished {
    /// Begins with the id of an earlier try of this digest that was not done, or else with a new one.
    pub(crate) fn begin(&self, digest: String, new: impl FnOnce() -> String) -> Try<'_> {
        let earlier = self.0.lock().remove(&digest).filter(|(since, _)| since.elapsed() < REMEMBERED);
        let id = earlier.map_or_else(new, |(_, id)| id);
        Try { unfinished: self, digest, id, done: false }
    }
}

impl Try<'_> {
    pub(crate) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        if !self.done {
            let digest = std::mem::take(&mut self.digest);
            self.unfinished.0.lock().put(digest, (Instant::now(), std::mem::take(&mut self.id)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_repeat_of_a_try_that_failed_has_its_id() {
        let unfinished = Unfinished::default();
        let begin = |new: &str| unfinished.begin("body".to_owned(), || new.to_owned());
        begin("1").done();
        drop(begin("2"));
        let repeat = begin("3");
        assert_eq!(repeat.id, "2");
        assert_eq!(begin("4").id, "4", "another webhook of the same body beside it");
        drop(repeat);
        assert_eq!(begin("5").id, "2");
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(begin("6").id, "6");
    }
}
