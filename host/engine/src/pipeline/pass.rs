//! One pass of a message: unpack ► verify ► map ► deliver.

use std::any::Any;
use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use tracing::error;

use super::group::Turn;
use super::routing::Routing;
use super::shadow::Witness;
use towpath_config::route::{Mapping, OnDeadLetter};
use towpath_deliver::Deliverer;
use towpath_plugin::Plugin;
use towpath_runtime::tasks::panic_text;
use towpath_types::dead_letter::carried_notes;
use towpath_types::message::{Message, is_item};
use towpath_types::outcome::{MisfitKind, Outcome};
use towpath_types::queue::{GroupId, Queue, Received};
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
        let Pass { received, routing, note_keys, key_source, dead_letters, deliverer } = *self;
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
        if let (Some(verify), Ok(message)) = (&route.verify, &message) {
            let deadline = lease.deadline();
            let is_vouched = note_keys.vouch_for(received, &route.path, &message.webhook, deadline).await
                || door::verdict(note_keys, received, &route.path, deadline).await.is_some();
            if !is_vouched && is_item(&received.attributes) {
                return unverified(UNPROVEN_ITEM.to_owned());
            }
            if !is_vouched && let Err(error) = check_anew(verify, message.into(), key_source, deadline).await {
                match error {
                    Unproven::Unavailable(why) => return Outcome::Broken(why.to_string()),
                    // Ingest knows the secret, or would not have stored the webhook.
                    Unproven::Unverified(why @ Unverified::NotLearned) => return Outcome::Broken(why.to_string()),
                    Unproven::Unverified(_) => {}
                }
                return unverified(if carried_notes(&received.attributes).is_empty() {
                    error.to_string()
                } else {
                    format!("{error}; it was edited, and none of the note keys vouches for its note")
                });
            }
            progress.verified = true;
        }
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
        let Some(mapper) = &routing.mapper else { return unmapped(&route.mapping) };
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
        let requests = match verdict {
            Ok(Verdict::Deliver(requests)) => requests,
            Ok(Verdict::Skip(reason)) => return Outcome::Skipped(reason),
            Ok(Verdict::Reject(reason)) => return Outcome::Rejected(reason),
            Ok(Verdict::Retry { reason, after }) => return Outcome::Deferred { reason, after },
            Err(fault) => return Outcome::Faulted(fault),
        };
        let delivery = match deliverer.prepare(requests, &message, &mapper.grant()) {
            Ok(delivery) => delivery,
            Err(fault) => return Outcome::Faulted(fault),
        };
        if !*is_fresh && lease.left() < delivery.worst_case() {
            return Outcome::Blocked;
        }
        deliverer.deliver(delivery, received.sent_at, lease, place).await
    }
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
