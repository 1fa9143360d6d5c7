//! An answer whose client takes it piece by piece, if at all.
//!
//! Over HTTP/2 a client says how much it takes, and one that takes nothing would keep its answers
//! in memory for as long as it likes. So large ones need room in that of their connection, and one
//! of which nothing is taken for a while is let go. The pieces are copies: a part of the bytes
//! would keep all of them.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE, header::RETRY_AFTER},
    response::Response,
};
use futures::FutureExt as _;
use hyper::body::{Frame, SizeHint};
use tonic::Status;

use super::{
    kept::{Kept, STALL_TIME_MAX},
    room::{Full, Room, SMALL_BYTES, Taken},
};
use crate::{grpc, http};

type Piece = Result<Frame<Bytes>, axum::Error>;

/// A body of which what is large has room, or is not there.
struct Untaken {
    body: Body,
    room: Room,
    is_grpc: bool,
    /// What has come of the body before anybody asked for it.
    first: Option<Piece>,
    large: Option<Kept<Large>>,
    /// How many bytes of it are left.
    left: usize,
}

struct Large {
    rest: Bytes,
    _room: Option<Taken>,
}

/// The answer as it is sent; or that there is no room for it.
pub(super) fn bounded(response: Response, room: impl FnOnce() -> Room) -> Response {
    let is_small = |most| most <= SMALL_BYTES as u64;
    if response.body().size_hint().upper().is_some_and(is_small) {
        return response;
    }
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_grpc = kind.is_some_and(|kind| kind.starts_with(b"application/grpc"));
    let (parts, mut body) = response.into_parts();
    // Whoever answers at once has made all of it.
    let made = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).now_or_never();
    let (room, first) = (room(), None);
    let mut untaken = Untaken { body, room, is_grpc, first, large: None, left: 0 };
    if let Some(Some(piece)) = made {
        match untaken.noted(piece) {
            Ok(piece) => untaken.first = piece,
            Err(full) => return refused(is_grpc, full),
        }
    }
    Response::from_parts(parts, Body::new(untaken))
}

fn refused(is_grpc: bool, full: Full) -> Response {
    if is_grpc {
        return grpc::busy(&full.to_string()).into_http();
    }
    let mut response = http::refusal(StatusCode::SERVICE_UNAVAILABLE, &full.to_string());
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

impl Untaken {
    /// The piece, if it is small; a large one is kept.
    fn noted(&mut self, piece: Piece) -> Result<Option<Piece>, Full> {
        let rest = match piece {
            Ok(frame) if frame.data_ref().is_some_and(|data| data.len() > SMALL_BYTES) => {
                frame.into_data().unwrap_or_default()
            }
            small => return Ok(Some(small)),
        };
        let mut room = None;
        self.room.take(rest.len(), &mut room)?;
        self.left = rest.len();
        self.large = Some(Kept::new(Large { rest, _room: room }));
        Ok(None)
    }

    /// The end, for this reason; gRPC says it behind what was sent.
    fn ended(&mut self, why: Status) -> Poll<Option<Piece>> {
        (self.large, self.left) = (None, 0);
        self.body = Body::empty();
        let mut trailers = HeaderMap::new();
        if self.is_grpc && why.add_header(&mut trailers).is_ok() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        Poll::Ready(Some(Err(axum::Error::new(why))))
    }
}

impl HttpBody for Untaken {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if self.large.is_none() {
            let Some(piece) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                return Poll::Ready(None);
            };
            match self.noted(piece) {
                Ok(Some(piece)) => return Poll::Ready(Some(piece)),
                Ok(None) => {}
                Err(full) => return self.ended(grpc::busy(&full.to_string())),
            }
        }
        let piece = |large: &mut Large| {
            let count = large.rest.len().min(SMALL_BYTES);
            Bytes::copy_from_slice(&large.rest.split_to(count))
        };
        let Some(piece) = self.large.as_ref().and_then(|large| large.take(piece)) else {
            let why = format!("nothing of the answer was taken for {STALL_TIME_MAX:?}");
            let why = format!("{why}; ask again, and read it as it comes");
            return self.ended(Status::aborted(why));
        };
        self.left -= piece.len();
        if self.left == 0 {
            self.large = None;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.large.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(|first| first.as_ref().ok()?.data_ref());
        let here = (first.map_or(0, Bytes::len) + self.left) as u64;
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(here + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(here + upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    const BYTES: usize = 1 << 20;

    fn answer(kind: &'static str) -> Response {
        Response::builder().header(CONTENT_TYPE, kind).body(Body::from(vec![7; BYTES])).unwrap()
    }

    async fn next(answer: &mut Response) -> Option<Piece> {
        std::future::poll_fn(|cx| Pin::new(answer.body_mut()).poll_frame(cx)).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_which_nothing_is_taken_is_let_go_and_makes_room() {
        let room = Room::new(BYTES);
        let mut stalled = bounded(answer("application/grpc"), || room.clone());
        next(&mut stalled).await.unwrap().unwrap();
        assert!(room.take(BYTES, &mut None).is_err());
        tokio::time::sleep(3 * STALL_TIME_MAX).await;
        room.take(BYTES, &mut None).expect("there is room again");
        let end = next(&mut stalled).await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(end["grpc-status"], "10", "aborted");
        assert!(next(&mut stalled).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_read_slowly_comes_to_its_end() {
        let room = Room::new(BYTES);
        let mut slow = bounded(answer("application/json"), || room.clone());
        assert_eq!(slow.body().size_hint().exact(), Some(BYTES as u64));
        let mut bytes = 0;
        while let Some(piece) = next(&mut slow).await {
            bytes += piece.unwrap().into_data().unwrap().len();
            tokio::time::sleep(STALL_TIME_MAX / 2).await;
        }
        assert_eq!(bytes, BYTES);
        room.take(BYTES, &mut None).expect("all of it was taken");
    }

    #[tokio::test]
    async fn where_there_is_no_room_the_client_is_told_to_try_again() {
        let (room, mut all) = (Room::new(BYTES), None);
        room.take(BYTES, &mut all).expect("it is empty");
        let refused = bounded(answer("application/grpc"), || room.clone());
        assert_eq!(refused.headers()["grpc-status"], "8", "resource exhausted");
        let refused = bounded(answer("application/json"), || room.clone());
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()[RETRY_AFTER], "1");
    }

    #[tokio::test]
    async fn what_comes_later_is_counted_when_it_comes() {
        let (room, mut all) = (Room::new(BYTES), None);
        let pieces = futures::stream::once(async {
            tokio::task::yield_now().await;
            Ok::<_, axum::Error>(vec![7; BYTES])
        });
        let answer = Response::new(Body::from_stream(pieces));
        let streamed = bounded(answer, || room.clone());
        room.take(BYTES, &mut all).expect("nothing has come");
        assert!(to_bytes(streamed.into_body(), usize::MAX).await.is_err());
    }
}
