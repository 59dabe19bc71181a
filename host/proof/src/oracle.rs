//! The oracle: from what happened to what must not have. A pure function, so that it can be tried itself.

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
    /// Why it is there.
    pub reason: String,
}

/// What the oracle looks at, when all is over.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// All that happened.
    pub records: Records,
    /// What is in the dead-letter queue.
    pub letters: Vec<ListedLetter>,
    /// How many messages still wait, once they were given time.
    pub waiting: u64,
    /// From when on nothing was done to anything: no duplicate has an excuse then.
    pub calm_from: Duration,
    /// The host that runs functions, if there is one.
    pub functions: Option<usize>,
    /// Whether a plugin that traps on everything was run for a while: then that is a reason to be dead.
    pub broken_plugin: bool,
}

/// What must not happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Violation {
    /// It was answered 202 and came to no end.
    Lost,
    /// The target was called with it before one that was accepted before it in its group, or again behind others that
    /// cannot all have been undeleted.
    OutOfOrder,
    /// It ended otherwise than it should, or twice.
    WrongEnd,
    /// It was sent again without an excuse.
    Duplicate,
    /// It came with another id than ingest told.
    OtherId,
    /// The target got what nobody sent.
    Foreign,
    /// Messages waited on though nothing was in their way.
    NotDrained,
}

/// What the oracle says.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Judgement {
    /// Events that were answered 202.
    pub accepted: usize,
    /// Of them, those that the target took.
    pub delivered: usize,
    /// Those that the plugin skipped.
    pub skipped: usize,
    /// Dead letters.
    pub dead: usize,
    /// Those that the target took more than once.
    pub duplicated: usize,
    /// Requests at the target.
    pub attempts: usize,
    /// What must not have happened, with the group that it happened to, if it happened to one.
    pub violations: Vec<(Violation, Option<u32>, String)>,
}

impl Books {
    /// Judges.
    pub fn judge(&self) -> Judgement {
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
            if died.insert(&letter.id, &letter.reason).is_some() {
                verdict.add(Violation::WrongEnd, None, format!("{} has two dead letters", letter.id));
            }
        }
        let mut ids = HashSet::new();
        for (event, accepted) in &records.accepted {
            ids.insert(accepted.id.as_str());
            self.end(*event, taken.get(event), died.get(accepted.id.as_str()).copied(), &mut verdict);
        }
        for letter in letters.iter().filter(|letter| !ids.contains(letter.id.as_str())) {
            verdict.add(Violation::Foreign, None, format!("nobody sent the dead letter {}", letter.id));
        }
        self.order(&died, &mut verdict);
        if self.waiting > 0 {
            verdict.add(Violation::NotDrained, None, format!("{} messages still wait", self.waiting));
        }
        verdict.violations.sort_by(|one, other| (one.1, &one.2).cmp(&(other.1, &other.2)));
        verdict
    }

    /// The calls that the target took, by event.
    fn taken(&self, verdict: &mut Judgement) -> HashMap<Event, Vec<&Call>> {
        let mut taken: HashMap<Event, Vec<&Call>> = HashMap::new();
        for call in &self.records.calls {
            let Some(event) = call.event else {
                verdict.add(Violation::Foreign, None, format!("nobody sent what came as {}", call.webhook_id));
                continue;
            };
            // What was stored and its answer lost is sent before ingest is known to have it.
            let told = self.records.accepted.get(&event);
            if told.is_none_or(|told| told.webhook_id != call.webhook_id) {
                let detail = format!("event {} came as {}", event.number, call.webhook_id);
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
            let detail = format!("event {number} was sent again when all was calm");
            verdict.add(Violation::Duplicate, Some(group), detail);
        }
        let excused = self.broken_plugin && died == Some("plugin-trap");
        match (kind, taken.is_some(), died) {
            (Kind::Deliver, true, None) => {}
            (Kind::Deliver, false, None) => {
                let detail = format!("event {number} was accepted, and neither delivered nor kept");
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
                let taken = if taken { "was taken by the target" } else { "was not taken" };
                let died = died.map_or_else(|| "not dead".to_owned(), |reason| format!("dead: {reason}"));
                verdict.violations.push(wrong(format!("({kind:?}) {taken} and is {died}")));
            }
        }
    }

    /// All that happened to a group, and what was done meanwhile, line by line.
    pub fn history(&self, group: u32) -> Vec<String> {
        let mut lines: Vec<(Duration, String)> = Vec::new();
        for (event, accepted) in self.records.accepted.iter().filter(|(event, _)| event.group == group) {
            let line = format!("accepted  event {} ({:?}) as {}", event.number, event.kind, accepted.id);
            let tries = if accepted.failed > 0 { format!(", after {} tries", accepted.failed) } else { String::new() };
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
            lines.push((call.at, format!("called    event {number}{by}: {}{trouble}", call.status)));
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

    /// How many violations are of this kind.
    pub fn count(&self, violation: Violation) -> usize {
        self.violations.iter().filter(|(found, ..)| *found == violation).count()
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Judgement { accepted, delivered, skipped, dead, duplicated, attempts, .. } = self;
        let lost = self.count(Violation::Lost);
        let disordered = self.count(Violation::OutOfOrder);
        let order = if disordered == 0 { "order kept".to_owned() } else { format!("{disordered} OUT OF ORDER") };
        write!(
            f,
            "{accepted} accepted, {delivered} delivered, {skipped} skipped, {dead} dead, {lost} lost, {order}; \
             {attempts} attempts, {duplicated} delivered more than once"
        )
    }
}

#[cfg(test)]
#[path = "oracle/tests.rs"]
mod tests;
