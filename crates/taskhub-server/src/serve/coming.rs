//! The body of a request over HTTP/2, counted until somebody has read it to its end: a client has
//! thousands of calls at a time, and each is kept as far as it came.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tonic::Status;

use super::room::{Room, SMALL_BYTES, Taken};
use crate::grpc;

/// Room is taken for so many bytes at a time.
const STEP_BYTES: usize = 64 << 10;

/// A body, and the room that it has.
pub(super) struct Coming<B> {
    body: B,
    room: Room,
    bytes: usize,
    /// For how many bytes there is room.
    counted: usize,
    taken: Option<Taken>,
}

impl<B> Coming<B> {
    pub(super) fn new(body: B, room: Room) -> Self {
        Self { body, room, bytes: 0, counted: SMALL_BYTES, taken: None }
    }
}

impl<B> HttpBody for Coming<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            other => return Poll::Ready(other.map(|frame| frame.map_err(Into::into))),
        };
        let this = &mut *self;
        this.bytes += frame.data_ref().map_or(0, Bytes::len);
        if this.bytes > this.counted {
            let more = (this.bytes - this.counted).max(STEP_BYTES);
            if let Err(full) = this.room.take(more, &mut this.taken) {
                let full: Status = grpc::busy(&full.to_string());
                return Poll::Ready(Some(Err(full.into())));
            }
            this.counted += more;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
