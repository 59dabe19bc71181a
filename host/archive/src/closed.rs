//! A segment that is complete: independent zstd frames, each with whole records, and a table of them.
//!
//! The file is a [seekable zstd file](https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md):
//! `zstd -dc` prints its records. Its first frame, which holds a [`Summary`], and the one before the table, which holds the table's
//! checksum, are skipped by zstd.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use memchr::memmem;
use towpath_files::private;
use towpath_files::regular::{self, Links};
use towpath_types::clock::Timestamp;

use crate::name::Name;
use crate::record::{self, Kept, LARGEST, Part, Records};

/// How much of a segment is compressed into one frame: enough for a good ratio, and little to decompress for one event.
const FRAME: usize = 256 * 1024;

/// Of a frame before compression: one record more than [`FRAME`]. A larger one is damage.
const LARGEST_FRAME: usize = FRAME + record::LONGEST;

/// zstd's own default.
const LEVEL: i32 = 3;

/// Of a skippable frame with a [`Summary`].
const SUMMARY_MAGIC: u32 = 0x184D_2A54;

/// Of the skippable frame with the table's checksum.
const CHECKSUM_MAGIC: u32 = 0x184D_2A55;

/// Of the skippable frame with the table.
const TABLE_MAGIC: u32 = 0x184D_2A5E;

/// The last four bytes of a seekable file.
const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;

const ZSTD_MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// The lengths of a skippable frame's header, of the frame with the checksum, of an entry of the table, and of the table's end.
const SKIPPABLE: u64 = 8;
const CHECKSUM: u64 = SKIPPABLE + 4;
const ENTRY: u64 = 8;
const FOOTER: u64 = 9;

/// The length of a summary: eight numbers and a checksum.
const SUMMARY: usize = 68;

/// What a closed segment holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) events: u64,
    /// Bytes before compression.
    pub(crate) bytes: u64,
    /// Events that were not kept.
    pub(crate) dropped: u64,
    /// Records that were damaged when the segment was closed.
    pub(crate) damaged: u64,
    /// The times of its events; `None` without events.
    pub(crate) times: Option<Times>,
}

/// When the first and the last event of a segment was sent, and when they ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Times {
    pub(crate) sent: [Timestamp; 2],
    pub(crate) ended: [Timestamp; 2],
}

impl Summary {
    /// Counts a part of the segment.
    pub(crate) fn add(&mut self, part: &Part<'_>) {
        let kept = match part {
            Part::Record(record) => record.kept(),
            Part::Damaged { .. } => None,
        };
        match kept {
            Some(Kept::Event(event)) => {
                self.events += 1;
                let times = self.times.get_or_insert(Times { sent: [event.sent_at; 2], ended: [event.ended_at; 2] });
                widen(&mut times.sent, event.sent_at);
                widen(&mut times.ended, event.ended_at);
            }
            Some(Kept::Gap(gap)) => self.dropped += gap.dropped,
            None => self.damaged += 1,
        }
    }

    /// Of a whole segment, uncompressed.
    pub(crate) fn of(bytes: &[u8], name: Name) -> Summary {
        let mut summary = Summary { bytes: bytes.len() as u64, ..Summary::default() };
        Records::new(bytes, name.mark()).for_each(|(_, part)| summary.add(&part));
        summary
    }

    fn to_bytes(self) -> Vec<u8> {
        let times = self.times.map(|times| [times.sent, times.ended].concat()).unwrap_or_default();
        let times = times.iter().map(|time| time.0).chain([0; 4]).take(4);
        let numbers = [self.events, self.bytes, self.dropped, self.damaged].into_iter().chain(times);
        let mut bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// `None` if it is damaged.
    fn from_bytes(bytes: &[u8]) -> Option<Summary> {
        let (numbers, crc) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(numbers) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (numbers, _) = numbers.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
        let mut next = || numbers.next();
        let (events, bytes, dropped, damaged) = (next()?, next()?, next()?, next()?);
        let sent = [Timestamp(next()?), Timestamp(next()?)];
        let ended = [Timestamp(next()?), Timestamp(next()?)];
        let times = (events > 0).then_some(Times { sent, ended });
        Some(Summary { events, bytes, dropped, damaged, times })
    }
}

fn widen([from, to]: &mut [Timestamp; 2], time: Timestamp) {
    *from = time.min(*from);
    *to = time.max(*to);
}

/// Compresses a segment into its closed file, which appears at once and whole, and survives a power cut from then on.
pub(crate) fn write(name: Name, live: &[u8], folder: &Path) -> io::Result<Summary> {
    let unfinished = name.unfinished(folder, fastrand::u64(..));
    let written = write_to(private::create(&unfinished)?, name, live);
    let written = written.and_then(|summary| {
        std::fs::rename(&unfinished, name.closed(folder))?;
        private::sync_folder(folder)?;
        Ok(summary)
    });
    if written.is_err() {
        // The disk may be full. If this fails too, the file is removed with those that a crash leaves.
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

fn write_to(mut file: File, name: Name, live: &[u8]) -> io::Result<Summary> {
    let summary = Summary::of(live, name);
    let bytes = summary.to_bytes();
    let skipped = |compressed: u64| Frame { start: 0, compressed: compressed as u32, offset: 0, length: 0 };
    let mut table = vec![skipped(SKIPPABLE + bytes.len() as u64)];
    file.write_all(&skippable(SUMMARY_MAGIC, &bytes))?;
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    let mut start = 0;
    let mut rest = Records::new(live, name.mark()).map(|(span, _)| span.end).peekable();
    while let Some(end) = rest.next() {
        if end - start < FRAME && rest.peek().is_some() {
            continue;
        }
        // Only damage is longer than a frame may be.
        for raw in live.get(start..end).unwrap_or_default().chunks(LARGEST_FRAME) {
            let compressed = compressor.compress(raw)?;
            file.write_all(&compressed)?;
            table.push(Frame { start: 0, compressed: size(compressed.len())?, offset: 0, length: size(raw.len())? });
        }
        start = end;
    }
    table.push(skipped(CHECKSUM));
    file.write_all(&end(&table)?)?;
    file.sync_all()?;
    Ok(summary)
}

/// The table of frames, after its checksum.
fn end(table: &[Frame]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    for frame in table {
        content.extend(frame.compressed.to_le_bytes());
        content.extend(frame.length.to_le_bytes());
    }
    content.extend(size(table.len())?.to_le_bytes());
    content.push(0);
    content.extend(SEEKABLE_MAGIC.to_le_bytes());
    let checksum = skippable(CHECKSUM_MAGIC, &crc32fast::hash(&content).to_le_bytes());
    Ok([checksum, skippable(TABLE_MAGIC, &content)].concat())
}

fn size(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))
}

fn skippable(magic: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    [&magic.to_le_bytes()[..], &length.to_le_bytes(), content].concat()
}

/// A zstd frame of a closed segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    /// Where it begins in the file.
    start: u64,
    compressed: u32,
    /// Where its first byte is in the uncompressed segment.
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

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
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::record::tests::event;

    fn name() -> Name {
        Name::new(Timestamp(7), 0x0102_0304_0506_0708)
    }

    /// Events in a segment, uncompressed; each has a body of 50,000 bytes, so that a frame holds a few.
    fn live(events: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for n in 1..=events {
            let body = format!("{n} ").repeat(25_000);
            record::write_event(&event("g", n, body), name().mark(), &mut bytes).expect("written");
        }
        bytes
    }

    fn read_all(path: &Path) -> (Vec<u8>, usize) {
        let closed = Closed::open(path).expect("opened");
        let read = closed.frames().iter().map(|frame| closed.read(*frame).expect("read"));
        let (whole, damaged): (Vec<_>, Vec<_>) = read.partition(Option::is_some);
        (whole.into_iter().flatten().flatten().collect(), damaged.len())
    }

    #[test]
    fn a_segment_is_the_same_after_it_was_compressed_in_frames_and_zstd_can_read_it() {
        let folder = TempDir::new().expect("folder");
        let live = live(40);
        let summary = write(name(), &live, folder.path()).expect("written");
        let path = name().closed(folder.path());
        assert_eq!(closed_summary(&path), Some(summary));
        let times = Times { sent: [1_000, 40_000].map(Timestamp), ended: [2_000, 41_000].map(Timestamp) };
        let bytes = live.len() as u64;
        assert_eq!(summary, Summary { events: 40, bytes, dropped: 0, damaged: 0, times: Some(times) });
        assert_eq!(read_all(&path), (live.clone(), 0));
        let closed = Closed::open(&path).expect("opened");
        assert!(closed.frames().len() > 3 && !closed.searched, "{:?}", closed.frames());
        for frame in closed.frames() {
            assert_eq!(closed.frame_at(frame.offset), Some(*frame));
            assert_eq!(closed.frame_at(frame.offset + u64::from(frame.length) - 1), Some(*frame));
        }
        assert_eq!(closed.frame_at(bytes), None);
        let file = File::open(&path).expect("opened");
        assert_eq!(zstd::stream::decode_all(file).expect("zstd reads it"), live);
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1, "nothing unfinished");
    }

    fn closed_summary(path: &Path) -> Option<Summary> {
        summary(path).expect("read")
    }

    #[test]
    fn an_empty_segment_has_no_frames_and_no_times() {
        let folder = TempDir::new().expect("folder");
        let summary = write(name(), b"", folder.path()).expect("written");
        assert_eq!(closed_summary(&name().closed(folder.path())), Some(summary));
        assert_eq!(summary, Summary::default());
        assert_eq!(read_all(&name().closed(folder.path())), (vec![], 0));
    }

    #[test]
    fn two_processes_that_close_one_segment_write_different_files() {
        let folder = TempDir::new().expect("folder");
        let other = name().unfinished(folder.path(), 1);
        std::fs::write(&other, "half").expect("written");
        write(name(), &live(2), folder.path()).expect("written");
        assert_eq!(read_all(&name().closed(folder.path())), (live(2), 0));
        assert_eq!(std::fs::read(other).expect("read"), b"half");
    }

    #[test]
    fn a_table_with_a_frame_that_is_too_large_is_damage() {
        let folder = TempDir::new().expect("folder");
        let live = live(20);
        write(name(), &live, folder.path()).expect("written");
        let path = name().closed(folder.path());
        let file = std::fs::read(&path).expect("read");
        let frames = Closed::open(&path).expect("opened").frames().to_vec();
        let table = frames.last().map(|frame| (frame.start + u64::from(frame.compressed)) as usize).expect("frames");
        let too_large = [
            ("uncompressed", Frame { length: LARGEST_FRAME as u32 + 1, ..frames[0] }),
            ("compressed", Frame { compressed: u32::MAX, ..frames[0] }),
        ];
        for (case, frame) in too_large {
            let forged = [&file[..table], &end(&[frame]).expect("a table")].concat();
            std::fs::write(&path, forged).expect("written");
            assert!(Closed::open(&path).expect("opened").searched, "{case}");
            assert_eq!(read_all(&path), (live.clone(), 0), "{case}");
        }
    }

    #[test]
    fn a_search_decompresses_no_more_than_the_largest_segment() {
        let folder = TempDir::new().expect("folder");
        let path = name().closed(folder.path());
        let frame = zstd::bulk::compress(&vec![0; record::LONGEST], 1).expect("compressed");
        std::fs::write(&path, frame.repeat(5)).expect("written");
        let closed = Closed::open(&path).expect("opened");
        assert!(closed.searched);
        assert_eq!(closed.frames().len(), 2);
    }

    #[test]
    fn a_damaged_frame_costs_its_own_records_and_no_other() {
        let folder = TempDir::new().expect("folder");
        let live = live(40);
        write(name(), &live, folder.path()).expect("written");
        let path = name().closed(folder.path());
        let closed = Closed::open(&path).expect("opened");
        let second = closed.frames()[1];
        let mut file = std::fs::read(&path).expect("read");
        file[second.start as usize + 40] ^= 1;
        std::fs::write(&path, file).expect("written");
        let (start, end) = (second.offset as usize, second.offset as usize + second.length as usize);
        assert_eq!(read_all(&path), ([&live[..start], &live[end..]].concat(), 1));
    }

    #[test]
    fn wherever_the_file_is_cut_or_its_table_damaged_the_whole_frames_before_are_found() {
        let folder = TempDir::new().expect("folder");
        let live = live(20);
        write(name(), &live, folder.path()).expect("written");
        let path = name().closed(folder.path());
        let file = std::fs::read(&path).expect("read");
        let frames = Closed::open(&path).expect("opened").frames().to_vec();
        let end = |frame: &Frame| (frame.start + u64::from(frame.compressed)) as usize;
        let table = end(frames.last().expect("frames"));
        for cut in (0..table).step_by(97).chain(table..file.len()) {
            std::fs::write(&path, &file[..cut]).expect("written");
            let whole =
                frames.iter().filter(|frame| end(frame) <= cut).map(|frame| frame.length as usize).sum::<usize>();
            assert_eq!(read_all(&path), (live[..whole].to_vec(), 0), "cut at {cut} of {}", file.len());
        }
        for at in table..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x81;
            std::fs::write(&path, damaged).expect("written");
            let (read, _) = read_all(&path);
            assert_eq!(read.len(), live.len(), "damaged at {at}");
        }
        let mut damaged = file.clone();
        damaged[30] ^= 1;
        std::fs::write(&path, damaged).expect("written");
        assert_eq!(closed_summary(&path), None);
        assert_eq!(read_all(&path), (live, 0));
    }
}
