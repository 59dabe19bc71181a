//! The events that a filter finds, one after another.

mod source;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use towpath_types::archive::{Archived, Ending};
use tracing::warn;

use crate::closed;
use crate::filter::{Filter, Limit};
use crate::index::{Index, Place, Sorted};
use crate::name::{self, Name};
use crate::record::{self, Kept, Part};
use crate::segment::{Chunk, Segment};

pub(crate) use source::Source;

/// Bytes of uncompressed frames that are kept.
const FRAMES: usize = 32 * 1024 * 1024;

/// The events that a [`Filter`] finds: those of a group in the order of their sequence numbers, each once. What retention removes
/// meanwhile is skipped.
///
/// It keeps the places of matching events, 1,000,000 of them in memory and others in a temporary file, and some uncompressed
/// frames.
pub struct Events {
    source: Source,
    places: Places,
    ending: Option<Ending>,
    /// How many more are returned.
    left: usize,
    chunks: VecDeque<(u32, Chunk)>,
    damaged: u64,
}

enum Places {
    All(Sorted),
    Last(VecDeque<Place>),
}

impl Places {
    fn next(&mut self) -> io::Result<Option<Place>> {
        match self {
            Places::All(sorted) => sorted.next_event(),
            Places::Last(places) => Ok(places.pop_front()),
        }
    }
}

impl Events {
    /// Reads the whole folder once, and remembers where the events are that match.
    pub(crate) fn find(folder: PathBuf, filter: &Filter) -> io::Result<Events> {
        let segments: Vec<Name> = name::list(&folder)?.into_keys().collect();
        let mut index = Index::new();
        let mut damaged = 0;
        for (name, number) in segments.iter().zip(0..) {
            // Without a summary the segment is read.
            let summary = closed::summary(&name.closed(&folder)).ok().flatten();
            if summary.is_some_and(|summary| summary.times.is_none_or(|times| !filter.overlaps(times.sent))) {
                continue;
            }
            let Some(segment) = Segment::open(*name, &folder)? else { continue };
            let mut added = Ok(());
            damaged += segment.scan(|offset, part| {
                let Part::Record(record) = part else { return };
                let Some(Kept::Event(event)) = record.kept() else { return };
                if added.is_ok() && filter.matches(&event, || record.body()) {
                    added = index.add(Place::of(&event, number, offset));
                }
            })?;
            added?;
        }
        Events::sorted(Source::folder(folder, segments), index, filter, damaged)
    }

    /// The events of these places, in order.
    pub(crate) fn sorted(source: Source, index: Index, filter: &Filter, damaged: u64) -> io::Result<Events> {
        let sorted = index.sorted()?;
        let (places, left) = match filter.limit {
            Limit::All => (Places::All(sorted), usize::MAX),
            Limit::First(limit) => (Places::All(sorted), limit),
            Limit::Last(limit) => (Places::Last(last(sorted, limit, filter.ending)?), limit),
        };
        Ok(Events { source, places, ending: filter.ending, left, chunks: VecDeque::new(), damaged })
    }

    /// How many damaged records and frames were skipped so far.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    fn next_event(&mut self) -> io::Result<Option<Archived>> {
        while self.left > 0
            && let Some(place) = self.places.next()?
        {
            if has_ended_as(&place, self.ending)
                && let Some(event) = self.read(place)?
            {
                self.left -= 1;
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// `None` if the event is gone.
    fn read(&mut self, place: Place) -> io::Result<Option<Archived>> {
        let Some(mark) = self.source.mark(place.segment) else { return Ok(None) };
        let Some(chunk) = self.chunk(place)? else { return Ok(None) };
        let record = chunk.at(place.offset).and_then(|bytes| record::read(bytes, mark));
        match record.and_then(|record| Some((record.kept()?, record))) {
            Some((Kept::Event(event), record)) => return Ok(Some(Archived { body: record.body(), ..*event })),
            // Since the search.
            Some((Kept::Erased, _)) => return Ok(None),
            Some((Kept::Gap(_), _)) | None => {}
        }
        self.damaged += 1;
        let segment = self.source.name(place.segment);
        warn!(event = "archive-damaged", segment, "archived event changed while it was read, skipping it");
        Ok(None)
    }

    fn chunk(&mut self, place: Place) -> io::Result<Option<Chunk>> {
        let known = |(segment, chunk): &(u32, Chunk)| *segment == place.segment && chunk.at(place.offset).is_some();
        // The newest is at the front.
        let chunk = match self.chunks.iter().position(known).and_then(|at| self.chunks.remove(at)) {
            Some((_, chunk)) => chunk,
            None => {
                let Some(chunk) = self.source.chunk(place)? else { return Ok(None) };
                chunk
            }
        };
        self.chunks.push_front((place.segment, chunk.clone()));
        while self.chunks.len() > 1 && self.chunks.iter().map(|(_, chunk)| chunk.bytes.len()).sum::<usize>() > FRAMES {
            self.chunks.pop_back();
        }
        Ok(Some(chunk))
    }
}

fn has_ended_as(place: &Place, ending: Option<Ending>) -> bool {
    ending.is_none_or(|ending| (ending == Ending::Skipped) == place.skipped)
}

/// The last places of those with this ending.
fn last(mut sorted: Sorted, limit: usize, ending: Option<Ending>) -> io::Result<VecDeque<Place>> {
    let mut last = VecDeque::new();
    while let Some(place) = sorted.next_event()? {
        if has_ended_as(&place, ending) {
            last.push_back(place);
        }
        if last.len() > limit {
            last.pop_front();
        }
    }
    Ok(last)
}

impl Iterator for Events {
    type Item = io::Result<Archived>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}

#[cfg(test)]
mod tests;
