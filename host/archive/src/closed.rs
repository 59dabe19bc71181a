//! A segment that is complete: independent zstd frames, each with whole records, and a table of them. This reads it.
//!
//! The file is a [seekable zstd file](https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md):
//! `zstd -dc` prints its records. Its first frame, which holds a [`Summary`], and the one before the table, which holds the table's
//! checksum, are skipped by zstd.

mod format;
mod summary;
mod write;

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use memchr::memmem;
use towpath_files::regular::{self, Links};

use crate::record::LARGEST;

use format::{
    CHECKSUM, CHECKSUM_MAGIC, ENTRY, FOOTER, Frame, LARGEST_FRAME, SKIPPABLE, SUMMARY_MAGIC, TABLE_MAGIC, size,
    skippable,
};
use summary::SUMMARY;

pub(crate) use summary::Summary;
pub(crate) use write::write;

const ZSTD_MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// A closed segment, open for reading.
#[derive(Debug)]
pub(crate) struct Closed {
    file: File,
    frames: Vec<Frame>,
    /// Whether the table of frames was damaged, so that the frames were searched for.
    pub(crate) searched: bool,
}

impl Closed {
    pub(crate) fn open(path: &Path) -> io::Result<Closed> {
        let mut file = open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        Ok(match table(&file, length)? {
            Some(frames) => Closed { file, frames, searched: false },
            None => {
                let frames = search(&file, length)?;
                Closed { file, frames, searched: true }
            }
        })
    }

    pub(crate) fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The frame that has this byte of the uncompressed segment.
    pub(crate) fn frame_at(&self, offset: u64) -> Option<Frame> {
        let after = self.frames.partition_point(|frame| frame.offset + u64::from(frame.length) <= offset);
        self.frames.get(after).copied().filter(|frame| frame.offset <= offset)
    }

    /// The bytes of a frame, uncompressed; `None` if it is damaged.
    pub(crate) fn read(&self, frame: Frame) -> io::Result<Option<Vec<u8>>> {
        let Some(compressed) = read_at(&self.file, frame.start, frame.compressed as usize)? else { return Ok(None) };
        let length = frame.length as usize;
        let raw = zstd::bulk::decompress(&compressed, length).ok();
        Ok(raw.filter(|raw| raw.len() == length))
    }
}

/// The summary of a closed segment; `None` if it is damaged.
pub(crate) fn summary(path: &Path) -> io::Result<Option<Summary>> {
    let start = read_at(&open(path)?, 0, SKIPPABLE as usize + SUMMARY)?;
    let magic = SUMMARY_MAGIC.to_le_bytes();
    let content = start.as_deref().and_then(|start| start.strip_prefix(&magic)).and_then(|rest| rest.get(4..));
    Ok(content.and_then(Summary::from_bytes))
}

fn open(path: &Path) -> io::Result<File> {
    regular::open(OpenOptions::new().read(true), path, Links::Refuse)
}

/// `None` if the file ends before.
fn read_at(file: &File, start: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; length];
    match file.read_exact_at(&mut bytes, start) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The frames as the table at the file's end lists them; `None` if the table is damaged.
fn table(file: &File, length: u64) -> io::Result<Option<Vec<Frame>>> {
    let Some(footer) = length.checked_sub(FOOTER) else { return Ok(None) };
    let footer = read_at(file, footer, FOOTER as usize)?;
    let Some(count) = footer.as_deref().and_then(|footer| footer.first_chunk::<4>()) else { return Ok(None) };
    let content = u64::from(u32::from_le_bytes(*count)) * ENTRY + FOOTER;
    let all = CHECKSUM + SKIPPABLE + content;
    let Some(start) = length.checked_sub(all) else { return Ok(None) };
    let Some(bytes) = read_at(file, start, all as usize)? else { return Ok(None) };
    Ok(frames(&bytes))
}

/// The frames of a table. `bytes` begins with the frame that holds the table's checksum.
fn frames(bytes: &[u8]) -> Option<Vec<Frame>> {
    let (checksum, table) = bytes.split_at_checked(CHECKSUM as usize)?;
    let (_, content) = table.split_at_checked(SKIPPABLE as usize)?;
    let intact = skippable(CHECKSUM_MAGIC, &crc32fast::hash(content).to_le_bytes()) == checksum
        && skippable(TABLE_MAGIC, content) == table;
    if !intact {
        return None;
    }
    let (entries, _) = content.get(..content.len().checked_sub(FOOTER as usize)?)?.as_chunks::<4>();
    let mut frames = Vec::new();
    let (mut at, mut offset) = (0, 0);
    for entry in entries.chunks_exact(2) {
        let [compressed, length] = entry else { continue };
        let (compressed, length) = (u32::from_le_bytes(*compressed), u32::from_le_bytes(*length));
        let is_too_large =
            length as usize > LARGEST_FRAME || compressed as usize > zstd::zstd_safe::compress_bound(LARGEST_FRAME);
        if is_too_large {
            return None;
        }
        if length > 0 {
            frames.push(Frame { start: at, compressed, offset, length });
        }
        at += u64::from(compressed);
        offset += u64::from(length);
    }
    Some(frames)
}

/// Searches for frames in a file whose table is damaged, for example because its end is missing.
fn search(file: &File, length: u64) -> io::Result<Vec<Frame>> {
    let longest = LARGEST_FRAME as u64 * 2;
    let Some(bytes) = read_at(file, 0, length.min(longest) as usize)? else { return Ok(Vec::new()) };
    let mut frames = Vec::new();
    let mut offset = 0;
    let mut after = 0;
    let mut left = LARGEST;
    for start in memmem::find_iter(&bytes, &ZSTD_MAGIC) {
        // Inside of a frame that was found, these bytes mean something else.
        let Some(rest) = bytes.get(start..).filter(|_| start >= after) else { continue };
        let Ok(compressed) = zstd::zstd_safe::find_frame_compressed_size(rest) else { continue };
        let Some(frame) = rest.get(..compressed) else { continue };
        // The writer gives each frame its size.
        let Ok(Some(claimed)) = zstd::zstd_safe::get_frame_content_size(frame) else { continue };
        let Some(rest) = left.checked_sub(claimed).filter(|_| claimed <= LARGEST_FRAME as u64) else { continue };
        left = rest;
        let Some(length) = zstd::bulk::decompress(frame, claimed as usize).ok().and_then(|raw| size(raw.len()).ok())
        else {
            continue;
        };
        frames.push(Frame { start: start as u64, compressed: size(compressed)?, offset, length });
        offset += u64::from(length);
        after = start + compressed;
    }
    Ok(frames)
}

#[cfg(test)]
mod tests;
