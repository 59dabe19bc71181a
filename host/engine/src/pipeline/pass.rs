//! One pass of a message: unpack ► verify ► map ► deliver.

use std::any::Any;
use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::error;

use super::group::Turn;
use super::routing::Routing;
use super::shadow::Witness;
use towpath_config::route::{Mapping, OnDeadLetter, Route};
use towpath_deliver::Deliverer;
use towpath_plugin::Plugin;
use towpath_runtime::tasks::panic_text;
use towpath_types::dead_letter::carried_notes;
use towpath_types::message::{Message, is_item};
use towpath_types::outcome::{MisfitKind, Outcome};
use towpath_types::queue::{GroupId, Queue, Received};
use towpath_types::replay::{Replay, replay_of};
use towpath_types::verdict::Verdict;
use towpath_verify::door;
use towpath_verify::fetched::KeySource;
use towpath_verify::note_keys::NoteKeys;
use towpath_verify::{Unproven, Unverified, check_anew};

/// The proof of a split webhook covers the whole of it, so an element cannot be verified again.
const UNPROVEN_ITEM: &str = "it is one element of a webhook that the front door split, and no note key of this host vouches \
    that it was verified there: give both the same dead_letters.note_key, then redrive it";

/// What one pass works with.
pub(super) struct Pass<'a> {
    pub(super) received: &'a Received,
    pub(super) routing: &'a Routing<'a>,
    pub(super) note_keys: &'a NoteKeys,
    pub(super) key_source: &'a dyn KeySource,
    pub(super) dead_letters: &'a dyn Queue,
    pub(super) deliverer: &'a Deliverer,
}

/// What a pass has established about its message, even if the pass ends in a panic.
pub(super) struct Progress {
    /// Whether the message is verified, or its route requires no verification.
    pub(super) verified: bool,
    pub(super) witness: Option<Witness>,
}

impl Pass<'_> {
    /// No step begins after the lease, nor if it might outlast the lease.
    pub(super) async fn run(
        &self,
        message: Result<Message, Outcome>,
        turn: &mut Turn,
        progress: &mut Progress,
    ) -> Outcome {
        let Pass { received, routing, dead_letters, deliverer, .. } = *self;
        let Turn { lease, place, is_fresh, .. } = turn;
        if !lease.holds() {
            return Outcome::Blocked;
        }
        let Some(route) = routing.route else { return no_route(&received.group) };
        if let Some(why) = &route.unready {
            return Outcome::Broken(why.clone());
        }
        // Verification comes first: an unverified message must neither learn nor change the state of its group.
        let message = match (message, &route.verify) {
            (Ok(message), _) => Ok(message),
            (Err(Outcome::Misfit { detail, .. }), Some(_)) => {
                return unverified(format!("it cannot be read: {detail}"));
            }
            (Err(outcome), _) => Err(outcome),
        };
        let replay = match &message {
            Ok(message) => match self.verify(route, message, lease.deadline()).await {
                Ok(replay) => replay,
                Err(outcome) => return outcome,
            },
            Err(_) => None,
        };
        progress.verified |= message.is_ok();
        if route.on_dead_letter == OnDeadLetter::Park {
            match dead_letters.has_group(&received.group).await {
                Ok(Some(true)) => return parked(),
                Ok(_) => {}
                Err(error) => return Outcome::Broken(format!("cannot tell whether the group is parked: {error}")),
            }
        }
        let mut message = match message {
            Ok(message) => message,
            Err(outcome) => return outcome,
        };
        let is_item = is_item(&received.attributes);
        let changed = match towpath_route::shown(route, &message.webhook) {
            // Of an element the front door stored what the plugin sees.
            _ if is_item => None,
            Ok(Cow::Owned(shown)) => Some(shown),
            Ok(Cow::Borrowed(_)) => None,
            Err(why) => return Outcome::Misfit { kind: MisfitKind::Unreadable, detail: why.to_string() },
        };
        if let Some(shown) = changed {
            message.webhook = Arc::new(shown);
        }
        message.replayed_at = replay.as_ref().map(|replay| replay.at);
        let to = replay.and_then(|replay| replay.to);
        let Some(mapper) = &routing.mapper else { return unmapped(&route.mapping) };
        let mapper = &mapper.towards(to.as_deref().and_then(|to| deliverer.target(to)));
        if let Some(why) = mapper.plugin().and_then(Plugin::unready) {
            return Outcome::Broken(why.to_owned());
        }
        if !*is_fresh && lease.left() < mapper.timeout() {
            return Outcome::Blocked;
        }
        let (message, verdict) = match mapper.map(message, lease.left()).await {
            Ok(mapped) => mapped,
            Err(problem) => return Outcome::Broken(problem),
        };
        if routing.shadow.is_some() {
            progress.witness = Some(Witness { message: message.clone(), verdict: verdict.clone() });
        }
        let mut requests = match verdict {
            Ok(Verdict::Deliver(requests)) => requests,
            Ok(Verdict::Skip(reason)) => return Outcome::Skipped(reason),
            Ok(Verdict::Reject(reason)) => return Outcome::Rejected(reason),
            Ok(Verdict::Retry { reason, after }) => return Outcome::Deferred { reason, after },
            Err(fault) => return Outcome::Faulted(fault),
        };
        let mut grant = mapper.grant();
        if let Some(to) = &to {
            requests.iter_mut().for_each(|request| request.target.clone_from(to));
            grant.targets = std::slice::from_ref(to);
        }
        let delivery = match deliverer.prepare(requests, &message, &grant) {
            Ok(delivery) => delivery,
            Err(fault) => return Outcome::Faulted(fault),
        };
        if !*is_fresh && lease.left() < delivery.worst_case() {
            return Outcome::Blocked;
        }
        deliverer.deliver(delivery, received.sent_at, lease, place).await
    }

    /// Verifies the message, if its route requires it. Returns what it asks for as a replay.
    async fn verify(&self, route: &Route, message: &Message, deadline: Instant) -> Result<Option<Replay>, Outcome> {
        let Pass { received, note_keys, key_source, .. } = *self;
        let is_noted = note_keys.vouch_for(received, &route.path, &message.webhook, deadline).await;
        let replay = replayed(received, is_noted, note_keys);
        if let Some(to) = replay.as_ref().and_then(|replay| replay.to.as_deref())
            && !is_noted
        {
            let why =
                format!("it asks to be replayed to the target {to:?}, and none of the note keys vouches for that");
            return Err(unverified(why));
        }
        let Some(verify) = &route.verify else { return Ok(replay) };
        let is_vouched = is_noted || door::verdict(note_keys, received, &route.path, deadline).await.is_some();
        if is_vouched {
            return Ok(replay);
        }
        if is_item(&received.attributes) {
            return Err(unverified(UNPROVEN_ITEM.to_owned()));
        }
        let Err(error) = check_anew(verify, message.into(), key_source, deadline).await else { return Ok(replay) };
        Err(match error {
            Unproven::Unavailable(why) => Outcome::Broken(why.to_string()),
            // Ingest knows the secret, or would not have stored the webhook.
            Unproven::Unverified(why @ Unverified::NotLearned) => Outcome::Broken(why.to_string()),
            Unproven::Unverified(_) if carried_notes(&received.attributes).is_empty() => unverified(error.to_string()),
            Unproven::Unverified(_) => {
                unverified(format!("{error}; it was edited, and none of the note keys vouches for its note"))
            }
        })
    }
}

/// What a replay asks for. With note keys one of them must vouch for it; without, nothing tells a forged one from an operator's, and
/// the caller honours no target.
fn replayed(received: &Received, is_noted: bool, keys: &NoteKeys) -> Option<Replay> {
    let replay = replay_of(&received.attributes)?;
    (is_noted || keys.is_empty() || replay.to.is_some()).then_some(replay)
}

/// Unpacks a message, before it has a span. A panic becomes an outcome like any other failure.
pub(super) fn read(received: &Received, source: &str) -> Result<Message, Outcome> {
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| Message::read(received, source)));
    read.map_err(|panic| panicked(&*panic))?
        .map_err(|error| Outcome::Misfit { kind: MisfitKind::Unreadable, detail: error.to_string() })
}

/// A bug in the host. The message is retried, and dead-lettered in the end, as for any other failure.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Outcome {
    let problem = format!("the host panicked: {}", panic_text(panic));
    error!(event = "host-panicked", problem, "the host panicked: this is a bug in towpath");
    Outcome::Broken(problem)
}

/// Anyone who can post could have sent it, so it is dead-lettered whatever its route says, and its group does not wait
/// for it.
fn unverified(detail: String) -> Outcome {
    Outcome::Misfit { kind: MisfitKind::Unverified, detail }
}

fn no_route(group: &GroupId) -> Outcome {
    let detail = format!("no route in the config has a group template that produces {group}");
    Outcome::Misfit { kind: MisfitKind::NoRoute, detail }
}

fn unmapped(mapping: &Mapping) -> Outcome {
    Outcome::Broken(match mapping {
        Mapping::Plugin { name, .. } => format!("plugin {name:?} is not loaded"),
        Mapping::Forward(forward) => format!("the config has no target {:?}", forward.target),
    })
}

/// Messages behind a dead letter wait next to it until they are redriven together.
fn parked() -> Outcome {
    let detail = "its group has dead letters, and its route parks the messages behind them".to_owned();
    Outcome::Misfit { kind: MisfitKind::Parked, detail }
}
