//! The messages of a group, one after another: what drivers work with.

use std::time::Duration;

use tracing::debug;

use towpath_deliver::places::Place;
use towpath_runtime::lease::Lease;
use towpath_types::queue::Received;

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

/// What takes messages to their ends. There is one, the [`Pipeline`](super::Pipeline); drivers are tried with another, whose
/// targets live in a time of their own.
pub trait Line: Send + Sync + 'static {
    /// How many targets it has. One may have all places of a driver, several share them.
    fn targets(&self) -> usize;

    /// Takes a message to its end. `fresh` is the first of its lease: what needs more time than the lease has is tried then
    /// all the same, or it would never be. `place` is its group's, to enter its targets with.
    fn take(
        &self,
        received: &Received,
        lease: &Lease,
        fresh: bool,
        place: &mut Place,
    ) -> impl Future<Output = Settlement> + Send;

    /// How long a message that waits behind another must wait at least, so that its queue does not run out of receives.
    fn least_wait(&self, _: &Received) -> Duration {
        Duration::ZERO
    }
}

/// The messages of one group, one after another. After one that must be tried again the rest is blocked.
pub struct GroupRun<'a, L> {
    line: &'a L,
    lease: Lease,
    place: Place,
    blocked: Option<Duration>,
    fresh: bool,
}

impl<L: Line> GroupRun<'_, L> {
    /// Begins with a group, which has this place until the end of its run.
    pub fn new(line: &L, lease: Lease, place: Place) -> GroupRun<'_, L> {
        GroupRun { line, lease, place, blocked: None, fresh: true }
    }

    /// Takes the next message of the group to its end.
    pub async fn next(&mut self, received: &Received) -> Settlement {
        if let Some(after) = self.blocked {
            debug!(message_id = %received.id, group = %received.group, "message waits behind another");
            // Each receive of the head is one of those behind it, unless they stay hidden for longer.
            let least = if after.is_zero() { Duration::ZERO } else { self.line.least_wait(received) };
            return Settlement::Retry(after.max(least));
        }
        let settlement = self.line.take(received, &self.lease, self.fresh, &mut self.place).await;
        self.fresh = false;
        if let Settlement::Retry(after) = settlement {
            self.blocked = Some(after);
        }
        settlement
    }

    /// Tries nothing more: every message from here on is given back at once.
    pub fn block(&mut self) {
        self.blocked.get_or_insert(Duration::ZERO);
    }
}
