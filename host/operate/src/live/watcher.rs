//! Somebody who watches a story.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use super::ring::{Lines, Position, Ring};
use crate::story::{Entry, Filter};

/// The most lines of one update.
const MOST: usize = 200;

/// What is new.
#[derive(Clone, PartialEq, Debug)]
pub struct Update {
    /// Whether it does not continue what came before, but begins with the last lines.
    pub restarted: bool,
    /// Why the story cannot be read.
    pub problem: Option<String>,
    /// How many lines were missed, because they came faster than they were read. The filter may not have selected all of them.
    pub skipped: u64,
    /// The lines.
    pub entries: Vec<Arc<Entry>>,
    /// The position after them.
    pub position: Position,
}

/// Somebody who watches.
pub struct Watcher {
    ring: Arc<Ring>,
    changed: watch::Receiver<()>,
    _seat: OwnedSemaphorePermit,
    stop: CancellationToken,
    filter: Filter,
    /// How many of the last lines to begin with.
    lines: usize,
    at: Option<Position>,
}

impl Watcher {
    pub(super) fn new(
        ring: Arc<Ring>,
        seat: OwnedSemaphorePermit,
        stop: CancellationToken,
        filter: Filter,
        lines: usize,
        at: Option<Position>,
    ) -> Watcher {
        let changed = ring.subscribe();
        Watcher { ring, changed, _seat: seat, stop, filter, lines, at }
    }

    /// Waits for the next lines. `None` once the process stops.
    pub async fn next(&mut self) -> Option<Update> {
        loop {
            if self.stop.is_cancelled() {
                return None;
            }
            self.changed.borrow_and_update();
            if let Some(update) = self.take() {
                return Some(update);
            }
            self.stop.run_until_cancelled(self.changed.changed()).await?.ok()?;
        }
    }

    /// What is new; `None` if nothing is that the filter selects.
    fn take(&mut self) -> Option<Update> {
        let ring = Arc::clone(&self.ring);
        let update = ring.with(|lines| self.look(lines))?;
        self.at = Some(update.position);
        let is_new = update.restarted || update.skipped > 0 || !update.entries.is_empty();
        is_new.then_some(update)
    }

    fn look(&mut self, lines: &Lines) -> Option<Update> {
        let reader = lines.reader?;
        let end = lines.end(reader);
        let problem = lines.problem.clone();
        // A position after the end was made up.
        let Some(at) = self.at.filter(|at| at.reader == reader && at.line <= end.line) else {
            let mut entries: Vec<_> =
                lines.entries.iter().rev().filter(|entry| self.filter.wants(entry)).take(self.lines).cloned().collect();
            entries.reverse();
            return Some(Update { restarted: true, problem, skipped: 0, entries, position: end });
        };
        let skipped = lines.first.saturating_sub(at.line);
        let mut position = Position { reader, line: at.line.max(lines.first) };
        let from = usize::try_from(position.line - lines.first).ok()?;
        let mut entries = Vec::new();
        for entry in lines.entries.iter().skip(from) {
            if entries.len() == MOST {
                break;
            }
            position.line += 1;
            entries.extend(self.filter.wants(entry).then(|| Arc::clone(entry)));
        }
        Some(Update { restarted: false, problem, skipped, entries, position })
    }
}
