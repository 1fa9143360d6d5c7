//! The server as a whole: listens, takes connections, and ends gracefully.

mod coming;
mod connection;
mod first_bytes;
mod front;
mod http1;
mod kept;
mod room;
mod signal;
mod steady;
mod timely;
mod untaken;

pub(crate) use connection::Connection;
pub(crate) use kept::{Kept, STALL_TIME_MAX};
pub use signal::asked_to_end;
pub(crate) use timely::is_too_slow;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Config, ConfigError, HubError, Hubs, Keys, KeysError, LimitsConfig, Metrics, TlsConfig,
    TlsError, config::check_origins, retention, tls,
};
use connection::Connections;
use front::Front;
use room::Room;

/// How long open connections may take to end once the hubs have stopped.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long a process that was asked to end may take, beside the time that its activities have
/// ([`Limits::drain_time_max`](taskhub_core::Limits)): whatever does not end by then is cut off.
pub const END_TIME_MAX: Duration = Duration::from_secs(20);

/// How long to wait for open files to become free.
const PAUSE: Duration = Duration::from_millis(200);

/// A server that listens; [`run`](Self::run) it.
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    tls: Option<TlsAcceptor>,
    limits: LimitsConfig,
    front: Front,
    hubs: Option<Hubs>,
}

/// How an application that has hubs in its own process is served.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Around {
    /// The hubs for the Durable Task SDKs, over gRPC on the same port.
    pub grpc: Option<Hubs>,
    /// With which certificate to speak TLS; without it connections are plain.
    pub tls: Option<TlsConfig>,
    /// The origins whose web pages may call; none: browsers refuse them.
    pub origins: Vec<String>,
    /// How much is too much.
    pub limits: LimitsConfig,
    /// Where requests are counted.
    pub metrics: Option<Metrics>,
    /// The secret that other nodes of a cluster show; none: nobody is taken for one.
    pub secret: Option<String>,
    /// Whether gRPC is for other nodes alone.
    pub only_nodes: bool,
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The settings make no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no address to listen on.
    #[error("there is no address to listen on; name at least one with `--listen`")]
    Nowhere,
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}; {advice}", advice = advice(.1))]
    Listen(String, io::Error),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The hubs cannot be opened.
    #[error(transparent)]
    Hubs(#[from] HubError),
}

/// What to do when an address cannot be listened on.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::InvalidInput => "it must be a host and a port, such as 127.0.0.1:7071",
        io::ErrorKind::AddrInUse => "choose another address, or end the program that uses it",
        io::ErrorKind::PermissionDenied => "this user may not have that port; choose a higher one",
        _ => "choose an address that this machine has",
    }
}

impl Server {
    /// Listens, and opens the hubs. Nobody is served before [`run`](Self::run).
    pub async fn start(config: &Config) -> Result<Self, ServeError> {
        config.check()?;
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let listeners = listen(&config.listen).await?;
        let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok());
        let addresses: Vec<_> = addresses.collect();
        if config.tokens.is_empty()
            && let Some(address) = addresses.iter().find(|address| !address.ip().is_loopback())
        {
            tracing::warn!(%address, "everybody who reaches this address is let in: set `tokens`");
        }
        let keys = Keys::open(&config.data)?;
        let is_local = is_local(&addresses);
        if config.tokens.is_empty() {
            keys.warn(is_local);
        }
        let cluster = config.cluster.at(addresses.first(), config.tls.is_some());
        let hubs = Hubs::open(&Config { cluster, ..config.clone() }).await?;
        tokio::spawn(retention::keep(hubs.clone(), config.retention.clone()));
        let front = Front::new(&hubs, &keys, is_local, config);
        let (limits, hubs) = (config.limits.clone(), Some(hubs));
        Ok(Self { listeners, addresses, tls, limits, front, hubs })
    }

    /// The connections of an application: its routes, and perhaps its hubs over gRPC, on one port.
    pub fn around(listener: TcpListener, routes: Router, how: Around) -> Result<Self, ServeError> {
        check_origins(&how.origins)?;
        let addresses: Vec<_> = listener.local_addr().into_iter().collect();
        let tls = how.tls.as_ref().map(tls::acceptor).transpose()?;
        let front = Front::around(routes, is_local(&addresses), &how);
        let (limits, hubs) = (how.limits, how.grpc);
        Ok(Self { listeners: vec![listener], addresses, tls, limits, front, hubs })
    }

    /// Where it listens: the address asked for, with the port that was found for port 0.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The hubs that it serves to others, if it does.
    #[must_use]
    pub fn hubs(&self) -> Option<&Hubs> {
        self.hubs.as_ref()
    }

    /// Serves until `stop` completes. Then held calls are handed back, turns in hand are finished,
    /// the hubs are closed, and connections end.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (ending, cut) = (CancellationToken::new(), CancellationToken::new());
        let tracker = TaskTracker::new();
        let connections = Arc::new(Connections {
            front: self.front,
            tls: self.tls,
            permits: Arc::new(Semaphore::new(self.limits.connections.max(1))),
            http1: connection::http1(self.limits.header_bytes),
            http2: connection::http2(self.limits.header_bytes),
            coming: Room::new(self.limits.connection_bytes),
            going: Room::new(self.limits.connection_bytes),
            tracker: tracker.clone(),
            ending: ending.clone(),
            cut: cut.clone(),
        });
        for listener in self.listeners {
            let connections = connections.clone();
            tracker.spawn(async move { accept_all(&listener, &connections).await });
        }
        stop.await;
        tracing::info!("stopping: held calls are handed back");
        ending.cancel();
        if let Some(hubs) = &self.hubs {
            hubs.stop().await;
        }
        tracker.close();
        if tokio::time::timeout(GOODBYE, tracker.wait()).await.is_err() {
            tracing::warn!("connections that did not end are cut");
            cut.cancel();
            tracker.wait().await;
        }
        tracing::info!("stopped");
    }
}

/// Whether only this machine reaches all of these.
fn is_local(addresses: &[SocketAddr]) -> bool {
    addresses.iter().all(|address| address.ip().is_loopback())
}

/// The first address must be free; of the others a warning tells when they are taken.
async fn listen(addresses: &[String]) -> Result<Vec<TcpListener>, ServeError> {
    let mut listeners = Vec::new();
    for (place, address) in addresses.iter().enumerate() {
        match TcpListener::bind(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) if place == 0 => return Err(ServeError::Listen(address.clone(), error)),
            Err(error) => tracing::warn!(%address, %error, "not listened on as well"),
        }
    }
    if listeners.is_empty() { Err(ServeError::Nowhere) } else { Ok(listeners) }
}

async fn accept_all(listener: &TcpListener, connections: &Arc<Connections>) {
    loop {
        // As many as there may be: further ones wait in the queue of the operating system.
        let Ok(permit) = connections.permits.clone().acquire_owned().await else { return };
        let stream = tokio::select! {
            stream = accept(listener) => stream,
            () = connections.ending.cancelled() => return,
        };
        let connections = connections.clone();
        let tracker = connections.tracker.clone();
        tracker.spawn(async move {
            let _counted = permit;
            tokio::select! {
                () = connections.serve(stream) => {}
                () = connections.cut.cancelled() => {}
            }
        });
    }
}

/// The next connection, however long it takes.
async fn accept(listener: &TcpListener) -> TcpStream {
    let mut is_told = false;
    loop {
        match listener.accept().await {
            Ok((connection, _)) => {
                if let Err(error) = connection.set_nodelay(true) {
                    tracing::debug!(%error, "a connection may be slow");
                }
                return connection;
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                if !is_told {
                    tracing::warn!(%error, "no connection is accepted until this is over");
                }
                is_told = true;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether a connection failed before it was accepted; the next one may be well.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
