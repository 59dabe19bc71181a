//! The oracle: finds violations in the records of a run. It is a pure function, so that it can be tested itself.

mod order;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::event::{Event, Kind};
use crate::journal::{Call, Records};

/// A dead letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedLetter {
    /// The id of its message.
    pub id: String,
    /// Its reason.
    pub reason: String,
}

/// An event in the archive of the hosts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedEvent {
    /// The id of its message.
    pub id: String,
    /// Its id in the queue when it ended.
    pub queue_id: String,
    /// What the target got as `webhook-id`.
    pub webhook_id: String,
}

/// What the oracle checks after a run.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// The records of the run.
    pub records: Records,
    /// The letters in the dead-letter queue.
    pub letters: Vec<ListedLetter>,
    /// The events in the archive; `None` if it is not checked.
    pub archived: Option<Vec<ListedEvent>>,
    /// How many messages were still queued after the time to drain.
    pub waiting: u64,
    /// The end of all faults: from here on, no duplicate is excused.
    pub calm_from: Duration,
    /// The host that runs functions, if there is one.
    pub functions: Option<usize>,
    /// Whether events were replayed. A broken plugin may then dead-letter an event more than once.
    pub replayed: bool,
    /// Whether a plugin that traps on everything ran for a while. Then `plugin-trap` is an accepted reason for any event.
    pub broken_plugin: bool,
}

/// A kind of violation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Violation {
    /// The event was answered 202, and then neither delivered, skipped nor dead-lettered.
    Lost,
    /// The event was sent before an earlier one of its group, or again behind more events than can have been undeleted.
    OutOfOrder,
    /// The event ended in another way than it must, or twice.
    WrongEnd,
    /// The event was delivered again without an excuse.
    Duplicate,
    /// The event arrived with another id than ingest answered.
    OtherId,
    /// The event was delivered or skipped, and is not in the archive, or twice; or it is there and was neither, or never accepted.
    WrongArchive,
    /// The target got a request that no sender sent.
    Foreign,
    /// Messages stayed in the queue although no fault was left.
    NotDrained,
}

/// The verdict of the oracle.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Judgement {
    /// Events that were answered 202.
    pub accepted: usize,
    /// Accepted events that the target got.
    pub delivered: usize,
    /// Accepted events that the plugin skipped.
    pub skipped: usize,
    /// Events in the archive.
    pub archived: usize,
    /// Dead letters.
    pub dead: usize,
    /// Events that the target got more than once.
    pub duplicated: usize,
    /// Requests at the target.
    pub attempts: usize,
    /// The violations: kind, group if there is one, and detail.
    pub violations: Vec<(Violation, Option<u32>, String)>,
}

impl Books {
    /// Checks the run. Replays are set apart: they repeat what was delivered, and change nothing about it.
    pub fn judge(&self) -> Judgement {
        let mut first = self.clone();
        first.records.calls.retain(|call| !call.replayed);
        let mut verdict = first.judge_first();
        verdict.attempts = self.records.calls.len();
        self.replays(&mut verdict);
        verdict.violations.sort_by(|one, other| (one.1, &one.2).cmp(&(other.1, &other.2)));
        verdict
    }

    /// Each replay is of an event that the target had accepted, with its id.
    fn replays(&self, verdict: &mut Judgement) {
        let mut taken = HashSet::new();
        for call in &self.records.calls {
            let Some(event) = call.event else {
                if call.replayed {
                    verdict.add(
                        Violation::Foreign,
                        None,
                        format!("replay {} has the body of no event", call.webhook_id),
                    );
                }
                continue;
            };
            let told = self.records.accepted.get(&event);
            if !call.replayed {
                if call.is_taken() {
                    taken.insert(event);
                }
            } else if !taken.contains(&event) {
                let detail = format!("event {} was replayed before it was delivered", event.number);
                verdict.add(Violation::Foreign, Some(event.group), detail);
            } else if told.is_some_and(|told| told.webhook_id != call.webhook_id) {
                let detail = format!("event {} was replayed with the webhook-id {}", event.number, call.webhook_id);
                verdict.add(Violation::OtherId, Some(event.group), detail);
            }
        }
    }

    fn judge_first(&self) -> Judgement {
        let Books { records, letters, .. } = self;
        let mut verdict = Judgement {
            accepted: records.accepted.len(),
            dead: letters.len(),
            attempts: records.calls.len(),
            ..Judgement::default()
        };
        let taken = self.taken(&mut verdict);
        let mut died: HashMap<&str, &str> = HashMap::new();
        for letter in letters {
            let again = died.insert(&letter.id, &letter.reason).is_some();
            let excused = self.replayed && self.broken_plugin && letter.reason == "plugin-trap";
            if again && !excused {
                verdict.add(Violation::WrongEnd, None, format!("{} has two dead letters", letter.id));
            }
        }
        let mut ids = HashSet::new();
        for (event, accepted) in &records.accepted {
            ids.insert(accepted.id.as_str());
            self.end(*event, taken.get(event), died.get(accepted.id.as_str()).copied(), &mut verdict);
        }
        for letter in letters.iter().filter(|letter| !ids.contains(letter.id.as_str())) {
            verdict.add(Violation::Foreign, None, format!("dead letter {} belongs to no event", letter.id));
        }
        self.archive(&taken, &died, &mut verdict);
        self.order(&died, &mut verdict);
        if self.waiting > 0 {
            verdict.add(Violation::NotDrained, None, format!("{} messages are still queued", self.waiting));
        }
        verdict
    }

    /// The requests that the target accepted, by event.
    fn taken(&self, verdict: &mut Judgement) -> HashMap<Event, Vec<&Call>> {
        let mut taken: HashMap<Event, Vec<&Call>> = HashMap::new();
        for call in &self.records.calls {
            let Some(event) = call.event else {
                verdict.add(Violation::Foreign, None, format!("request {} has the body of no event", call.webhook_id));
                continue;
            };
            // If the 202 was lost, the event is delivered before its sender knows that it is stored.
            let told = self.records.accepted.get(&event);
            if told.is_none_or(|told| told.webhook_id != call.webhook_id) {
                let detail = format!("event {} arrived with the webhook-id {}", event.number, call.webhook_id);
                verdict.add(Violation::OtherId, Some(event.group), detail);
            }
            if call.is_taken() {
                taken.entry(event).or_default().push(call);
            }
        }
        taken
    }

    fn end(&self, event: Event, taken: Option<&Vec<&Call>>, died: Option<&str>, verdict: &mut Judgement) {
        let Event { group, number, kind } = event;
        let wrong = |what: String| (Violation::WrongEnd, Some(group), format!("event {number} {what}"));
        verdict.delivered += usize::from(taken.is_some());
        verdict.duplicated += usize::from(taken.is_some_and(|calls| calls.len() > 1));
        let mut calm = taken.into_iter().flatten().filter(|call| call.at >= self.calm_from);
        if calm.next().is_some() && taken.is_some_and(|calls| calls.len() > 1) {
            let detail = format!("event {number} was delivered again after all faults");
            verdict.add(Violation::Duplicate, Some(group), detail);
        }
        let excused = self.broken_plugin && died == Some("plugin-trap");
        match (kind, taken.is_some(), died) {
            (Kind::Deliver, true, None) => {}
            (Kind::Deliver, false, None) => {
                let detail = format!("event {number} was accepted, and neither delivered nor dead-lettered");
                verdict.add(Violation::Lost, Some(group), detail);
            }
            (Kind::Skip, false, None) => verdict.skipped += 1,
            (Kind::Skip | Kind::Deliver | Kind::Refuse | Kind::Reject, _, Some(_)) if excused => {}
            (Kind::Refuse | Kind::Reject | Kind::Trap, false, Some(reason)) if kind.death() == Some(reason) => {}
            (Kind::Refuse | Kind::Reject | Kind::Trap, false, None) => {
                let detail = format!("event {number} ({kind:?}) was accepted and has no dead letter");
                verdict.add(Violation::Lost, Some(group), detail);
            }
            (_, taken, died) => {
                let taken = if taken { "was delivered" } else { "was not delivered" };
                let died =
                    died.map_or_else(|| "not dead-lettered".to_owned(), |reason| format!("dead-lettered as {reason}"));
                verdict.violations.push(wrong(format!("({kind:?}) {taken} and is {died}")));
            }
        }
    }

    /// Compares the archive with what the target got.
    fn archive(&self, taken: &HashMap<Event, Vec<&Call>>, died: &HashMap<&str, &str>, verdict: &mut Judgement) {
        let Some(archived) = &self.archived else { return };
        let mut ids = HashSet::new();
        let mut queue_ids = HashSet::new();
        for event in archived {
            ids.insert(event.id.as_str());
            if !queue_ids.insert(event.queue_id.as_str()) {
                verdict.add(Violation::WrongArchive, None, format!("{} is in the archive twice", event.queue_id));
            }
        }
        for (event, accepted) in &self.records.accepted {
            let calls = taken.get(event).map(Vec::as_slice).unwrap_or_default();
            let is_there = ids.remove(accepted.id.as_str());
            // Functions have no archive, and any host may have been the last.
            let by_function = |call: &&Call| call.by.is_none() || call.by == self.functions;
            let must_be = match event.kind {
                Kind::Skip => self.functions.is_none(),
                _ => !calls.is_empty() && !calls.iter().any(by_function),
            };
            let can_be = event.kind == Kind::Skip || !calls.is_empty();
            let is_dead = died.contains_key(accepted.id.as_str());
            let what = match is_there {
                true if !can_be => "is in the archive, and was neither delivered nor skipped",
                false if must_be && !is_dead => "was delivered or skipped, and is not in the archive",
                _ => continue,
            };
            verdict.add(Violation::WrongArchive, Some(event.group), format!("event {} {what}", event.number));
        }
        // A 202 may get lost on its way to the sender, which sends the event again: under another id, but with the same `webhook-id`.
        let sent: HashSet<&str> = self.records.accepted.values().map(|accepted| accepted.webhook_id.as_str()).collect();
        for event in archived.iter().filter(|event| ids.contains(event.id.as_str())) {
            if !sent.contains(event.webhook_id.as_str()) {
                let detail = format!("{} is in the archive, and no ingest accepted it", event.id);
                verdict.add(Violation::WrongArchive, None, detail);
            }
        }
        verdict.archived = archived.len();
    }

    /// The history of a group, with the faults meanwhile, line by line.
    pub fn history(&self, group: u32) -> Vec<String> {
        let mut lines: Vec<(Duration, String)> = Vec::new();
        for (event, accepted) in self.records.accepted.iter().filter(|(event, _)| event.group == group) {
            let line = format!("accepted  event {} ({:?}) as {}", event.number, event.kind, accepted.id);
            let tries = if accepted.failed > 0 {
                format!(", after {} failed attempts", accepted.failed)
            } else {
                String::new()
            };
            lines.push((accepted.at, line + &tries));
            for letter in self.letters.iter().filter(|letter| letter.id == accepted.id) {
                lines.push((Duration::MAX, format!("dead      event {}: {}", event.number, letter.reason)));
            }
        }
        let calls = self.records.calls.iter().filter(|call| call.event.is_some_and(|event| event.group == group));
        for call in calls {
            let number = call.event.map_or(0, |event| event.number);
            let trouble = call.trouble.map(|trouble| format!(", {trouble}")).unwrap_or_default();
            let by = call.by.map(|host| format!(" by host {host}")).unwrap_or_default();
            let what = if call.replayed { "replayed " } else { "called   " };
            lines.push((call.at, format!("{what} event {number}{by}: {}{trouble}", call.status)));
        }
        let (first, last) = match (lines.iter().min(), lines.iter().filter(|(at, _)| *at < Duration::MAX).max()) {
            (Some((first, _)), Some((last, _))) => (*first, *last),
            _ => return Vec::new(),
        };
        let meanwhile = self.records.incidents.iter().filter(|incident| (first..=last).contains(&incident.at));
        lines.extend(meanwhile.map(|incident| (incident.at, format!("          {}", incident.what))));
        lines.sort();
        let time =
            |at: Duration| if at == Duration::MAX { "end".to_owned() } else { format!("{:.3}", at.as_secs_f64()) };
        lines.into_iter().map(|(at, line)| format!("{:>9}  {line}", time(at))).collect()
    }
}

impl Judgement {
    fn add(&mut self, violation: Violation, group: Option<u32>, detail: String) {
        self.violations.push((violation, group, detail));
    }

    /// The number of violations of this kind.
    pub fn count(&self, violation: Violation) -> usize {
        self.violations.iter().filter(|(found, ..)| *found == violation).count()
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Judgement { accepted, delivered, skipped, archived, dead, duplicated, attempts, .. } = self;
        let lost = self.count(Violation::Lost);
        let disordered = self.count(Violation::OutOfOrder);
        let order = if disordered == 0 { "order kept".to_owned() } else { format!("{disordered} OUT OF ORDER") };
        write!(
            f,
            "{accepted} accepted, {delivered} delivered, {skipped} skipped, {dead} dead, {lost} lost, {order}; \
             {attempts} attempts, {duplicated} delivered more than once; {archived} in the archive"
        )
    }
}

#[cfg(test)]
#[path = "oracle/tests.rs"]
mod tests;
