//! What a closed segment holds, in numbers that are read without the rest of it.

use towpath_types::clock::Timestamp;

use crate::name::Name;
use crate::record::{Kept, Part, Records};

/// The length of a summary: eight numbers and a checksum.
pub(super) const SUMMARY: usize = 68;

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
            Some(Kept::Erased) => {}
            None => self.damaged += 1,
        }
    }

    /// Of a whole segment, uncompressed.
    pub(crate) fn of(bytes: &[u8], name: Name) -> Summary {
        let mut summary = Summary { bytes: bytes.len() as u64, ..Summary::default() };
        Records::new(bytes, name.mark()).for_each(|(_, part)| summary.add(&part));
        summary
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let times = self.times.map(|times| [times.sent, times.ended].concat()).unwrap_or_default();
        let times = times.iter().map(|time| time.0).chain([0; 4]).take(4);
        let numbers = [self.events, self.bytes, self.dropped, self.damaged].into_iter().chain(times);
        let mut bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// `None` if it is damaged.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Summary> {
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
