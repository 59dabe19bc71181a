use tempfile::TempDir;
use towpath_types::clock::Timestamp;

use super::summary::Times;
use super::write::end;
use super::*;
use crate::name::Name;
use crate::record;
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
        let whole = frames.iter().filter(|frame| end(frame) <= cut).map(|frame| frame.length as usize).sum::<usize>();
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
