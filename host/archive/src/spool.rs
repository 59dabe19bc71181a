//! Events in a temporary file without a name: no other process sees it, and it is gone with this one.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;

use towpath_types::archive::Archived;

use crate::record::{self, Mark};
use crate::segment::Chunk;

/// What each record begins with. Nobody else writes to the file, so it need not be secret.
pub(crate) const MARK: Mark = *b"gathered";

/// How much is compressed at once.
const FRAME: usize = 256 * 1024;

/// Fast: the file lives as long as a command.
const LEVEL: i32 = 1;

/// A file with compressed frames of records, as a closed segment has.
pub(crate) struct Spool {
    file: File,
    frames: Vec<Frame>,
    /// The length of the file.
    length: u64,
    /// Records that are not written yet.
    rest: Vec<u8>,
}

struct Frame {
    start: u64,
    compressed: usize,
    length: usize,
}

impl Spool {
    pub(crate) fn new() -> io::Result<Spool> {
        Ok(Spool { file: tempfile::tempfile().map_err(in_folder)?, frames: Vec::new(), length: 0, rest: Vec::new() })
    }

    /// Adds an event. Returns the number of its frame, and its offset there.
    pub(crate) fn add(&mut self, event: &Archived) -> io::Result<(u32, u32)> {
        let too_many = |_| io::Error::from(ErrorKind::FileTooLarge);
        let frame = u32::try_from(self.frames.len()).map_err(too_many)?;
        let offset = u32::try_from(self.rest.len()).map_err(too_many)?;
        record::write_event(event, MARK, &mut self.rest)?;
        if self.rest.len() >= FRAME {
            self.write()?;
        }
        Ok((frame, offset))
    }

    /// Writes the rest, so that everything can be read.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.rest.is_empty() { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> io::Result<()> {
        let compressed = zstd::bulk::compress(&self.rest, LEVEL)?;
        self.file.write_all(&compressed).map_err(in_folder)?;
        self.frames.push(Frame { start: self.length, compressed: compressed.len(), length: self.rest.len() });
        self.length += compressed.len() as u64;
        self.rest.clear();
        Ok(())
    }

    /// The frame of this number; `None` if there is none.
    pub(crate) fn chunk(&self, number: u32) -> io::Result<Option<Chunk>> {
        let Some(frame) = self.frames.get(number as usize) else { return Ok(None) };
        let mut compressed = vec![0; frame.compressed];
        self.file.read_exact_at(&mut compressed, frame.start)?;
        let bytes = zstd::bulk::decompress(&compressed, frame.length)?;
        Ok(Some(Chunk { offset: 0, bytes: bytes.into() }))
    }
}

/// The error of a temporary file, with its folder: that may be small, or full.
pub(crate) fn in_folder(error: io::Error) -> io::Error {
    let folder = std::env::temp_dir();
    let problem = format!("temporary file in {}: {error}; TMPDIR names another folder", folder.display());
    io::Error::new(error.kind(), problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_temporary_file_names_its_folder_and_how_to_take_another() {
        let error = in_folder(ErrorKind::StorageFull.into());
        let folder = std::env::temp_dir();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(
            error.to_string(),
            format!("temporary file in {}: no storage space; TMPDIR names another folder", folder.display())
        );
    }
}
