//! One rule: what it is about now, and when it last said so.

use std::collections::BTreeMap;
use std::time::Duration;

use towpath_config::{Notify, Trigger};
use towpath_types::clock::Timestamp;
use uuid::Uuid;

use crate::notice::{Notice, State};
use crate::observed::{Lasting, Observed};
use crate::window::Window;

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    notify: Notify,
    window: Window,
    /// What somebody was told about, by target; the empty name for counts.
    firing: BTreeMap<String, Firing>,
}

/// An alert that was sent.
#[derive(Clone, Debug)]
struct Firing {
    /// One id for the alert, its reminders and its end.
    id: String,
    since: Timestamp,
    said_at: Timestamp,
    /// Whether its end was sent. It is kept until another one may be sent.
    resolved: bool,
}

/// Something that the rule is about now.
struct Cause {
    target: String,
    since: Timestamp,
    summary: String,
}

impl Rule {
    pub(crate) fn new(notify: Notify) -> Rule {
        Rule { notify, window: Window::default(), firing: BTreeMap::new() }
    }

    pub(crate) fn to(&self) -> &str {
        &self.notify.to
    }

    pub(crate) fn observe(&mut self, observed: &Observed, now: Timestamp, link: Option<&str>) -> Vec<Notice> {
        let causes = self.causes(observed, now);
        let mut notices = Vec::new();
        for cause in &causes {
            let firing = self.firing.get(&cause.target);
            // Also after it was resolved: what comes and goes must not flood anybody.
            if firing.is_some_and(|firing| now.since(firing.said_at) < self.notify.every) {
                continue;
            }
            let going_on = firing.filter(|firing| !firing.resolved);
            let firing = Firing {
                id: going_on.map_or_else(|| format!("alert_{}", Uuid::new_v4().simple()), |firing| firing.id.clone()),
                since: going_on.map_or(cause.since, |firing| firing.since),
                said_at: now,
                resolved: false,
            };
            notices.push(self.notice(State::Firing, &cause.target, &firing, cause.summary.clone(), now, link));
            self.firing.insert(cause.target.clone(), firing);
        }
        let is_over = |target: &str| !causes.iter().any(|cause| cause.target == target);
        for (target, firing) in &mut self.firing {
            if !firing.resolved && is_over(target) {
                firing.resolved = true;
                let summary = ended(&self.notify.on, target);
                notices.push(notice(&self.notify, State::Resolved, target, firing, summary, now, link));
            }
        }
        self.firing.retain(|_, firing| !firing.resolved || now.since(firing.said_at) < self.notify.every);
        notices
    }

    fn causes(&mut self, observed: &Observed, now: Timestamp) -> Vec<Cause> {
        match self.notify.on {
            Trigger::GroupStuck { lasting } => long(&observed.stuck, lasting, now, |target| match target {
                "" => "events fail before they reach a target".to_owned(),
                target => format!("events for {target} fail"),
            }),
            Trigger::TargetHeld { lasting } => {
                long(&observed.held, lasting, now, |target| format!("{target} is on hold"))
            }
            Trigger::BreakerOpen { lasting } => {
                long(&observed.open, lasting, now, |target| format!("the breaker of {target} is open"))
            }
            Trigger::DeadLetters { count, within } => self.many(observed.dead_letters, count, within, now, |grown| {
                format!("{} arrived in the dead-letter queue", events(grown, "event"))
            }),
            Trigger::Unauthorized { count, within } => self.many(observed.unauthorized, count, within, now, |grown| {
                format!("ingest turned {} away", events(grown, "webhook"))
            }),
        }
    }

    fn many(
        &mut self,
        counter: u64,
        count: u64,
        within: Duration,
        now: Timestamp,
        says: impl Fn(u64) -> String,
    ) -> Vec<Cause> {
        let grown = self.window.grown(counter, within, now);
        let summary = || format!("{} within {}", says(grown), humantime::format_duration(within));
        let cause = || Cause { target: String::new(), since: now, summary: summary() };
        (grown >= count).then(cause).into_iter().collect()
    }

    fn notice(
        &self,
        state: State,
        target: &str,
        firing: &Firing,
        summary: String,
        now: Timestamp,
        link: Option<&str>,
    ) -> Notice {
        notice(&self.notify, state, target, firing, summary, now, link)
    }
}

fn notice(
    notify: &Notify,
    state: State,
    target: &str,
    firing: &Firing,
    summary: String,
    now: Timestamp,
    link: Option<&str>,
) -> Notice {
    let page = match notify.on {
        Trigger::GroupStuck { .. } => "/groups",
        Trigger::TargetHeld { .. } | Trigger::BreakerOpen { .. } => "/",
        Trigger::DeadLetters { .. } => "/letters",
        Trigger::Unauthorized { .. } => "/refused",
    };
    Notice {
        to: notify.to.clone(),
        format: notify.format.clone(),
        state,
        id: firing.id.clone(),
        on: notify.on.name(),
        target: target.to_owned(),
        since: firing.since,
        at: now,
        summary,
        link: link.map(|link| format!("{}{page}", link.trim_end_matches('/'))),
    }
}

fn long(all: &[Lasting], lasting: Duration, now: Timestamp, says: impl Fn(&str) -> String) -> Vec<Cause> {
    let is_long = |one: &&Lasting| now.since(one.since) >= lasting;
    let cause = |one: &Lasting| {
        let for_how_long = humantime::format_duration(Duration::from_secs(now.since(one.since).as_secs()));
        let detail = if one.detail.is_empty() { String::new() } else { format!(": {}", one.detail) };
        let summary = format!("{} for {for_how_long}{detail}", says(&one.target));
        Cause { target: one.target.clone(), since: one.since, summary }
    };
    all.iter().filter(is_long).map(cause).collect()
}

fn ended(on: &Trigger, target: &str) -> String {
    match on {
        Trigger::GroupStuck { .. } if target.is_empty() => "events no longer fail".to_owned(),
        Trigger::GroupStuck { .. } => format!("events for {target} no longer fail"),
        Trigger::TargetHeld { .. } => format!("{target} is no longer on hold"),
        Trigger::BreakerOpen { .. } => format!("the breaker of {target} is closed again"),
        Trigger::DeadLetters { within, .. } => {
            format!("no more dead letters than allowed within {}", humantime::format_duration(*within))
        }
        Trigger::Unauthorized { within, .. } => {
            format!("ingest turns no more webhooks away than allowed within {}", humantime::format_duration(*within))
        }
    }
}

fn events(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
