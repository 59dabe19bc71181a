//! Limits the connections of a server and the bytes of their bodies, and evicts connections to make room.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// All connections. Those that the server waits for are ordered by how long it has waited.
pub(super) struct Connections {
    permits: Arc<Semaphore>,
    waiting: Arc<Mutex<Waiting>>,
}

struct Waiting {
    next: u64,
    since: BTreeMap<u64, Waiter>,
    /// The wakers of those that must wait for room before more of their body is read.
    parked: BTreeMap<u64, Waker>,
    /// The server waits for no one any more.
    closed: bool,
    /// The bytes of bodies, from their arrival to the response.
    held: usize,
    /// The part of `held` whose requests are complete: these bytes are freed soon, whatever clients do.
    at_work: usize,
    /// The limit of `held`.
    budget: usize,
}

/// A connection that the server waits for.
struct Waiter {
    evict: CancellationToken,
    /// The bytes of its body so far.
    held: usize,
}

impl Waiting {
    fn evict_first(&mut self) {
        if let Some((_, waiter)) = self.since.pop_first() {
            waiter.evict.cancel();
        }
    }

    /// Evicts another connection that holds bytes: the one whose client has been slow for longest. If no request is being worked on, no
    /// bytes will be freed; then a connection that waits for room may be evicted, too.
    fn evict_holder(&mut self, but: u64) {
        let nothing_at_work = self.at_work == 0;
        let mut holders = self.since.iter().filter(|(place, waiter)| **place != but && waiter.held > 0);
        let slow = holders.clone().find(|(place, _)| !self.parked.contains_key(place));
        let found = slow.or_else(|| holders.next().filter(|_| nothing_at_work)).map(|(place, _)| *place);
        if let Some(waiter) = found.and_then(|place| self.since.remove(&place)) {
            waiter.evict.cancel();
        }
    }

    /// Wakes the connection that has waited longest for room, so that it checks again.
    fn wake_next(&mut self) {
        if let Some((_, waker)) = self.parked.pop_first() {
            waker.wake();
        }
    }
}

/// The seat of one connection, freed on drop.
pub(super) struct Seat {
    waiting: Arc<Mutex<Waiting>>,
    state: Mutex<State>,
    evict: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

#[derive(Default)]
struct State {
    /// Its number among those that the server waits for; `None` while its request is worked on.
    place: Option<u64>,
    /// The bytes of the request's body so far.
    held: usize,
}

impl Connections {
    /// At most `capacity` connections, whose bodies together hold at most `budget` bytes.
    pub(super) fn new(capacity: usize, budget: usize) -> Connections {
        let since = BTreeMap::new();
        let parked = BTreeMap::new();
        let waiting = Waiting { next: 0, since, parked, closed: false, held: 0, at_work: 0, budget };
        Connections { permits: Arc::new(Semaphore::new(capacity)), waiting: Arc::new(Mutex::new(waiting)) }
    }

    /// A seat for a new connection: a free one, or the one of the connection that the server has waited for longest.
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

    /// Evicts the connection that the server has waited for longest, if any.
    pub(super) fn make_room(&self) {
        self.waiting.lock().evict_first();
    }

    /// Evicts every connection that the server waits for, now or later.
    pub(super) fn close_idle(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        std::mem::take(&mut waiting.since).into_values().for_each(|waiter| waiter.evict.cancel());
    }
}

impl Seat {
    /// Its request is answered, or it is new: frees its bytes. The server waits for it from now on.
    pub(super) fn wait(&self) {
        let mut waiting = self.waiting.lock();
        let mut state = self.state.lock();
        give_back(&mut waiting, &mut state);
        if waiting.closed {
            // Its response is being sent; after that the connection closes itself.
            return;
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.since.insert(number, Waiter { evict: self.evict.clone(), held: 0 });
        state.place = Some(number);
    }

    /// Its request is complete and must not be cut off. Its bytes are held until the response.
    pub(super) fn work(&self) {
        let mut waiting = self.waiting.lock();
        let mut state = self.state.lock();
        if let Some(place) = state.place.take() {
            waiting.since.remove(&place);
            waiting.parked.remove(&place);
            waiting.at_work += state.held;
        }
    }

    /// Whether its request is complete and not yet answered.
    pub(super) fn is_at_work(&self) -> bool {
        self.state.lock().place.is_none()
    }

    /// Whether more of its body may be read now. At the limit, a slow client that holds bytes is evicted; if all requests are complete,
    /// this one waits until one is answered.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.waiting.lock();
        let state = self.state.lock();
        let Some(place) = state.place else { return Poll::Ready(()) };
        waiting.parked.remove(&place);
        // The only body may exceed the limit: nothing else could make room.
        let alone = waiting.held == state.held;
        if waiting.held < waiting.budget || alone {
            waiting.wake_next();
            return Poll::Ready(());
        }
        waiting.evict_holder(place);
        waiting.parked.insert(place, cx.waker().clone());
        Poll::Pending
    }

    /// This many more bytes of its body arrived.
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

    /// Resolves when the connection is evicted.
    pub(super) async fn evicted(&self) {
        self.evict.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        give_back(&mut self.waiting.lock(), &mut self.state.lock());
    }
}

/// Frees a connection's number and bytes.
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
    async fn at_the_limit_a_new_connection_waits_if_all_requests_are_complete() {
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
    async fn a_complete_request_holds_its_bytes_until_it_is_answered() {
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
    async fn a_client_that_sends_nothing_passes_room_on() {
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
        // The first one to ask treats the other as slow.
        assert!(!has_room(&one) && other.evict.is_cancelled());
        drop(other);
        one.hold(BUDGET / 2);
        assert!(has_room(&one), "a body that is larger than all of it goes on alone");
        let third = connections.seat().await;
        third.hold(1);
        assert!(!has_room(&third) && one.evict.is_cancelled());
    }

    #[tokio::test]
    async fn a_stop_closes_idle_connections_and_lets_complete_requests_finish() {
        let connections = Connections::new(2, BUDGET);
        let idle = connections.seat().await;
        let busy = connections.seat().await;
        busy.work();
        connections.close_idle();
        busy.wait();
        assert!(idle.evict.is_cancelled() && !busy.evict.is_cancelled());
    }
}
