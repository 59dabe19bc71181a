use super::*;
use crate::journal::{Accepted, Incident};

const SECOND: Duration = Duration::from_secs(1);

fn event(number: u32, kind: Kind) -> Event {
    Event { group: 1, number, kind }
}

/// An accepted event has its number as `webhook-id`, `m` and its number as id, and its number in seconds as time.
fn books(accepted: &[(u32, Kind)], calls: &[(u64, u32, u16)], letters: &[(&str, &str)]) -> Books {
    let kind = |number: u32| accepted.iter().find(|(n, _)| *n == number).map_or(Kind::Deliver, |(_, kind)| *kind);
    let call = |(at, number, status): &(u64, u32, u16)| Call {
        at: SECOND * u32::try_from(*at).expect("small"),
        event: Some(event(*number, kind(*number))),
        webhook_id: number.to_string(),
        status: *status,
        trouble: None,
        by: None,
        replayed: false,
    };
    let accept = |(number, kind): &(u32, Kind)| {
        let accepted =
            Accepted { at: SECOND * *number, id: format!("m{number}"), webhook_id: number.to_string(), failed: 0 };
        (event(*number, *kind), accepted)
    };
    let letter = |(id, reason): &(&str, &str)| ListedLetter { id: format!("m{id}"), reason: (*reason).to_owned() };
    Books {
        records: Records {
            accepted: accepted.iter().map(accept).collect(),
            calls: calls.iter().map(call).collect(),
            incidents: vec![Incident { at: SECOND, what: "killed host 2".to_owned() }],
            ..Records::default()
        },
        letters: letters.iter().map(letter).collect(),
        calm_from: SECOND * 100,
        ..Books::default()
    }
}

fn found(books: &Books) -> Vec<Violation> {
    books.judge().violations.into_iter().map(|(violation, ..)| violation).collect()
}

const ALL: [(u32, Kind); 5] =
    [(0, Kind::Deliver), (1, Kind::Refuse), (2, Kind::Skip), (3, Kind::Reject), (4, Kind::Trap)];
const DEAD: [(&str, &str); 3] = [("1", "refused"), ("3", "rejected"), ("4", "plugin-trap")];

#[test]
fn a_correct_end_is_not_a_violation() {
    let books = books(&ALL, &[(1, 0, 503), (2, 0, 200), (3, 1, 400), (4, 0, 200)], &DEAD);
    let verdict = books.judge();
    assert_eq!(verdict.violations, []);
    let Judgement { accepted, delivered, skipped, dead, duplicated, attempts, .. } = verdict;
    assert_eq!((accepted, delivered, skipped, dead, duplicated, attempts), (5, 1, 1, 3, 1, 4));
}

#[test]
fn every_violation_is_found() {
    let two = [(0, Kind::Deliver), (1, Kind::Deliver)];
    let cases = [
        ("lost", books(&two, &[(1, 0, 200), (2, 1, 503)], &[]), Violation::Lost),
        ("a poison that is nowhere", books(&[(0, Kind::Reject)], &[], &[]), Violation::Lost),
        ("overtaken", books(&two, &[(1, 1, 200), (2, 0, 200)], &[]), Violation::OutOfOrder),
        (
            "overtaken after a failure",
            books(&two, &[(1, 0, 503), (2, 1, 200), (3, 0, 200)], &[]),
            Violation::OutOfOrder,
        ),
        ("dead for nothing", books(&two[..1], &[], &[("0", "expired")]), Violation::WrongEnd),
        ("dead and delivered", books(&two[..1], &[(1, 0, 200)], &[("0", "refused")]), Violation::WrongEnd),
        ("the wrong reason", books(&[(0, Kind::Reject)], &[], &[("0", "plugin-error")]), Violation::WrongEnd),
        ("poison that was taken", books(&[(0, Kind::Skip)], &[(1, 0, 200)], &[]), Violation::WrongEnd),
        ("two letters", books(&[(0, Kind::Reject)], &[], &[("0", "rejected"), ("0", "rejected")]), Violation::WrongEnd),
        ("twice in the calm", books(&two[..1], &[(101, 0, 200), (102, 0, 200)], &[]), Violation::Duplicate),
        ("a letter of nobody", books(&[], &[], &[("9", "rejected")]), Violation::Foreign),
        ("never accepted", books(&[], &[(1, 0, 503)], &[]), Violation::OtherId),
    ];
    for (name, books, expected) in cases {
        assert_eq!(found(&books), [expected], "{name}");
    }
}

#[test]
fn another_id_another_body_and_what_waits_are_found() {
    let one = [(0, Kind::Deliver)];
    let mut renamed = books(&one, &[(1, 0, 200), (2, 0, 200)], &[]);
    renamed.records.calls[1].webhook_id = "7".to_owned();
    assert_eq!(found(&renamed), [Violation::OtherId]);
    let mut changed = books(&one, &[(1, 0, 200), (2, 0, 500)], &[]);
    changed.records.calls[1].event = None;
    assert_eq!(found(&changed), [Violation::Foreign]);
    let waiting = Books { waiting: 3, ..books(&one, &[(1, 0, 200)], &[]) };
    assert_eq!(found(&waiting), [Violation::NotDrained]);
}

#[test]
fn a_plugin_that_traps_is_an_excuse_for_its_own_reason_only() {
    let excused = |reason| Books { broken_plugin: true, ..books(&[(0, Kind::Deliver)], &[], &[("0", reason)]) };
    assert_eq!(found(&excused("plugin-trap")), []);
    assert_eq!(found(&excused("expired")), [Violation::WrongEnd]);
}

#[test]
fn the_history_of_a_group_lists_everything_in_order() {
    let mut books = books(&[(0, Kind::Deliver), (3, Kind::Reject)], &[(1, 0, 503), (2, 0, 200)], &[("3", "rejected")]);
    books.records.calls[0].trouble = Some("slow");
    let history = books.history(1);
    let expected = [
        "accepted  event 0",
        "killed host 2",
        "event 0: 503, slow",
        "event 0: 200",
        "accepted  event 3",
        "dead      event 3: rejected",
    ];
    assert_eq!(history.len(), expected.len(), "{history:#?}");
    for (line, expected) in history.iter().zip(expected) {
        assert!(line.contains(expected), "{line:?} is not {expected:?}");
    }
    assert_eq!(books.history(2), Vec::<String>::new());
}

#[test]
fn the_archive_has_what_hosts_with_one_delivered_or_skipped_and_nothing_else() {
    let archived = |ids: &[&str]| {
        let event =
            |id: &&str| ListedEvent { id: format!("m{id}"), queue_id: format!("m{id}"), webhook_id: (*id).to_owned() };
        Some(ids.iter().map(event).collect())
    };
    let run = |calls_by: usize, ids: &[&str]| {
        let mut books = books(&ALL, &[(2, 0, 200), (3, 1, 400)], &DEAD);
        books.records.calls.iter_mut().for_each(|call| call.by = Some(calls_by));
        books.archived = archived(ids);
        books
    };
    assert_eq!(found(&run(0, &["0", "2"])), []);
    assert_eq!(found(&run(0, &["2"])), [Violation::WrongArchive], "the delivered one is missing");
    assert_eq!(found(&run(0, &["0"])), [Violation::WrongArchive], "the skipped one is missing");
    assert_eq!(found(&run(0, &["0", "0", "2"])), [Violation::WrongArchive], "one is there twice");
    assert_eq!(found(&run(0, &["0", "1", "2"])), [Violation::WrongArchive], "a dead letter is there");
    assert_eq!(found(&run(0, &["0", "2", "9"])), [Violation::WrongArchive], "one is there that nobody accepted");
    let mut repeated = run(0, &["0", "2"]);
    let repeat = ListedEvent { id: "m9".to_owned(), queue_id: "m9".to_owned(), webhook_id: "0".to_owned() };
    repeated.archived.as_mut().expect("an archive").push(repeat);
    assert_eq!(found(&repeated), [], "the answer to its first POST got lost");
    let of_functions = Books { functions: Some(3), ..run(3, &[]) };
    assert_eq!(found(&of_functions), [], "functions have no archive");
    assert_eq!(found(&Books { archived: None, ..run(0, &[]) }), []);
}

#[test]
fn a_replay_is_no_delivery_and_no_disorder_and_comes_after_one() {
    let two = [(0, Kind::Deliver), (1, Kind::Deliver)];
    let run = |calls: &[(u64, u32, u16)], replays: &[usize]| {
        let mut books = books(&two, calls, &[]);
        replays.iter().for_each(|at| books.records.calls[*at].replayed = true);
        books
    };
    // Behind newer events, in the calm, and again.
    let fine = run(&[(1, 0, 200), (2, 1, 200), (3, 0, 200), (4, 1, 503), (101, 1, 200), (102, 0, 200)], &[2, 3, 4, 5]);
    assert_eq!(found(&fine), []);
    assert_eq!((fine.judge().duplicated, fine.judge().attempts), (0, 6));
    let first_missing = run(&[(1, 0, 200), (2, 1, 200)], &[1]);
    assert_eq!(found(&first_missing), [Violation::Lost, Violation::Foreign], "a replay replaces no delivery");
    let disordered = run(&[(1, 0, 200), (2, 0, 200), (3, 1, 200), (4, 0, 200)], &[1]);
    assert_eq!(found(&disordered), []);
    let overtaken = run(&[(1, 1, 200), (2, 1, 200), (3, 0, 200)], &[1]);
    assert_eq!(found(&overtaken), [Violation::OutOfOrder], "first deliveries are still checked");
    let mut renamed = fine.clone();
    renamed.records.calls[2].webhook_id = "7".to_owned();
    assert_eq!(found(&renamed), [Violation::OtherId]);
}

#[test]
fn a_replay_may_die_again_of_a_broken_plugin_only() {
    let twice = [("0", "plugin-trap"), ("0", "plugin-trap")];
    let mut books = books(&[(0, Kind::Deliver)], &[(1, 0, 200)], &twice);
    assert_eq!(found(&books), [Violation::WrongEnd, Violation::WrongEnd]);
    books.broken_plugin = true;
    assert_eq!(found(&books), [Violation::WrongEnd], "nothing was replayed");
    books.replayed = true;
    assert_eq!(found(&books), []);
}
