//! An archive as its readers see it.

use std::io;
use std::path::{Path, PathBuf};

use towpath_types::clock::Timestamp;

use crate::closed::{self, Summary};
use crate::events::Events;
use crate::filter::Filter;
use crate::name::{self, Name};
use crate::segment::Segment;

/// A folder with an archive. Reading it needs no host, and disturbs none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// What an archive holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Repeats included.
    pub events: u64,
    /// On the disk.
    pub bytes: u64,
    pub segments: u64,
    /// When the first event ended, and when the last.
    pub ended: Option<[Timestamp; 2]>,
    /// Events that were not kept, because the disk was full or broken, as far as a later event was kept; `None` if the archive does not
    /// tell.
    pub dropped: Option<u64>,
    /// Damaged records, frames and tables.
    pub damaged: u64,
}

impl Stats {
    /// An event ended at this time.
    pub fn ended_at(&mut self, time: Timestamp) {
        let [oldest, newest] = self.ended.unwrap_or([time; 2]);
        self.ended = Some([oldest.min(time), newest.max(time)]);
    }
}

impl Folder {
    /// A folder that is missing is an empty archive.
    pub fn new(path: impl Into<PathBuf>) -> Folder {
        Folder { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The events that match. Reads every segment that may have some before the first is returned.
    pub fn events(&self, filter: &Filter) -> io::Result<Events> {
        Events::find(self.path.clone(), filter)
    }

    /// What the archive holds. Reads the heads of closed segments, and the live ones.
    pub fn stats(&self) -> io::Result<Stats> {
        let mut stats = Stats { dropped: Some(0), ..Stats::default() };
        for (name, files) in name::list(&self.path)? {
            let Some(summary) = self.summary(name)? else { continue };
            stats.segments += 1;
            stats.bytes += files.bytes();
            stats.events += summary.events;
            stats.dropped = stats.dropped.map(|dropped| dropped + summary.dropped);
            stats.damaged += summary.damaged;
            summary.times.into_iter().flat_map(|times| times.ended).for_each(|time| stats.ended_at(time));
        }
        Ok(stats)
    }

    /// What a segment holds; `None` if it is gone.
    fn summary(&self, name: Name) -> io::Result<Option<Summary>> {
        if let Ok(Some(summary)) = closed::summary(&name.closed(&self.path)) {
            return Ok(Some(summary));
        }
        let Some(segment) = Segment::open(name, &self.path)? else { return Ok(None) };
        let mut summary = Summary::default();
        let damaged = segment.scan(|_, part| summary.add(&part))?;
        Ok(Some(Summary { damaged, ..summary }))
    }
}
