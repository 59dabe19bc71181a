//! The work on a request, which does not end because its client hangs up.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::response::Response;
use tokio_util::task::TaskTracker;

use super::connections::Seat;

type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// hyper drops this when the client hangs up. A request that came whole is worked on all the same: what it asks the store for cannot be
/// taken back, so its body counts, and its connection's place is taken, until that is done.
pub(super) struct Work {
    /// Nothing once it is done.
    answer: Option<Answer>,
    seat: Arc<Seat>,
    /// Who goes on with it; nobody if it is only for this client.
    heirs: Option<TaskTracker>,
}

impl Work {
    pub(super) fn new(
        answer: impl Future<Output = Result<Response, Infallible>> + Send + 'static,
        seat: Arc<Seat>,
        heirs: Option<TaskTracker>,
    ) -> Work {
        Work { answer: Some(Box::pin(answer)), seat, heirs }
    }
}

impl Future for Work {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // What panics is not put back, and so has no heir.
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
        let (Some(answer), Some(heirs)) = (self.answer.take(), &self.heirs) else { return };
        // Nobody sends the rest of a request that is not here.
        if self.seat.is_at_work() {
            let seat = Arc::clone(&self.seat);
            heirs.spawn(async move {
                // Nobody hears it.
                let _ = answer.await;
                drop(seat);
            });
        }
    }
}
