//! Checks the order of a group, by every request and not only by the first of each event.
//!
//! At-least-once delivery permits duplicates of events whose delete is not confirmed. A host has at most [`UNANSWERED`] of them in a
//! group, a function its whole batch. Everything else is a violation:
//!
//! 1. No event is sent while an earlier one of its group has not ended. A duplicate that fails must end again before any event
//!    behind it is sent.
//! 2. A duplicate arrives behind at most as many others of its group as the host that sent it last may leave undeleted. A refused
//!    event never arrives again behind another: it is deleted before its group continues.
//!
//! One request is excused for each group and each time that a host was frozen: the one that it was about to send, and sends first
//! when it continues. No client can prevent that.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::{Books, Judgement, Violation};
use crate::event::{Event, Kind};
use crate::journal::Call;

/// The most deliveries of a group that a host leaves undeleted.
const UNANSWERED: u32 = 4;

/// The same for a function: its messages are deleted when it answers.
const BATCH: u32 = 10;

/// How soon after a host continues its pending request arrives.
const LATE: Duration = Duration::from_secs(1);

impl Books {
    /// Checks the order of every group.
    pub(super) fn order(&self, died: &HashMap<&str, &str>, verdict: &mut Judgement) {
        let mut groups: BTreeMap<u32, Vec<(Event, &Call)>> = BTreeMap::new();
        for call in &self.records.calls {
            if let Some(event) = call.event {
                groups.entry(event.group).or_default().push((event, call));
            }
        }
        for (group, calls) in groups {
            let ends = calls.iter().filter(|(event, _)| self.ends_by_a_call(*event, died));
            let ends: BTreeSet<u32> = ends.map(|(event, _)| event.number).collect();
            let mut group_so_far =
                Group { books: self, open: ends.clone(), ends, calls: Vec::new(), excused: HashSet::new() };
            for (event, call) in calls {
                if let Some(detail) = group_so_far.call(event, call) {
                    verdict.add(Violation::OutOfOrder, Some(group), detail);
                }
            }
        }
    }

    /// Whether a request ends the event. One that a broken plugin dead-lettered may have been sent before, and ends without a request.
    fn ends_by_a_call(&self, event: Event, died: &HashMap<&str, &str>) -> bool {
        let accepted = self.records.accepted.get(&event);
        let died = accepted.and_then(|accepted| died.get(accepted.id.as_str()));
        died.is_none_or(|reason| event.kind == Kind::Refuse && event.kind.death() == Some(reason))
    }
}

/// A group, up to the last request that was checked.
struct Group<'a> {
    books: &'a Books,
    /// The events that a request ends.
    ends: BTreeSet<u32>,
    /// Those that have not ended, by their last request or because there was none.
    open: BTreeSet<u32>,
    calls: Vec<(u32, &'a Call)>,
    /// The pauses that have excused a request.
    excused: HashSet<usize>,
}

impl<'a> Group<'a> {
    /// Checks the next request; returns what is wrong with it.
    fn call(&mut self, event: Event, call: &'a Call) -> Option<String> {
        let wrong = self.wrong(event);
        let late = self.late(event, call);
        if wrong.is_some() && late.is_some_and(|pause| self.excused.insert(pause)) {
            return None;
        }
        if ended(event, call) {
            self.open.remove(&event.number);
        } else if late.is_none() && self.ends.contains(&event.number) {
            self.open.insert(event.number);
        }
        self.calls.push((event.number, call));
        wrong
    }

    fn wrong(&self, Event { number, kind, .. }: Event) -> Option<String> {
        if let Some(first) = self.open.range(..number).next() {
            return Some(format!("event {number} was sent before event {first} had ended"));
        }
        let last = self.calls.iter().rposition(|(called, _)| *called == number)?;
        let (_, previous) = self.calls.get(last)?;
        let furthest = self.calls.iter().skip(last).map(|(called, _)| *called).max()?;
        let undeleted = match previous.by {
            _ if kind == Kind::Refuse => 1,
            Some(host) if Some(host) == self.books.functions => BATCH,
            _ => UNANSWERED,
        };
        (furthest - number >= undeleted).then(|| format!("event {number} was sent again behind event {furthest}"))
    }

    /// The pause during which a request may have been pending.
    fn late(&self, event: Event, call: &Call) -> Option<usize> {
        let records = &self.books.records;
        let accepted = records.accepted.get(&event)?.at;
        records.pauses.iter().position(|pause| {
            let of_its_host = Some(pause.host) == call.by && accepted <= pause.from;
            of_its_host && (pause.to..=pause.to + LATE).contains(&call.at)
        })
    }
}

/// Whether this request ended the event: the target accepted it, or refused it for good.
fn ended(event: Event, call: &Call) -> bool {
    call.is_taken() || (event.kind == Kind::Refuse && call.status == 400)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Accepted, Pause};
    use crate::oracle::ListedLetter;

    const SECOND: Duration = Duration::from_secs(1);
    const FUNCTIONS: usize = 4;
    const STOPPED: usize = 2;

    /// A history, one request per second. `0` is event 0, accepted; `0!` is answered 503. A prefix: `r` for an event that is refused,
    /// `d` for one that a broken plugin dead-lettered, `f` for a request of a function, `z` for one of a host that was frozen from
    /// `pause` on for five seconds. Event 90 and later ones were accepted meanwhile.
    fn found(history: &str, pause: u32) -> Vec<String> {
        let mut books = Books { functions: Some(FUNCTIONS), ..Books::default() };
        books.records.pauses.push(Pause { host: STOPPED, from: SECOND * pause, to: SECOND * (pause + 5) });
        for (at, word) in history.split_whitespace().enumerate() {
            let number = word.trim_matches(|c: char| !c.is_ascii_digit()).parse().expect("a number");
            let refused = word.starts_with('r');
            let kind = if refused { Kind::Refuse } else { Kind::Deliver };
            let event = Event { group: 1, number, kind };
            let status = if word.ends_with('!') { 503 } else { kind.death().map_or(200, |_| 400) };
            let by = match word.chars().next() {
                Some('f') => Some(FUNCTIONS),
                Some('z') => Some(STOPPED),
                _ => Some(0),
            };
            let at = SECOND * u32::try_from(at).expect("small");
            let id = format!("m{number}");
            let webhook_id = number.to_string();
            let accepted = if number < 90 { Duration::ZERO } else { SECOND * (pause + 1) };
            let told = Accepted { at: accepted, id: id.clone(), webhook_id: webhook_id.clone(), failed: 0 };
            books.records.accepted.insert(event, told);
            if word.starts_with('d') || refused {
                let reason = if refused { "refused" } else { "plugin-trap" };
                books.letters.push(ListedLetter { id, reason: reason.to_owned() });
            }
            books.records.calls.push(Call {
                at,
                event: Some(event),
                webhook_id,
                status,
                trouble: None,
                by,
                replayed: false,
            });
        }
        let died: HashMap<&str, &str> =
            books.letters.iter().map(|letter| (letter.id.as_str(), letter.reason.as_str())).collect();
        let mut verdict = Judgement::default();
        books.order(&died, &mut verdict);
        verdict.violations.into_iter().map(|(_, _, detail)| detail).collect()
    }

    #[test]
    fn what_at_least_once_allows_is_no_violation() {
        let histories = [
            ("straight", "0 1 2 3 4 5 6"),
            ("failed and tried again", "0! 0! 0 1! 1 2"),
            ("taken, and its answer lost", "0 0 1 1 1 2"),
            ("four undeleted after a crash", "0 1 2 3 0 1 2 3 4"),
            ("only some of them undeleted", "0 1 2 3 0 2 4"),
            ("a crash while duplicates are sent", "0 1 2 3 0 1 2 3 0 1 2 3 4"),
            ("duplicates that fail", "0 1 2 3 0! 0 1! 1 2 3 4"),
            ("a function that was killed", "f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 0 1 2 3 4 5 6 7 8 9 10"),
            ("refused, and the next", "0 r1! r1 r1 2 3"),
            ("undeleted before one that was refused", "0 1 2 3 4 r5"),
            ("dead of a broken plugin after it failed", "d0! d0! 1 2"),
        ];
        for (name, history) in histories {
            assert_eq!(found(history, 1000), Vec::<String>::new(), "{name}: {history}");
        }
    }

    #[test]
    fn everything_else_is_found() {
        let histories = [
            ("overtaken", "1 0", "event 1 was sent before event 0 had ended"),
            ("overtaken by a try that failed", "1! 0 1", "event 1 was sent before event 0 had ended"),
            ("overtaken after a failure", "0! 1 0", "event 1 was sent before event 0 had ended"),
            (
                "a duplicate of the one before fails, it is sent",
                "0 1 0! 1 0",
                "event 1 was sent before event 0 had ended",
            ),
            ("a fifth undeleted", "0 1 2 3 4 0", "event 0 was sent again behind event 4"),
            ("a fifth of those that came again", "0 1 2 0 1 2 3 4 0", "event 0 was sent again behind event 4"),
            (
                "an eleventh of a function",
                "f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 0",
                "event 0 was sent again behind event 10",
            ),
            ("what a function left, left again", "f0 f1 f2 f3 f4 0 1 2 3 4 0", "event 0 was sent again behind event 4"),
            ("refused, and again behind another", "r0 1 r0", "event 0 was sent again behind event 1"),
        ];
        for (name, history, wrong) in histories {
            assert_eq!(found(history, 1000), [wrong], "{name}: {history}");
        }
    }

    #[test]
    fn a_host_that_was_frozen_may_send_its_one_pending_request() {
        // It is frozen from 1 s to 6 s.
        let histories = [
            ("its call arrives late", "0 1 2 3 4 5 z0 6", &[][..]),
            ("late, and answered 503", "0 1 2 3 4 5 z5! 6", &[]),
            ("a second one", "0 1 2 3 4 5 z0 z1 6", &["event 1 was sent again behind event 5"]),
            ("long after it continued", "0 1 2 3 4 5 6 7 z0", &["event 0 was sent again behind event 7"]),
            ("by another host", "0 1 2 3 4 5 0", &["event 0 was sent again behind event 5"]),
            ("accepted while it was frozen", "90 91 92 93 94 95 z90", &["event 90 was sent again behind event 95"]),
        ];
        for (name, history, wrong) in histories {
            assert_eq!(found(history, 1), wrong, "{name}: {history}");
        }
    }
}
