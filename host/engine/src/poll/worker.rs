//! Processes one group while heartbeats keep its messages hidden.

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

/// How many finished messages of a group may have unanswered deletes. A crash repeats at most this many. Waiting for
/// each answer would add a round trip to every message.
const UNANSWERED_DELETES: usize = 4;

/// The room that a waiting group takes: one for each message, or for each 64 KiB of a larger one.
fn weight(messages: &[Received]) -> usize {
    messages.iter().map(|message| message.body.len().div_ceil(64 * 1024).max(1)).sum()
}

pub(super) struct Worker<L> {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) line: Arc<L>,
    pub(super) deleter: Deleter,
    /// One for each group that may be in progress at the same time. All receivers share them.
    pub(super) places: Places,
    pub(super) options: Options,
    pub(super) stop: CancellationToken,
}

impl<L: Line> Worker<L> {
    pub(super) async fn group(self: Arc<Self>, messages: Vec<Received>, asked: Moment, turn: oneshot::Sender<()>) {
        let Options { visibility, clock, .. } = self.options;
        let keeper = Keeper::new(&*self.queue, clock, &messages, visibility, asked);
        let group = messages.first().map(|message| message.group.as_str());
        // After a slow receive, confirm the lease at once: waiting for a place could use up the rest of it.
        if keeper.is_stale() && !keeper.confirm().await {
            warn!(event = "lease-lost", group, "lease expired before the messages arrived, abandoning the group");
            return;
        }
        // No place means that the driver stops. Then all messages are released untried.
        let place = tokio::select! {
            biased;
            () = keeper.beat_until_lost() => {
                warn!(event = "lease-lost", group, "lease lost while waiting for a place, abandoning the group");
                return;
            }
            place = self.places.begin(weight(&messages)) => place,
        };
        drop(turn);
        if place.is_some() && keeper.is_stale() && !keeper.confirm().await {
            warn!(event = "lease-lost", group, "lease lost while waiting for a place, abandoning the group");
            return;
        }
        let released = tokio::select! {
            biased;
            () = keeper.beat_until_lost() => {
                // The work is cut off wherever it is: another worker may begin with the group at any moment.
                warn!(event = "lease-lost", group, "lease lost, abandoning the rest of the group");
                return;
            }
            released = self.messages(&messages, &keeper, asked, place.unwrap_or_else(Place::alone)) => released,
        };
        // All work on the group has ended. Release last to first, so that no message overtakes another.
        let most = hidden_at_most(asked.elapsed());
        let hidden = |(handle, after): (Handle, Duration)| (handle, after.min(most));
        let released: Vec<(Handle, Duration)> = released.into_iter().rev().map(hidden).collect();
        if released.is_empty() {
            return;
        }
        for result in self.queue.release(&released).await {
            if let Err(error) = result {
                warn!(
                    event = "release-failed",
                    error = %error,
                    "message cannot be released, it returns when its visibility timeout ends"
                );
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
        let mut released = Vec::new();
        let mut deletes = VecDeque::new();
        let mut unanswered = UNANSWERED_DELETES - 1;
        for message in messages {
            if !may_continue(&self.stop, keeper, &mut deletes, unanswered).await {
                run.block();
            }
            let settlement = run.next(message).await;
            unanswered = if settlement == Settlement::Buried { 0 } else { UNANSWERED_DELETES - 1 };
            match settlement {
                Settlement::Retry(after) => released.push((message.handle.clone(), after)),
                Settlement::Ack | Settlement::Buried => {
                    let deleting = self.deleter.delete(message);
                    keeper.deleting(&message.handle, &deleting.deleted);
                    deletes.push_back(deleting);
                }
            }
            run.settled().await;
        }
        while !answered(&mut deletes, 0).await {}
        released
    }
}

/// Whether the next message of a group may begin. Waits until at most `unanswered` deletes have no answer.
async fn may_continue(
    stop: &CancellationToken,
    keeper: &Keeper<'_>,
    deletes: &mut VecDeque<Deleting>,
    unanswered: usize,
) -> bool {
    answered(deletes, unanswered).await && !stop.is_cancelled() && keeper.keeps()
}

/// Takes the answers that there are, and waits until at most `unanswered` deletes have none. Returns false if a delete
/// failed.
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
    use super::super::scripted::{Heartbeat, Notes, Scripted, message};
    use super::*;
    use towpath_types::clock::Timestamp;

    #[tokio::test(start_paused = true)]
    async fn no_message_begins_after_a_failed_delete_a_stop_or_the_end_of_the_lease() {
        let (queue, stop, visibility) =
            (Scripted(Heartbeat::Unavailable), CancellationToken::new(), Duration::from_secs(30));
        let clock = towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000));
        let kept = || Keeper::new(&queue, clock, &[], visibility, clock.moment());
        let keeper = kept();
        let began = clock.moment();
        assert!(may_continue(&stop, &keeper, &mut VecDeque::new(), 0).await);
        for deleted in [true, false] {
            let (answer, deleting) = Deleting::pending();
            answer.send(deleted).expect("somebody waits");
            assert_eq!(may_continue(&stop, &keeper, &mut VecDeque::from([deleting]), 0).await, deleted);
        }
        // The delete is answered only once the lease is over.
        let (answer, deleting) = Deleting::pending();
        let mut deletes = VecDeque::from([deleting]);
        let late = async {
            tokio::time::advance(visibility).await;
            answer.send(true).expect("somebody waits");
        };
        let (may, ()) = tokio::join!(may_continue(&stop, &keeper, &mut deletes, 0), late);
        assert!(!may && began.elapsed() >= visibility);
        let keeper = kept();
        stop.cancel();
        assert!(!may_continue(&stop, &keeper, &mut VecDeque::new(), 0).await);
    }
    #[tokio::test(start_paused = true)]
    async fn a_group_that_waited_for_a_place_begins_only_if_the_queue_confirms_its_lease() {
        let visibility = Duration::from_secs(30);
        let cases = [
            ("held", Heartbeat::KeptAfter(Duration::from_secs(1)), true),
            ("received by another", Heartbeat::NotInFlight, false),
            ("the queue cannot be asked", Heartbeat::Unavailable, false),
            ("no answer", Heartbeat::Never, false),
        ];
        for (name, answer, begins) in cases {
            let queue: Arc<dyn Queue> = Arc::new(Scripted(answer));
            let line = Arc::new(Notes::default());
            let clock = towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000));
            let places = Places::new(1, 1);
            let only = places.begin(1).await.expect("a free place");
            let (deleter, _) = Deleter::new(Arc::clone(&queue), 1, Arc::new(|| 1));
            let options = Options { visibility, clock, ..Options::default() };
            let stop = CancellationToken::new();
            let worker = Arc::new(Worker { queue, line: Arc::clone(&line), deleter, places, options, stop });
            let (turn, _has_begun) = oneshot::channel();
            let group = worker.group(vec![message("h-1")], clock.moment(), turn);
            let frees = async {
                // Long enough that the lease is stale, and too short for a heartbeat.
                tokio::time::sleep(visibility / 10).await;
                drop(only);
            };
            tokio::join!(group, frees);
            assert_eq!(!line.0.lock().is_empty(), begins, "{name}");
        }
    }
}
