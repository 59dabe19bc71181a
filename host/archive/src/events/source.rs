//! Where events are read from.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use crate::index::Place;
use crate::name::Name;
use crate::record::Mark;
use crate::segment::{Chunk, Segment};
use crate::spool::{self, Spool};

/// Segments that are kept open.
const OPEN: usize = 16;

/// Where the events are that were found.
pub(crate) enum Source {
    /// In the segments of a folder.
    Folder(InFolder),
    /// In a file of this process.
    Gathered(Spool),
}

/// The segments of a folder. The last ones that were read are open.
pub(crate) struct InFolder {
    folder: PathBuf,
    names: Vec<Name>,
    open: VecDeque<(u32, Segment)>,
}

impl Source {
    pub(super) fn folder(folder: PathBuf, names: Vec<Name>) -> Source {
        Source::Folder(InFolder { folder, names, open: VecDeque::new() })
    }

    /// The chunk with the record at this place; `None` if it is gone.
    pub(super) fn chunk(&mut self, place: Place) -> io::Result<Option<Chunk>> {
        match self {
            Source::Gathered(spool) => spool.chunk(place.segment),
            Source::Folder(segments) => match segments.segment(place.segment)? {
                Some(segment) => segment.chunk(place.offset),
                None => Ok(None),
            },
        }
    }

    /// What each record of a segment begins with.
    pub(super) fn mark(&self, segment: u32) -> Option<Mark> {
        match self {
            Source::Gathered(_) => Some(spool::MARK),
            Source::Folder(segments) => segments.name(segment).map(Name::mark),
        }
    }

    /// What a log line calls a segment.
    pub(super) fn name(&self, segment: u32) -> String {
        match self {
            Source::Gathered(_) => "temporary file".to_owned(),
            Source::Folder(segments) => segments.name(segment).map(|name| name.to_string()).unwrap_or_default(),
        }
    }
}

impl InFolder {
    fn name(&self, number: u32) -> Option<Name> {
        self.names.get(number as usize).copied()
    }

    /// `None` if it is gone.
    fn segment(&mut self, number: u32) -> io::Result<Option<&Segment>> {
        let Some(name) = self.name(number) else { return Ok(None) };
        let known = self.open.iter().position(|(open, _)| *open == number);
        let segment = match known.and_then(|at| self.open.remove(at)) {
            Some((_, segment)) => Some(segment),
            None => Segment::open(name, &self.folder)?,
        };
        let Some(segment) = segment else { return Ok(None) };
        self.open.push_front((number, segment));
        self.open.truncate(OPEN);
        Ok(self.open.front().map(|(_, segment)| segment))
    }
}
