//! A record of a segment: one event, or a note that events are missing.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the mark of the segment |
//! | 1 | the kind |
//! | 4 + 4 + 4 | the lengths of what follows, little-endian: entry, head of the body, body |
//! | 4 | CRC-32 of the kind, the lengths and what follows; of an erased event without what follows |
//! | | the entry as JSON, the head, the body |

use std::io;

use memchr::memmem;
use serde::{Deserialize, Serialize};
use towpath_types::archive::Archived;
use towpath_types::body::Body;
use towpath_types::clock::Timestamp;

/// What each record of one segment begins with.
pub(crate) type Mark = [u8; 8];

/// The bytes before the entry.
pub(crate) const HEADER: usize = 25;

/// Longest record. A longer length is damage.
pub(crate) const LONGEST: usize = 64 * 1024 * 1024;

/// How large a segment gets before its last record, uncompressed.
pub(crate) const SEGMENT: u64 = 16 * 1024 * 1024;

/// What is read of a segment, uncompressed. The last event makes it one record longer than [`SEGMENT`], a gap before it a little more.
pub(crate) const LARGEST: u64 = SEGMENT + 2 * LONGEST as u64;

/// An event whose body is a webhook.
const WEBHOOK: u8 = 1;

/// An event whose body is a text.
const TEXT: u8 = 2;

/// A [`Gap`].
const GAP: u8 = 3;

/// An event that was erased. It is as long as the event was, so that no other record moves; the body is zeros, which the checksum does not
/// cover: the record is one as soon as its header is written.
const ERASED: u8 = 4;

/// Events that were not kept, because the disk was full or broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Gap {
    pub(crate) dropped: u64,
    /// When the first of them ended.
    pub(crate) from: Timestamp,
    /// When the last of them ended.
    pub(crate) to: Timestamp,
}

/// A record whose checksum is right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record<'a> {
    kind: u8,
    entry: &'a [u8],
    head: &'a [u8],
    body: &'a [u8],
}

/// What a record says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// Without its body: see [`Record::body`].
    Event(Box<Archived>),
    Gap(Gap),
    /// Nothing: it was erased.
    Erased,
}

impl Record<'_> {
    /// `None` if this version cannot read it.
    pub(crate) fn kept(&self) -> Option<Kept> {
        match self.kind {
            WEBHOOK | TEXT => serde_json::from_slice(self.entry).ok().map(Box::new).map(Kept::Event),
            GAP => serde_json::from_slice(self.entry).ok().map(Kept::Gap),
            ERASED => Some(Kept::Erased),
            _ => None,
        }
    }

    pub(crate) fn body(&self) -> Body {
        let head = (self.kind == WEBHOOK).then(|| String::from_utf8_lossy(self.head).into_owned());
        Body::from_parts(head, self.body.to_vec())
    }

    /// Whether it was erased, but a crash left some of it.
    pub(crate) fn is_half_erased(&self) -> bool {
        self.kind == ERASED && self.body.iter().any(|byte| *byte != 0)
    }

    pub(crate) fn len(&self) -> usize {
        HEADER + self.entry.len() + self.head.len() + self.body.len()
    }
}

/// Appends an event to `to`.
pub(crate) fn write_event(event: &Archived, mark: Mark, to: &mut Vec<u8>) -> io::Result<()> {
    let (head, body) = event.body.parts();
    let kind = if head.is_some() { WEBHOOK } else { TEXT };
    write(kind, event, head.unwrap_or_default().as_bytes(), body, mark, to)
}

/// Appends a gap to `to`.
pub(crate) fn write_gap(gap: &Gap, mark: Mark, to: &mut Vec<u8>) -> io::Result<()> {
    write(GAP, gap, b"", b"", mark, to)
}

fn write(kind: u8, entry: &impl Serialize, head: &[u8], body: &[u8], mark: Mark, to: &mut Vec<u8>) -> io::Result<()> {
    let start = to.len();
    to.resize(start + HEADER, 0);
    serde_json::to_writer(&mut *to, entry)?;
    let entry = to.len() - start - HEADER;
    to.extend_from_slice(head);
    to.extend_from_slice(body);
    if to.len() - start > LONGEST {
        to.truncate(start);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the event is larger than the archive keeps"));
    }
    let Some((header, content)) = to.get_mut(start..).and_then(|record| record.split_first_chunk_mut::<HEADER>())
    else {
        return Ok(());
    };
    *header = sealed(kind, [entry, head.len(), body.len()], mark, content);
    Ok(())
}

/// The header that makes a record of this length an erased one.
pub(crate) fn erased(length: usize, mark: Mark) -> [u8; HEADER] {
    sealed(ERASED, [0, 0, length.saturating_sub(HEADER)], mark, b"")
}

/// A header with the checksum of itself and of `content`.
fn sealed(kind: u8, lengths: [usize; 3], mark: Mark, content: &[u8]) -> [u8; HEADER] {
    let lengths = lengths.map(|length| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()).concat();
    let fields = [&mark[..], &[kind], &lengths].concat();
    let crc = checksum(fields.get(mark.len()..).unwrap_or_default(), content).to_le_bytes();
    let mut header = [0; HEADER];
    header.iter_mut().zip(fields.iter().chain(&crc)).for_each(|(to, from)| *to = *from);
    header
}

fn checksum(fields: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(fields);
    hasher.update(content);
    hasher.finalize()
}

/// The record that begins here; `None` if none does, or if it is damaged or cut off.
pub(crate) fn read(bytes: &[u8], mark: Mark) -> Option<Record<'_>> {
    let (fields, rest) = bytes.split_at_checked(HEADER - 4)?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let fields = fields.strip_prefix(&mark)?;
    let (kind, lengths) = fields.split_first()?;
    let mut lengths = lengths.chunks_exact(4).map(number);
    let (entry, head, body) = (lengths.next()?, lengths.next()?, lengths.next()?);
    let (entry_bytes, after) = rest.split_at_checked(entry)?;
    let (head_bytes, after) = after.split_at_checked(head)?;
    let body_bytes = after.get(..body)?;
    let content = rest.get(..entry + head + body)?;
    let covered = if *kind == ERASED { b"" } else { content };
    let right = checksum(fields, covered) == u32::from_le_bytes(*crc);
    right.then_some(Record { kind: *kind, entry: entry_bytes, head: head_bytes, body: body_bytes })
}

/// How long the record is that begins here, header included; `None` if none does, or if its length is impossible.
pub(crate) fn length(header: &[u8; HEADER], mark: Mark) -> Option<usize> {
    let lengths = header.strip_prefix(&mark)?.get(1..13)?;
    let length = lengths.chunks_exact(4).map(number).sum::<usize>().checked_add(HEADER)?;
    Some(length).filter(|length| *length <= LONGEST)
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// What a part of a segment has, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part<'a> {
    Record(Record<'a>),
    /// These bytes are no record. At the end of a live segment it may still be being written.
    Damaged {
        at_end: bool,
    },
}

/// Reads records one after another. Behind damage it continues at the next record whose checksum is right.
pub(crate) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    mark: Mark,
}

impl<'a> Records<'a> {
    pub(crate) fn new(bytes: &'a [u8], mark: Mark) -> Records<'a> {
        Records { bytes, at: 0, mark }
    }

    /// The position of the next record that is whole.
    fn next_whole(&self) -> Option<usize> {
        let rest = self.bytes.get(self.at + 1..)?;
        let mut marks = memmem::find_iter(rest, &self.mark);
        marks
            .find(|at| rest.get(*at..).is_some_and(|bytes| read(bytes, self.mark).is_some()))
            .map(|at| self.at + 1 + at)
    }
}

impl<'a> Iterator for Records<'a> {
    /// A part, and where it begins and ends.
    type Item = (std::ops::Range<usize>, Part<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        let rest = self.bytes.get(start..).filter(|rest| !rest.is_empty())?;
        let part = match read(rest, self.mark) {
            Some(record) => {
                self.at = start + record.len();
                Part::Record(record)
            }
            None => {
                let next = self.next_whole();
                self.at = next.unwrap_or(self.bytes.len());
                Part::Damaged { at_end: next.is_none() }
            }
        };
        Some((start..self.at, part))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use towpath_types::archive::Ending;
    use towpath_types::envelope::Webhook;
    use towpath_types::queue::Attributes;

    use super::*;

    const MARK: Mark = *b"\x01mark\x02!!";

    /// An event of a group, delivered a second after it was sent.
    pub(crate) fn event(group: &str, sequence: u64, body: impl Into<Body>) -> Archived {
        Archived {
            id: format!("m-{group}-{sequence}").into(),
            webhook_id: format!("w-{group}-{sequence}").into(),
            group: group.into(),
            dedup_id: None,
            sequence: Some(sequence.to_string()),
            route: "crm".to_owned(),
            plugin: None,
            digest: None,
            sent_at: Timestamp(sequence * 1_000),
            ended_at: Timestamp(sequence * 1_000 + 1_000),
            receive_count: 1,
            ending: Ending::Delivered,
            reason: None,
            attempts: Vec::new(),
            attributes: Attributes::new(),
            redacted: false,
            body: body.into(),
        }
    }

    fn bodies() -> [Body; 4] {
        let headers = vec![("x".to_owned(), b"\xff\xfe".to_vec())];
        [
            Body::from(""),
            Body::from("{\"a\":1}"),
            Webhook::default().into(),
            Webhook { headers, body: [&b"\x00\xff"[..], &MARK, b"\x01"].concat(), ..Webhook::default() }.into(),
        ]
    }

    fn read_all(bytes: &[u8]) -> (Vec<Archived>, Vec<bool>) {
        let (mut events, mut damage) = (Vec::new(), Vec::new());
        let mut end = 0;
        for (span, part) in Records::new(bytes, MARK) {
            assert!(span.start == end && span.end > span.start, "the parts follow each other");
            end = span.end;
            match part {
                Part::Record(record) => match record.kept().expect("readable") {
                    Kept::Event(event) => events.push(Archived { body: record.body(), ..*event }),
                    other => panic!("{other:?}"),
                },
                Part::Damaged { at_end } => damage.push(at_end),
            }
        }
        assert_eq!(end, bytes.len());
        (events, damage)
    }

    fn written() -> (Vec<Archived>, Vec<u8>, Vec<usize>) {
        let events: Vec<Archived> =
            bodies().into_iter().zip(1..).map(|(body, sequence)| event("g", sequence, body)).collect();
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for event in &events {
            write_event(event, MARK, &mut bytes).expect("written");
            ends.push(bytes.len());
        }
        (events, bytes, ends)
    }

    #[test]
    fn events_are_the_same_after_they_were_written() {
        let (events, bytes, _) = written();
        assert_eq!(read_all(&bytes), (events, vec![]));
    }

    #[test]
    fn a_gap_is_read_as_one() {
        let gap = Gap { dropped: 7, from: Timestamp(1), to: Timestamp(2) };
        let mut bytes = Vec::new();
        write_gap(&gap, MARK, &mut bytes).expect("written");
        assert_eq!(read(&bytes, MARK).expect("a record").kept(), Some(Kept::Gap(gap)));
    }

    #[test]
    fn an_erased_event_is_one_from_its_header_on_and_moves_no_other() {
        let (events, mut bytes, ends) = written();
        let second = ends[0]..ends[1];
        bytes[second.start..second.start + HEADER].copy_from_slice(&erased(second.len(), MARK));
        let parts = |bytes: &[u8]| Records::new(bytes, MARK).map(|(span, _)| span.end).collect::<Vec<_>>();
        assert_eq!(parts(&bytes), ends);
        let record = read(&bytes[second.start..], MARK).expect("a record");
        assert!(record.kept() == Some(Kept::Erased) && record.is_half_erased(), "its content is still there");
        bytes[second.start + HEADER..second.end].fill(0);
        assert!(!read(&bytes[second.start..], MARK).expect("a record").is_half_erased());
        let kept = |(_, part): (_, Part<'_>)| match part {
            Part::Record(record) => record.kept(),
            Part::Damaged { .. } => None,
        };
        let kept: Vec<_> = Records::new(&bytes, MARK).map(kept).collect();
        let others = kept.iter().filter(|kept| matches!(kept, Some(Kept::Event(_)))).count();
        assert!(others == events.len() - 1 && kept[1] == Some(Kept::Erased), "{kept:?}");
    }

    #[test]
    fn wherever_the_end_is_torn_off_everything_before_it_is_read() {
        let (events, bytes, ends) = written();
        for cut in 0..bytes.len() {
            let (read, damage) = read_all(&bytes[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(read, events[..whole], "cut at {cut}");
            assert_eq!(damage, if cut == 0 || ends.contains(&cut) { vec![] } else { vec![true] }, "cut at {cut}");
        }
    }

    #[test]
    fn whatever_byte_is_damaged_costs_its_own_record_and_no_other() {
        let (events, bytes, ends) = written();
        for at in 0..bytes.len() {
            for damage in [1u8, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= damage;
                let (read, found) = read_all(&damaged);
                let hit = ends.iter().filter(|end| **end <= at).count();
                let expected: Vec<_> =
                    events.iter().enumerate().filter(|(n, _)| *n != hit).map(|(_, event)| event.clone()).collect();
                assert_eq!(read, expected, "byte {at}");
                assert_eq!(found, [hit == events.len() - 1], "byte {at}");
            }
        }
    }

    #[test]
    fn an_event_that_is_too_large_writes_nothing() {
        let mut bytes = b"before".to_vec();
        let large = event("g", 1, "x".repeat(LONGEST));
        assert!(write_event(&large, MARK, &mut bytes).is_err());
        assert_eq!(bytes, b"before");
    }
}
