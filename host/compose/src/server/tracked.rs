//! The body of a request, which is read only while there is room and until a deadline. Records when it is complete.

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
}

impl Tracked {
    pub(super) fn new(body: Incoming, seat: Arc<Seat>, timeout: Duration) -> Tracked {
        if body.is_end_stream() {
            seat.work();
        }
        Tracked { body, seat, deadline: Box::pin(tokio::time::sleep(timeout)) }
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let has_room = self.seat.poll_room(cx).is_ready();
        if has_room && let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
            self.seat.hold(bytes);
            if frame.is_none() || self.body.is_end_stream() {
                self.seat.work();
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(if has_room {
            io::Error::new(io::ErrorKind::TimedOut, "the body took too long")
        } else {
            io::Error::new(io::ErrorKind::ResourceBusy, "too many bodies wait to be stored")
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
