//! The connections of a server, and which of them makes room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The most bytes of bodies that are not whole yet, of all connections together.
const MAX_BUFFERED: usize = 128 * 1024 * 1024;

/// All connections. Those that keep the server waiting are in order of how long they do.
pub(super) struct Connections {
    permits: Arc<Semaphore>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    since: BTreeMap<u64, CancellationToken>,
    /// Nobody is waited for any more.
    closed: bool,
    /// The bytes of bodies that are not whole yet.
    buffered: usize,
}

impl Waiting {
    fn evict_first(&mut self) {
        if let Some((_, evict)) = self.since.pop_first() {
            evict.cancel();
        }
    }
}

/// The place of one connection. It is free again when this is dropped.
pub(super) struct Seat {
    waiting: Arc<Mutex<Waiting>>,
    /// Its place among those that wait; `None` while its request is worked on.
    place: Mutex<Option<u64>>,
    evict: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new(capacity: usize) -> Connections {
        Connections { permits: Arc::new(Semaphore::new(capacity)), waiting: Arc::default() }
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
        let seat = Seat { waiting, place: Mutex::default(), evict: CancellationToken::new(), _permit: permit };
        seat.wait();
        seat
    }

    /// Closes the connection that has kept the server waiting longest, if one does.
    pub(super) fn make_room(&self) {
        lock(&self.waiting).evict_first();
    }

    /// Closes every connection that keeps the server waiting, now or later.
    pub(super) fn close_idle(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.closed = true;
        std::mem::take(&mut waiting.since).into_values().for_each(|evict| evict.cancel());
    }
}

impl Seat {
    /// From now on the server waits for this connection.
    pub(super) fn wait(&self) {
        let mut waiting = lock(&self.waiting);
        let mut place = lock(&self.place);
        if let Some(old) = place.take() {
            waiting.since.remove(&old);
        }
        if waiting.closed {
            // Its answer is on the way: the connection closes itself behind it.
            return;
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.since.insert(number, self.evict.clone());
        *place = Some(number);
    }

    /// Its request is here, whole: it is worked on, and must not be cut off.
    pub(super) fn work(&self) {
        let mut waiting = lock(&self.waiting);
        if let Some(old) = lock(&self.place).take() {
            waiting.since.remove(&old);
        }
    }

    /// So many bytes of its body came, and the rest is waited for. If that is too much for all together, the connection that has
    /// kept the server waiting longest makes room.
    pub(super) fn hold(&self, bytes: usize) {
        let mut waiting = lock(&self.waiting);
        waiting.buffered += bytes;
        if waiting.buffered > MAX_BUFFERED {
            waiting.evict_first();
        }
    }

    /// So many bytes of its body are not waited with any more.
    pub(super) fn release(&self, bytes: usize) {
        let mut waiting = lock(&self.waiting);
        waiting.buffered = waiting.buffered.saturating_sub(bytes);
    }

    /// Ends when the connection has to make room.
    pub(super) async fn evicted(&self) {
        self.evict.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.work();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_keeps_the_server_waiting_longest_makes_room_and_who_is_worked_on_never_does() {
        let connections = Connections::new(3);
        let (first, second, third) = (connections.seat().await, connections.seat().await, connections.seat().await);
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
        let connections = Connections::new(1);
        let only = connections.seat().await;
        only.work();
        let mut next = std::pin::pin!(connections.seat());
        assert!(futures_util::poll!(&mut next).is_pending());
        assert!(!only.evict.is_cancelled());
        drop(only);
        assert!(futures_util::poll!(&mut next).is_ready());
    }

    #[tokio::test]
    async fn bodies_that_are_not_whole_are_bounded_together() {
        let connections = Connections::new(3);
        let (slow, quick) = (connections.seat().await, connections.seat().await);
        slow.hold(MAX_BUFFERED);
        assert!(!slow.evict.is_cancelled());
        quick.hold(1);
        assert!(slow.evict.is_cancelled() && !quick.evict.is_cancelled());
        slow.release(MAX_BUFFERED);
        quick.hold(MAX_BUFFERED - 1);
        assert!(!quick.evict.is_cancelled(), "what was given back counts no more");
    }

    #[tokio::test]
    async fn the_end_closes_who_waits_and_lets_the_others_finish() {
        let connections = Connections::new(2);
        let (idle, busy) = (connections.seat().await, connections.seat().await);
        busy.work();
        connections.close_idle();
        busy.wait();
        assert!(idle.evict.is_cancelled() && !busy.evict.is_cancelled());
    }
}
