//! The body of a request, which tells when it is whole, and is not waited for without end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use super::connections::Seat;

pub(super) struct Tracked {
    body: Incoming,
    seat: Arc<Seat>,
    deadline: Pin<Box<Sleep>>,
    held: usize,
}

impl Tracked {
    pub(super) fn new(body: Incoming, seat: Arc<Seat>, timeout: Duration) -> Tracked {
        if body.is_end_stream() {
            seat.work();
        }
        Tracked { body, seat, deadline: Box::pin(tokio::time::sleep(timeout)), held: 0 }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.seat.release(self.held);
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
            if frame.is_none() || self.body.is_end_stream() {
                self.seat.work();
            } else {
                self.held += bytes;
                self.seat.hold(bytes);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the body took too long"))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
