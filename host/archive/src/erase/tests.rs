use std::time::{Duration, Instant};

use tempfile::TempDir;
use towpath_types::archive::Archive as _;
use towpath_types::clock::Timestamp;

use super::*;
use crate::clock::Look;
use crate::record::tests::event;
use crate::{Filter, Segments, Settings};

const HOUR: u64 = 3600 * 1000;

fn archive(folder: &Path) -> Segments {
    let keep = Duration::from_secs(7 * 24 * 3600);
    Segments::new(Settings { folder: folder.to_owned(), keep, max_size: 1 << 30 }, |_| ())
}

/// Events 1 to 9 of the groups `a` and `b` in turn, each with a long body that names its group.
fn keep_nine(archive: &Segments) {
    for n in 1..=9 {
        let group = if n % 2 == 0 { "b" } else { "a" };
        archive.keep(event(group, n, format!("secret-{group} {n} ").repeat(9_000)));
    }
}

fn of_group(group: &'static str) -> impl Fn(&Archived, &dyn Fn() -> Body) -> bool {
    move |event, _| event.group.as_str() == group
}

fn erase(folder: &Path, group: &'static str) -> Erased {
    Folder::new(folder).erase(&of_group(group), &mut || {}).expect("erased")
}

fn numbers(folder: &Path) -> Vec<u64> {
    let events = Folder::new(folder).events(&Filter::default()).expect("read");
    events.map(|event| event.expect("an event").sequence.expect("a number").parse().expect("a number")).collect()
}

/// Whether these bytes are in a file of the folder, compressed or not.
fn holds(folder: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).expect("listed").map(|entry| entry.expect("an entry").path());
    files.into_iter().any(|path| {
        let bytes = std::fs::read(&path).expect("read");
        let plain = zstd::stream::decode_all(&bytes[..]).unwrap_or_default();
        [bytes, plain].iter().any(|bytes| memchr::memmem::find(bytes, text.as_bytes()).is_some())
    })
}

#[test]
fn an_erased_event_leaves_no_byte_in_a_live_segment_and_its_host_appends_behind_it() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let running = archive(path);
    keep_nine(&running);
    assert!(holds(path, "secret-a") && holds(path, "m-a-1"));
    assert_eq!(erase(path, "a"), Erased { events: 5, segments: 1, damaged: 0 });
    assert_eq!(numbers(path), [2, 4, 6, 8]);
    running.keep(event("b", 10, "{}"));
    assert_eq!(numbers(path), [2, 4, 6, 8, 10]);
    running.tidy(Timestamp(2_000 + HOUR)).expect("closed");
    assert_eq!(numbers(path), [2, 4, 6, 8, 10]);
    assert!(holds(path, "secret-b") && !holds(path, "secret-a") && !holds(path, "m-a-"));
    let stats = Folder::new(path).stats().expect("read");
    assert_eq!((stats.events, stats.damaged), (5, 0));
    assert_eq!(erase(path, "a"), Erased::default(), "once is enough");
}

#[test]
fn an_erased_event_leaves_no_byte_in_a_closed_segment_and_a_reader_continues_in_it() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let host = archive(path);
    keep_nine(&host);
    host.tidy(Timestamp(2_000 + HOUR)).expect("closed");
    let (name, _) = name::list(path).expect("listed").pop_first().expect("a segment");
    let modified = std::fs::metadata(name.closed(path)).and_then(|file| file.modified()).expect("a time");
    let mut reader = Folder::new(path).events(&Filter::default()).expect("read");
    assert_eq!(erase(path, "a").events, 5);
    assert!(!holds(path, "secret-a") && !holds(path, "m-a-"));
    let read: Vec<_> = reader.by_ref().map(|event| event.expect("an event").sequence.expect("a number")).collect();
    assert_eq!((read, reader.damaged()), (["2", "4", "6", "8"].map(str::to_owned).to_vec(), 0));
    let after = std::fs::metadata(name.closed(path)).and_then(|file| file.modified()).expect("a time");
    assert_eq!(after, modified, "it expires when it would have");
    assert_eq!(erase(path, "b").events, 4);
    assert!(name::list(path).expect("listed").is_empty(), "a segment without events is removed");
}

#[test]
fn what_a_crash_left_half_erased_is_finished() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let host = archive(path);
    keep_nine(&host);
    let (name, _) = name::list(path).expect("listed").pop_first().expect("a segment");
    let segment = live(name, path).expect("read");
    let first = segment.marked(&of_group("a"), &mut |_| {}).spans.remove(0);
    let file = private::update(&name.live(path)).expect("opened");
    file.write_all_at(&record::erased(first.len(), name.mark()), first.start as u64).expect("its header alone");
    assert!(holds(path, "secret-a 1"));
    assert_eq!(erase(path, "none").events, 0);
    assert!(!holds(path, "secret-a 1") && holds(path, "secret-a 3"));
}

#[test]
fn both_files_of_a_segment_and_unfinished_ones_are_erased() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let killed = archive(path);
    keep_nine(&killed);
    drop(killed);
    let (name, _) = name::list(path).expect("listed").pop_first().expect("a segment");
    let bytes = std::fs::read(name.live(path)).expect("read");
    closed::write(name, &bytes, path).expect("closed, and not removed");
    std::fs::write(name.unfinished(path, 7), "secret-a half").expect("written");
    assert_eq!(erase(path, "a").events, 10, "in both");
    assert!(!holds(path, "secret-a") && holds(path, "secret-b"));
    assert_eq!(numbers(path), [2, 4, 6, 8]);
}

#[test]
fn damage_is_counted_and_keeps_the_places_of_what_is_behind_it() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let host = archive(path);
    keep_nine(&host);
    host.tidy(Timestamp(2_000 + HOUR)).expect("closed");
    let (name, _) = name::list(path).expect("listed").pop_first().expect("a segment");
    let mut file = std::fs::read(name.closed(path)).expect("read");
    // In the first frame, behind the summary.
    file[100] ^= 1;
    std::fs::write(name.closed(path), file).expect("written");
    let before = numbers(path);
    assert!(before.len() < 9, "{before:?}");
    let found = Folder::new(path).search(&of_group("a"), &mut |_| {}, &mut || {}).expect("read");
    assert!(found.damaged >= 1, "{found:?}");
    erase(path, "a");
    assert_eq!(numbers(path), before.into_iter().filter(|number| number % 2 == 0).collect::<Vec<_>>());
    assert!(!holds(path, "secret-a 9"));
}

#[test]
fn processes_take_turns_in_changing_complete_segments() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let host = archive(path);
    keep_nine(&host);
    let look = || Look { now: Timestamp(2_000 + HOUR), monotonic: Instant::now() };
    let erase_at_once = |group| Folder::new(path).erase_within(Duration::ZERO, &of_group(group), &mut || {});
    let turn = Turn::of(path, Duration::ZERO).expect("locked").expect("a folder");
    for waits in [host.tidy_at(look(), Duration::ZERO), erase_at_once("a").map(drop), erase_at_once("none").map(drop)] {
        assert_eq!(waits.expect_err("another process has its turn").kind(), ErrorKind::TimedOut);
    }
    assert_eq!(numbers(path), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    drop(turn);
    host.tidy_at(look(), Duration::ZERO).expect("it is free");
    assert_eq!(erase_at_once("a").expect("it is free").events, 5);
    assert!(Turn::of(&path.join("none"), Duration::ZERO).expect("no error").is_none());
}
