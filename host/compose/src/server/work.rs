//! The work on a request, which continues when its client hangs up.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::response::Response;
use tokio_util::task::TaskTracker;

use super::connections::Seat;

type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// hyper drops this future when the client hangs up. The work on a complete request continues, because what it asks of the store cannot be
/// undone; until then its body counts and its connection keeps its seat.
pub(super) struct Work {
    /// `None` once it is done.
    answer: Option<Answer>,
    seat: Arc<Seat>,
    /// The tracker that continues it; `None` if only this client wants the response.
    tracker: Option<TaskTracker>,
}

impl Work {
    pub(super) fn new(
        answer: impl Future<Output = Result<Response, Infallible>> + Send + 'static,
        seat: Arc<Seat>,
        tracker: Option<TaskTracker>,
    ) -> Work {
        Work { answer: Some(Box::pin(answer)), seat, tracker }
    }
}

impl Future for Work {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // After a panic the future is not put back, so nothing continues it.
        let Some(mut answer) = self.answer.take() else { return Poll::Pending };
        let polled = answer.as_mut().poll(cx);
        if polled.is_pending() {
            self.answer = Some(answer);
        }
        polled
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let (Some(answer), Some(tracker)) = (self.answer.take(), &self.tracker) else { return };
        // The rest of an incomplete request will never arrive.
        if self.seat.is_at_work() {
            let seat = Arc::clone(&self.seat);
            tracker.spawn(async move {
                // The client is gone.
                let _ = answer.await;
                drop(seat);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::sync::oneshot;

    use super::*;
    use crate::server::connections::Connections;

    const BUDGET: usize = 100;

    /// Whether another connection may read more of its body.
    fn has_room(other: &Seat) -> bool {
        other.poll_room(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn a_complete_request_is_finished_and_counts_until_then_although_its_client_hung_up() {
        let connections = Connections::new(2, BUDGET);
        let seat = Arc::new(connections.seat().await);
        let other = connections.seat().await;
        seat.hold(BUDGET);
        seat.work();
        let tracker = TaskTracker::new();
        let (store, stored) = oneshot::channel();
        let answer = async move { Ok(stored.await.map(|()| Response::default()).unwrap_or_default()) };
        drop(Work::new(answer, seat, Some(tracker.clone())));
        assert!(!has_room(&other), "the store still has the body");
        store.send(()).expect("the work goes on");
        tracker.close();
        tracker.wait().await;
        assert!(has_room(&other));
    }

    #[tokio::test]
    async fn half_a_request_ends_with_its_client() {
        let connections = Connections::new(2, BUDGET);
        let seat = Arc::new(connections.seat().await);
        let other = connections.seat().await;
        seat.hold(BUDGET);
        let tracker = TaskTracker::new();
        drop(Work::new(std::future::pending(), seat, Some(tracker.clone())));
        assert!(tracker.is_empty() && has_room(&other));
    }
}
