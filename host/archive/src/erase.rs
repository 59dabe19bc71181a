//! Erases events, also next to hosts that append to the folder.
//!
//! The record of an erased event keeps its place, as zeros, so that readers that are in the middle of a segment find every other event. In a
//! live segment it is overwritten where it is, because its host appends behind it and knows how long the file is. A closed
//! segment is compressed again and replaces the old one at once.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use towpath_files::private;
use towpath_files::regular::{self, Links};
use towpath_types::archive::Archived;
use towpath_types::body::Body;

use crate::closed::{self, Closed};
use crate::folder::Folder;
use crate::name::{self, Name};
use crate::record::{self, HEADER, Kept, LARGEST, Mark, Part, Record, Records};
use crate::segment::read_live;
use crate::tidy::remove;
use crate::turn::Turn;

/// How long to wait for a host that tidies: after an outage it has many segments to compress.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Which events: an entry without its body, and how to get that.
pub type Wanted<'a> = &'a dyn Fn(&Archived, &dyn Fn() -> Body) -> bool;

/// What was found, or erased.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Erased {
    /// Events, repeats included.
    pub events: u64,
    /// The segments that had them.
    pub segments: u64,
    /// Damaged records and frames of all segments: nobody can tell whose they are.
    pub damaged: u64,
}

impl Folder {
    /// How many segments it has.
    pub fn segments(&self) -> io::Result<u64> {
        Ok(name::list(self.path())?.len() as u64)
    }

    /// Looks for events. `found` is called with each, without its body, and `looked` after each segment.
    pub fn search(
        &self,
        wanted: Wanted<'_>,
        found: &mut dyn FnMut(&Archived),
        looked: &mut dyn FnMut(),
    ) -> io::Result<Erased> {
        let mut all = Erased::default();
        for name in name::list(self.path())?.into_keys() {
            for segment in of(name, self.path())? {
                let mut events = 0;
                let mut one = |event: &Archived| {
                    events += 1;
                    found(event);
                };
                all.damaged += segment.marked(wanted, &mut one).damaged;
                all.events += events;
                all.segments += u64::from(events > 0);
            }
            looked();
        }
        Ok(all)
    }

    /// Erases events, and what killed processes left unfinished. `looked` is called after each segment. A crash leaves each event whole or
    /// erased.
    pub fn erase(&self, wanted: Wanted<'_>, looked: &mut dyn FnMut()) -> io::Result<Erased> {
        self.erase_within(PATIENCE, wanted, looked)
    }

    fn erase_within(&self, patience: Duration, wanted: Wanted<'_>, looked: &mut dyn FnMut()) -> io::Result<Erased> {
        let mut all = Erased::default();
        for name in name::list(self.path())?.into_keys() {
            let has_some = |segment: &Uncompressed| !segment.marked(wanted, &mut |_| {}).spans.is_empty();
            if of(name, self.path())?.iter().any(has_some) {
                let Some(_turn) = Turn::of(self.path(), patience)? else { break };
                // It may have been closed since.
                for segment in of(name, self.path())? {
                    let marked = segment.marked(wanted, &mut |_| {});
                    all.events += marked.events;
                    all.segments += u64::from(marked.events > 0);
                    segment.erase(&marked.spans, self.path())?;
                }
            }
            looked();
        }
        if let Some(_turn) = Turn::of(self.path(), patience)? {
            name::unfinished(None, self.path())?.iter().try_for_each(|path| remove(path))?;
        }
        Ok(all)
    }
}

/// A file of a segment, as its bytes were before compression.
struct Uncompressed {
    name: Name,
    bytes: Vec<u8>,
    /// Parts that could not be uncompressed.
    unreadable: u64,
    /// Whether it is closed.
    is_closed: bool,
}

/// What is to be erased in a file.
struct Marked {
    events: u64,
    spans: Vec<Range<usize>>,
    damaged: u64,
}

/// The files of a segment: usually one. Both are there if a process was killed in between.
fn of(name: Name, folder: &Path) -> io::Result<Vec<Uncompressed>> {
    let files = [live(name, folder), closed(name, folder)];
    // In this order: the closed file appears before the live one is removed.
    let is_there = |file: &io::Result<_>| !matches!(file, Err(error) if error.kind() == ErrorKind::NotFound);
    files.into_iter().filter(is_there).collect()
}

fn live(name: Name, folder: &Path) -> io::Result<Uncompressed> {
    let file = regular::open(OpenOptions::new().read(true), &name.live(folder), Links::Refuse)?;
    let read = read_live(&file, name)?;
    Ok(Uncompressed { name, bytes: read.bytes, unreadable: u64::from(read.is_cut), is_closed: false })
}

fn closed(name: Name, folder: &Path) -> io::Result<Uncompressed> {
    let closed = Closed::open(&name.closed(folder))?;
    let length: u64 = closed.frames().iter().map(|frame| u64::from(frame.length)).sum();
    if length > LARGEST {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            format!("the segment {name} is larger than any host writes one: remove the file"),
        ));
    }
    let mut bytes = Vec::new();
    let mut unreadable = u64::from(closed.searched);
    for frame in closed.frames() {
        match closed.read(*frame)? {
            Some(raw) => bytes.extend(raw),
            None => {
                // What is behind it keeps its place.
                bytes.resize(bytes.len() + frame.length as usize, 0);
                unreadable += 1;
            }
        }
    }
    Ok(Uncompressed { name, bytes, unreadable, is_closed: true })
}

impl Uncompressed {
    fn marked(&self, wanted: Wanted<'_>, found: &mut dyn FnMut(&Archived)) -> Marked {
        let mut marked = Marked { events: 0, spans: Vec::new(), damaged: self.unreadable };
        for (span, part) in Records::new(&self.bytes, self.name.mark()) {
            match part {
                Part::Record(record) if record.is_half_erased() => marked.spans.push(span),
                Part::Record(record) => {
                    let Some(event) = wanted_event(&record, wanted) else { continue };
                    found(&event);
                    marked.events += 1;
                    marked.spans.push(span);
                }
                // Its process may be writing it.
                Part::Damaged { at_end: true } if !self.is_closed => {}
                Part::Damaged { .. } => marked.damaged += 1,
            }
        }
        marked
    }

    fn erase(mut self, spans: &[Range<usize>], folder: &Path) -> io::Result<()> {
        if spans.is_empty() {
            return Ok(());
        }
        if !self.is_closed {
            return overwrite(&private::update(&self.name.live(folder))?, spans, self.name.mark());
        }
        for span in spans {
            let Some(record) = self.bytes.get_mut(span.clone()) else { continue };
            let header = record::erased(span.len(), self.name.mark());
            record.iter_mut().zip(header.into_iter().chain(std::iter::repeat(0))).for_each(|(to, from)| *to = from);
        }
        replace(self.name, &self.bytes, folder)
    }
}

fn wanted_event(record: &Record<'_>, wanted: Wanted<'_>) -> Option<Box<Archived>> {
    match record.kept()? {
        Kept::Event(event) => wanted(&event, &|| record.body()).then_some(event),
        Kept::Gap(_) | Kept::Erased => None,
    }
}

/// Overwrites records of a live segment. With its header on the disk a record counts as erased, and so is found if a crash leaves its content.
fn overwrite(file: &File, spans: &[Range<usize>], mark: Mark) -> io::Result<()> {
    for span in spans {
        file.write_all_at(&record::erased(span.len(), mark), span.start as u64)?;
    }
    file.sync_data()?;
    for span in spans {
        let rest = vec![0; span.len().saturating_sub(HEADER)];
        file.write_all_at(&rest, (span.start + HEADER) as u64)?;
    }
    file.sync_data()
}

/// Replaces a closed segment by these bytes, which count as old as the segment was. One without events is removed.
fn replace(name: Name, bytes: &[u8], folder: &Path) -> io::Result<()> {
    let path = name.closed(folder);
    let modified = std::fs::symlink_metadata(&path)?.modified()?;
    let summary = closed::Summary::of(bytes, name);
    if summary.events + summary.dropped == 0 {
        remove(&path)?;
        return private::sync_folder(folder);
    }
    closed::write(name, bytes, folder)?;
    regular::open(OpenOptions::new().read(true), &path, Links::Refuse)?.set_modified(modified)
}

#[cfg(test)]
mod tests;
