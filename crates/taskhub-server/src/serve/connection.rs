//! One connection: plain or TLS, HTTP/1 or HTTP/2, ended when it keeps silent.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::FutureExt as _;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{first_bytes::FirstBytes, front::Front, steady::Steady};
use crate::grpc::Hands;

/// How long a client may take for its first bytes, and over HTTP/1 from one request to the end of
/// the next one's head; a connection is an open file, and these are few.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a client may take nothing of what it is sent.
const STALL_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a client may take to agree on keys.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// How often an HTTP/2 client is asked whether it is still there, and how long it may take to say
/// so. SDKs give up after 120 s of silence.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_TIME_MAX: Duration = Duration::from_secs(20);

/// Calls on one HTTP/2 connection: SDKs use a single one for all that wait.
const STREAMS_COUNT_MAX: u32 = 20_000;

/// The smallest buffer of an HTTP/1 connection that hyper takes.
const BUFFER_BYTES_MIN: usize = 8 << 10;

/// What a client may send ahead: per call, and per connection.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// The connection that a request came by.
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
    pub http: Builder<TokioExecutor>,
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
        let Some(tls) = &self.tls else { return self.speak(stream).await };
        let agreed = tokio::time::timeout(HANDSHAKE_TIME_MAX, tls.accept(stream));
        match Box::pin(agreed).await {
            Ok(Ok(stream)) => Box::pin(self.speak(stream)).await,
            Ok(Err(error)) => tracing::debug!(%error, "a client and this server found no keys"),
            Err(_) => tracing::debug!("a client took too long to agree on keys"),
        }
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let stream = Steady::new(stream, STALL_TIME_MAX);
        let stream = TokioIo::new(FirstBytes::new(stream, HEAD_TIME_MAX));
        let connection = Connection::default();
        let _gone = connection.gone.clone().drop_guard();
        let service = service_fn(|mut request| {
            request.extensions_mut().insert(connection.clone());
            self.front.answer(request).map(Ok::<_, Infallible>)
        });
        let mut serving = Box::pin(self.http.serve_connection_with_upgrades(stream, service));
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = self.ending.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection was cut");
        }
    }
}

/// How HTTP is spoken, with heads of at most so many bytes.
pub(super) fn http(header_bytes: usize) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(header_bytes.max(BUFFER_BYTES_MIN));
    http.http2()
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_TIME_MAX)
        .max_concurrent_streams(STREAMS_COUNT_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    http
}
