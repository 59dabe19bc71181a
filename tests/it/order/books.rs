//! What a target sees, and what the promise says of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tokio::time::Instant;

use super::Plan;

/// So many messages of a group may be delivered behind one that is not known to be deleted, and comes again.
const BEHIND: usize = 3;

/// A target's answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Taken,
    NotNow,
    Refused,
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Answers given, by message.
    pub(super) answers: BTreeMap<usize, usize>,
    /// Messages that were taken or refused, in order.
    ended: Vec<usize>,
    /// The calls that are under way, by group.
    under_way: BTreeMap<u8, Vec<Call>>,
    /// What must not have been.
    wrong: Vec<String>,
}

/// A call that is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Call {
    number: usize,
    /// The host that made it, where that is known.
    by: Option<u64>,
    began: Instant,
}

/// When hosts last began to stand still. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Pauses(Arc<Mutex<BTreeMap<u64, Instant>>>);

impl Pauses {
    pub(super) fn begin(&self, host: u64) {
        self.0.lock().unwrap().insert(host, Instant::now());
    }

    /// Whether whoever made this call has stood still since: then it can neither keep its lease nor break off the call.
    fn excuse(&self, call: &Call) -> bool {
        let pauses = self.0.lock().unwrap();
        call.by.and_then(|host| pauses.get(&host)).is_some_and(|pause| *pause >= call.began)
    }
}

/// A target's books. Clones share them.
#[derive(Clone)]
pub(super) struct Books {
    plans: Arc<Vec<Plan>>,
    seen: Arc<Mutex<Seen>>,
    pub(super) pauses: Pauses,
}

impl Books {
    pub(super) fn new(plans: &[Plan]) -> Books {
        Books { plans: Arc::new(plans.to_vec()), seen: Arc::default(), pauses: Pauses::default() }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    pub(super) fn plan(&self, number: usize) -> &Plan {
        &self.plans[number]
    }

    /// Something that must not be.
    pub(super) fn wrong(&self, what: String) {
        self.seen().wrong.push(what);
    }

    /// A call with this message. It is under way until it is answered, or its client has gone away.
    pub(super) async fn call(&self, number: usize, by: Option<u64>) -> Answer {
        let _under_way = UnderWay::begin(self, Call { number, by, began: Instant::now() });
        let plan = &self.plans[number];
        tokio::time::sleep(Duration::from_millis(plan.latency)).await;
        let mut seen = self.seen();
        let answered = seen.answers.entry(number).or_default();
        *answered += 1;
        if *answered <= plan.failures {
            return Answer::NotNow;
        }
        seen.ended.push(number);
        if plan.refused { Answer::Refused } else { Answer::Taken }
    }

    /// What the promise says, once all is over.
    pub(super) fn judge(&self) -> TestCaseResult {
        let seen = self.seen();
        prop_assert!(seen.wrong.is_empty(), "{}", seen.wrong.join("\n"));
        let mut firsts: Vec<usize> = Vec::new();
        for number in seen.ended.iter().filter(|number| !self.plans[**number].refused) {
            if !firsts.contains(number) {
                firsts.push(*number);
            }
        }
        for group in 0..5 {
            let of_group: Vec<_> = firsts.iter().filter(|number| self.plans[**number].group == group).collect();
            prop_assert!(of_group.is_sorted(), "group {} out of order: {:?}", group, of_group);
        }
        firsts.sort_unstable();
        let fine: Vec<usize> = (0..self.plans.len()).filter(|number| !self.plans[*number].refused).collect();
        prop_assert_eq!(firsts, fine, "every other message is delivered, and none that is dead");
        Ok(())
    }

    /// How many of its group were taken since a message ended the last time, of those that were sent after it.
    fn behind(&self, seen: &Seen, number: usize) -> usize {
        let last = seen.ended.iter().rposition(|ended| *ended == number);
        let since = last.map_or(&[][..], |last| &seen.ended[last + 1..]);
        let group = self.plans[number].group;
        since.iter().filter(|other| **other > number && self.plans[**other].group == group).count()
    }
}

struct UnderWay {
    books: Books,
    call: Call,
}

impl UnderWay {
    fn begin(books: &Books, call: Call) -> UnderWay {
        let number = call.number;
        let plan = &books.plans[number];
        let mut seen = books.seen();
        let behind = books.behind(&seen, number);
        if behind > if plan.refused { 0 } else { BEHIND } {
            let what = if plan.refused { "a dead one" } else { "one that was delivered" };
            seen.wrong.push(format!("{what} came again behind {behind} others: {number}"));
        }
        let calls = seen.under_way.entry(plan.group).or_default();
        let shared = calls.iter().any(|other| !books.pauses.excuse(other));
        calls.push(call);
        if shared {
            let shared = format!("group {} in two hands: {calls:?}", plan.group);
            seen.wrong.push(shared);
        }
        drop(seen);
        UnderWay { books: books.clone(), call }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut seen = self.books.seen();
        let calls = seen.under_way.entry(self.books.plans[self.call.number].group).or_default();
        let place = calls.iter().position(|call| *call == self.call).unwrap();
        calls.remove(place);
    }
}
