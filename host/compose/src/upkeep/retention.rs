//! `dead_letters.keep`: removes dead letters of that age, after a warning and an entry in the audit.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use towpath_local::{Browsed, LocalQueue, Store};
use towpath_metrics as telemetry;
use towpath_operate::audit::Audit;
use towpath_operate::letters::{Letter, browsed_letter};
use towpath_types::clock::Timestamp;
use tracing::warn;

/// How many messages are removed in one transaction.
pub(super) const STEP: usize = 100;

/// How long before a removal to warn, at most: a tenth of the time that letters are kept, if that is shorter.
const NOTICE: Duration = Duration::from_secs(24 * 3600);

/// The most warnings in that time.
const WARNINGS: u32 = 24;

/// How long a letter is hidden while it is audited and removed: longer than that takes. After a crash it reappears.
const HIDDEN: Duration = Duration::from_secs(5 * 60);

/// The name of the store's note that holds the warnings.
const WARNED: &str = "dead-letters-warned";

/// `dead_letters.keep`.
pub(super) struct Retention {
    letters: LocalQueue,
    keep: Duration,
}

/// The warnings so far. They are kept in the store, so that a restart neither forgets nor repeats them.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Warned {
    /// The rule that the warnings were about.
    keep: Duration,
    /// The warnings, oldest first.
    warnings: Vec<Warning>,
}

/// A warning about every letter up to this sequence number, except those of earlier warnings.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Warning {
    up_to: String,
    at: Timestamp,
}

impl Retention {
    pub(super) fn new(letters: LocalQueue, keep: Duration) -> Retention {
        Retention { letters, keep }
    }

    /// How long before its removal a letter is announced.
    fn notice(&self) -> Duration {
        NOTICE.min(self.keep / 10)
    }

    /// Removes letters that were announced long enough ago, and announces the next ones.
    pub(super) async fn pass(&self) -> anyhow::Result<()> {
        let now = self.letters.store().now();
        let mut warned = self.warned().await?;
        let heeded = warned.warnings.iter().rposition(|warning| warning.at <= now - self.notice());
        // A warning covers the letters of earlier ones.
        warned.warnings.drain(..heeded.unwrap_or_default());
        if let Some(warning) = warned.warnings.first().filter(|_| heeded.is_some()) {
            let removed = self.remove_up_to(&warning.up_to, now - self.keep).await?;
            if removed > 0 {
                warn!(removed, "removed dead letters, as dead_letters.keep says; audit.jsonl has them");
            }
        }
        self.warn(warned, now).await
    }

    /// Announces letters that are due soon.
    async fn warn(&self, mut warned: Warned, now: Timestamp) -> anyhow::Result<()> {
        let soon = now - self.keep + self.notice();
        let mut after = warned.warnings.last().map(|warning| warning.up_to.clone());
        if self.due(after.as_deref(), soon).await?.is_empty() {
            return Ok(());
        }
        // Includes the next ones, so that a few warnings cover all.
        let soon = soon + self.notice() / WARNINGS;
        let mut letters = 0;
        loop {
            let due = self.due(after.as_deref(), soon).await?;
            let Some(last) = due.last() else { break };
            after = Some(last.sequence.clone());
            letters += due.len();
        }
        let notice = humantime::format_duration(self.notice());
        warn!(
            letters,
            notice = %notice,
            "dead letters will be removed soon, as dead_letters.keep says: redrive them, or drop them"
        );
        warned.warnings.extend(after.map(|up_to| Warning { up_to, at: now }));
        let text = serde_json::to_string(&warned).context("recording the warnings")?;
        Ok(self.letters.store().set_note(WARNED, Some(text)).await?)
    }

    /// The warnings for this rule. Another rule starts without warnings.
    async fn warned(&self) -> anyhow::Result<Warned> {
        let text = self.letters.store().note(WARNED).await?;
        let warned = text.and_then(|text| serde_json::from_str::<Warned>(&text).ok());
        let none = || Warned { keep: self.keep, warnings: Vec::new() };
        Ok(warned.filter(|warned| warned.keep == self.keep).unwrap_or_else(none))
    }

    /// Removes the letters up to this one that have been kept since this time or longer. Returns how many.
    async fn remove_up_to(&self, last: &str, since: Timestamp) -> anyhow::Result<usize> {
        let mut after = None;
        let mut removed = 0;
        loop {
            let due = self.due(after.as_deref(), since).await?.into_iter().map(|letter| letter.sequence);
            let due: Vec<String> = due.take_while(|sequence| sequence.as_str() <= last).collect();
            if due.is_empty() {
                return Ok(removed);
            }
            after = due.last().cloned();
            removed += self.remove(due).await?;
        }
    }

    /// The next letters that have been kept since this time or longer, oldest first, as many as one transaction takes.
    async fn due(&self, after: Option<&str>, since: Timestamp) -> anyhow::Result<Vec<Browsed>> {
        let letters = self.letters.browse(after, STEP).await?;
        Ok(letters.into_iter().take_while(|letter| letter.kept_since <= since).collect())
    }

    /// Audits letters, then removes them, except those in flight. They are hidden meanwhile, so that no letter is sent back that the audit
    /// calls removed. Returns how many were removed.
    async fn remove(&self, sequences: Vec<String>) -> anyhow::Result<usize> {
        let folder = self.letters.store().file().parent().unwrap_or(Path::new("")).to_owned();
        let audit = Audit::in_folder(&folder);
        // An erasure waits for this, and then finds what is in the audit; a letter that it erased before is not hidden.
        let alone = audit.alone().await?;
        let hidden = self.letters.hide(sequences, HIDDEN).await?;
        if hidden.messages.is_empty() {
            return Ok(0);
        }
        let letters: Vec<Letter> = hidden.messages.iter().cloned().map(browsed_letter).collect();
        let note = format!("dead_letters.keep = {}", humantime::format_duration(self.keep));
        let write = move || audit.retention(&note, &letters);
        tokio::task::spawn_blocking(write).await.context("writing to the audit")??;
        drop(alone);
        let removed = self.letters.discard_hidden(hidden).await?;
        let count = removed.len();
        for letter in removed.into_iter().map(browsed_letter) {
            telemetry::removed(letter.death.route.as_deref().unwrap_or_default(), &letter.death.reason);
        }
        Ok(count)
    }
}

/// Forgets the warnings of a rule that was removed: if it comes back, it warns again.
pub(super) async fn forget(store: &Store) {
    let forget = async {
        match store.note(WARNED).await? {
            Some(_) => store.set_note(WARNED, None).await,
            None => Ok(()),
        }
    };
    if let Err(error) = forget.await {
        warn!(
            error = &error as &dyn std::error::Error,
            "forgetting the warnings of an earlier dead_letters.keep failed"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tempfile::TempDir;
    use towpath_local::{KEPT_FOR_EVER, QueueSettings};
    use towpath_types::clock::Clock;
    use towpath_types::queue::{NewMessage, Queue as _, Receive};

    use super::*;

    const DAY: u64 = 24 * 3600 * 1000;

    async fn letters(folder: &TempDir, clock: Clock) -> LocalQueue {
        let store = Store::open(folder.path(), clock).expect("store");
        let settings = QueueSettings { retention: KEPT_FOR_EVER, ..QueueSettings::default() };
        store.queue("events-dead.fifo", settings).await.expect("queue")
    }

    async fn dies(letters: &LocalQueue, id: &str) {
        let group = "g".into();
        let dedup_id = Some(id.replace(' ', "-").into());
        let body = id.into();
        letters.send(NewMessage { group, dedup_id, body, attributes: Default::default() }).await.expect("send");
    }

    async fn bodies(letters: &LocalQueue) -> Vec<String> {
        letters.browse(None, 10_000).await.expect("letters").into_iter().map(|letter| letter.body.into_text()).collect()
    }

    const HOUR: u64 = DAY / 24;

    fn ten_days(letters: &LocalQueue) -> Retention {
        Retention::new(letters.clone(), Duration::from_secs(10 * 24 * 3600))
    }

    fn audit(folder: &TempDir) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    #[tokio::test]
    async fn only_a_letter_that_is_too_old_is_announced_audited_and_removed() {
        static AHEAD: AtomicU64 = AtomicU64::new(0);
        let folder = TempDir::new().expect("folder");
        let letters = letters(&folder, Clock::wall().shifted(&AHEAD)).await;
        let retention = ten_days(&letters);
        for n in 0..STEP + 5 {
            dies(&letters, &format!("old {n}")).await;
        }
        AHEAD.fetch_add(8 * DAY, Ordering::Relaxed);
        dies(&letters, "young").await;
        retention.pass().await.expect("nothing to do");
        assert!(retention.warned().await.expect("read").warnings.is_empty(), "two days are left");
        AHEAD.fetch_add(DAY + HOUR, Ordering::Relaxed);
        retention.pass().await.expect("announced");
        assert_eq!(retention.warned().await.expect("read").warnings.len(), 1);
        AHEAD.fetch_add(23 * HOUR, Ordering::Relaxed);
        retention.pass().await.expect("too soon");
        assert_eq!(bodies(&letters).await.len(), STEP + 6, "they were announced an hour less than a day ago");
        AHEAD.fetch_add(HOUR, Ordering::Relaxed);
        retention.pass().await.expect("removed");
        assert_eq!(bodies(&letters).await, ["young"]);
        let audit = audit(&folder);
        assert_eq!(audit.len(), STEP + 5);
        assert_eq!([&audit[0]["action"], &audit[0]["reason"], &audit[0]["body"]], ["drop", "retention", "old 0"]);
        assert_eq!(audit[0]["note"], "dead_letters.keep = 10days");
    }

    #[tokio::test]
    async fn letters_that_are_overdue_when_the_rule_is_written_are_announced_a_day_before_too_whatever_restarts() {
        static AHEAD: AtomicU64 = AtomicU64::new(0);
        let folder = TempDir::new().expect("folder");
        let letters = letters(&folder, Clock::wall().shifted(&AHEAD)).await;
        dies(&letters, "overdue").await;
        AHEAD.fetch_add(30 * DAY, Ordering::Relaxed);
        for hour in 0..24 {
            // Each hour another process.
            ten_days(&letters).pass().await.expect("announced");
            assert_eq!(bodies(&letters).await, ["overdue"], "after {hour} hours");
            assert_eq!(ten_days(&letters).warned().await.expect("read").warnings.len(), 1, "once");
            AHEAD.fetch_add(HOUR, Ordering::Relaxed);
        }
        // A rule that is changed, or was removed meanwhile, announces again.
        Retention::new(letters.clone(), Duration::from_secs(9 * 24 * 3600)).pass().await.expect("announced");
        assert_eq!(bodies(&letters).await, ["overdue"]);
        ten_days(&letters).pass().await.expect("announced");
        forget(letters.store()).await;
        AHEAD.fetch_add(DAY, Ordering::Relaxed);
        ten_days(&letters).pass().await.expect("announced");
        assert_eq!(bodies(&letters).await, ["overdue"]);
        AHEAD.fetch_add(DAY, Ordering::Relaxed);
        ten_days(&letters).pass().await.expect("removed");
        assert_eq!(bodies(&letters).await, [""; 0]);
    }

    #[tokio::test]
    async fn a_steady_stream_of_letters_is_removed_in_time_after_a_few_warnings_a_day() {
        static AHEAD: AtomicU64 = AtomicU64::new(0);
        let folder = TempDir::new().expect("folder");
        let letters = letters(&folder, Clock::wall().shifted(&AHEAD)).await;
        let retention = ten_days(&letters);
        for hour in 0..12 * 24 {
            dies(&letters, &format!("{hour}")).await;
            retention.pass().await.expect("a pass");
            let warnings = retention.warned().await.expect("read").warnings.len();
            assert!(warnings <= WARNINGS as usize + 2, "{warnings} warnings");
            assert_eq!(bodies(&letters).await.len(), (10 * 24).min(hour + 1), "letters of ten days");
            AHEAD.fetch_add(HOUR, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn a_letter_in_flight_is_neither_removed_nor_audited_and_delays_no_other() {
        static AHEAD: AtomicU64 = AtomicU64::new(0);
        let folder = TempDir::new().expect("folder");
        let letters = letters(&folder, Clock::wall().shifted(&AHEAD)).await;
        for n in 0..STEP + 5 {
            let group = format!("g/{n}").as_str().into();
            let dedup_id = Some(n.to_string().into());
            let message = NewMessage { group, dedup_id, body: n.to_string().into(), attributes: Default::default() };
            letters.send(message).await.expect("send");
        }
        AHEAD.fetch_add(30 * DAY, Ordering::Relaxed);
        let retention = ten_days(&letters);
        retention.pass().await.expect("announced");
        AHEAD.fetch_add(DAY, Ordering::Relaxed);
        let look = || Receive { max: 3, visibility: Some(Duration::from_secs(3600)), ..Receive::default() };
        let held = letters.receive(look()).await.expect("letters");
        for _ in 0..3 {
            retention.pass().await.expect("removed");
            assert_eq!(bodies(&letters).await, ["0", "1", "2"]);
            assert_eq!(audit(&folder).len(), STEP + 2, "the audit has no letter that was not removed");
        }
        let handles: Vec<_> = held.into_iter().map(|message| (message.handle, Duration::ZERO)).collect();
        letters.change_visibility(&handles).await.into_iter().for_each(|done| done.expect("given back"));
        retention.pass().await.expect("removed");
        assert_eq!((bodies(&letters).await.len(), audit(&folder).len()), (0, STEP + 5));
    }

    #[tokio::test]
    async fn a_letter_that_is_audited_as_removed_cannot_be_received_sent_back_or_edited() {
        let folder = TempDir::new().expect("folder");
        let letters = letters(&folder, Clock::wall()).await;
        for id in ["gone", "edited"] {
            dies(&letters, id).await;
        }
        let sequences: Vec<String> =
            letters.browse(None, 10).await.expect("letters").into_iter().map(|letter| letter.sequence).collect();
        let hidden = letters.hide(sequences.clone(), HIDDEN).await.expect("hidden");
        assert_eq!(hidden.messages.len(), 2);
        assert!(letters.receive(Receive::default()).await.expect("nothing").is_empty());
        assert!(!letters.discard(&sequences[0]).await.expect("held"));
        assert!(letters.hide(sequences.clone(), HIDDEN).await.expect("hidden").messages.is_empty());
        letters.edit(&sequences[1], &"g".into(), "mended".into(), &Default::default()).await.expect("edited");
        let removed = letters.discard_hidden(hidden).await.expect("removed");
        assert_eq!(removed.iter().map(|letter| letter.body.as_text().expect("text")).collect::<Vec<_>>(), ["gone"]);
        assert_eq!(bodies(&letters).await, ["mended"], "that is not what was audited");
    }

    #[tokio::test]
    async fn a_letter_that_cannot_be_audited_is_not_removed() {
        static AHEAD: AtomicU64 = AtomicU64::new(0);
        let folder = TempDir::new().expect("folder");
        let letters = letters(&folder, Clock::wall().shifted(&AHEAD)).await;
        let retention = Retention::new(letters.clone(), Duration::from_secs(3600));
        dies(&letters, "old").await;
        AHEAD.fetch_add(DAY, Ordering::Relaxed);
        std::fs::create_dir(folder.path().join("audit.jsonl")).expect("in the way");
        retention.pass().await.expect("announced");
        AHEAD.fetch_add(HOUR, Ordering::Relaxed);
        retention.pass().await.expect_err("there is no audit");
        assert_eq!(bodies(&letters).await, ["old"]);
    }

    #[tokio::test]
    async fn letters_are_audited_and_removed_while_no_erasure_looks_at_the_audit() {
        static AHEAD: AtomicU64 = AtomicU64::new(0);
        let folder = TempDir::new().expect("folder");
        let letters = letters(&folder, Clock::wall().shifted(&AHEAD)).await;
        let retention = Retention::new(letters.clone(), Duration::from_secs(3600));
        dies(&letters, "old").await;
        AHEAD.fetch_add(DAY, Ordering::Relaxed);
        std::fs::create_dir(folder.path().join("audit.lock")).expect("in the way");
        retention.pass().await.expect("announced");
        AHEAD.fetch_add(HOUR, Ordering::Relaxed);
        retention.pass().await.expect_err("it cannot lock the audit");
        assert_eq!(bodies(&letters).await, ["old"]);
        assert!(!folder.path().join("audit.jsonl").exists(), "nothing is audited without the lock");
    }
}
