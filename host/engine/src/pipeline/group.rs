//! The messages of a group, one after another, as drivers process them.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tracing::{debug, error};

use towpath_deliver::places::Place;
use towpath_runtime::lease::Lease;
use towpath_runtime::tasks::panic_text;
use towpath_types::queue::Received;

use super::shadow::Comparison;

/// What the driver must do with the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settlement {
    /// The message is finished: delete it.
    Ack,
    /// The message is in the dead-letter queue: delete it before the next message of its group. If it were received
    /// again, the target might accept it this time, after later messages.
    Buried,
    /// Release the message, hidden for this long.
    Retry(Duration),
}

/// What the messages of a group are processed with.
pub struct Turn {
    /// How long this host alone owns the messages.
    pub lease: Lease,
    /// The group's place, to enter its targets with.
    pub place: Place,
    /// Whether the next message is the first of the lease. The first message is always attempted, and cut off at the
    /// deadline; otherwise one that needs more than a lease would never run.
    pub is_fresh: bool,
    /// A comparison to run once the message is settled.
    pub comparison: Option<Comparison>,
}

/// What processes messages. The product has one, [`Pipeline`](super::Pipeline); tests run the drivers with others, in
/// simulated time.
pub trait Line: Send + Sync + 'static {
    /// The number of targets. A single target may take all places of a driver; several share them.
    fn targets(&self) -> usize;

    /// Processes a message to its settlement.
    fn take(&self, received: &Received, turn: &mut Turn) -> impl Future<Output = Settlement> + Send;

    /// Runs the comparison of a settled message.
    fn compare(&self, _: Comparison, _: &Lease) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// How long a message waits behind one that waits for `head`.
    fn behind(&self, head: Duration, _: &Received) -> Duration {
        head
    }
}

/// The messages of one group, one after another. A retry blocks the rest of the group.
pub struct GroupRun<'a, L> {
    line: &'a L,
    turn: Turn,
    blocked: Option<Duration>,
}

impl<L: Line> GroupRun<'_, L> {
    /// Begins a group, which keeps this place until its run ends.
    pub fn new(line: &L, lease: Lease, place: Place) -> GroupRun<'_, L> {
        GroupRun { line, turn: Turn { lease, place, is_fresh: true, comparison: None }, blocked: None }
    }

    /// Processes the next message of the group. The driver settles it, then calls [`GroupRun::settled`].
    pub async fn next(&mut self, received: &Received) -> Settlement {
        if let Some(head) = self.blocked {
            debug!(message_id = %received.id, group = %received.group, "message waits behind an earlier one");
            return Settlement::Retry(self.line.behind(head, received));
        }
        let settlement = self.line.take(received, &mut self.turn).await;
        self.turn.is_fresh = false;
        if let Settlement::Retry(after) = settlement {
            self.blocked = Some(after);
        }
        settlement
    }

    /// Call this once the message is settled, or its settlement is under way. It runs the comparison, within the lease.
    pub async fn settled(&mut self) {
        if let Some(comparison) = self.turn.comparison.take() {
            contained(self.line.compare(comparison, &self.turn.lease)).await;
        }
    }

    /// Releases every message from here on, untried and at once.
    pub fn block(&mut self) {
        self.blocked.get_or_insert(Duration::ZERO);
    }
}

/// A panic ends here: the message is settled, and other settled messages may share this task.
async fn contained(comparison: impl Future<Output = ()>) {
    if let Err(panic) = AssertUnwindSafe(comparison).catch_unwind().await {
        error!(
            event = "host-panicked",
            panic = panic_text(&*panic),
            "the host panicked comparing a shadow, its message is settled: this is a bug in towpath"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_over_a_shadow_ends_nothing_but_its_comparison() {
        contained(async { panic!("on purpose") }).await;
        let mut compared = false;
        contained(async { compared = true }).await;
        assert!(compared);
    }
}
