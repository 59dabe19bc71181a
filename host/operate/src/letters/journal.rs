//! The journal of a redrive over SQS. SQS cannot send and delete in one step, so without it a redrive that is interrupted between the two
//! would leave a letter in both queues unnoticed.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use towpath_files::private;
use towpath_types::clock::Timestamp;
use towpath_types::queue::MessageId;

/// How long the queue drops a second send of a letter as a duplicate. Source: the deduplication interval of SQS, less a minute because
/// clocks differ.
const DEDUPLICATED: Duration = Duration::from_secs(4 * 60);

/// One line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct JournalLine {
    letter: MessageId,
    step: Step,
    at: Timestamp,
}

/// How far a redrive got with a letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    /// It is about to be sent.
    Sending,
    /// It is stored in the queue.
    Sent,
    /// It is deleted from the dead-letter queue.
    Deleted,
}

/// What an interrupted redrive did with a letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Before {
    /// Nothing, or the queue drops a second send.
    Fresh,
    /// It may have been sent, too long ago for the queue to drop a second send.
    Perhaps,
    /// It was sent and not deleted.
    Sent,
}

pub(super) struct Journal {
    path: PathBuf,
    file: File,
    known: HashMap<MessageId, (Step, Timestamp)>,
}

impl Journal {
    /// Opens the journal with what an interrupted redrive left in it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Journal> {
        if let Some(folder) = path.parent() {
            private::make_folder(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let text = private::read(path).with_context(|| format!("reading {}", path.display()))?.unwrap_or_default();
        // The interruption may have torn the last line.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<JournalLine>(line).ok());
        let known = lines.map(|line| (line.letter, (line.step, line.at))).collect();
        let mut file = private::append(path).with_context(|| format!("opening {}", path.display()))?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n").with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(Journal { path: path.to_owned(), file, known })
    }

    pub(super) fn before(&self, letter: &MessageId, now: Timestamp) -> Before {
        match self.known.get(letter) {
            None | Some((Step::Deleted, _)) => Before::Fresh,
            Some((Step::Sent, _)) => Before::Sent,
            Some((Step::Sending, at)) if now.since(*at) < DEDUPLICATED => Before::Fresh,
            Some((Step::Sending, _)) => Before::Perhaps,
        }
    }

    pub(super) fn sending(&mut self, letter: &MessageId, now: Timestamp) -> anyhow::Result<()> {
        self.write(letter, Step::Sending, now)
    }

    pub(super) fn sent(&mut self, letter: &MessageId, now: Timestamp) -> anyhow::Result<()> {
        self.write(letter, Step::Sent, now)
    }

    pub(super) fn deleted(&mut self, letter: &MessageId, now: Timestamp) -> anyhow::Result<()> {
        self.write(letter, Step::Deleted, now)
    }

    fn write(&mut self, letter: &MessageId, step: Step, at: Timestamp) -> anyhow::Result<()> {
        let line = JournalLine { letter: letter.clone(), step, at };
        let text = serde_json::to_string(&line).unwrap_or_default() + "\n";
        self.file.write_all(text.as_bytes()).with_context(|| format!("writing {}", self.path.display()))?;
        self.known.insert(line.letter, (step, at));
        Ok(())
    }

    /// Whether every letter that was started is deleted.
    fn is_done(&self) -> bool {
        self.known.values().all(|(step, _)| *step == Step::Deleted)
    }

    /// Removes the file if nothing is left to remember.
    pub(super) fn close(&self) {
        if self.is_done() {
            // A file that stays says that nothing is left to do.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_tells_what_an_interrupted_redrive_did() {
        let folder = tempfile::TempDir::new().expect("folder");
        let path = folder.path().join("redrive.jsonl");
        let id = |name: &str| MessageId::from(name.to_owned());
        let then = Timestamp(1_000_000);
        let later = Timestamp(1_000_000 + 10 * 60_000);
        let mut journal = Journal::open(&path).expect("journal");
        for name in ["sending", "sent", "deleted"] {
            journal.sending(&id(name), then).expect("write");
        }
        journal.sent(&id("sent"), then).expect("write");
        journal.sent(&id("deleted"), then).expect("write");
        journal.deleted(&id("deleted"), then).expect("write");
        let torn = std::fs::read_to_string(&path).expect("text") + "{\"letter\":\"to";
        std::fs::write(&path, torn).expect("torn");
        let mut journal = Journal::open(&path).expect("again");
        assert_eq!(journal.before(&id("sending"), then), Before::Fresh, "the queue drops a second send");
        assert_eq!(journal.before(&id("sending"), later), Before::Perhaps);
        assert_eq!(journal.before(&id("sent"), later), Before::Sent);
        assert_eq!(journal.before(&id("deleted"), later), Before::Fresh);
        journal.close();
        assert!(path.exists(), "two letters are not finished");
        for name in ["sending", "sent"] {
            journal.deleted(&id(name), later).expect("write");
        }
        journal.close();
        assert!(!path.exists());
    }
}
