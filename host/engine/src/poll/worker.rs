//! The work on one group: its messages are taken to their ends while heartbeats keep them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use towpath_deliver::places::{Place, Places};
use towpath_runtime::lease::Lease;
use towpath_types::clock::Moment;
use towpath_types::queue::{Handle, MAX_VISIBILITY, Queue, Received, hidden_at_most};
use tracing::warn;

use super::deleter::{Deleter, Deleting};
use super::keeper::Keeper;
use super::options::Options;
use crate::pipeline::{GroupRun, Line, Settlement};

/// How many messages of a group may be done with while their deletes are not answered: so many a crash repeats at
/// most. Waiting for each answer would add the round trip of a delete to every message.
const UNANSWERED_DELETES: usize = 4;

/// How much room a group takes that waits: one for each message, and for each 64 KiB of it.
fn weight(messages: &[Received]) -> usize {
    messages.iter().map(|message| message.body.len().div_ceil(64 * 1024).max(1)).sum()
}

/// What it takes to work on a group.
pub(super) struct Worker<L> {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) line: Arc<L>,
    pub(super) deleter: Deleter,
    /// One for each group that may be worked on at the same time; shared by all receivers.
    pub(super) places: Places,
    pub(super) options: Options,
    pub(super) stop: CancellationToken,
}

impl<L: Line> Worker<L> {
    /// Works on the messages of one group while heartbeats keep them all.
    pub(super) async fn group(self: Arc<Self>, messages: Vec<Received>, asked: Moment, turn: oneshot::Sender<()>) {
        let Options { visibility, clock, .. } = self.options;
        let keeper = Keeper::new(&*self.queue, clock, &messages, visibility, asked);
        let group = messages.first().map(|message| message.group.as_str());
        // A receive that took long is confirmed at once: waiting for a place could take the rest of the lease.
        if keeper.is_stale() && !keeper.confirm().await {
            warn!(group, "the lease on the group was over before its messages came, they are left alone");
            return;
        }
        // Without a place it is time to stop: then everything is given back untried.
        let place = tokio::select! {
            biased;
            () = keeper.beat_until_lost() => {
                warn!(group, "the lease on the group was lost while it waited for its turn, it is left alone");
                return;
            }
            place = self.places.begin(weight(&messages)) => place,
        };
        drop(turn);
        if place.is_some() && keeper.is_stale() && !keeper.confirm().await {
            warn!(group, "the lease on the group was lost while it waited for its turn, it is left alone");
            return;
        }
        let give_back = tokio::select! {
            biased;
            () = keeper.beat_until_lost() => {
                // The work is broken off where it is: another worker may begin with the group at any moment.
                warn!(group, "the lease on the group was lost, the rest of it is left alone");
                return;
            }
            give_back = self.messages(&messages, &keeper, asked, place.unwrap_or_else(Place::alone)) => give_back,
        };
        // All work on the group has ended. Tail to head, so that nobody overtakes.
        let most = hidden_at_most(asked.elapsed());
        let hidden = |(handle, after): (Handle, Duration)| (handle, after.min(most));
        let give_back: Vec<(Handle, Duration)> = give_back.into_iter().rev().map(hidden).collect();
        if give_back.is_empty() {
            return;
        }
        for result in self.queue.change_visibility(&give_back).await {
            if let Err(error) = result {
                warn!(error = %error, "a message could not be given back: it comes back when its visibility runs out");
            }
        }
    }

    async fn messages(
        &self,
        messages: &[Received],
        keeper: &Keeper<'_>,
        asked: Moment,
        place: Place,
    ) -> Vec<(Handle, Duration)> {
        #[cfg(feature = "faults")]
        if let Some(bug) =
            towpath_types::faults::planted().filter(|bug| *bug != towpath_types::faults::Bug::LeaseFromAnswer)
        {
            return super::planted::messages(self, messages, bug).await;
        }
        let mut run = GroupRun::new(&*self.line, Lease::renewed(asked, MAX_VISIBILITY, keeper.term()), place);
        let mut give_back = Vec::new();
        let mut deletes = VecDeque::new();
        let mut unanswered = UNANSWERED_DELETES - 1;
        for message in messages {
            if !goes_on(&self.stop, keeper, &mut deletes, unanswered).await {
                run.block();
            }
            let settlement = run.next(message).await;
            unanswered = if settlement == Settlement::Buried { 0 } else { UNANSWERED_DELETES - 1 };
            match settlement {
                Settlement::Retry(after) => give_back.push((message.handle.clone(), after)),
                Settlement::Ack | Settlement::Buried => {
                    let deleting = self.deleter.delete(message);
                    keeper.deleting(&message.handle, &deleting.deleted);
                    deletes.push_back(deleting);
                }
            }
            run.settled().await;
        }
        while !answered(&mut deletes, 0).await {}
        give_back
    }
}

/// Whether the next message of a group may be begun, once no more than so many deletes have no answer.
async fn goes_on(
    stop: &CancellationToken,
    keeper: &Keeper<'_>,
    deletes: &mut VecDeque<Deleting>,
    unanswered: usize,
) -> bool {
    answered(deletes, unanswered).await && !stop.is_cancelled() && keeper.keeps()
}

/// Looks at the answers there are, and waits until no more than so many deletes have none; false if one failed.
async fn answered(deletes: &mut VecDeque<Deleting>, unanswered: usize) -> bool {
    loop {
        let must_wait = deletes.len() > unanswered;
        let Some(first) = deletes.front_mut() else { return true };
        let answer = if must_wait { Some(first.answer().await) } else { first.answer().now_or_never() };
        let Some(deleted) = answer else { return true };
        deletes.pop_front();
        if !deleted {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Heartbeat, Scripted};
    use super::*;
    use towpath_types::clock::Timestamp;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_begun_behind_a_failed_delete_on_a_stop_or_past_the_end_of_a_lease() {
        let (queue, stop, visibility) =
            (Scripted(Heartbeat::Unavailable), CancellationToken::new(), Duration::from_secs(30));
        let clock = towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000));
        let kept = || Keeper::new(&queue, clock, &[], visibility, clock.moment());
        let keeper = kept();
        let began = clock.moment();
        assert!(goes_on(&stop, &keeper, &mut VecDeque::new(), 0).await);
        for deleted in [true, false] {
            let (answer, deleting) = Deleting::pending();
            answer.send(deleted).expect("somebody waits");
            assert_eq!(goes_on(&stop, &keeper, &mut VecDeque::from([deleting]), 0).await, deleted);
        }
        // The delete is answered only once the lease is over.
        let (answer, deleting) = Deleting::pending();
        let mut deletes = VecDeque::from([deleting]);
        let late = async {
            tokio::time::advance(visibility).await;
            answer.send(true).expect("somebody waits");
        };
        let (may, ()) = tokio::join!(goes_on(&stop, &keeper, &mut deletes, 0), late);
        assert!(!may && began.elapsed() >= visibility);
        let keeper = kept();
        stop.cancel();
        assert!(!goes_on(&stop, &keeper, &mut VecDeque::new(), 0).await);
    }
}
