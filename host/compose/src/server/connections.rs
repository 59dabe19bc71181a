//! The connections of a server, which of them makes room, and how many bytes of bodies they hold together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// All connections. Those that keep the server waiting are in order of how long they do.
pub(super) struct Connections {
    permits: Arc<Semaphore>,
    waiting: Arc<Mutex<Waiting>>,
}

struct Waiting {
    next: u64,
    since: BTreeMap<u64, Waiter>,
    /// What wakes those of them that the server keeps waiting: they may send on once there is room.
    parked: BTreeMap<u64, Waker>,
    /// Nobody is waited for any more.
    closed: bool,
    /// The bytes of bodies, from when they arrive until their requests are answered.
    held: usize,
    /// Those of them whose requests are worked on: they are given back soon, whatever clients do.
    at_work: usize,
    /// The most that is held at a time.
    budget: usize,
}

/// A connection that keeps the server waiting.
struct Waiter {
    evict: CancellationToken,
    /// The bytes that it holds.
    held: usize,
}

impl Waiting {
    fn evict_first(&mut self) {
        if let Some((_, waiter)) = self.since.pop_first() {
            waiter.evict.cancel();
        }
    }

    /// Closes the connection, other than this one, whose client has been slow for longest while it holds bytes. Where
    /// nothing is worked on, nobody gives anything back: then also one that the server keeps waiting.
    fn evict_holder(&mut self, but: u64) {
        let nothing_at_work = self.at_work == 0;
        let mut holders = self.since.iter().filter(|(place, waiter)| **place != but && waiter.held > 0);
        let slow = holders.clone().find(|(place, _)| !self.parked.contains_key(place));
        let found = slow.or_else(|| holders.next().filter(|_| nothing_at_work)).map(|(place, _)| *place);
        if let Some(waiter) = found.and_then(|place| self.since.remove(&place)) {
            waiter.evict.cancel();
        }
    }

    /// Lets the connection that the server has kept waiting longest look again whether there is room.
    fn wake_next(&mut self) {
        if let Some((_, waker)) = self.parked.pop_first() {
            waker.wake();
        }
    }
}

/// The place of one connection. It is free again when this is dropped.
pub(super) struct Seat {
    waiting: Arc<Mutex<Waiting>>,
    state: Mutex<State>,
    evict: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

#[derive(Default)]
struct State {
    /// Its place among those that wait; `None` while its request is worked on.
    place: Option<u64>,
    /// The bytes of the request's body so far.
    held: usize,
}

impl Connections {
    /// So many connections at a time, whose bodies have so many bytes together.
    pub(super) fn new(capacity: usize, budget: usize) -> Connections {
        let since = BTreeMap::new();
        let parked = BTreeMap::new();
        let waiting = Waiting { next: 0, since, parked, closed: false, held: 0, at_work: 0, budget };
        Connections { permits: Arc::new(Semaphore::new(capacity)), waiting: Arc::new(Mutex::new(waiting)) }
    }

    /// A place for a new connection: a free one, or that of the one which has kept the server waiting longest.
    pub(super) async fn seat(&self) -> Seat {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                self.make_room();
                // The semaphore is never closed.
                Arc::clone(&self.permits).acquire_owned().await.ok()
            }
        };
        let Some(permit) = permit else { return std::future::pending().await };
        let waiting = Arc::clone(&self.waiting);
        let seat = Seat { waiting, state: Mutex::default(), evict: CancellationToken::new(), _permit: permit };
        seat.wait();
        seat
    }

    /// Closes the connection that has kept the server waiting longest, if one does.
    pub(super) fn make_room(&self) {
        self.waiting.lock().evict_first();
    }

    /// Closes every connection that keeps the server waiting, now or later.
    pub(super) fn close_idle(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        std::mem::take(&mut waiting.since).into_values().for_each(|waiter| waiter.evict.cancel());
    }
}

impl Seat {
    /// Its request is answered, or it is new: what it held is given back, and the server waits for it from now on.
    pub(super) fn wait(&self) {
        let mut waiting = self.waiting.lock();
        let mut state = self.state.lock();
        give_back(&mut waiting, &mut state);
        if waiting.closed {
            // Its answer is on the way: the connection closes itself behind it.
            return;
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.since.insert(number, Waiter { evict: self.evict.clone(), held: 0 });
        state.place = Some(number);
    }

    /// Its request is here, whole: it is worked on, and must not be cut off. What it holds is held until the answer.
    pub(super) fn work(&self) {
        let mut waiting = self.waiting.lock();
        let mut state = self.state.lock();
        if let Some(place) = state.place.take() {
            waiting.since.remove(&place);
            waiting.parked.remove(&place);
            waiting.at_work += state.held;
        }
    }

    /// Whether its request is here, whole, and not yet answered.
    pub(super) fn is_at_work(&self) -> bool {
        self.state.lock().place.is_none()
    }

    /// Whether more of its body may be read now. If too much is held, a client that holds bytes and is slow makes room;
    /// where all of it is worked on, this one waits until some is answered.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.waiting.lock();
        let state = self.state.lock();
        let Some(place) = state.place else { return Poll::Ready(()) };
        waiting.parked.remove(&place);
        // Alone it goes on: nobody would ever make room.
        let alone = waiting.held == state.held;
        if waiting.held < waiting.budget || alone {
            waiting.wake_next();
            return Poll::Ready(());
        }
        waiting.evict_holder(place);
        waiting.parked.insert(place, cx.waker().clone());
        Poll::Pending
    }

    /// So many bytes more of its body came.
    pub(super) fn hold(&self, bytes: usize) {
        let mut waiting = self.waiting.lock();
        let mut state = self.state.lock();
        state.held += bytes;
        waiting.held += bytes;
        match state.place {
            None => waiting.at_work += bytes,
            Some(place) => {
                if let Some(waiter) = waiting.since.get_mut(&place) {
                    waiter.held = state.held;
                }
            }
        }
    }

    /// Ends when the connection has to make room.
    pub(super) async fn evicted(&self) {
        self.evict.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        give_back(&mut self.waiting.lock(), &mut self.state.lock());
    }
}

/// Frees a connection's place, and what it holds.
fn give_back(waiting: &mut Waiting, state: &mut State) {
    let held = std::mem::take(&mut state.held);
    match state.place.take() {
        Some(place) => {
            waiting.since.remove(&place);
            waiting.parked.remove(&place);
        }
        None => waiting.at_work -= held,
    }
    waiting.held -= held;
    if held > 0 {
        waiting.wake_next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: usize = 100;

    /// Whether more may be read of a connection's body.
    fn has_room(seat: &Seat) -> bool {
        seat.poll_room(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn who_keeps_the_server_waiting_longest_makes_room_and_who_is_worked_on_never_does() {
        let connections = Connections::new(3, BUDGET);
        let first = connections.seat().await;
        let second = connections.seat().await;
        let third = connections.seat().await;
        first.work();
        second.wait();
        connections.make_room();
        assert!(third.evict.is_cancelled(), "the second was heard of later, the first is worked on");
        assert!(!first.evict.is_cancelled() && !second.evict.is_cancelled());
        drop(third);
        let _new = connections.seat().await;
        first.wait();
        connections.make_room();
        assert!(second.evict.is_cancelled() && !first.evict.is_cancelled());
    }

    #[tokio::test]
    async fn a_full_house_waits_for_one_who_leaves_if_all_are_worked_on() {
        let connections = Connections::new(1, BUDGET);
        let only = connections.seat().await;
        only.work();
        let mut next = std::pin::pin!(connections.seat());
        assert!(futures_util::poll!(&mut next).is_pending());
        assert!(!only.evict.is_cancelled());
        drop(only);
        assert!(futures_util::poll!(&mut next).is_ready());
    }

    #[tokio::test]
    async fn a_slow_client_with_half_a_body_makes_room_and_one_that_holds_nothing_does_not() {
        let connections = Connections::new(3, BUDGET);
        let idle = connections.seat().await;
        let slow = connections.seat().await;
        let quick = connections.seat().await;
        slow.hold(BUDGET);
        assert!(!has_room(&quick) && slow.evict.is_cancelled() && !idle.evict.is_cancelled());
        drop(slow);
        assert!(has_room(&quick));
    }

    #[tokio::test]
    async fn what_is_worked_on_counts_until_it_is_answered_and_others_wait_for_that() {
        let connections = Connections::new(3, BUDGET);
        let stored = connections.seat().await;
        let next = connections.seat().await;
        assert!(has_room(&stored));
        stored.hold(BUDGET);
        stored.work();
        let mut room = std::pin::pin!(std::future::poll_fn(|cx| next.poll_room(cx)));
        assert!(futures_util::poll!(&mut room).is_pending(), "whole, and not yet answered");
        assert!(!stored.evict.is_cancelled() && !next.evict.is_cancelled());
        let ((), ()) = tokio::join!(room, async { stored.wait() });
    }

    #[tokio::test]
    async fn room_is_passed_on_by_those_whose_clients_send_nothing() {
        let connections = Connections::new(3, BUDGET);
        let stored = connections.seat().await;
        let silent = connections.seat().await;
        let next = connections.seat().await;
        stored.hold(BUDGET);
        stored.work();
        let room = |seat| std::future::poll_fn(move |cx| Seat::poll_room(seat, cx));
        let ((), (), ()) = tokio::join!(room(&silent), room(&next), async { stored.wait() });
    }

    #[tokio::test]
    async fn bodies_that_wait_for_each_other_do_not_wait_for_ever() {
        let connections = Connections::new(3, BUDGET);
        let one = connections.seat().await;
        let other = connections.seat().await;
        one.hold(BUDGET / 2);
        other.hold(BUDGET / 2);
        // The first that asks takes the other for slow.
        assert!(!has_room(&one) && other.evict.is_cancelled());
        drop(other);
        one.hold(BUDGET / 2);
        assert!(has_room(&one), "a body that is larger than all of it goes on alone");
        let third = connections.seat().await;
        third.hold(1);
        assert!(!has_room(&third) && one.evict.is_cancelled());
    }

    #[tokio::test]
    async fn the_end_closes_who_waits_and_lets_the_others_finish() {
        let connections = Connections::new(2, BUDGET);
        let idle = connections.seat().await;
        let busy = connections.seat().await;
        busy.work();
        connections.close_idle();
        busy.wait();
        assert!(idle.evict.is_cancelled() && !busy.evict.is_cancelled());
    }
}
