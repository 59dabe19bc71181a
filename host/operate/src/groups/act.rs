//! Retries the head of a group now, or moves it, or the whole group, to the dead-letter queue. Each is written to the audit before it is done, and its
//! outcome after it.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::time::Instant;
use towpath_config::route::{OnDeadLetter, Route};
use towpath_local::{Acted, Browsed, Hastened, MOST_BEHIND, MOST_MOVED, Which};
use towpath_types::clock::Clock;
use towpath_types::dead_letter::{DeadLetter, Death, OPERATOR, Seen};
use towpath_types::message::is_item;
use towpath_types::outcome::{MisfitKind, Outcome};
use towpath_types::queue::{GroupId, Handle, MessageId, NewMessage, Queue as _, QueueError, Received};
use towpath_verify::note_keys::NoteKeys;
use towpath_verify::{door, moved};

use super::{Group, local, show};
use crate::audit::Audit;
use crate::place::Found;
use crate::queues::Queues;
use crate::{aws, note_keys};

/// Why nothing was done to a group.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GroupError {
    /// SQS does not tell which groups a queue holds.
    #[error(
        "SQS does not tell which groups wait, and lets nobody reach a message but by receiving it: put its target on hold, or wait for its dead letter"
    )]
    OnSqs,
    /// Nothing of the group waits.
    #[error("nothing of the group {0} waits")]
    Nothing(GroupId),
    /// Another message is at the front now.
    #[error("the head of {group} is no longer {head}: look again before you act")]
    Changed {
        /// The group.
        group: GroupId,
        /// The message that the operator saw there.
        head: MessageId,
    },
    /// A host may be working on it.
    #[error(
        "a host, or a client of the SQS endpoint, has a message of {0} in flight and may be delivering it right now: nothing was done, try again when it has ended"
    )]
    Busy(GroupId),
    /// The route of the group does not park.
    #[error(
        "the route of {0} does not park: events that arrive later would be delivered before those that are parked; set on_dead_letter = \"park\" on the \
        route and restart every host before you park, or dead-letter the head alone"
    )]
    DoesNotPark(GroupId),
    /// Without a config nobody knows whether the route parks.
    #[error("whether the route of {0} parks is in the config, and no config was read: name it")]
    NoConfig(GroupId),
    /// A message does not fit the dead-letter queue.
    #[error("{0}; it and those behind it stay where they are")]
    Unfit(String),
    /// The operator gave no reason.
    #[error("say why, in a note")]
    NoNote,
}

/// What is done to a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Its head is retried now.
    Retry,
    /// Its head goes to the dead-letter queue.
    DeadLetter,
    /// Its head and everything behind it go to the dead-letter queue.
    Park,
}

impl Action {
    /// Its name in the audit, in commands and in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Retry => "retry",
            Action::DeadLetter => "dead-letter",
            Action::Park => "park",
        }
    }

    /// The action with this name.
    pub fn named(name: &str) -> Option<Action> {
        [Action::Retry, Action::DeadLetter, Action::Park].into_iter().find(|action| action.as_str() == name)
    }

    /// Fails if it may not be done to this group now.
    pub fn check(self, found: &Found, group: &Group) -> Result<(), GroupError> {
        let name = || group.head.group.clone();
        if group.head.standing == towpath_local::Standing::InFlight {
            return Err(GroupError::Busy(name()));
        }
        match group.on_dead_letter {
            _ if self != Action::Park => Ok(()),
            Some(OnDeadLetter::Park) => Ok(()),
            None if found.config.is_none() => Err(GroupError::NoConfig(name())),
            _ => Err(GroupError::DoesNotPark(name())),
        }
    }

    /// What it does, and what happens to those behind the head.
    pub fn consequence(self, group: &Group) -> String {
        let behind = events(group.head.behind);
        let (are, follow) = if group.head.behind == 1 { ("is", "follows") } else { ("are", "follow") };
        match (self, group.on_dead_letter) {
            (Action::Retry, _) if group.head.behind == 0 => "It is retried now.".to_owned(),
            (Action::Retry, _) => format!("It is retried now; {behind} behind it {follow} when it is delivered."),
            (Action::DeadLetter, _) if group.head.behind == 0 => "Nothing waits behind it.".to_owned(),
            (Action::DeadLetter, Some(OnDeadLetter::Park)) => format!(
                "{behind} behind it {are} parked too, in order, when hosts receive them: its route parks. A redrive sends the whole group back."
            ),
            (Action::DeadLetter, Some(_)) => format!("{behind} {are} delivered after it."),
            (Action::DeadLetter, None) => {
                format!("{behind} {are} delivered after it, unless its route parks: no config tells.")
            }
            (Action::Park, _) => format!(
                "It and {behind} behind it go to the dead-letter queue, in order. Later events of the group are parked behind them, until a redrive sends \
                the whole group back."
            ),
        }
    }
}

fn events(count: u64) -> String {
    match count {
        1 => "1 event".to_owned(),
        MOST_BEHIND.. => format!("{MOST_BEHIND} or more events"),
        _ => format!("{count} events"),
    }
}

/// What was done.
#[derive(Debug)]
pub struct Done {
    /// What was asked for.
    pub action: Action,
    /// The group before.
    pub group: Group,
    /// How many messages can be received now, or were moved.
    pub messages: u64,
    /// Whether messages are left that hosts park when they receive them: one became busy while others were moved.
    pub is_rest: bool,
}

/// Retries the head of a group now. With `head` only if the head is still this message.
pub async fn retry(found: &Found, group: &GroupId, head: Option<&MessageId>, note: &str) -> anyhow::Result<Done> {
    let (queues, before) = begin(found, Action::Retry, group, head, note).await?;
    Audit::of(found).retried(note, &before.head.id, group)?;
    let mut messages = 0;
    let ended = match queues.events.hasten(group, &before.head.id).await {
        Ok(Hastened::Now(shown)) => {
            messages = shown as u64;
            Ok(false)
        }
        Ok(Hastened::Busy) => Err(GroupError::Busy(group.clone()).into()),
        Ok(Hastened::Changed) => Err(changed(&before)),
        Err(error) => Err(error.into()),
    };
    end(found, Action::Retry, before, messages, ended)
}

/// Moves the head of a group to the dead-letter queue. With `head` only if the head is still this message.
pub async fn dead_letter(found: &Found, group: &GroupId, head: Option<&MessageId>, note: &str) -> anyhow::Result<Done> {
    let (queues, before) = begin(found, Action::DeadLetter, group, head, note).await?;
    let undertaker = Undertaker::of(found, queues, &before, note).await?;
    undertaker.audit(found, Action::DeadLetter, note, &before).await?;
    let which = Which::Head(before.head.id.clone());
    let mut messages = 0;
    let ended = match undertaker.bury(queues, group, which, true).await {
        Ok(Acted::Moved { moved, .. }) => {
            messages = moved as u64;
            Ok(false)
        }
        Ok(Acted::Busy) => Err(GroupError::Busy(group.clone()).into()),
        Ok(Acted::Changed) => Err(changed(&before)),
        Err(error) => Err(error),
    };
    end(found, Action::DeadLetter, before, messages, ended)
}

/// Moves a whole group to the dead-letter queue, in order. With `head` only if the head is still this message. Its route must park, so that nothing that
/// arrives meanwhile, or is left by a crash between two steps, is delivered before those that were moved: hosts park it.
pub async fn park(found: &Found, group: &GroupId, head: Option<&MessageId>, note: &str) -> anyhow::Result<Done> {
    let (queues, before) = begin(found, Action::Park, group, head, note).await?;
    let undertaker = Undertaker::of(found, queues, &before, note).await?;
    undertaker.audit(found, Action::Park, note, &before).await?;
    let mut messages = 0;
    let ended = undertaker.bury_all(queues, &before, &mut messages).await;
    end(found, Action::Park, before, messages, ended)
}

fn changed(before: &Group) -> anyhow::Error {
    GroupError::Changed { group: before.head.group.clone(), head: before.head.id.clone() }.into()
}

/// Writes the outcome of an action to the audit, and returns it. Without such a line an action was interrupted.
pub(super) fn end(
    found: &Found,
    action: Action,
    group: Group,
    messages: u64,
    ended: anyhow::Result<bool>,
) -> anyhow::Result<Done> {
    let outcome = match &ended {
        Ok(_) => "done",
        Err(error) if messages == 0 && error.is::<GroupError>() => "refused",
        Err(_) => "failed",
    };
    let written = Audit::of(found).ended(action.as_str(), outcome, messages, &group.head.id, &group.head.group);
    let is_rest = match ended {
        Err(error) if messages > 0 => return Err(error.context(format!("{messages} messages were moved before"))),
        ended => ended?,
    };
    written?;
    Ok(Done { action, group, messages, is_rest })
}

pub(super) async fn begin<'a>(
    found: &'a Found,
    action: Action,
    group: &GroupId,
    head: Option<&MessageId>,
    note: &str,
) -> anyhow::Result<(&'a Queues, Group)> {
    let queues = local(found)?;
    if note.trim().is_empty() {
        return Err(GroupError::NoNote.into());
    }
    let before = show(found, group).await?.ok_or_else(|| GroupError::Nothing(group.clone()))?;
    if let Some(head) = head.filter(|head| **head != before.head.id && **head != before.message_id()) {
        return Err(GroupError::Changed { group: group.clone(), head: head.clone() }.into());
    }
    action.check(found, &before)?;
    Ok((queues, before))
}

/// Makes letters.
pub(super) struct Undertaker {
    route: Option<Arc<Route>>,
    keys: NoteKeys,
    /// Whether the front door vouches for the head.
    is_head_verified: bool,
    detail: String,
    source: String,
    most: usize,
}

impl Undertaker {
    pub(super) async fn of(found: &Found, queues: &Queues, before: &Group, note: &str) -> anyhow::Result<Undertaker> {
        let group = &before.head.group;
        let config = found.config.as_deref();
        let route = config.and_then(|config| config.routes.by_group(group)).cloned();
        let configured = match config {
            Some(config) => aws::note_keys(config).await?,
            None => NoteKeys::default(),
        };
        let keys = note_keys::of_store(queues.events.store(), configured).await?;
        let is_head_verified = match &route {
            Some(route) if route.verify.is_none() => true,
            Some(route) => match head(queues, before).await? {
                Some(head) => door::verdict(&keys, &received(head), &route.path, Instant::now()).await.is_some(),
                None => false,
            },
            None => false,
        };
        let detail = format!("by {}: {note}", found.by);
        let source = queues.events.name().to_owned();
        let most = queues.dead_letters.max_message_bytes();
        Ok(Undertaker { route, keys, is_head_verified, detail, source, most })
    }

    async fn audit(&self, found: &Found, action: Action, note: &str, before: &Group) -> anyhow::Result<()> {
        let audit = Audit::of(found);
        let _alone = audit.alone().await?;
        let letter = DeadLetter {
            reason: OPERATOR.to_owned(),
            detail: self.detail.clone(),
            route: self.route.as_ref().map(|route| route.path.clone()),
            id: before.message_id().into(),
            sequence: Some(before.head.sequence.clone()),
            receive_count: before.head.receive_count,
            source: self.source.clone(),
            sent_at: before.head.sent_at,
            failed_at: Clock::wall().now(),
            ..DeadLetter::default()
        };
        audit.buried(action.as_str(), note, &before.head.id, &before.head.group, letter)
    }

    /// Moves the group in steps, and counts in `messages`. Returns whether some are left to hosts.
    pub(super) async fn bury_all(&self, queues: &Queues, before: &Group, messages: &mut u64) -> anyhow::Result<bool> {
        let group = &before.head.group;
        let mut is_rest = true;
        while is_rest {
            let is_first = *messages == 0;
            let which = if is_first {
                Which::HeadAndBehind(before.head.id.clone(), MOST_MOVED)
            } else {
                Which::Front(MOST_MOVED)
            };
            match self.bury(queues, group, which, is_first).await? {
                Acted::Moved { moved, is_rest: rest } => {
                    *messages += moved as u64;
                    is_rest = rest;
                }
                Acted::Busy if is_first => return Err(GroupError::Busy(group.clone()).into()),
                Acted::Changed if is_first => return Err(changed(before)),
                // A host has taken the next one, and parks it.
                Acted::Busy => break,
                Acted::Changed => is_rest = false,
            }
        }
        Ok(is_rest)
    }

    async fn bury(&self, queues: &Queues, group: &GroupId, which: Which, is_start: bool) -> anyhow::Result<Acted> {
        let Undertaker { route, keys, is_head_verified, detail, source, most } = self;
        let (route, keys, detail, source) = (route.clone(), keys.clone(), detail.clone(), source.clone());
        let (is_head_verified, most) = (*is_head_verified, *most);
        let letter = move |message: Browsed, is_first: bool| {
            let is_head = is_first && is_start;
            let received = received(message);
            let code = if is_head { OPERATOR } else { MisfitKind::Parked.code() };
            let seen = Seen {
                route: route.as_ref().map(|route| route.path.as_str()),
                plugin: route.as_ref().and_then(|route| route.mapping.plugin()),
                digest: None,
                // An element of a split webhook is stored without them.
                secret_header: route
                    .as_ref()
                    .filter(|_| !is_item(&received.attributes))
                    .and_then(|route| route.tokens_text()),
                parks: route.as_ref().is_some_and(|route| route.on_dead_letter == OnDeadLetter::Park),
                verified: is_head && is_head_verified || route.as_ref().is_some_and(|route| route.verify.is_none()),
            };
            let death = Death { code, detail: detail.clone() };
            pack(&received, death, seen, &source, most, route.as_deref(), &keys)
        };
        match queues.events.bury(&queues.dead_letters, group, which, letter).await {
            Err(QueueError::Invalid(problem)) => Err(GroupError::Unfit(problem).into()),
            acted => acted.context("moving it to the dead-letter queue"),
        }
    }
}

/// The letter of a message, as hosts pack it.
fn pack(
    received: &Received,
    death: Death,
    seen: Seen<'_>,
    source: &str,
    most: usize,
    route: Option<&Route>,
    keys: &NoteKeys,
) -> Result<NewMessage, String> {
    let letter = DeadLetter::new(received, &Outcome::Blocked, death, seen, source, Clock::wall().now());
    let keeps = |name: &str| route.is_none_or(|route| route.needs_header(name));
    let seal = |group: &GroupId, body: &towpath_types::body::Body| moved::seal(keys, &letter, group, body);
    let mut message = letter.pack(received, most, keeps, seal).map_err(|error| error.to_string())?;
    door::renew(keys, received, &mut message);
    Ok(message)
}

async fn head(queues: &Queues, before: &Group) -> anyhow::Result<Option<Browsed>> {
    let sequence = before.head.sequence.parse::<u64>().unwrap_or_default().saturating_sub(1).to_string();
    let head = queues.events.browse(Some(&sequence), 1).await?.pop();
    Ok(head.filter(|head| head.id == before.head.id))
}

fn received(browsed: Browsed) -> Received {
    Received {
        id: browsed.id,
        group: browsed.group,
        dedup_id: None,
        sequence: Some(browsed.sequence),
        receive_count: browsed.receive_count,
        sent_at: browsed.sent_at,
        body: browsed.body,
        attributes: browsed.attributes,
        trace: None,
        handle: Handle::from(String::new()),
    }
}
