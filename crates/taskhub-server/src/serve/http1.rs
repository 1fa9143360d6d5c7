//! HTTP/1: one request after the other, and little memory while one of them is held.
//!
//! hyper keeps 16 KiB of buffers per connection, more than all else that a held request needs. So
//! the answer is made by a future of our own, at which hyper only looks. When it is long in
//! coming, hyper's connection is dropped, and the stream is watched here. Once the answer is
//! there, hyper gets a new connection that begins with as much of the same request as bears on how
//! an answer is written, and answers it at once.

#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{
        HeaderName, HeaderValue, Method, Request, Uri, Version,
        header::{CONNECTION, TE, UPGRADE},
    },
    response::Response,
};
use bytes::BytesMut;
use futures::{FutureExt as _, future::BoxFuture};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    time::{Instant, Sleep},
};

use super::{
    connection::{Connections, told},
    first_bytes::FirstBytes,
    steady::Steady,
    untaken,
};

/// How long a request is under way before it counts as held.
const HELD_AFTER: Duration = Duration::from_millis(100);

/// What of a head tells how to write the answer, beside method and version.
const TELLING: [HeaderName; 2] = [CONNECTION, TE];

/// The request of a connection that is being answered, if there is one.
#[derive(Clone)]
struct Turn {
    answering: Arc<Mutex<Option<Answering>>>,
    /// Whether the client does not take what was written.
    stalls: Arc<AtomicBool>,
}

struct Answering {
    answer: Answer,
    head: Head,
    /// Whether all of its body came; then the client says nothing more until it is answered.
    whole: Arc<AtomicBool>,
    /// Until it counts as held.
    patience: Pin<Box<Sleep>>,
}

enum Answer {
    Coming(BoxFuture<'static, Response>),
    There(Response),
}

/// What of a request bears on how its answer is written.
struct Head {
    method: Method,
    version: Version,
    telling: [Option<HeaderValue>; 2],
    /// Whether the connection may become another one than of HTTP.
    upgrades: bool,
}

impl Connections {
    /// Serves a connection of HTTP/1 until it ends.
    pub(super) async fn speak_http1<IO>(&self, stream: FirstBytes<Steady<IO>>)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let turn = Turn::new(stream.io().stalls().clone());
        // It stays in one place: these futures are many, and would be as large as all copies.
        let mut stream = Some(stream);
        while let Some(read) = self.until_held(&mut stream, &turn).await {
            if self.hold(&mut stream, read, &turn).await.is_none() {
                return;
            }
        }
    }

    /// Serves it until a request is held: then the stream comes back, and what hyper has read
    /// ahead. `None` when the connection has ended.
    async fn until_held<IO>(
        &self,
        stream: &mut Option<FirstBytes<Steady<IO>>>,
        turn: &Turn,
    ) -> Option<BytesMut>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request| self.answer_in(turn, request));
        let serving = self.http1.serve_connection(TokioIo::new(stream.take()?), service);
        let mut serving = Box::pin(serving.with_upgrades());
        let ended = tokio::select! {
            biased;
            ended = serving.as_mut() => ended,
            () = self.ending.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
            () = turn.is_held() => {
                let parts = Pin::into_inner(serving).into_parts()?;
                *stream = Some(parts.io.into_inner());
                // A copy: even without bytes, this is all of hyper's buffer.
                return Some(BytesMut::from(&*parts.read_buf));
            }
        };
        told(ended);
        None
    }

    fn answer_in(
        &self,
        turn: &Turn,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send + use<> {
        let turn = turn.clone();
        if !turn.is_answered() {
            let going = self.going.clone();
            let bounded = move |answer| untaken::bounded(answer, || going.of_another());
            turn.begin(apart(request), |it| self.front.answer(it).map(bounded).boxed());
        }
        poll_fn(move |cx| turn.poll_answer(cx).map(Ok))
    }

    /// Waits for the answer. Then the stream begins with the request once more. `None` when the
    /// client has gone away.
    async fn hold<IO>(
        &self,
        stream: &mut Option<FirstBytes<Steady<IO>>>,
        mut read: BytesMut,
        turn: &Turn,
    ) -> Option<()>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let watched = stream.as_mut()?;
        let mut ends = false;
        loop {
            tokio::select! {
                () = poll_fn(|cx| turn.poll_there(cx)) => break,
                () = self.ending.cancelled(), if !ends => ends = true,
                more = watched.read_buf(&mut read), if read.is_empty() => {
                    more.ok().filter(|more| *more > 0)?;
                }
            }
        }
        watched.before(&read);
        watched.before(&turn.lock().as_ref()?.head.again(ends));
        Some(())
    }
}

impl Turn {
    fn new(stalls: Arc<AtomicBool>) -> Self {
        Self { answering: Arc::default(), stalls }
    }

    /// It is between any two statements what it should be, so a panic elsewhere does no harm.
    fn lock(&self) -> MutexGuard<'_, Option<Answering>> {
        self.answering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the answer is there to a request that was held.
    fn is_answered(&self) -> bool {
        self.lock().as_ref().is_some_and(|it| matches!(it.answer, Answer::There(_)))
    }

    fn begin(
        &self,
        request: Request<Incoming>,
        answer: impl FnOnce(Request<Body>) -> BoxFuture<'static, Response>,
    ) {
        let head = Head::of(&request);
        let is_whole = request.body().is_end_stream();
        let whole = Arc::new(AtomicBool::new(is_whole));
        let noted = |body| Body::new(Noted { body, whole: whole.clone() });
        let request = request.map(|body| if is_whole { Body::empty() } else { noted(body) });
        let (answer, patience) = (answer(request), Box::pin(tokio::time::sleep(HELD_AFTER)));
        let answer = Answer::Coming(answer);
        *self.lock() = Some(Answering { answer, head, whole, patience });
    }

    fn poll_there(&self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(Answering { answer, .. }) = &mut *self.lock()
            && let Answer::Coming(coming) = answer
        {
            *answer = Answer::There(ready!(coming.poll_unpin(cx)));
        }
        Poll::Ready(())
    }

    fn poll_answer(&self, cx: &mut Context<'_>) -> Poll<Response> {
        ready!(self.poll_there(cx));
        match self.lock().take() {
            Some(Answering { answer: Answer::There(response), .. }) => Poll::Ready(response),
            _ => Poll::Pending,
        }
    }

    /// Ends when the request has been under way for long, and neither side has anything to say
    /// before it is answered.
    async fn is_held(&self) {
        poll_fn(|cx| {
            let mut answering = self.lock();
            let Some(it) = answering.as_mut().filter(|it| !it.head.upgrades) else {
                return Poll::Pending;
            };
            ready!(it.patience.as_mut().poll(cx));
            if it.whole.load(Ordering::Relaxed) && !self.stalls.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            it.patience.as_mut().reset(Instant::now() + HELD_AFTER);
            it.patience.as_mut().poll(cx)
        })
        .await;
    }
}

impl Head {
    fn of<B>(request: &Request<B>) -> Self {
        let (method, headers) = (request.method().clone(), request.headers());
        let upgrades = method == Method::CONNECT || headers.contains_key(UPGRADE);
        let telling = TELLING.map(|name| headers.get(name).cloned());
        Self { method, version: request.version(), telling, upgrades }
    }

    /// A request that is answered alike. Should this be its connection's end, it says so.
    fn again(&self, ends: bool) -> Vec<u8> {
        let mut again = format!("{} / {:?}\r\n", self.method, self.version).into_bytes();
        for (name, value) in TELLING.iter().zip(&self.telling) {
            let close = (ends && name == CONNECTION).then_some(&b"close"[..]);
            if let Some(value) = close.or(value.as_ref().map(HeaderValue::as_bytes)) {
                again.extend([name.as_str().as_bytes(), b": ", value, b"\r\n"].concat());
            }
        }
        again.extend(b"\r\n");
        again
    }
}

/// A body that tells when all of it came.
struct Noted {
    body: Incoming,
    whole: Arc<AtomicBool>,
}

impl HttpBody for Noted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.whole.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The request apart from the buffer that its head was read into: what hyper makes of a head
/// points there, and would keep all of it, beside the next buffer, as long as the request is held.
fn apart<B>(mut request: Request<B>) -> Request<B> {
    let uri = request.uri().to_string();
    let values = request.headers().values().map(HeaderValue::len);
    let mut head = BytesMut::with_capacity(uri.len() + values.sum::<usize>());
    head.extend_from_slice(uri.as_bytes());
    for value in request.headers().values() {
        head.extend_from_slice(value.as_bytes());
    }
    let mut head = head.freeze();
    // They were read from the same bytes before, so they can be.
    if let Ok(uri) = Uri::from_maybe_shared(head.split_to(uri.len())) {
        *request.uri_mut() = uri;
    }
    for value in request.headers_mut().values_mut() {
        if let Ok(own) = HeaderValue::from_maybe_shared(head.split_to(value.len())) {
            *value = own;
        }
    }
    request
}
