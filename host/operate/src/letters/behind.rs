//! Letters that were stored again on SQS, which cannot change a message in place, and so lie behind later letters of their group. A file
//! records where they belong, so that no other letter overtakes them in a redrive.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use towpath_files::private;
use towpath_types::clock::Timestamp;
use towpath_types::queue::{GroupId, MAX_RETENTION, MessageId};

use super::letter::Letter;

/// The position of a letter in its group: time and sequence number of its message in the first queue.
pub(super) type Order = (Timestamp, Option<String>);

pub(super) fn order(letter: &Letter) -> Order {
    (letter.death.sent_at, letter.death.sequence.clone())
}

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Displaced {
    /// The first id of its message.
    letter: MessageId,
    group: GroupId,
    order: Order,
    at: Timestamp,
    /// It has left the queue.
    gone: bool,
}

/// The letters that lie behind their position.
pub(super) struct Behind {
    path: PathBuf,
    letters: HashMap<MessageId, Displaced>,
    /// Those received in this run since they were last stored. Everything that lies before them was received too.
    met: HashSet<MessageId>,
    /// Those that this run stored again, numbered in that order.
    stored: HashMap<MessageId, usize>,
}

/// Whether a letter may be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Readiness {
    /// Nothing that belongs before it lies behind it.
    Ready,
    /// This letter belongs before it and was not received yet.
    After(MessageId),
}

impl Behind {
    /// Reads the letters in this file that can still be in the queue.
    pub(super) fn read(path: PathBuf, now: Timestamp) -> anyhow::Result<Behind> {
        let text = private::read(&path).with_context(|| format!("reading {}", path.display()))?.unwrap_or_default();
        let mut letters = HashMap::new();
        // Skip unreadable lines: a crash may have torn the last one.
        for line in text.lines().filter_map(|line| serde_json::from_str::<Displaced>(line).ok()) {
            if line.gone || now.since(line.at) > MAX_RETENTION {
                letters.remove(&line.letter)
            } else {
                letters.insert(line.letter.clone(), line)
            };
        }
        Ok(Behind { path, letters, met: HashSet::new(), stored: HashMap::new() })
    }

    /// A letter was received.
    pub(super) fn meet(&mut self, letter: &Letter) {
        self.met.insert(letter.first_id());
    }

    /// Whether this letter, which was received, may be sent. A letter that SQS would have delivered before it and did not is gone:
    /// someone else sent or dropped it.
    pub(super) fn turn(&mut self, letter: &Letter, now: Timestamp) -> anyhow::Result<Readiness> {
        let own = letter.first_id();
        let order = order(letter);
        let stored = self.stored.get(&own).copied();
        let before = self.letters.values().filter(|line| line.group == letter.group && line.letter != own);
        let before = before.filter(|line| line.order < order && !self.met.contains(&line.letter));
        let (gone, there): (Vec<&Displaced>, Vec<&Displaced>) = before.partition(|line| {
            stored.is_some_and(|stored| self.stored.get(&line.letter).is_none_or(|other| *other < stored))
        });
        let first = there.into_iter().min_by(|one, other| one.order.cmp(&other.order));
        let turn = first.map_or(Readiness::Ready, |line| Readiness::After(line.letter.clone()));
        let gone: Vec<MessageId> = gone.into_iter().map(|line| line.letter.clone()).collect();
        gone.iter().try_for_each(|letter| self.gone(letter, now))?;
        Ok(turn)
    }

    /// Records that a letter is about to be stored again, at the end of this group.
    pub(super) fn store(&mut self, letter: &Letter, group: &GroupId, now: Timestamp) -> anyhow::Result<()> {
        let id = letter.first_id();
        let order = order(letter);
        let line = Displaced { letter: id.clone(), group: group.clone(), order, at: now, gone: false };
        self.write(&line)?;
        self.letters.insert(id.clone(), line);
        self.met.remove(&id);
        self.stored.insert(id, self.stored.len() + 1);
        Ok(())
    }

    /// Records that a letter has left the queue.
    pub(super) fn gone(&mut self, letter: &MessageId, now: Timestamp) -> anyhow::Result<()> {
        let Some(line) = self.letters.remove(letter) else { return Ok(()) };
        self.write(&Displaced { gone: true, at: now, ..line })
    }

    /// Letters that this run stored again and did not receive since: they lie behind letters that were not sent.
    pub(super) fn left(&self) -> Vec<MessageId> {
        let left =
            self.stored.keys().filter(|letter| self.letters.contains_key(*letter) && !self.met.contains(*letter));
        left.cloned().collect()
    }

    /// Removes the file if nothing is left to remember.
    pub(super) fn close(&self) {
        if self.letters.is_empty() {
            // A file that stays says that no letter lies behind its position.
            let _ = std::fs::remove_file(&self.path);
        }
    }

    fn write(&self, line: &Displaced) -> anyhow::Result<()> {
        let text = serde_json::to_string(line).context("recording where a letter belongs")?;
        let write = || {
            private::make_folder(self.path.parent().unwrap_or(Path::new(".")))?;
            // Ends a line that a crash tore.
            private::append(&self.path)?.write_all(format!("\n{text}\n").as_bytes())
        };
        write().with_context(|| format!("writing {}", self.path.display()))
    }
}
