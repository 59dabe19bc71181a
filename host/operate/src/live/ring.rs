//! The last lines of a story, numbered, for those who read at their own speed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use towpath_types::clock::Clock;

use crate::story::Entry;

/// How many lines are kept for slow readers.
pub(super) const KEPT: usize = 2_000;

/// A place in the story, as text `READER-LINE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    pub(super) reader: u64,
    /// The number of the next line.
    pub(super) line: u64,
}

impl Position {
    /// Reads the text of a position.
    pub fn read(text: &str) -> Option<Position> {
        let (reader, line) = text.split_once('-')?;
        Some(Position { reader: reader.parse().ok()?, line: line.parse().ok()? })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}-{}", self.reader, self.line)
    }
}

/// The last lines, and a signal that there are new ones.
pub(super) struct Ring {
    lines: Mutex<Lines>,
    changed: watch::Sender<()>,
}

/// What the ring holds.
#[derive(Default)]
pub(super) struct Lines {
    /// The reader that wrote these lines; `None` while there is none. Numbers of different readers do not compare.
    pub(super) reader: Option<u64>,
    /// The number of the last reader, also after it ended.
    last_reader: u64,
    /// Why there are no lines.
    pub(super) problem: Option<String>,
    /// The number of the first line that is kept.
    pub(super) first: u64,
    pub(super) entries: VecDeque<Arc<Entry>>,
}

impl Default for Ring {
    fn default() -> Ring {
        Ring { lines: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Lines {
    /// The position after the last line.
    pub(super) fn end(&self, reader: u64) -> Position {
        Position { reader, line: self.first + self.entries.len() as u64 }
    }

    fn restart(&mut self) {
        // Later than that of the last reader, even if it began in the same millisecond.
        self.last_reader = Clock::wall().now().0.max(self.last_reader + 1);
        self.reader = Some(self.last_reader);
        self.problem = None;
        self.first = 0;
        self.entries.clear();
    }

    fn push(&mut self, entries: Vec<Arc<Entry>>) {
        self.entries.extend(entries);
        let over = self.entries.len().saturating_sub(KEPT);
        self.entries.drain(..over);
        self.first += over as u64;
    }
}

impl Ring {
    /// A reader has opened the story, which ends with these lines.
    pub(super) fn begin(&self, entries: Vec<Arc<Entry>>) {
        self.change(|lines| {
            lines.restart();
            lines.push(entries);
        });
    }

    /// Lines were read.
    pub(super) fn add(&self, entries: Vec<Arc<Entry>>) {
        if !entries.is_empty() {
            self.change(|lines| lines.push(entries));
        }
    }

    /// The story cannot be read.
    pub(super) fn fail(&self, problem: String) {
        self.change(|lines| {
            lines.restart();
            lines.problem = Some(problem);
        });
    }

    /// The reader has ended.
    pub(super) fn end(&self) {
        self.change(|lines| {
            lines.reader = None;
            lines.entries.clear();
        });
    }

    /// Wakes who waits for the next change.
    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Reads the lines. Readers are quick: the next lines wait for them.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Lines) -> T) -> T {
        read(&self.lines.lock())
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lines.lock());
        self.changed.send_replace(());
    }
}
