//! The poll driver: receives from a queue, runs the pipeline, settles. `serve` and `dev` run it over the
//! local queue.

#[cfg(test)]
mod broken;
mod deleter;
mod keeper;
#[cfg(feature = "faults")]
mod planted;
mod receiver;
#[cfg(test)]
mod scripted;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::pipeline::{GroupRun, Line, Settlement};
use deleter::{Deleter, Deleting};
use keeper::Keeper;
use towpath_deliver::places::{Place, Places};
use towpath_runtime::health::Health;
use towpath_runtime::lease::Lease;
use towpath_runtime::tasks::{Failure, Tasks};
use towpath_types::clock::{Clock, Moment};
use towpath_types::queue::{Handle, MAX_VISIBILITY, Queue, Received, hidden_at_most};

/// How a queue is polled.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many groups are worked on at the same time, at least 1.
    pub concurrency: usize,
    /// How long one receive waits. A stop is felt after this at the latest.
    pub wait: Duration,
    /// How long received messages stay invisible without a heartbeat: how long a group stands still
    /// after this process was killed.
    pub visibility: Duration,
    /// By which leases are counted, with the monotonic clock.
    pub clock: Clock,
}

impl Default for Options {
    /// 16 groups, receives of one second, 30 s of visibility, the machine's clock.
    fn default() -> Options {
        let (wait, visibility) = (Duration::from_secs(1), Duration::from_secs(30));
        Options { concurrency: 16, wait, visibility, clock: Clock::wall() }
    }
}

/// For so many groups there is one receive and one delete request under way at a time. One receive alone would bound the
/// throughput by its round trip; the more deletes wait for a request, the fuller it is.
const GROUPS_A_REQUEST: usize = 4;

/// How many messages of a group may be done with while their deletes are not answered: so many a crash repeats at
/// most. Waiting for each answer would add the round trip of a delete to every message.
const UNANSWERED_DELETES: usize = 4;

/// Polls until `stop` is cancelled, then finishes the messages that are being worked on and gives the
/// rest back, tail to head. If a receiver or the deleter breaks, the others do the same at once and that is the error:
/// a driver never goes on with a part of itself missing.
pub async fn run<L: Line>(
    queue: Arc<dyn Queue>,
    line: Arc<L>,
    options: Options,
    health: Arc<Health>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    // A failure stops this driver; what becomes of the process is for whoever runs it to say.
    let stop = stop.child_token();
    let all = options.concurrency.max(1);
    let requests = all.div_ceil(GROUPS_A_REQUEST);
    let places = Places::new(all, line.targets());
    let taken = places.clone();
    let at_work = Arc::new(move || taken.taken());
    let (deleter, deletes) = Deleter::new(Arc::clone(&queue), requests, at_work.clone());
    let mut tasks = Tasks::new(stop.clone());
    tasks.spawn("deleter", deletes.run());
    info!(queue = queue.name(), groups = all, receives = requests, "polling");
    let worker = Arc::new(Worker { queue, line, deleter, places, options, stop: stop.clone() });
    for _ in 0..requests {
        tasks.spawn("receiver", receiver::run(Arc::clone(&worker), Arc::clone(&health)));
    }
    let places = worker.places.clone();
    // The deleter ends with the last receiver.
    drop(worker);
    let closing = async {
        stop.cancelled().await;
        // Groups that wait are given back; those that are at work finish their message.
        places.close();
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        ended = tasks.join() => ended,
        never = closing => match never {},
    }
}

/// How much room a group takes that waits: one for each message, and for each 64 KiB of it.
fn weight(messages: &[Received]) -> usize {
    messages.iter().map(|message| message.body.len().div_ceil(64 * 1024).max(1)).sum()
}

/// Splits a batch into its groups. Order within a group is the order of the batch.
pub fn by_group(batch: Vec<Received>) -> Vec<Vec<Received>> {
    let mut groups: Vec<Vec<Received>> = Vec::new();
    for message in batch {
        let same = |group: &&mut Vec<Received>| group.first().is_some_and(|first| first.group == message.group);
        match groups.iter_mut().find(same) {
            Some(group) => group.push(message),
            None => groups.push(vec![message]),
        }
    }
    groups
}

/// What it takes to work on a group.
struct Worker<L> {
    queue: Arc<dyn Queue>,
    line: Arc<L>,
    deleter: Deleter,
    /// One for each group that may be worked on at the same time; shared by all receivers.
    places: Places,
    options: Options,
    stop: CancellationToken,
}

impl<L: Line> Worker<L> {
    /// Works on the messages of one group while heartbeats keep them all.
    async fn group(self: Arc<Self>, messages: Vec<Received>, asked: Moment, turn: oneshot::Sender<()>) {
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
            return planted::messages(self, messages, bug).await;
        }
        let mut run = GroupRun::new(&*self.line, Lease::renewed(asked, MAX_VISIBILITY, keeper.term()), place);
        let (mut give_back, mut deletes) = (Vec::new(), VecDeque::new());
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
    use super::scripted::{Answer, Scripted};
    use super::*;
    use towpath_types::clock::Timestamp;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_begun_behind_a_failed_delete_on_a_stop_or_past_the_end_of_a_lease() {
        let (queue, stop, visibility) =
            (Scripted(Answer::Unavailable), CancellationToken::new(), Duration::from_secs(30));
        let clock = towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000));
        let kept = || Keeper::new(&queue, clock, &[], visibility, clock.moment());
        let (keeper, began) = (kept(), clock.moment());
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
