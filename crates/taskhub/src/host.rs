//! A process that serves: functions, routes and a hub, from start to graceful stop.

mod cluster;
mod engine;
mod error;
mod log;
mod web;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::MethodRouter};
use taskhub_core::{Limits, store::Store};
use taskhub_engine::{Code, Hub, NodeOptions, store::Embedded};
use taskhub_server::{
    Around, HubName, Hubs, Keys, Lending, RetentionConfig, ServeError, Server, Traces, keep,
};
use tokio::{
    net::{TcpListener, ToSocketAddrs},
    runtime::Handle,
};

use engine::Engine;
use web::{Served, Web};

pub use cluster::Cluster;
pub use error::HostError;

use crate::{
    Client, Entity, Registered, Registry, Remote, Versions,
    handle::{ActivityCode, Function, OrchestrationCode},
    trigger::{Blob, BlobStore, Blobs, Handler, Occurrence, Schedule, Triggering, Triggers},
};

/// Where the hub is kept when nobody says otherwise, below the working directory.
const FOLDER: &str = "taskhub.hub";

/// Collects what a [`Host`] runs and serves.
#[derive(Default)]
#[must_use = "nothing runs until it is built and served"]
pub struct HostBuilder {
    registry: Registry,
    place: Place,
    limits: Limits,
    routes: Router<Client>,
    triggers: Triggers,
    web: Web,
    workers: bool,
    cluster: Option<Cluster>,
}

/// Where the hub is.
#[derive(Default)]
enum Place {
    /// In the folder where it is when nobody says otherwise.
    #[default]
    Folder,
    Store(Arc<dyn Store>),
    Server(Remote),
}

/// A running hub with its routes; [`serve`](Host::serve) it, or use its [`client`](Host::client).
#[derive(Debug)]
pub struct Host {
    client: Client,
    routes: Router,
    triggering: Triggering,
    /// Those that are asked for, if any are.
    keys: Option<Keys>,
    /// Whether only clients on this machine reach the routes.
    is_local: Arc<AtomicBool>,
    /// The hub, for those who serve it to others.
    hubs: Hubs,
    around: Around,
    retention: RetentionConfig,
    engine: Engine,
    drain_time_max: Duration,
    _lends: Option<Lending>,
}

impl Host {
    /// A host with nothing in it yet.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// The hub's client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The routes with the hub behind them, to mount in an application of one's own.
    pub fn router(&self) -> Router {
        self.routes.clone()
    }

    /// Serves the routes over HTTP until SIGTERM or Ctrl-C, then stops gracefully: held requests
    /// are handed back with 503 and `Retry-After`, turns in hand are finished.
    ///
    /// A program that has no subscriber of `tracing` by now gets one, which writes to stderr what
    /// the variable `RUST_LOG` asks for, or else all from `info` on.
    ///
    /// A second signal ends the process at once, with the exit code 130. So does it end when it is
    /// still there 20 seconds and [`Limits::drain_time_max`] after the first one, since code of a
    /// turn or of an activity keeps a thread.
    pub async fn serve(self, address: impl ToSocketAddrs + fmt::Debug) -> Result<(), HostError> {
        log::begin();
        let shown = format!("{address:?}");
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| ServeError::Listen(shown, error))?;
        let within = self.drain_time_max + taskhub_server::END_TIME_MAX;
        self.serve_on(listener, taskhub_server::asked_to_end(within)).await
    }

    /// Serves the routes on a listener until `stop` completes, then stops gracefully.
    pub async fn serve_on(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), HostError> {
        // Each held request is an open connection.
        let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_default();
        let address = listener.local_addr().map_err(HostError::Serve)?;
        tracing::info!(%address, open_files_max = files, "serving");
        self.is_local.store(address.ip().is_loopback(), Ordering::Relaxed);
        if let Some(keys) = &self.keys {
            keys.warn(address.ip().is_loopback());
        }
        let (engine, hubs, triggering) = (self.engine, &self.hubs, self.triggering);
        tokio::spawn(keep(hubs.clone(), self.retention));
        let server = Server::around(listener, self.routes, self.around)?;
        let stopping = async {
            stop.await;
            hubs.stopping().cancel();
            triggering.end().await;
            engine.stop().await;
            hubs.stop().await;
        };
        server.run(stopping).await;
        Ok(())
    }

    /// Stops a host that serves no HTTP.
    pub async fn stop(self) {
        drop(self.triggering);
        self.engine.stop().await;
        self.hubs.stop().await;
    }
}

impl HostBuilder {
    /// Where the hub is kept. When neither this nor [`connect`](Self::connect) is called, it is the
    /// folder `taskhub.hub` below the working directory, and the log says so.
    pub fn store(mut self, store: impl Store) -> Self {
        self.place = Place::Store(Arc::new(store));
        self
    }

    /// Has a server keep the hub, such as `http://127.0.0.1:7071`, instead of this process: a
    /// `taskhub serve`, or any other that speaks the Durable Task protocol; see [`Remote`]. The
    /// functions still run here, whenever the server has something for them to do; other programs
    /// that are connected to the same hub call them by name, as an [`External`](crate::External).
    ///
    /// The server may be away, now or later: what is under way goes on when it is back.
    pub fn connect(mut self, remote: impl Into<Remote>) -> Self {
        self.place = Place::Server(remote.into());
        self
    }

    /// Adds an orchestration.
    pub fn orchestration<M, F>(mut self, function: F) -> Self
    where
        F: Function<M>,
        F::Signature: OrchestrationCode,
    {
        self.registry = self.registry.orchestration(function);
        self
    }

    /// Adds an activity.
    pub fn activity<M, F>(mut self, function: F) -> Self
    where
        F: Function<M>,
        F::Signature: ActivityCode,
    {
        self.registry = self.registry.activity(function);
        self
    }

    /// Adds an entity: `.entity::<Counter>()`.
    pub fn entity<E: Entity>(mut self) -> Self {
        self.registry = self.registry.entity::<E>();
        self
    }

    /// Adds a state for the activities that take a [`State<T>`](crate::State).
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, state: T) -> Self {
        self.registry = self.registry.state(state);
        self
    }

    /// Which functions run what asks for another version of them.
    pub fn versions(mut self, versions: Versions) -> Self {
        self.registry = self.registry.versions(versions);
        self
    }

    /// Serves `path` with axum handlers, among them a [`Gateway`](crate::Gateway). They may take
    /// `axum::extract::State<Client>`.
    pub fn route(mut self, path: &str, methods: MethodRouter<Client>) -> Self {
        self.routes = self.routes.route(path, methods);
        self
    }

    /// Serves all routes of an axum router, which may bring layers of its own.
    pub fn routes(mut self, routes: Router<Client>) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Calls `handler` for each version of each blob that matches, such as
    /// `weather-results/{name}`; see [`trigger`](crate::trigger).
    pub fn blobs<M, H>(mut self, blobs: impl Into<Blobs>, handler: H) -> Self
    where
        H: Handler<Blob, M>,
    {
        self.triggers = self.triggers.blobs(blobs, handler);
        self
    }

    /// Where blobs are; the working directory when this is not called.
    pub fn blob_store(mut self, store: BlobStore) -> Self {
        self.triggers = self.triggers.blob_store(store);
        self
    }

    /// Calls `handler` whenever a schedule is due, such as `0 0 0 * * *`; see
    /// [`trigger`](crate::trigger).
    pub fn schedule<M, H>(mut self, schedule: impl Into<Schedule>, handler: H) -> Self
    where
        H: Handler<Occurrence, M>,
    {
        self.triggers = self.triggers.schedule(schedule, handler);
        self
    }

    /// Lets clients and workers of the Durable Task SDKs (Python, JavaScript, Java, Go, .NET) take
    /// part, over gRPC, on the port that this host listens on; they find it as the hub `default`.
    /// Functions here and there call each other by name, as an [`External`](crate::External); a
    /// function that is nowhere waits for a worker that has it, instead of failing.
    pub fn workers(mut self) -> Self {
        self.workers = true;
        self.registry = self.registry.with_workers();
        self
    }

    /// Other limits than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Opens the hub and begins to work: whatever was under way goes on. Call it within tokio.
    pub fn build(mut self) -> Result<Host, HostError> {
        let node = self.cluster.as_ref().map_or_else(NodeOptions::default, Cluster::node);
        match std::mem::take(&mut self.place) {
            Place::Folder => self.build_on(|code, limits| {
                let folder = std::path::absolute(FOLDER).unwrap_or_else(|_| FOLDER.into());
                let folder = folder.display();
                tracing::info!(%folder, "no store was named: the hub is kept in this folder");
                let store = Arc::new(Embedded::open(FOLDER)?);
                Ok(Hub::open(store, code, limits)?)
            }),
            Place::Store(store) => {
                self.build_on(|code, limits| Ok(Hub::open_as(store, code, limits, node)?))
            }
            Place::Server(remote) => self.build_there(&remote),
        }
    }

    /// The same, on a hub that is opened in another way.
    pub(crate) fn build_on(
        self,
        open: impl FnOnce(&Code, Limits) -> Result<Hub, HostError>,
    ) -> Result<Host, HostError> {
        self.build_with(|registered, limits| {
            let hub = open(registered.code(), limits)?;
            let client = registered.told(Client::new(hub.clone()));
            registered.attach(&client);
            Ok((client, Engine::Here(hub)))
        })
    }

    fn build_there(self, remote: &Remote) -> Result<Host, HostError> {
        let only_here = [(self.workers, "workers"), (self.web.manages(), "management_api")];
        if let Some((_, what)) = only_here.into_iter().find(|(is_asked, _)| *is_asked) {
            return Err(HostError::Elsewhere(what));
        }
        self.build_with(|registered, limits| Engine::there(remote, &registered, limits))
    }

    fn build_with(
        self,
        open: impl FnOnce(Registered, Limits) -> Result<(Client, Engine), HostError>,
    ) -> Result<Host, HostError> {
        Handle::try_current().map_err(|_| HostError::NoRuntime)?;
        let (registry, armed) = self.triggers.build(self.registry)?;
        let traces = Traces::open(&self.web.traces)?;
        let drain_time_max = self.limits.drain_time_max;
        let limits = Limits { spans: traces.is_some(), ..self.limits };
        let (client, engine) = open(registry.build()?.traced(traces.clone()), limits)?;
        let client = client.traced(traces.clone());
        if let (Some(traces), Some(hub)) = (&traces, client.hub()) {
            traces.watch(hub);
        }
        let hubs = match client.hub() {
            Some(hub) => Hubs::traced(HubName::default(), hub.clone(), traces),
            None => Hubs::nowhere(traces),
        };
        let retention = self.web.retention.clone();
        let Served { routes, keys, is_local, mut around } = self.web.serve(self.routes, &hubs);
        around.grpc = (self.workers || self.cluster.is_some()).then(|| hubs.clone());
        around.only_nodes = !self.workers;
        around.secret = self.cluster.as_ref().map(|cluster| cluster.secret().to_owned());
        let cluster = self.cluster.filter(|_| self.workers);
        let lends = client.hub().and_then(|hub| Some(cluster?.lend(hub)));
        let routes = routes.with_state(client.clone());
        let triggering = armed.start(&client);
        Ok(Host {
            client,
            routes,
            triggering,
            keys,
            is_local,
            hubs,
            around,
            retention,
            engine,
            drain_time_max,
            _lends: lends,
        })
    }
}

impl fmt::Debug for HostBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostBuilder").field("registry", &self.registry).finish_non_exhaustive()
    }
}
