//! A segment, open for reading: live or closed.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use towpath_files::regular::{self, Links};
use tracing::warn;

use crate::closed::Closed;
use crate::name::Name;
use crate::record::{self, HEADER, LARGEST, Part, Records};

/// A segment that is open stays readable, also when it is closed or removed meanwhile.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: Name,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Live(File),
    Closed(Closed),
}

impl Segment {
    /// `None` if it is gone.
    pub(crate) fn open(name: Name, folder: &Path) -> io::Result<Option<Segment>> {
        // A closed segment is complete before its live file is removed, so this order finds one of the two.
        let live =
            || regular::open(OpenOptions::new().read(true), &name.live(folder), Links::Refuse).map(Content::Live);
        let closed = || Closed::open(&name.closed(folder)).map(Content::Closed);
        let content = match closed() {
            Err(error) if error.kind() == ErrorKind::NotFound => live(),
            found => found,
        };
        let content = match content {
            Err(error) if error.kind() == ErrorKind::NotFound => closed(),
            found => found,
        };
        match content {
            Ok(content) => {
                if let Content::Closed(Closed { searched: true, .. }) = content {
                    warn!(event = "archive-damaged", segment = %name, "archive segment has no intact table of its frames, searching for them");
                }
                Ok(Some(Segment { name, content }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Calls `with` for every part, with its offset in the uncompressed segment. Returns how many parts are damaged.
    pub(crate) fn scan(&self, mut with: impl FnMut(u32, Part<'_>)) -> io::Result<u64> {
        let mark = self.name.mark();
        let mut damaged = 0;
        let mut records = |offset: u64, bytes: &[u8]| {
            for (span, part) in Records::new(bytes, mark) {
                let torn = matches!(part, Part::Damaged { at_end: true });
                // Its process may be writing it.
                if torn && matches!(self.content, Content::Live(_)) {
                    continue;
                }
                if matches!(part, Part::Damaged { .. }) {
                    damaged += 1;
                    warn!(event = "archive-damaged", segment = %self.name, bytes = span.len(), "archive record is damaged, skipping it");
                }
                with(u32::try_from(offset + span.start as u64).unwrap_or(u32::MAX), part);
            }
        };
        match &self.content {
            Content::Live(file) => {
                let read = read_live(file, self.name)?;
                records(0, &read.bytes);
                damaged += u64::from(read.is_cut);
            }
            Content::Closed(closed) => {
                let mut unreadable = 0;
                for frame in closed.frames() {
                    match closed.read(*frame)? {
                        Some(bytes) => records(frame.offset, &bytes),
                        None => unreadable += 1,
                    }
                }
                if unreadable > 0 {
                    warn!(event = "archive-damaged", segment = %self.name, frames = unreadable, "archive segment has damaged frames, skipping their events");
                }
                damaged += unreadable + u64::from(closed.searched);
            }
        }
        Ok(damaged)
    }

    /// The chunk that has the record at this offset; `None` if there is none. [`Chunk::at`] finds the record in it.
    pub(crate) fn chunk(&self, offset: u32) -> io::Result<Option<Chunk>> {
        match &self.content {
            Content::Live(file) => {
                let bytes = read_record(file, self.name, offset.into())?;
                Ok(bytes.map(|bytes| Chunk { offset: offset.into(), bytes: bytes.into() }))
            }
            Content::Closed(closed) => {
                let Some(frame) = closed.frame_at(offset.into()) else { return Ok(None) };
                let bytes = closed.read(frame)?;
                Ok(bytes.map(|bytes| Chunk { offset: frame.offset, bytes: bytes.into() }))
            }
        }
    }
}

/// A part of an uncompressed segment: one record of a live one, one frame of a closed one, or of a spool.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) offset: u64,
    pub(crate) bytes: Arc<[u8]>,
}

impl Chunk {
    /// The bytes from this offset of the segment on; `None` if the chunk does not have them.
    pub(crate) fn at(&self, offset: u32) -> Option<&[u8]> {
        let at = u64::from(offset).checked_sub(self.offset)?;
        self.bytes.get(usize::try_from(at).ok()?..).filter(|rest| !rest.is_empty())
    }
}

/// What was read of a live segment.
pub(crate) struct ReadLive {
    pub(crate) bytes: Vec<u8>,
    /// Whether the file is longer than a segment gets: the rest is damage.
    pub(crate) is_cut: bool,
}

/// A live segment as far as it is written.
pub(crate) fn read_live(file: &File, name: Name) -> io::Result<ReadLive> {
    let length = file.metadata()?.len();
    let is_cut = length > LARGEST;
    if is_cut {
        warn!(event = "archive-damaged", segment = %name, bytes = length, "archive segment is too long, skipping the rest");
    }
    let mut bytes = vec![0; length.min(LARGEST) as usize];
    let mut filled = 0;
    // The file may become shorter meanwhile: a writer takes back what it could not write in full.
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(ReadLive { bytes, is_cut })
}

fn read_record(file: &File, name: Name, offset: u64) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; HEADER];
    match file.read_exact_at(&mut header, offset) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let Some(length) = record::length(&header, name.mark()) else { return Ok(None) };
    let mut bytes = vec![0; length];
    match file.read_exact_at(&mut bytes, offset) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        read => read.map(|()| Some(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use towpath_types::clock::Timestamp;

    use super::*;
    use crate::record::tests::event;

    #[test]
    fn of_a_file_that_is_too_long_only_the_beginning_is_read() {
        let folder = TempDir::new().expect("folder");
        let name = Name::new(Timestamp(7), 7);
        let mut bytes = Vec::new();
        record::write_event(&event("g", 1, "{}"), name.mark(), &mut bytes).expect("written");
        let path = name.live(folder.path());
        std::fs::write(&path, bytes).expect("written");
        // Sparse.
        OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(1 << 40)).expect("grown");
        let file = File::open(&path).expect("opened");
        let read = read_live(&file, name).expect("read");
        assert!(read.is_cut);
        assert_eq!(read.bytes.len() as u64, LARGEST);
        let segment = Segment::open(name, folder.path()).expect("opened").expect("there");
        let mut events = 0;
        let damaged = segment.scan(|_, part| events += u64::from(matches!(part, Part::Record(_)))).expect("read");
        assert_eq!((events, damaged), (1, 1));
    }
}
