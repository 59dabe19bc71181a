//! The messages of a group, one after another: what drivers work with.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;

use tracing::{debug, error};

use towpath_deliver::places::Place;
use towpath_runtime::lease::Lease;
use towpath_runtime::tasks::panic_text;
use towpath_types::queue::Received;

use super::shadow::Comparison;

/// What a driver is told: delete the message, or give it back for so long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settlement {
    /// It is done with: delete it.
    Ack,
    /// It is in the dead-letter queue: delete it, and only then go on with its group. If it came again, the target might
    /// take it this time, behind those that came after it.
    Buried,
    /// Give it back, invisible for so long.
    Retry(Duration),
}

/// A group's turn: what its messages are taken with.
pub struct Turn {
    /// How long the messages are this host's alone.
    pub lease: Lease,
    /// The place of the group, to enter its targets with.
    pub place: Place,
    /// Whether the next message is the first of the lease: what needs more time than the lease has is attempted then, or it never
    /// would be.
    pub is_fresh: bool,
    /// What is left to do once the message is settled.
    pub comparison: Option<Comparison>,
}

/// What takes messages to their ends. There is one, the [`Pipeline`](super::Pipeline); drivers are tried with another, whose
/// targets live in a time of their own.
pub trait Line: Send + Sync + 'static {
    /// How many targets it has. One may have all places of a driver, several share them.
    fn targets(&self) -> usize;

    /// Takes a message to its end.
    fn take(&self, received: &Received, turn: &mut Turn) -> impl Future<Output = Settlement> + Send;

    /// Does what was left to do when the message was settled. It changes nothing about the message.
    fn compare(&self, _: Comparison, _: &Lease) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// In how long a message is tried again that waits behind one that waits for `head`.
    fn behind(&self, head: Duration, _: &Received) -> Duration {
        head
    }
}

/// The messages of one group, one after another. After one that must be tried again the rest is blocked.
pub struct GroupRun<'a, L> {
    line: &'a L,
    turn: Turn,
    blocked: Option<Duration>,
}

impl<L: Line> GroupRun<'_, L> {
    /// Begins with a group, which has this place until the end of its run.
    pub fn new(line: &L, lease: Lease, place: Place) -> GroupRun<'_, L> {
        GroupRun { line, turn: Turn { lease, place, is_fresh: true, comparison: None }, blocked: None }
    }

    /// Takes the next message of the group to its end. The driver settles it, then calls [`GroupRun::settled`].
    pub async fn next(&mut self, received: &Received) -> Settlement {
        if let Some(head) = self.blocked {
            debug!(message_id = %received.id, group = %received.group, "message waits behind another");
            return Settlement::Retry(self.line.behind(head, received));
        }
        let settlement = self.line.take(received, &mut self.turn).await;
        self.turn.is_fresh = false;
        if let Settlement::Retry(after) = settlement {
            self.blocked = Some(after);
        }
        settlement
    }

    /// The message is settled, or its settlement is under way: what was left for afterwards is done now, within the lease.
    pub async fn settled(&mut self) {
        let Some(comparison) = self.turn.comparison.take() else { return };
        // The message is settled, and so may others be that share this task.
        let compared = AssertUnwindSafe(self.line.compare(comparison, &self.turn.lease)).catch_unwind().await;
        if let Err(panic) = compared {
            error!(panic = panic_text(&*panic), "the host panicked over a shadow, its messages are settled");
        }
    }

    /// Tries nothing more: every message from here on is given back at once.
    pub fn block(&mut self) {
        self.blocked.get_or_insert(Duration::ZERO);
    }
}
