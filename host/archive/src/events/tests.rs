use std::path::Path;

use tempfile::TempDir;
use towpath_types::archive::{Archived, Ending};
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;

use crate::closed;
use crate::name::Name;
use crate::record::tests::event;
use crate::record::{Gap, write_event, write_gap};
use crate::{Filter, Folder, Limit, Stats};

fn name(number: u64) -> Name {
    Name::new(Timestamp(number), 0xa0a0_0000 + number)
}

fn bytes(number: u64, events: &[Archived]) -> Vec<u8> {
    let mut bytes = Vec::new();
    events.iter().for_each(|event| write_event(event, name(number).mark(), &mut bytes).expect("written"));
    bytes
}

fn live(folder: &Path, number: u64, events: &[Archived]) {
    std::fs::write(name(number).live(folder), bytes(number, events)).expect("written");
}

fn close(folder: &Path, number: u64, events: &[Archived]) {
    closed::write(name(number), &bytes(number, events), folder).expect("closed");
}

fn found(folder: &Path, filter: &Filter) -> Vec<Archived> {
    Folder::new(folder).events(filter).expect("read").map(|event| event.expect("an event")).collect()
}

fn ids(folder: &Path, filter: &Filter) -> Vec<String> {
    found(folder, filter).into_iter().map(|event| event.id.to_string()).collect()
}

#[test]
fn events_of_every_segment_come_out_in_the_order_of_their_numbers_and_once() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let of = |numbers: &[u64]| numbers.iter().map(|n| event("g", *n, format!("{n}"))).collect::<Vec<_>>();
    let repeat = Archived { ended_at: Timestamp(99_000), ending: Ending::Skipped, ..event("g", 10, "10") };
    // Two processes have worked on the group in turn. The repeat is in the older segment.
    close(path, 1, &[of(&[2, 100]), vec![repeat.clone()]].concat());
    live(path, 2, &of(&[9, 10]));
    close(path, 3, &of(&[30, 1]));
    let all = found(path, &Filter::default());
    let order: Vec<_> = all.iter().map(|event| event.sequence.clone().expect("a number")).collect();
    assert_eq!(order, ["1", "2", "9", "10", "30", "100"]);
    assert_eq!(all[3], repeat);
    let delivered = Filter { ending: Some(Ending::Delivered), ..Filter::default() };
    assert_eq!(found(path, &delivered).len(), 5, "it was delivered before it was skipped");
    let limited = |limit| ids(path, &Filter { limit, ..delivered.clone() });
    assert_eq!(limited(Limit::First(2)), ["m-g-1", "m-g-2"]);
    assert_eq!(limited(Limit::Last(2)), ["m-g-30", "m-g-100"]);
    assert_eq!(limited(Limit::Last(3)), ["m-g-9", "m-g-30", "m-g-100"]);
}

#[test]
fn an_event_is_found_by_each_of_its_properties() {
    let folder = TempDir::new().expect("folder");
    let body = br#"{"status":"failed","n":1.10,"customer":{"email":"a@example.com"}}"#.to_vec();
    let wanted = Archived {
        route: "shop".to_owned(),
        ending: Ending::Skipped,
        ..event("shop/7", 5, Webhook { body, ..Webhook::default() })
    };
    let other = event("crm/7", 6, "{\"status\":\"ok\",\"n\":1.1}");
    let odd = event("crm/8", 7, Webhook { body: b"\xff\x00failed".to_vec(), ..Webhook::default() });
    live(folder.path(), 1, &[wanted.clone(), other.clone()]);
    close(folder.path(), 2, &[odd]);
    let value = |pointer: &str, value: &str| vec![(pointer.parse().expect("a pointer"), value.as_bytes().to_vec())];
    let text = |text: &str| vec![text.to_owned()];
    let every = Filter::default;
    let cases = [
        ("route", Filter { routes: text("shop"), ..every() }),
        ("one of routes", Filter { routes: vec!["shop".to_owned(), "none".to_owned()], ..every() }),
        ("group", Filter { groups: text("shop/7"), ..every() }),
        ("group with a star", Filter { groups: text("shop*"), ..every() }),
        ("until", Filter { until: Some(Timestamp(6_000)), ..every() }),
        ("since and until", Filter { since: Some(Timestamp(5_000)), until: Some(Timestamp(5_001)), ..every() }),
        ("id", Filter { ids: text("m-shop/7-5"), ..every() }),
        ("webhook-id", Filter { ids: text("w-shop/7-5"), ..every() }),
        ("beginning of an id", Filter { id_begins: Some("m-shop".to_owned()), ..every() }),
        ("ending", Filter { ending: Some(Ending::Skipped), ..every() }),
        ("contains", Filter { contains: Some(b"\"customer\":{".to_vec()), ..every() }),
        ("text value", Filter { values: value("/status", "failed"), ..every() }),
        ("number as written", Filter { values: value("/n", "1.10"), ..every() }),
        ("nested value", Filter { values: value("/customer/email", "a@example.com"), ..every() }),
    ];
    for (case, filter) in cases {
        assert_eq!(found(folder.path(), &filter), std::slice::from_ref(&wanted), "{case}");
    }
    let none = [
        Filter { groups: text("shop"), ..every() },
        Filter { ids: text("m-shop/7"), ..every() },
        Filter { since: Some(Timestamp(7_001)), ..every() },
        Filter { until: Some(Timestamp(5_000)), ..every() },
        Filter { routes: text("shop"), values: value("/status", "ok"), ..every() },
        Filter { limit: Limit::First(0), ..every() },
        Filter { limit: Limit::Last(0), ..every() },
    ];
    for filter in none {
        assert_eq!(ids(folder.path(), &filter), [""; 0], "{filter:?}");
    }
    let failed = Filter { contains: Some(b"failed".to_vec()), ..every() };
    assert_eq!(ids(folder.path(), &failed), ["m-shop/7-5", "m-crm/8-7"]);
    assert_eq!(ids(folder.path(), &Filter { since: Some(Timestamp(7_000)), ..every() }), ["m-crm/8-7"]);
}

#[test]
fn segments_may_be_closed_or_removed_while_they_are_read() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let events: Vec<Archived> = (1..=6).map(|n| event("g", n, format!("{n}"))).collect();
    live(path, 1, &events[..2]);
    live(path, 2, &events[2..4]);
    close(path, 3, &events[4..5]);
    live(path, 4, &events[5..]);
    let mut reading = Folder::new(path).events(&Filter::default()).expect("read");
    close(path, 2, &events[2..4]);
    std::fs::remove_file(name(2).live(path)).expect("removed");
    std::fs::remove_file(name(1).live(path)).expect("removed");
    std::fs::remove_file(name(3).closed(path)).expect("removed");
    let read: Vec<_> = reading.by_ref().map(|event| event.expect("an event")).collect();
    assert_eq!(read, [&events[2..4], &events[5..]].concat());
    assert_eq!(reading.damaged(), 0);
}

#[test]
fn damage_is_skipped_and_counted_and_everything_around_it_is_read() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let events: Vec<Archived> = (1..=9).map(|n| event("g", n, format!("{n}"))).collect();
    let damaged = |number, events: &[Archived]| {
        let mut bytes = bytes(number, events);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    std::fs::write(name(1).live(path), damaged(1, &events[..3])).expect("written");
    closed::write(name(2), &damaged(2, &events[3..6]), path).expect("closed");
    close(path, 3, &events[6..]);
    let file = std::fs::read(name(3).closed(path)).expect("read");
    std::fs::write(name(3).closed(path), &file[..file.len() - 1]).expect("cut");
    // A live segment whose last record is being written.
    let torn = bytes(4, &events[..1]);
    std::fs::write(name(4).live(path), &torn[..torn.len() - 1]).expect("written");
    let mut reading = Folder::new(path).events(&Filter::default()).expect("read");
    let read: Vec<_> = reading.by_ref().map(|event| event.expect("an event").sequence.expect("a number")).collect();
    assert_eq!(read, ["1", "3", "4", "6", "7", "8", "9"]);
    assert_eq!(reading.damaged(), 3, "two records and a table");
    let stats = Folder::new(path).stats().expect("read");
    assert_eq!((stats.events, stats.damaged), (7, 2), "the summary of the third is intact");
}

#[test]
fn stats_count_events_bytes_and_gaps_of_live_and_closed_segments() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    assert_eq!(
        Folder::new(path.join("missing")).stats().expect("read"),
        Stats { dropped: Some(0), ..Stats::default() }
    );
    close(path, 1, &[event("g", 1, "1"), event("g", 2, "2")]);
    let mut segment = bytes(2, &[event("g", 3, "3")]);
    let gap = Gap { dropped: 7, from: Timestamp(1), to: Timestamp(2) };
    write_gap(&gap, name(2).mark(), &mut segment).expect("written");
    std::fs::write(name(2).live(path), &segment).expect("written");
    let size = std::fs::metadata(name(1).closed(path)).expect("a file").len() + segment.len() as u64;
    let ended = Some([2_000, 4_000].map(Timestamp));
    let stats = Stats { events: 3, bytes: size, segments: 2, ended, dropped: Some(7), damaged: 0 };
    assert_eq!(Folder::new(path).stats().expect("read"), stats);
    assert_eq!(found(path, &Filter::default()).len(), 3);
}
