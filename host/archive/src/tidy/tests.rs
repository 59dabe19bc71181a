use tempfile::TempDir;
use towpath_types::archive::{Archive as _, Archived};

use super::*;
use crate::record::tests::event;
use crate::{Filter, Folder, Settings};

const HOUR: u64 = 3600 * 1000;

fn settings(folder: &Path) -> Settings {
    let keep = Duration::from_secs(7 * 24 * 3600);
    Settings { folder: folder.to_owned(), keep, max_size: 1 << 30 }
}

fn archive(folder: &Path) -> Segments {
    Segments::new(settings(folder), |_| ())
}

/// An event that ended at this time.
fn ended_at(number: u64, at: u64) -> Archived {
    Archived { ended_at: Timestamp(at), ..event("g", number, "{}") }
}

fn numbers(folder: &Path) -> Vec<u64> {
    let events = Folder::new(folder).events(&Filter::default()).expect("read");
    events.map(|event| event.expect("an event").sequence.expect("a number").parse().expect("a number")).collect()
}

/// How many segments are live, and how many closed.
fn files(folder: &Path) -> (usize, usize) {
    let segments = name::list(folder).expect("listed");
    let count = |is: fn(&Files) -> bool| segments.values().filter(|files| is(files)).count();
    assert_eq!(count(|files| files.unfinished.is_some()), 0);
    (count(|files| files.live.is_some()), count(|files| files.closed.is_some()))
}

#[test]
fn a_segment_is_closed_once_it_is_an_hour_old_also_without_events() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let archive = archive(path);
    archive.keep(ended_at(1, 10));
    archive.tidy(Timestamp(10 + HOUR - 1)).expect("tidied");
    assert_eq!(files(path), (1, 0));
    archive.tidy(Timestamp(10 + HOUR)).expect("tidied");
    assert_eq!(files(path), (0, 1));
    archive.keep(ended_at(2, 20 + HOUR));
    archive.keep(ended_at(3, 20 + 2 * HOUR));
    assert_eq!(files(path), (2, 1), "the next event begins another one");
    archive.tidy(Timestamp(20 + 2 * HOUR)).expect("tidied");
    assert_eq!((files(path), numbers(path)), ((1, 2), vec![1, 2, 3]));
}

#[test]
fn a_segment_is_closed_once_it_is_full() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    // An eighth is 125,000 bytes.
    let archive = Segments::new(Settings { max_size: 1_000_000, ..settings(path) }, |_| ());
    for n in 1..=5 {
        archive.keep(event("g", n, "x".repeat(50_000)));
    }
    assert_eq!(files(path), (2, 0));
    archive.tidy(Timestamp(6_000)).expect("tidied");
    assert_eq!((files(path), numbers(path)), ((1, 1), vec![1, 2, 3, 4, 5]));
}

#[test]
fn a_killed_process_leaves_its_events_to_the_next_one_and_a_running_one_keeps_its_segment() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let running = archive(path);
    let killed = archive(path);
    running.keep(event("g", 1, "{}"));
    killed.keep(event("g", 2, "{}"));
    // Its files are closed by the system.
    drop(killed);
    let next = archive(path);
    next.tidy(Timestamp(5_000)).expect("tidied");
    assert_eq!(files(path), (1, 1));
    running.keep(event("g", 3, "{}"));
    assert_eq!(numbers(path), [1, 2, 3]);
}

#[test]
fn what_was_torn_off_by_a_power_cut_is_counted_and_the_rest_is_kept() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let cut = archive(path);
    (1..=3).for_each(|n| cut.keep(event("g", n, "{}")));
    drop(cut);
    let (name, _) = name::list(path).expect("listed").pop_first().expect("a segment");
    let bytes = std::fs::read(name.live(path)).expect("read");
    std::fs::write(name.live(path), &bytes[..bytes.len() - 5]).expect("cut");
    archive(path).tidy(Timestamp(5_000)).expect("tidied");
    assert_eq!((files(path), numbers(path)), ((0, 1), vec![1, 2]));
    let stats = Folder::new(path).stats().expect("read");
    assert_eq!((stats.events, stats.damaged), (2, 1));
}

#[test]
fn a_process_that_was_killed_between_closing_and_removing_leaves_no_repeat() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let killed = archive(path);
    killed.keep(event("g", 1, "{}"));
    drop(killed);
    let (name, _) = name::list(path).expect("listed").pop_first().expect("a segment");
    let live = std::fs::read(name.live(path)).expect("read");
    closed::write(name, &live, path).expect("written");
    assert_eq!((files(path), numbers(path)), ((1, 1), vec![1]));
    archive(path).tidy(Timestamp(5_000)).expect("tidied");
    assert_eq!((files(path), numbers(path)), ((0, 1), vec![1]));
}

#[test]
fn a_file_that_was_never_locked_is_removed_without_a_trace() {
    let folder = TempDir::new().expect("folder");
    std::fs::write(Name::new(Timestamp(1), 1).live(folder.path()), "").expect("written");
    archive(folder.path()).tidy(Timestamp(2)).expect("tidied");
    assert_eq!(files(folder.path()), (0, 0));
}

#[test]
fn events_are_removed_once_all_of_their_segment_are_too_old() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let archive = archive(path);
    archive.keep(ended_at(1, 0));
    archive.keep(ended_at(2, HOUR / 2));
    archive.keep(ended_at(3, HOUR));
    let expired = 7 * 24 * HOUR + HOUR / 2;
    archive.tidy(Timestamp(expired - 1)).expect("tidied");
    assert_eq!(numbers(path), [1, 2, 3]);
    archive.tidy(Timestamp(expired)).expect("tidied");
    assert_eq!(numbers(path), [3]);
    let expired = 7 * 24 * HOUR + HOUR;
    archive.tidy(Timestamp(expired)).expect("tidied");
    assert_eq!(numbers(path), [3], "the clock jumped ahead, perhaps wrongly");
    archive.tidy(Timestamp(expired)).expect("tidied");
    assert_eq!((numbers(path), files(path)), (vec![], (0, 0)));
}

#[test]
fn the_oldest_segments_are_removed_once_they_are_too_many() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let max_size = 400_000;
    let archive = Segments::new(Settings { max_size, ..settings(path) }, |_| ());
    for n in 1..=100 {
        // Does not compress.
        let body: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(20_000).collect();
        let webhook = towpath_types::envelope::Webhook { body, ..Default::default() };
        archive.keep(event("g", n, webhook));
        archive.tidy(Timestamp(200_000)).expect("tidied");
    }
    let bytes = Folder::new(path).stats().expect("read").bytes;
    assert!(bytes <= max_size && bytes > max_size / 2, "{bytes}");
    let left = numbers(path);
    assert_eq!(left, (left[0]..=100).collect::<Vec<_>>(), "the newest");
    assert!(left.len() > 10 && left.len() < 20, "{}", left.len());
}

#[test]
fn a_segment_whose_file_was_removed_is_left_for_a_new_one() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let archive = archive(path);
    archive.keep(event("g", 1, "{}"));
    let (name, _) = name::list(path).expect("listed").pop_first().expect("a segment");
    std::fs::remove_file(name.live(path)).expect("removed");
    archive.tidy(Timestamp(2_000)).expect("tidied");
    archive.keep(event("g", 2, "{}"));
    assert_eq!(numbers(path), [2]);
}

/// Looks after an archive on a machine whose clock runs steadily from now on.
struct Steady {
    now: u64,
    monotonic: Instant,
}

impl Steady {
    fn new() -> Steady {
        Steady { now: time(SystemTime::now()).expect("a time").0, monotonic: Instant::now() }
    }

    /// This many milliseconds after the start.
    fn tidy(&self, archive: &Segments, after: u64) {
        let monotonic = self.monotonic + Duration::from_millis(after);
        archive.tidy_at(Look { now: Timestamp(self.now + after), monotonic }, PATIENCE).expect("tidied");
    }
}

#[test]
fn events_of_a_clock_that_was_ahead_are_kept_as_long_as_others() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let archive = archive(path);
    let clock = Steady::new();
    archive.keep(ended_at(1, clock.now + 1_000 * HOUR));
    clock.tidy(&archive, 0);
    assert_eq!(files(path), (0, 1), "its age is unknown, so the segment is complete");
    clock.tidy(&archive, 7 * 24 * HOUR - HOUR);
    assert_eq!(numbers(path), [1]);
    clock.tidy(&archive, 7 * 24 * HOUR + HOUR);
    assert!(numbers(path).is_empty());
}

#[test]
fn a_segment_that_was_closed_in_the_future_is_removed_too() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let archive = archive(path);
    let clock = Steady::new();
    let ahead = 1_000 * HOUR;
    archive.keep(ended_at(1, clock.now + ahead));
    clock.tidy(&archive, 0);
    let (name, _) = name::list(path).expect("listed").pop_first().expect("a segment");
    let closed = UNIX_EPOCH + Duration::from_millis(clock.now + ahead);
    File::open(name.closed(path)).and_then(|file| file.set_modified(closed)).expect("changed");
    clock.tidy(&archive, HOUR);
    clock.tidy(&archive, 7 * 24 * HOUR);
    assert_eq!(numbers(path), [1]);
    clock.tidy(&archive, 7 * 24 * HOUR + HOUR);
    assert!(numbers(path).is_empty());
}

#[test]
fn what_a_crash_left_unfinished_is_removed_with_the_live_file() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let killed = archive(path);
    killed.keep(event("g", 1, "{}"));
    drop(killed);
    let (name, _) = name::list(path).expect("listed").pop_first().expect("a segment");
    std::fs::write(name.unfinished(path, 1), "half").expect("written");
    archive(path).tidy(Timestamp(5_000)).expect("tidied");
    assert_eq!((files(path), numbers(path)), ((0, 1), vec![1]));
}

#[test]
fn a_folder_that_cannot_be_listed_leaves_its_complete_segments_known() {
    let parent = TempDir::new().expect("folder");
    let (path, away) = (parent.path().join("archive"), parent.path().join("away"));
    let archive = archive(&path);
    archive.keep(event("g", 1, "{}"));
    let (name, _) = name::list(&path).expect("listed").pop_first().expect("a segment");
    std::fs::rename(&path, &away).and_then(|()| std::fs::write(&path, "in the way")).expect("moved");
    archive.tidy(Timestamp(5_000)).expect_err("not a folder");
    std::fs::remove_file(&path).and_then(|()| std::fs::rename(&away, &path)).expect("moved back");
    assert_eq!(archive.take_done(), [name]);
}
