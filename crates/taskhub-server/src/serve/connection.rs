//! One connection: plain or TLS, HTTP/1 or HTTP/2, ended when it keeps silent.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    http::Request,
};
use futures::FutureExt as _;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    coming::Coming,
    first_bytes::{FirstBytes, Protocol},
    front::Front,
    kept::STALL_TIME_MAX,
    room::Room,
    steady::Steady,
    untaken,
};
use crate::grpc::{self, Hands};

/// How long a client may take for its first bytes, and over HTTP/1 from one request to the end of
/// the next one's head; a connection is an open file, and these are few.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a client may take to agree on keys.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// How often an HTTP/2 client is asked whether it is still there, and how long it may take to say
/// so. SDKs give up after 120 s of silence.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_TIME_MAX: Duration = Duration::from_secs(20);

/// Calls on one HTTP/2 connection: SDKs use a single one for all that wait.
const STREAMS_COUNT_MAX: u32 = 20_000;

/// What of each answer may wait for the client, beside what it says that it takes.
const SEND_BYTES_MAX: usize = 64 << 10;

/// The smallest buffer of an HTTP/1 connection that hyper takes.
const BUFFER_BYTES_MIN: usize = 8 << 10;

/// What a client may send ahead: per call, and per connection.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// The connection that a request of HTTP/2 came by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection {
    /// Cancelled when it has ended.
    pub gone: CancellationToken,
    /// What its workers do just now.
    pub hands: Arc<Hands>,
}

/// What all connections share.
pub(super) struct Connections {
    pub front: Front,
    pub tls: Option<TlsAcceptor>,
    pub permits: Arc<Semaphore>,
    /// How HTTP is spoken.
    pub http1: http1::Builder,
    pub http2: http2::Builder<TokioExecutor>,
    /// The room for requests that are not whole, and for answers that are not taken.
    pub coming: Room,
    pub going: Room,
    pub tracker: TaskTracker,
    /// Connections end as soon as their calls have.
    pub ending: CancellationToken,
    /// Connections end now.
    pub cut: CancellationToken,
}

impl Connections {
    /// Serves a connection until it ends. There are many, and most of them wait: what is only
    /// needed now and then is kept apart, so that the rest is small.
    pub(super) async fn serve(&self, stream: TcpStream) {
        match &self.tls {
            None => self.speak(stream).await,
            Some(tls) => Box::pin(self.speak_tls(tls, stream)).await,
        }
    }

    async fn speak_tls(&self, tls: &TlsAcceptor, stream: TcpStream) {
        let agreed = tokio::time::timeout(HANDSHAKE_TIME_MAX, tls.accept(stream));
        match Box::pin(agreed).await {
            Ok(Ok(stream)) => Box::pin(self.speak(stream)).await,
            Ok(Err(error)) => tracing::debug!(%error, "a client and this server found no keys"),
            Err(_) => tracing::debug!("a client took too long to agree on keys"),
        }
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let stream = Steady::new(stream, STALL_TIME_MAX);
        let first = Box::pin(FirstBytes::of(stream, HEAD_TIME_MAX));
        let Some(first) = self.ending.run_until_cancelled(first).await else { return };
        match first {
            Ok((Protocol::Http1, stream)) => self.speak_http1(stream).await,
            Ok((Protocol::Http2, stream)) => Box::pin(self.speak_http2(stream)).await,
            Err(error) => tracing::debug!(%error, "a client did not say what it speaks"),
        }
    }

    async fn speak_http2(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let connection = Connection::default();
        let _gone = connection.gone.clone().drop_guard();
        let (coming, going) = (self.coming.of_another(), self.going.of_another());
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(connection.clone());
            // What is a stream of messages does not come to an end; each of them is small.
            let is_whole = request.body().is_end_stream();
            let uncounted = is_whole || grpc::takes_stream(request.uri().path());
            let counted = |body| Body::new(Coming::new(body, coming.clone()));
            let request =
                request.map(|body| if uncounted { Body::new(body) } else { counted(body) });
            let (answer, going) = (self.front.answer(request), going.clone());
            answer.map(move |answer| Ok::<_, Infallible>(untaken::bounded(answer, || going)))
        });
        let serving = self.http2.serve_connection(TokioIo::new(stream), service);
        let mut serving = std::pin::pin!(serving);
        told(tokio::select! {
            ended = serving.as_mut() => ended,
            () = self.ending.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        });
    }
}

/// A connection has ended.
pub(super) fn told(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection was cut");
    }
}

/// How HTTP/1 is spoken, with heads of at most so many bytes.
pub(super) fn http1(header_bytes: usize) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(header_bytes.max(BUFFER_BYTES_MIN));
    http
}

/// How HTTP/2 is spoken, with heads of at most so many bytes.
pub(super) fn http2(header_bytes: usize) -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_TIME_MAX)
        .max_concurrent_streams(STREAMS_COUNT_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    http
}
