//! Dead letters on SQS. Reading a letter means receiving it: at the end every letter is released, from the last to the first, and its
//! receive count has grown by one. Of each group SQS delivers at most one receive, ten letters; later ones can be read once these are gone.
//!
//! An edited letter is stored again at the end of its group. If a redrive receives a letter that belongs behind an edited one before the
//! edited one, it stores that letter again too, and sends it after the edited one.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use async_trait::async_trait;
use towpath_types::body::Body;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::dead_letter::{DEAD_LETTER_ATTRIBUTE, carried_notes};
use towpath_types::queue::{
    Attributes, DedupId, GroupId, Handle, MAX_BATCH, MessageId, NewMessage, Queue, QueueError, Receive, Received,
};
use tracing::warn;

use super::behind::{Behind, Order, Readiness, order};
use super::broken::BrokenGroups;
use super::error::LettersError;
use super::journal::{Before, Journal};
use super::letter::{Key, Letter, death};
use super::queue::{Edited, Letters, Moved, NotSentBack};
use crate::aws;

/// How long received letters stay invisible: longer than any command takes. They are released before; this is for a command that is
/// killed.
const VISIBILITY: Duration = Duration::from_secs(300);

/// How long a receive waits. Long polling asks all of SQS's servers, so an empty response means an empty queue.
const WAIT: Duration = Duration::from_secs(1);

pub(super) struct SqsLetters {
    events: Option<Arc<dyn Queue>>,
    dead: Arc<dyn Queue>,
    url: String,
    held: Vec<(MessageId, Handle)>,
    seen: HashSet<MessageId>,
    broken: BrokenGroups,
    behind: Behind,
    /// The position of the last letter that this run sent, by group.
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

    /// Takes the journal, which the caller must put back.
    fn take_journal(&mut self) -> anyhow::Result<Journal> {
        match self.journal.take() {
            Some(journal) => Ok(journal),
            None => Journal::open(&file(&self.url, "redrive")),
        }
    }

    /// Sends a letter back if it is its turn. `None` if it belongs behind a letter that was not received yet: it is stored again behind that
    /// letter, and this run receives it a second time.
    async fn send_in_turn(&mut self, letter: &Letter, now: Timestamp) -> anyhow::Result<Option<bool>> {
        let Some(events) = self.events.clone() else {
            return Err(LettersError::NoDestination.into());
        };
        if letter.death.parks {
            return Err(LettersError::Parked.into());
        }
        let journal = self.take_journal()?;
        let was_sent = journal.before(&letter.id, now) == Before::Sent;
        self.journal = Some(journal);
        // A letter that an interrupted redrive sent and did not delete would be sent twice if it was stored again.
        if !was_sent {
            let overtaken = self.sent.get(&letter.group).is_some_and(|last| order(letter) < *last);
            if overtaken && !carried_notes(&letter.attributes).is_empty() {
                bail!(
                    "it was edited elsewhere, and letters that belong behind it were sent back first: run the redrive again to \
                    send it"
                );
            }
            if let Readiness::After(other) = self.behind.turn(letter, now)? {
                let why = || format!("storing it behind {other}, which belongs before it");
                self.store_again(letter, now).await.with_context(why)?;
                return Ok(None);
            }
        }
        let perhaps_twice = self.move_one(letter, &*events, now).await?;
        self.sent.insert(letter.group.clone(), order(letter));
        self.behind.gone(&letter.first_id(), now)?;
        Ok(Some(perhaps_twice))
    }

    /// Stores an unchanged letter again, at the end of its group.
    async fn store_again(&mut self, letter: &Letter, now: Timestamp) -> anyhow::Result<()> {
        self.behind.store(letter, &letter.group, now)?;
        // The same id each time: after an interruption before the delete, the queue drops the second send.
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
            None => bail!("the queue did not say whether the letter {} is deleted", letter.id),
        }
    }

    /// Sends one letter back and deletes it here, with each step in the journal. True if an interrupted redrive may have sent it
    /// before.
    async fn move_one(&mut self, letter: &Letter, events: &dyn Queue, now: Timestamp) -> anyhow::Result<bool> {
        let mut journal = self.take_journal()?;
        let before = journal.before(&letter.id, now);
        let done = async {
            if before != Before::Sent {
                journal.sending(&letter.id, now)?;
                let sent = events.send(letter.message()).await.map_err(described).context("sending it back")?;
                if sent.id.as_str() == letter.death.id {
                    // A queue that drops a duplicate answers with the id of the first send.
                    return Err(anyhow!(
                        "the queue dropped it as a duplicate of the original: try again in five minutes"
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

/// The file of this kind for the queue at this URL.
pub(super) fn file(url: &str, kind: &str) -> PathBuf {
    let name = url.rsplit('/').next().unwrap_or_default();
    PathBuf::from(".towpath").join(format!("{kind}-{name}.jsonl"))
}

#[async_trait]
impl Letters for SqsLetters {
    async fn count(&self) -> anyhow::Result<u64> {
        Ok(aws::waiting(&self.url).await?.messages)
    }

    async fn next(&mut self) -> anyhow::Result<Vec<Letter>> {
        let receive = Receive { max: MAX_BATCH, wait: WAIT, visibility: Some(VISIBILITY), attempt_id: None };
        let received = self.dead.receive(receive).await.map_err(described).context("receiving dead letters")?;
        self.held.extend(received.iter().map(|message| (message.id.clone(), message.handle.clone())));
        let mut letters: Vec<Letter> = received.into_iter().map(letter).collect();
        // A command that takes longer than the visibility receives letters again.
        letters.retain(|letter| self.seen.insert(letter.id.clone()));
        // An edit stores the letter again, behind its group. Sort by time and sequence number in the original queue.
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
        // An id of its own: if the queue dropped another edit within five minutes as a duplicate, the letter would be deleted all the
        // same. A copy too many shows in the list.
        let dedup_id = format!("edit-{}", uuid::Uuid::new_v4()).into();
        let Edited { group, body, attributes } = edited;
        self.behind.store(letter, &group, self.clock.now())?;
        let message = stored_as(letter, group, body, attributes, dedup_id);
        self.dead.send(message).await.map_err(described).context("storing the edited letter")?;
        self.delete(letter).await.context("the edited letter is stored; the old one is still there too: drop it")
    }

    async fn is_there(&mut self, _: &Letter) -> anyhow::Result<bool> {
        Ok(true)
    }

    async fn discard(&mut self, letter: &Letter) -> anyhow::Result<()> {
        self.delete(letter).await?;
        self.behind.gone(&letter.first_id(), self.clock.now())
    }

    fn unreached(&self) -> Vec<NotSentBack> {
        let why = "it belongs behind an edited letter, and lies behind letters that were not sent back: redrive its whole group";
        self.behind.left().into_iter().map(|id| NotSentBack { id, problem: why.to_owned(), error: None }).collect()
    }

    async fn died_again(&mut self, _: &(dyn for<'a> Fn(&'a str) -> bool + Sync)) -> anyhow::Result<u64> {
        // Counting means receiving, which SQS counts.
        Ok(0)
    }

    async fn release(&mut self) {
        let mut changes: Vec<(Handle, Duration)> =
            std::mem::take(&mut self.held).into_iter().map(|(_, handle)| (handle, Duration::ZERO)).collect();
        changes.reverse();
        for changes in changes.chunks(MAX_BATCH) {
            for error in self.dead.change_visibility(changes).await.into_iter().filter_map(Result::err) {
                warn!(error = %error, "letter could not be released, it stays invisible for up to five minutes");
            }
        }
        if let Some(journal) = &self.journal {
            journal.close();
        }
        self.behind.close();
    }
}

/// The message that stores a letter again. If the queue itself moved the letter, nothing records its first id and its reason yet.
fn stored_as(letter: &Letter, group: GroupId, body: Body, attributes: Attributes, dedup_id: DedupId) -> NewMessage {
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

/// Keeps the error of the service as its source.
fn described(error: QueueError) -> anyhow::Error {
    anyhow::Error::new(error)
}
