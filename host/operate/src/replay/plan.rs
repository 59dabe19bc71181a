//! What a replay would do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use towpath_archive::Filter;
use towpath_types::archive::{Archived, Ending};
use towpath_types::clock::Timestamp;
use towpath_types::queue::GroupId;
use towpath_types::replay::REPLAY_ATTRIBUTE;

use super::Request;
use super::conditions::archive;
use super::error::ReplayError;
use super::position::{Position, number};
use super::selected::{Selected, events};
use crate::archive::{Archive, Progress, Wanted, without_body};
use crate::known::Known;
use crate::place::{Backend, Found};

/// How many waiting messages are read at a time.
const PAGE: usize = 100;

/// What a replay would send.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// The number of events.
    pub events: u64,
    /// The number of their groups.
    pub groups: usize,
    /// The size of their bodies, as the queue counts it.
    pub bytes: u64,
    /// When the first of them was first stored, and when the last.
    pub sent: Option<[Timestamp; 2]>,
    /// Events that are left out because parts of their bodies are gone.
    pub redacted: u64,
    /// Entries that are left out because they are replays of archived events.
    pub replays: u64,
    /// Events that are left out because no route has their group.
    pub unrouted: u64,
    /// Groups with later events.
    pub overtaken: Vec<Overtaken>,
    /// Whether waiting messages were looked at; SQS lists none.
    pub knows_waiting: bool,
    /// Whether events reach the archive only after minutes, so that the last ones are missing in the plan.
    pub lags: bool,
    /// Damaged records, frames and lines of the archive that were skipped: some may be events that are missing in the plan.
    pub damaged: u64,
    /// Events before the position of a run that goes on: those that it sent, unless they left the archive, and those that came too late.
    pub(super) passed: u64,
    /// The number of the last event of each group. What hosts deliver meanwhile has a higher one, and is not part of the plan.
    pub(super) last: Arc<HashMap<GroupId, u128>>,
}

/// A group with later events than the last one that is replayed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overtaken {
    /// The group.
    pub group: GroupId,
    /// How many later events were delivered.
    pub delivered: u64,
    /// How many messages wait.
    pub waiting: u64,
}

impl Plan {
    /// Fails if groups have later events, unless the operator accepts that.
    pub fn check(&self, request: &Request) -> Result<(), ReplayError> {
        if request.overtaken || self.overtaken.is_empty() {
            return Ok(());
        }
        Err(ReplayError::Overtaken { groups: self.overtaken.len() })
    }

    /// How many events that meet the conditions are not sent.
    pub fn left_out(&self) -> u64 {
        self.redacted + self.replays + self.unrouted
    }
}

/// What this replay would send, after this position. Sends nothing.
pub async fn plan(
    found: &Found,
    request: &Request,
    after: Option<&Position>,
    progress: Progress<'_>,
) -> anyhow::Result<Plan> {
    if request.conditions.is_everything() {
        return Err(ReplayError::Everything.into());
    }
    if let Some(to) = &request.to {
        let config = found.config.as_deref().ok_or(ReplayError::NoConfig)?;
        Known::new("target", config.targets.keys().cloned()).check(to)?;
    }
    let mut plan = Plan::default();
    let mut last = HashMap::<GroupId, u128>::new();
    let mut selection = events(found, &request.archive, &request.conditions, after, progress).await?;
    for selected in selection.by_ref() {
        match selected? {
            Selected::Sent { event, .. } => {
                plan.events += 1;
                plan.bytes += event.body.len() as u64;
                let [first, latest] = plan.sent.unwrap_or([event.sent_at; 2]);
                plan.sent = Some([first.min(event.sent_at), latest.max(event.sent_at)]);
                last.insert(event.group.clone(), number(&event));
            }
            Selected::Passed => plan.passed += 1,
            Selected::Replay => plan.replays += 1,
            Selected::Redacted => plan.redacted += 1,
            Selected::Unrouted => plan.unrouted += 1,
        }
    }
    plan.damaged = selection.damaged();
    drop(selection);
    request.conditions.check(found, plan.events + plan.passed + plan.left_out() > 0)?;
    plan.groups = last.len();
    let mut later = BTreeMap::new();
    // Before the archive: what is delivered meanwhile is found in one of the two.
    plan.knows_waiting = waiting(found, &last, &mut later).await?;
    let archive = archive(found, &request.archive).await?;
    plan.lags = matches!(archive, Archive::Bucket(_));
    let first = plan.sent.map(|[first, _]| first);
    let damaged = delivered(&archive, &request.conditions.groups, first, &last, &mut later, progress).await?;
    // The two searches read some files both.
    plan.damaged = plan.damaged.max(damaged);
    plan.overtaken = later.into_values().collect();
    plan.last = Arc::new(last);
    Ok(plan)
}

type Later = BTreeMap<String, Overtaken>;

fn entry<'a>(later: &'a mut Later, group: &GroupId) -> &'a mut Overtaken {
    let none = || Overtaken { group: group.clone(), delivered: 0, waiting: 0 };
    later.entry(group.as_str().to_owned()).or_insert_with(none)
}

/// Counts the messages that wait in these groups. A replay brings no newer state, so it does not count. `false` if the queue does not
/// list its messages.
async fn waiting(found: &Found, last: &HashMap<GroupId, u128>, later: &mut Later) -> anyhow::Result<bool> {
    let Backend::Local(queues) = &found.backend else { return Ok(false) };
    let groups = queues.events.groups(usize::MAX).await?;
    if !groups.iter().any(|depth| last.contains_key(&depth.group)) {
        return Ok(true);
    }
    let mut after = None;
    loop {
        let page = queues.events.browse(after.as_deref(), PAGE).await?;
        let Some(end) = page.last() else { return Ok(true) };
        after = Some(end.sequence.clone());
        for message in page.iter().filter(|message| !message.attributes.contains_key(REPLAY_ATTRIBUTE)) {
            if last.contains_key(&message.group) {
                entry(later, &message.group).waiting += 1;
            }
        }
    }
}

/// Counts the later events of these groups that were delivered. Those that were skipped changed nothing at a target. Returns how much of the
/// archive is damaged.
///
/// None of them was archived before the `first` event that is replayed was stored.
async fn delivered(
    archive: &Archive,
    groups: &[String],
    first: Option<Timestamp>,
    last: &HashMap<GroupId, u128>,
    later: &mut Later,
    progress: Progress<'_>,
) -> anyhow::Result<u64> {
    if last.is_empty() {
        return Ok(0);
    }
    let is_later =
        |event: &Archived| last.get(&event.group).is_some_and(|last| number(event) > *last) && !event.is_replay();
    let filter = Filter { groups: groups.to_vec(), ending: Some(Ending::Delivered), ..Filter::default() };
    let needed = |event| Some(event).filter(is_later).map(without_body);
    let wanted = Wanted { filter: &filter, archived_since: first, needed: &needed };
    let mut events = archive.events(wanted, progress).await?;
    for event in events.by_ref() {
        let event = event?;
        if is_later(&event) {
            entry(later, &event.group).delivered += 1;
        }
    }
    Ok(events.damaged())
}
