//! Dead letters in a queue of SQS. Looking means receiving: every letter that was looked at is given back at
//! the end, tail to head, and its count has grown by one. Of each group SQS hands out at most what one
//! receive takes, ten letters: those behind them can be looked at when these are gone.
//!
//! An edited letter is stored anew behind all of its group. A redrive that meets what belongs behind such a letter before
//! the letter itself stores that anew too, and sends it when the letter was sent.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use async_trait::async_trait;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::dead_letter::{DEAD_LETTER_ATTRIBUTE, carried_notes};
use towpath_types::queue::{
    Attributes, DedupId, GroupId, Handle, MAX_BATCH, MessageId, NewMessage, Queue, QueueError, Receive, Received,
};
use tracing::warn;

use super::behind::{Behind, Order, Readiness, order};
use super::broken::BrokenGroups;
use super::journal::{Before, Journal};
use super::letter::{Key, Letter, death};
use super::queue::{Edited, Letters, Moved, NotSentBack};
use crate::aws;

/// How long letters that are looked at stay invisible: longer than any look takes. They are given back
/// before; this is for a look that is killed.
const LOOK: Duration = Duration::from_secs(300);

/// How long a receive waits: long polling asks all of SQS's servers, so an empty answer is a true one.
const WAIT: Duration = Duration::from_secs(1);

pub(super) struct SqsLetters {
    events: Option<Arc<dyn Queue>>,
    dead: Arc<dyn Queue>,
    url: String,
    held: Vec<(MessageId, Handle)>,
    seen: HashSet<MessageId>,
    broken: BrokenGroups,
    behind: Behind,
    /// The last letter of each group that was sent in this run.
    sent: HashMap<GroupId, Order>,
    journal: Option<Journal>,
    clock: Clock,
}

impl SqsLetters {
    pub(super) fn new(events: Option<Arc<dyn Queue>>, dead: Arc<dyn Queue>, url: String) -> anyhow::Result<SqsLetters> {
        let clock = Clock::wall();
        let behind = Behind::read(file(&url, "behind"), clock.now())?;
        let held = Vec::new();
        let seen = HashSet::new();
        let broken = BrokenGroups::default();
        let sent = HashMap::new();
        Ok(SqsLetters { events, dead, url, held, seen, broken, behind, sent, journal: None, clock })
    }

    /// The journal of redrives, to be put back.
    fn take_journal(&mut self) -> anyhow::Result<Journal> {
        match self.journal.take() {
            Some(journal) => Ok(journal),
            None => Journal::open(&file(&self.url, "redrive")),
        }
    }

    /// Sends a letter back if it is its turn. If it belongs behind a letter that this run has not met yet, it is stored again
    /// behind that letter and `None` is returned: the run meets it a second time.
    async fn send_in_turn(&mut self, letter: &Letter, now: Timestamp) -> anyhow::Result<Option<bool>> {
        let Some(events) = self.events.clone() else {
            bail!("where to is not known: give --to URL, or a config with queue.url");
        };
        if letter.death.parks {
            bail!("its group is parked, and goes back as a whole only on its local store: give --store");
        }
        let journal = self.take_journal()?;
        let was_sent = journal.before(&letter.id, now) == Before::Sent;
        self.journal = Some(journal);
        // What was sent and not deleted, by a redrive that was cut off, would be sent twice if it was stored anew.
        if !was_sent {
            let overtaken = self.sent.get(&letter.group).is_some_and(|last| order(letter) < *last);
            if overtaken && !carried_notes(&letter.attributes).is_empty() {
                bail!(
                    "it was edited elsewhere, and letters that belong behind it were sent back before it was met: another \
                    redrive sends it all the same"
                );
            }
            if let Readiness::After(other) = self.behind.turn(letter, now)? {
                let why = || format!("storing it behind {other}, which belongs before it");
                self.store_anew(letter, now).await.with_context(why)?;
                return Ok(None);
            }
        }
        let perhaps_twice = self.move_one(letter, &*events, now).await?;
        self.sent.insert(letter.group.clone(), order(letter));
        self.behind.gone(&letter.first_id(), now)?;
        Ok(Some(perhaps_twice))
    }

    /// Stores a letter as it is at the end of its group.
    async fn store_anew(&mut self, letter: &Letter, now: Timestamp) -> anyhow::Result<()> {
        self.behind.store(letter, &letter.group, now)?;
        // Once, also if this is cut off before the other one is deleted.
        let dedup_id = format!("behind-{}", letter.id).into();
        let message = stored_as(letter, letter.group.clone(), letter.body.clone(), letter.attributes.clone(), dedup_id);
        self.dead.send(message).await.map_err(described)?;
        self.delete(letter).await
    }

    async fn delete(&mut self, letter: &Letter) -> anyhow::Result<()> {
        let Key::Handle(handle) = &letter.key else { bail!("the letter {} was not received", letter.id) };
        let deleted = self.dead.delete(std::slice::from_ref(handle)).await.into_iter().next();
        match deleted {
            Some(Ok(())) => {
                self.held.retain(|(id, _)| *id != letter.id);
                Ok(())
            }
            Some(Err(error)) => Err(described(error)).with_context(|| format!("deleting the letter {}", letter.id)),
            None => bail!("the queue gave no answer"),
        }
    }

    /// Sends one letter back and deletes it here; the journal knows of every step. True if it may have been
    /// sent before, by a redrive that was cut off.
    async fn move_one(&mut self, letter: &Letter, events: &dyn Queue, now: Timestamp) -> anyhow::Result<bool> {
        let mut journal = self.take_journal()?;
        let before = journal.before(&letter.id, now);
        let done = async {
            if before != Before::Sent {
                journal.sending(&letter.id, now)?;
                let sent = events.send(letter.message()).await.map_err(described).context("sending it back")?;
                if sent.id.as_str() == letter.death.id {
                    // A queue that deduplicates answers with the first send's id, and stores nothing.
                    return Err(anyhow!(
                        "the queue took it for a duplicate of the original: try again in five minutes"
                    ));
                }
                journal.sent(&letter.id, now)?;
            }
            self.delete(letter).await?;
            journal.deleted(&letter.id, now)
        }
        .await;
        self.journal = Some(journal);
        done.map(|()| before == Before::Perhaps)
    }
}

/// A file of this kind about the queue at this URL.
fn file(url: &str, kind: &str) -> PathBuf {
    let name = url.rsplit('/').next().unwrap_or_default();
    PathBuf::from(".towpath").join(format!("{kind}-{name}.jsonl"))
}

#[async_trait]
impl Letters for SqsLetters {
    async fn count(&self) -> anyhow::Result<u64> {
        Ok(aws::waiting(&self.url).await?.messages)
    }

    async fn next(&mut self) -> anyhow::Result<Vec<Letter>> {
        let receive = Receive { max: MAX_BATCH, wait: WAIT, visibility: Some(LOOK), attempt_id: None };
        let received = self.dead.receive(receive).await.map_err(described).context("receiving dead letters")?;
        self.held.extend(received.iter().map(|message| (message.id.clone(), message.handle.clone())));
        let mut letters: Vec<Letter> = received.into_iter().map(letter).collect();
        // A look that takes longer than letters stay invisible begins to see them again.
        letters.retain(|letter| self.seen.insert(letter.id.clone()));
        // A letter that was edited was stored anew behind the others: the first queue's numbers tell the order.
        letters.sort_by_key(order);
        letters.iter().for_each(|letter| self.behind.meet(letter));
        Ok(letters)
    }

    async fn send_back(&mut self, letters: Vec<Letter>) -> anyhow::Result<Moved> {
        let mut moved = Moved::default();
        for letter in letters {
            if !self.broken.lets(&letter, &mut moved) {
                continue;
            }
            let now = self.clock.now();
            match self.send_in_turn(&letter, now).await {
                Ok(None) => {}
                Ok(Some(perhaps_twice)) => {
                    moved.moved += 1;
                    moved.perhaps_twice.extend(perhaps_twice.then(|| letter.first_id()));
                }
                Err(problem) => self.broken.close(std::slice::from_ref(&letter), &problem, &mut moved),
            }
        }
        Ok(moved)
    }

    async fn replace(&mut self, letter: &Letter, edited: Edited) -> anyhow::Result<()> {
        // An id of its own: another edit within five minutes must not be swallowed as this one and the letter
        // deleted all the same. A copy too many is seen in the list.
        let dedup_id = format!("edit-{}", uuid::Uuid::new_v4()).into();
        let Edited { group, body, attributes } = edited;
        self.behind.store(letter, &group, self.clock.now())?;
        let message = stored_as(letter, group, body, attributes, dedup_id);
        self.dead.send(message).await.map_err(described).context("storing the edited letter")?;
        self.delete(letter).await.context("the edited letter is stored; the old one is still there too: drop it")
    }

    async fn discard(&mut self, letter: &Letter) -> anyhow::Result<()> {
        self.delete(letter).await?;
        self.behind.gone(&letter.first_id(), self.clock.now())
    }

    fn unreached(&self) -> Vec<NotSentBack> {
        let why = "it belongs behind a letter that was edited, and lies behind letters that were not sent back: redrive its whole group";
        self.behind.left().into_iter().map(|id| NotSentBack { id, problem: why.to_owned() }).collect()
    }

    async fn died_again(&mut self, _: &(dyn for<'a> Fn(&'a str) -> bool + Sync)) -> anyhow::Result<u64> {
        // It would take another look, which SQS counts.
        Ok(0)
    }

    async fn release(&mut self) {
        let mut changes: Vec<(Handle, Duration)> =
            std::mem::take(&mut self.held).into_iter().map(|(_, handle)| (handle, Duration::ZERO)).collect();
        changes.reverse();
        for changes in changes.chunks(MAX_BATCH) {
            for error in self.dead.change_visibility(changes).await.into_iter().filter_map(Result::err) {
                warn!(error = %error, "a letter could not be given back: it is invisible for five minutes at most");
            }
        }
        if let Some(journal) = &self.journal {
            journal.close();
        }
        self.behind.close();
    }
}

/// What stores a letter anew. One that the queue itself moved has nothing yet that tells its first id and why it is here.
fn stored_as(letter: &Letter, group: GroupId, body: String, attributes: Attributes, dedup_id: DedupId) -> NewMessage {
    let dedup_id = Some(dedup_id);
    if attributes.contains_key(DEAD_LETTER_ATTRIBUTE) {
        NewMessage { group, dedup_id, body, attributes }
    } else {
        NewMessage { dedup_id, ..letter.death.carried_by(group, body, attributes) }
    }
}

fn letter(received: Received) -> Letter {
    let Received { id, group, receive_count, sent_at, body, attributes, handle, .. } = received;
    let death = death(&attributes, &id, receive_count, None, sent_at);
    Letter { id, group, body, attributes, death, key: Key::Handle(handle) }
}

/// The service's own words are beneath the queue's.
fn described(error: QueueError) -> anyhow::Error {
    anyhow::Error::new(error)
}
