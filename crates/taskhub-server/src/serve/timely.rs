//! A body that must come in time, however it is read.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;

/// A body with a time for all of it.
pub(super) struct Timely {
    body: Body,
    within: Duration,
    /// Begins when somebody first waits for more.
    deadline: Option<Pin<Box<Sleep>>>,
    slow: Slow,
}

/// Whether a body took too long, for whoever answers the request.
#[derive(Debug, Clone, Default)]
pub(super) struct Slow(Arc<AtomicBool>);

impl Slow {
    pub(super) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// It took too long.
#[derive(Debug, thiserror::Error)]
#[error("the body did not come within {0:?}; see `limits.body_seconds`")]
struct TooSlow(Duration);

/// Whether that is what an error says.
pub(crate) fn is_too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<TooSlow>()
}

impl Timely {
    pub(super) fn new(body: Body, within: Duration, slow: Slow) -> Self {
        Self { body, within, deadline: None, slow }
    }
}

impl HttpBody for Timely {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            return frame;
        }
        let within = self.within;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        std::task::ready!(deadline.as_mut().poll(cx));
        self.slow.0.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(axum::Error::new(TooSlow(within)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use futures::stream;

    use super::*;

    /// A body that comes in so many pieces, one per second.
    fn in_pieces(count: u32) -> Body {
        Body::from_stream(stream::unfold(0, move |piece| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            (piece < count).then(|| (Ok::<_, axum::Error>("x"), piece + 1))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_for_too_long_is_an_error() {
        let slow = Slow::default();
        let body = Body::new(Timely::new(in_pieces(60), Duration::from_secs(30), slow.clone()));
        let error = to_bytes(body, usize::MAX).await.unwrap_err();
        assert!(error.to_string().contains("limits.body_seconds"), "{error}");
        assert!(slow.is());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_comes_in_time_is_whole() {
        let slow = Slow::default();
        let body = Body::new(Timely::new(in_pieces(10), Duration::from_secs(30), slow.clone()));
        assert_eq!(to_bytes(body, usize::MAX).await.unwrap().len(), 10);
        assert!(!slow.is());
    }
}
