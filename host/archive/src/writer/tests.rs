use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tempfile::TempDir;
use towpath_types::body::Body;
use towpath_types::envelope::Webhook;

use super::*;
use crate::record::tests::event;
use crate::{Filter, Folder};

fn settings(folder: &Path) -> Settings {
    let keep = Duration::from_secs(7 * 24 * 3600);
    Settings { folder: folder.to_owned(), keep, max_size: 1 << 30 }
}

fn found(folder: &Path) -> Vec<Archived> {
    let events = Folder::new(folder).events(&Filter::default()).expect("read");
    events.map(|event| event.expect("an event")).collect()
}

fn count_in(dropped: &AtomicU64, count: u64) {
    dropped.fetch_add(count, Ordering::Relaxed);
}

#[test]
fn an_event_is_found_as_soon_as_it_is_kept_byte_for_byte() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path().join("new/archive");
    let archive = Segments::new(settings(&path), |_| ());
    let webhook = Webhook {
        headers: vec![("x".to_owned(), b"\xff".to_vec())],
        body: b"\x00\xff".to_vec(),
        query: "a=\"".to_owned(),
        ..Webhook::default()
    };
    let events = [event("g", 1, Body::from("{}")), event("g", 2, webhook), event("h", 3, Body::from(""))];
    for (number, event) in events.iter().enumerate() {
        archive.keep(event.clone());
        assert_eq!(found(&path), events[..=number]);
    }
    let files: Vec<_> = std::fs::read_dir(&path).expect("a folder").collect();
    assert_eq!(files.len(), 1);
}

#[test]
fn two_processes_share_a_folder() {
    let folder = TempDir::new().expect("folder");
    let archives = [(); 2].map(|()| Segments::new(settings(folder.path()), |_| ()));
    for n in 1..=20 {
        archives[n as usize % 2].keep(event("g", n, "{}"));
    }
    let numbers: Vec<_> = found(folder.path()).into_iter().map(|event| event.sequence.expect("a number")).collect();
    assert_eq!(numbers, (1..=20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_disk_that_gets_full_stops_the_archive_until_there_is_space_again() {
    static DROPPED: AtomicU64 = AtomicU64::new(0);
    let folder = TempDir::new().expect("folder");
    let is_full = Arc::new(AtomicBool::new(true));
    let full = Arc::clone(&is_full);
    let space = move |_: &Path| {
        let free = if full.load(Ordering::Relaxed) { 10 } else { 1 << 40 };
        Ok(Space { total: 1 << 40, free })
    };
    let archive = Segments::new(settings(folder.path()), |count| count_in(&DROPPED, count)).with_space(space);
    (1..=3).for_each(|n| archive.keep(event("g", n, "{}")));
    assert_eq!((found(folder.path()).len(), DROPPED.load(Ordering::Relaxed)), (0, 3));
    is_full.store(false, Ordering::Relaxed);
    archive.keep(event("g", 4, "{}"));
    // It is looked up again after each MiB.
    is_full.store(true, Ordering::Relaxed);
    archive.keep(event("g", 5, "{}"));
    archive.keep(event("g", 6, "x".repeat(LOOK as usize)));
    archive.keep(event("g", 7, "{}"));
    let numbers: Vec<_> = found(folder.path()).into_iter().map(|event| event.sequence.expect("a number")).collect();
    assert_eq!((numbers, DROPPED.load(Ordering::Relaxed)), (["4", "5", "6"].map(str::to_owned).to_vec(), 4));
    let stats = Folder::new(folder.path()).stats().expect("read");
    assert_eq!(
        (stats.events, stats.dropped),
        (3, Some(3)),
        "the last one is recorded with the next event that is kept"
    );
    is_full.store(false, Ordering::Relaxed);
    archive.keep(event("g", 8, "{}"));
    assert_eq!(Folder::new(folder.path()).stats().expect("read").dropped, Some(4));
}

#[test]
fn a_folder_that_cannot_be_written_loses_its_events_and_stops_nobody() {
    static DROPPED: AtomicU64 = AtomicU64::new(0);
    let folder = TempDir::new().expect("folder");
    let path = folder.path().join("archive");
    std::fs::write(&path, "in the way").expect("written");
    let archive = Segments::new(settings(&path), |count| count_in(&DROPPED, count));
    archive.keep(event("g", 1, "{}"));
    archive.keep(event("g", 2, "{}"));
    std::fs::remove_file(&path).expect("removed");
    archive.keep(event("g", 3, "{}"));
    assert_eq!(found(&path), [event("g", 3, "{}")]);
    assert_eq!(DROPPED.load(Ordering::Relaxed), 2);
}

#[test]
fn a_write_that_failed_halfway_costs_no_other_event() {
    let folder = TempDir::new().expect("folder");
    let archive = Segments::new(settings(folder.path()), |_| ());
    archive.keep(event("g", 1, "{}"));
    let mut state = archive.state.lock();
    let live = state.live.as_mut().expect("a segment");
    let path = live.name.live(folder.path());
    let before = std::fs::read(&path).expect("read");
    // As if neither the rest of the record could be written, nor what there is of it be taken back.
    std::fs::write(&path, [&before[..], b"half"].concat()).expect("written");
    drop(state);
    archive.keep(event("g", 2, "x".repeat(record::LONGEST)));
    archive.keep(event("g", 3, "{}"));
    let numbers: Vec<_> = found(folder.path()).into_iter().map(|event| event.sequence.expect("a number")).collect();
    assert_eq!(numbers, ["1", "3"]);
}

#[test]
fn a_file_that_takes_no_more_is_left_for_another_one() {
    static DROPPED: AtomicU64 = AtomicU64::new(0);
    let folder = TempDir::new().expect("folder");
    let archive = Segments::new(settings(folder.path()), |count| count_in(&DROPPED, count));
    archive.keep(event("g", 1, "{}"));
    let mut state = archive.state.lock();
    let live = state.live.as_mut().expect("a segment");
    live.file = File::open(live.name.live(folder.path())).expect("opened, to read");
    drop(state);
    archive.keep(event("g", 2, "{}"));
    let numbers: Vec<_> = found(folder.path()).into_iter().map(|event| event.sequence.expect("a number")).collect();
    assert_eq!((numbers, DROPPED.load(Ordering::Relaxed)), (["1", "2"].map(str::to_owned).to_vec(), 0));
}

#[test]
fn a_file_whose_failed_write_cannot_be_taken_back_is_not_used_again() {
    let folder = TempDir::new().expect("folder");
    let archive = Segments::new(settings(folder.path()), |_| ());
    archive.keep(event("g", 1, "{}"));
    let mut state = archive.state.lock();
    let live = state.live.as_mut().expect("a segment");
    // Neither a write nor a change of its length succeeds. As if it were new: nothing else would leave it.
    live.file = File::open(live.name.live(folder.path())).expect("opened, to read");
    live.bytes = 0;
    drop(state);
    archive.keep(event("g", 2, "{}"));
    archive.keep(event("g", 3, "{}"));
    let numbers: Vec<_> = found(folder.path()).into_iter().map(|event| event.sequence.expect("a number")).collect();
    assert_eq!(numbers, ["1", "3"]);
}
