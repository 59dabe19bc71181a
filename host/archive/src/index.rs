//! Where the events are that match, in the order in which they are returned. More than fit into memory go to a temporary file.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};

use towpath_types::archive::{Archived, Ending};

use crate::spool::in_folder;

/// Where an event is. Sorted as events are returned: by sequence number, and of repeats the last one comes last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place {
    /// Zero for an event without one.
    sequence: u128,
    /// A digest. Two events are confused only if they also have the same sequence number.
    id: u64,
    ended_at: u64,
    /// The position in the list of segments.
    pub(crate) segment: u32,
    /// In the uncompressed segment.
    pub(crate) offset: u32,
    pub(crate) skipped: bool,
}

/// The length of a place in a temporary file.
const PLACE: usize = 41;

impl Place {
    pub(crate) fn of(event: &Archived, segment: u32, offset: u32) -> Place {
        let sequence = event.sequence.as_deref().and_then(|sequence| sequence.parse().ok()).unwrap_or_default();
        let mut id = DefaultHasher::new();
        event.id.hash(&mut id);
        let skipped = event.ending == Ending::Skipped;
        Place { sequence, id: id.finish(), ended_at: event.ended_at.0, segment, offset, skipped }
    }

    pub(crate) fn is_repeat_of(&self, other: &Place) -> bool {
        (self.sequence, self.id) == (other.sequence, other.id)
    }

    fn to_bytes(self) -> Vec<u8> {
        let Place { sequence, id, ended_at, segment, offset, skipped } = self;
        [
            &sequence.to_le_bytes()[..],
            &id.to_le_bytes(),
            &ended_at.to_le_bytes(),
            &segment.to_le_bytes(),
            &offset.to_le_bytes(),
            &[skipped.into()],
        ]
        .concat()
    }

    fn from_bytes(bytes: &[u8; PLACE]) -> Option<Place> {
        let (sequence, rest) = bytes.split_first_chunk::<16>()?;
        let (id, rest) = rest.split_first_chunk::<8>()?;
        let (ended_at, rest) = rest.split_first_chunk::<8>()?;
        let (segment, rest) = rest.split_first_chunk::<4>()?;
        let (offset, rest) = rest.split_first_chunk::<4>()?;
        Some(Place {
            sequence: u128::from_le_bytes(*sequence),
            id: u64::from_le_bytes(*id),
            ended_at: u64::from_le_bytes(*ended_at),
            segment: u32::from_le_bytes(*segment),
            offset: u32::from_le_bytes(*offset),
            skipped: rest == [1],
        })
    }
}

/// How many places are sorted in memory: 48 MB.
const IN_MEMORY: usize = 1_000_000;

/// Sorts places.
pub(crate) struct Index {
    places: Vec<Place>,
    in_memory: usize,
    /// Each sorted.
    runs: Vec<File>,
}

impl Index {
    pub(crate) fn new() -> Index {
        Index::with(IN_MEMORY)
    }

    fn with(in_memory: usize) -> Index {
        Index { places: Vec::new(), in_memory, runs: Vec::new() }
    }

    pub(crate) fn add(&mut self, place: Place) -> io::Result<()> {
        self.places.push(place);
        if self.places.len() < self.in_memory {
            return Ok(());
        }
        self.places.sort_unstable();
        let mut run = BufWriter::new(tempfile::tempfile().map_err(in_folder)?);
        for place in self.places.drain(..) {
            run.write_all(&place.to_bytes()).map_err(in_folder)?;
        }
        let mut run = run.into_inner().map_err(|error| in_folder(error.into_error()))?;
        run.seek(SeekFrom::Start(0))?;
        self.runs.push(run);
        Ok(())
    }

    /// All places in order.
    pub(crate) fn sorted(mut self) -> io::Result<Sorted> {
        self.places.sort_unstable();
        let mut runs: Vec<Run> = self.runs.into_iter().map(|file| Run::File(BufReader::new(file))).collect();
        runs.push(Run::Memory(self.places.into_iter()));
        let mut heads = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next()?.map(|place| Reverse((place, number))));
        }
        Ok(Sorted { runs, heads })
    }
}

enum Run {
    Memory(std::vec::IntoIter<Place>),
    File(BufReader<File>),
}

impl Run {
    fn next(&mut self) -> io::Result<Option<Place>> {
        match self {
            Run::Memory(places) => Ok(places.next()),
            Run::File(file) => {
                let mut bytes = [0; PLACE];
                match file.read_exact(&mut bytes) {
                    Ok(()) => Ok(Place::from_bytes(&bytes)),
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

/// Places in order.
pub(crate) struct Sorted {
    runs: Vec<Run>,
    /// The next place of each run, and the run's number.
    heads: BinaryHeap<Reverse<(Place, usize)>>,
}

impl Sorted {
    fn next(&mut self) -> io::Result<Option<Place>> {
        let Some(Reverse((place, number))) = self.heads.pop() else { return Ok(None) };
        if let Some(run) = self.runs.get_mut(number) {
            self.heads.extend(run.next()?.map(|place| Reverse((place, number))));
        }
        Ok(Some(place))
    }

    /// The next place, of repeats only the last.
    pub(crate) fn next_event(&mut self) -> io::Result<Option<Place>> {
        let Some(mut place) = self.next()? else { return Ok(None) };
        while self.heads.peek().is_some_and(|Reverse((next, _))| next.is_repeat_of(&place)) {
            place = self.next()?.unwrap_or(place);
        }
        Ok(Some(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::event;

    fn place(sequence: u64, ended_at: u64, offset: u32) -> Place {
        let mut event = event("g", sequence, "");
        event.ended_at.0 = ended_at;
        event.ending = if offset.is_multiple_of(2) { Ending::Skipped } else { Ending::Delivered };
        Place::of(&event, offset + 7, offset)
    }

    #[test]
    fn events_are_sorted_by_number_and_the_last_repeat_remains_in_memory_or_not() {
        let numbers = [100, 9, 20, 9, 3, 100, 7, 20, 9];
        let places: Vec<Place> =
            numbers.iter().zip(0..).map(|(sequence, at)| place(*sequence, 50 - u64::from(at), at)).collect();
        for in_memory in 1..12 {
            let mut index = Index::with(in_memory);
            for place in &places {
                index.add(*place).expect("added");
            }
            let mut sorted = index.sorted().expect("sorted");
            let mut found = Vec::new();
            while let Some(place) = sorted.next_event().expect("read") {
                found.push(place);
            }
            // Of repeats, the one that ended last was added first.
            assert_eq!(found, [4, 6, 1, 2, 0].map(|at: usize| places[at]), "{in_memory} in memory");
        }
    }

    #[test]
    fn an_event_without_a_number_is_told_from_others_by_its_id() {
        let of = |group: &str| Place::of(&Archived { sequence: None, ..event(group, 1, "") }, 0, 0);
        assert!(of("a").is_repeat_of(&of("a")) && !of("a").is_repeat_of(&of("b")));
    }
}
