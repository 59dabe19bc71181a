//! Dead letters of a local store: reading changes nothing, and a move is one transaction.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::bail;
use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use towpath_local::{AsRead, Browsed, LocalQueue, SentBack, Still};
use towpath_types::queue::GroupId;

use super::broken::BrokenGroups;
use super::error::{EditedMeanwhile, Unreachable};
use super::letter::{Key, Letter, death};
use super::queue::{Edited, Letters, Moved};

/// How many letters are read at a time and moved in one transaction.
const PAGE: usize = 100;

/// How long to wait for a group that is in flight.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct LocalLetters {
    events: LocalQueue,
    dead: LocalQueue,
    /// The last sequence number that was read.
    after: Option<String>,
    /// The last sequence number that is to be read, once [`Letters::only_those_here`] was called.
    until: Option<String>,
    /// How many are read at a time.
    page: usize,
    /// The last sequence number that [`Letters::died_again`] read, once it was called.
    watched: Option<String>,
    /// Groups with a letter that parks, once they were searched: they go back as a whole.
    parking: Option<HashSet<GroupId>>,
    /// Parked groups that were sent back.
    done: HashSet<GroupId>,
    broken: BrokenGroups,
}

impl LocalLetters {
    pub(super) fn new(events: LocalQueue, dead: LocalQueue) -> LocalLetters {
        let done = HashSet::new();
        let broken = BrokenGroups::default();
        LocalLetters { events, dead, after: None, until: None, page: PAGE, watched: None, parking: None, done, broken }
    }

    /// Starts behind this sequence number, and reads this many letters at a time.
    pub(super) fn after(self, sequence: Option<&str>, page: usize) -> LocalLetters {
        LocalLetters { after: sequence.map(str::to_owned), page, ..self }
    }

    /// The groups that go back as a whole. A letter from before its route parked must not go alone: what is parked behind it would
    /// send it to the dead-letter queue again.
    async fn parking(&mut self) -> anyhow::Result<HashSet<GroupId>> {
        if let Some(parking) = &self.parking {
            return Ok(parking.clone());
        }
        let mut parking = HashSet::new();
        let mut after = None;
        loop {
            let page = self.dead.browse(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.sequence.clone());
            let letters = page.into_iter().map(browsed_letter);
            let parks = |letter: &Letter| letter.death.parks && letter.death.holds_its_group();
            parking.extend(letters.filter(parks).map(|letter| letter.group));
        }
        self.parking = Some(parking.clone());
        Ok(parking)
    }

    /// Retries for a while if a letter or its group is in flight.
    async fn patiently(&self, what: What<'_>) -> anyhow::Result<usize> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.at_once(&what).await? {
                SentBack::Moved(moved) => return Ok(moved),
                SentBack::Changed => {
                    bail!("somebody edited it, or one behind it of its group, since it was read: look at it again")
                }
                SentBack::Busy if Instant::now() < until => sleep(Duration::from_millis(50)).await,
                SentBack::Busy => {
                    bail!("its group is being worked on, or a client has a letter of it in flight: try again")
                }
            }
        }
    }

    async fn at_once(&self, what: &What<'_>) -> anyhow::Result<SentBack> {
        let sent = match what {
            What::Letters(letters) => {
                let messages = letters.iter().map(|letter| (as_read(letter), letter.message())).collect();
                self.dead.send_back(&self.events, messages).await
            }
            What::Group(group) => {
                let message = |browsed| {
                    let letter = browsed_letter(browsed);
                    letter.death.holds_its_group().then(|| letter.message())
                };
                self.dead.send_group_back(&self.events, group, message).await
            }
        };
        Ok(sent?)
    }

    /// Sends all in one transaction if possible; otherwise group by group, so that a busy group delays no other.
    async fn send_single(&mut self, letters: Vec<Letter>, moved: &mut Moved) {
        if let Ok(SentBack::Moved(count)) = self.at_once(&What::Letters(&letters)).await {
            moved.moved += count as u64;
            return;
        }
        for letters in by_group(letters) {
            match self.patiently(What::Letters(&letters)).await {
                Ok(count) => moved.moved += count as u64,
                Err(problem) => self.broken.close(&letters, &problem, moved),
            }
        }
    }
}

/// What one transaction sends back.
enum What<'a> {
    Letters(&'a [Letter]),
    Group(&'a GroupId),
}

/// Letters by group, both in the order in which they were read.
fn by_group(letters: Vec<Letter>) -> Vec<Vec<Letter>> {
    let mut groups: Vec<Vec<Letter>> = Vec::new();
    let mut places: HashMap<GroupId, usize> = HashMap::new();
    for letter in letters {
        let place = *places.entry(letter.group.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(letter),
            None => groups.push(vec![letter]),
        }
    }
    groups
}

#[async_trait]
impl Letters for LocalLetters {
    async fn count(&self) -> anyhow::Result<u64> {
        // From the counts that the store keeps: the same short time however many letters and groups there are.
        let dead = self.dead.clone();
        Ok(tokio::task::spawn_blocking(move || dead.standing()).await??.messages)
    }

    async fn only_those_here(&mut self) -> anyhow::Result<()> {
        self.until = Some(self.dead.last_sequence().await?);
        Ok(())
    }

    async fn next(&mut self) -> anyhow::Result<Vec<Letter>> {
        let mut page = self.dead.browse(self.after.as_deref(), self.page).await?;
        // Of one length, so they sort as text.
        page.retain(|letter| self.until.as_ref().is_none_or(|until| letter.sequence <= *until));
        if let Some(last) = page.last() {
            self.after = Some(last.sequence.clone());
        }
        Ok(page.into_iter().map(browsed_letter).collect())
    }

    async fn send_back(&mut self, letters: Vec<Letter>) -> anyhow::Result<Moved> {
        let mut moved = Moved::default();
        let parking = self.parking().await?;
        // An unverified letter has no place in its group.
        let (parked, single): (Vec<Letter>, Vec<Letter>) = letters.into_iter().partition(|letter| {
            let parks = letter.death.parks || parking.contains(&letter.group);
            parks && letter.death.holds_its_group()
        });
        // A parked group goes back as a whole, including letters that were not asked for.
        for letter in parked {
            if self.done.contains(&letter.group) || !self.broken.lets(&letter, &mut moved) {
                continue;
            }
            match self.patiently(What::Group(&letter.group)).await {
                Ok(count) => {
                    moved.moved += count as u64;
                    self.done.insert(letter.group);
                }
                Err(problem) => self.broken.close(std::slice::from_ref(&letter), &problem, &mut moved),
            }
        }
        let single: Vec<Letter> = single.into_iter().filter(|letter| self.broken.lets(letter, &mut moved)).collect();
        self.send_single(single, &mut moved).await;
        Ok(moved)
    }

    async fn replace(&mut self, letter: &Letter, edited: Edited) -> anyhow::Result<()> {
        let Edited { group, body, attributes } = edited;
        done(self.dead.edit_as_read(as_read(letter), &group, body, &attributes).await?, letter)
    }

    async fn is_there(&mut self, letter: &Letter) -> anyhow::Result<bool> {
        let before = letter.sequence().parse::<u64>().unwrap_or_default().saturating_sub(1).to_string();
        let next = self.dead.browse(Some(&before), 1).await?;
        Ok(next.first().is_some_and(|next| next.sequence == letter.sequence()))
    }

    async fn discard(&mut self, letter: &Letter) -> anyhow::Result<()> {
        done(self.dead.discard_as_read(as_read(letter)).await?, letter)
    }

    async fn died_again(&mut self, is_one: &(dyn for<'a> Fn(&'a str) -> bool + Sync)) -> anyhow::Result<u64> {
        let Some(mut after) = self.watched.clone() else {
            self.watched = Some(self.dead.last_sequence().await?);
            return Ok(0);
        };
        let mut died = 0;
        loop {
            let page = self.dead.browse(Some(&after), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.sequence.clone();
            died += page.into_iter().map(browsed_letter).filter(|letter| is_one(&letter.death.id)).count() as u64;
        }
        self.watched = Some(after);
        Ok(died)
    }

    async fn release(&mut self) {}
}

fn as_read(letter: &Letter) -> AsRead {
    let Letter { group, body, attributes, .. } = letter.clone();
    AsRead { sequence: letter.sequence().to_owned(), group, body, attributes }
}

/// Fails if nothing was done to a letter, because it was no longer as it was read.
fn done(still: Still, letter: &Letter) -> anyhow::Result<()> {
    match still {
        Still::Same => Ok(()),
        Still::Gone => Err(Unreachable::Gone(letter.id.clone()).into()),
        Still::Held => Err(Unreachable::InFlight(letter.id.clone()).into()),
        Still::Changed => Err(EditedMeanwhile(letter.id.clone()).into()),
    }
}

/// The letter in a browsed message.
pub fn browsed_letter(browsed: Browsed) -> Letter {
    let Browsed { id, group, sequence, sent_at, receive_count, source, attributes, body, .. } = browsed;
    let death = death(&attributes, &id, receive_count, source.as_deref(), sent_at);
    Letter { id, group, body, attributes, death, key: Key::Sequence(sequence) }
}

#[cfg(test)]
mod tests;
