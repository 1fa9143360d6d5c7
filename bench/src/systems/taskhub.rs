//! This hub on its embedded store: every acknowledgement is synced to the disk.
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as UrlPath, State as Extracted};
use axum::http::StatusCode;
use axum::routing::{get, post};
use bench_harness::{Api, Door, Holding, Job, Place, Published, Result as Measured, Steps, System};
use taskhub::prelude::{
    Client, Context, Embedded, Event, Host, HostBuilder, Result, activity, orchestration,
    try_join_all,
};

use super::held;

const REPLY: Event<String> = Event::new("reply");
const LONG: Duration = Duration::from_mins(10);

/// The counter of this process; there is one system in each.
static STEPS: OnceLock<Steps> = OnceLock::new();

fn mark() {
    if let Some(steps) = STEPS.get() {
        steps.mark();
    }
}

#[activity]
async fn step() -> Result<()> {
    mark();
    Ok(())
}

#[orchestration]
async fn chain(ctx: Context, steps: usize) -> Result<String> {
    for _ in 0..steps {
        ctx.call(step, ()).await?;
    }
    Ok("done".to_owned())
}

#[orchestration]
async fn fan_out(ctx: Context, steps: usize) -> Result<String> {
    try_join_all((0..steps).map(|_| ctx.call(step, ()))).await?;
    Ok("done".to_owned())
}

#[orchestration]
async fn parked(ctx: Context) -> Result<String> {
    mark();
    ctx.event(REPLY).await
}

#[orchestration]
pub(super) async fn weather(ctx: Context) -> Result<String> {
    ctx.event(REPLY).await
}

/// Clients of a hub; each is asked for its share.
#[derive(Debug)]
pub(super) struct Hub {
    clients: Arc<Clients>,
    /// Kept where it serves nobody else.
    host: Option<Host>,
}

/// The functions, on a hub that is yet to be named.
pub(super) fn functions(steps: Steps) -> HostBuilder {
    let _ = STEPS.set(steps);
    Host::builder()
        .orchestration(chain)
        .orchestration(fan_out)
        .orchestration(parked)
        .orchestration(weather)
        .activity(step)
}

impl Hub {
    /// A hub that only this process asks.
    pub(super) fn on(host: Host) -> Hub {
        let clients = Arc::new(Clients::of(vec![host.client().clone()]));
        Hub { clients, host: Some(host) }
    }

    /// A hub that has several doors.
    pub(super) fn at(clients: Vec<Client>) -> Hub {
        Hub { clients: Arc::new(Clients::of(clients)), host: None }
    }

    /// Starts an instance.
    pub(super) async fn start(&self, id: &str, job: Job) -> Measured<()> {
        let client = self.clients.of_instance(id);
        match job {
            Job::Chain(steps) => drop(client.start(chain, steps).id(id).await?),
            Job::FanOut(steps) => drop(client.start(fan_out, steps).id(id).await?),
            Job::Wait => drop(client.start(parked, ()).id(id).await?),
        }
        Ok(())
    }

    /// The routes that its host was given, if it has one of its own.
    pub(super) fn routes(&self) -> Router {
        self.host.as_ref().map(Host::router).unwrap_or_default()
    }
}

#[derive(Debug)]
struct Clients {
    all: Vec<Client>,
    next: AtomicUsize,
}

impl Clients {
    fn of(all: Vec<Client>) -> Clients {
        Clients { all, next: AtomicUsize::new(0) }
    }

    /// One after the other, as a load balancer has it.
    fn next(&self) -> &Client {
        &self.all[self.next.fetch_add(1, Ordering::Relaxed) % self.all.len()]
    }

    /// Always the same for an instance, as for who keeps a connection.
    fn of_instance(&self, id: &str) -> &Client {
        &self.all[id.bytes().map(usize::from).sum::<usize>() % self.all.len()]
    }
}

/// Where the hub is, and who else is there.
pub(crate) trait Setting: Send + Sync + 'static {
    /// Opens the hub.
    fn open(place: &Place, steps: Steps) -> impl Future<Output = Measured<Hub>> + Send;

    /// Serves it with a way to have requests held.
    fn hold(place: &Place, door: Door) -> impl Future<Output = Measured<Holding>> + Send {
        let _ = (place, door);
        async { Err("only the hub in a folder is measured so".into()) }
    }
}

/// In a folder, with its functions in the same process.
#[derive(Debug)]
pub(crate) struct Folder;

impl Setting for Folder {
    async fn open(place: &Place, steps: Steps) -> Measured<Hub> {
        let store = Embedded::open(&place.folder)?;
        Ok(Hub::on(functions(steps).store(store).build()?))
    }

    async fn hold(place: &Place, door: Door) -> Measured<Holding> {
        held::serve(place, door).await
    }
}

/// This hub, in some setting.
#[derive(Debug)]
pub(crate) struct Taskhub<S> {
    hub: Hub,
    setting: PhantomData<S>,
}

impl<S: Setting> System for Taskhub<S> {
    async fn open(place: &Place, steps: Steps) -> Measured<Self> {
        Ok(Taskhub { hub: S::open(place, steps).await?, setting: PhantomData })
    }

    fn weather(&self, published: Published) -> Api {
        Router::new()
            .route("/api/weather", get(hold))
            .route("/api/replies/{id}", post(reply))
            .with_state((self.hub.clients.clone(), published))
            .into()
    }

    async fn start(&self, id: &str, job: Job) -> Measured<()> {
        self.hub.start(id, job).await
    }

    async fn hold(place: &Place, door: Door) -> Measured<Holding> {
        S::hold(place, door).await
    }

    async fn wait(&self, id: &str) -> Measured<String> {
        let output = self.hub.clients.of_instance(id).instance(id).of(chain).wait(LONG).await?;
        Ok(output)
    }

    async fn raise(&self, id: &str, text: &str) -> Measured<()> {
        Ok(self.hub.clients.of_instance(id).instance(id).raise(REPLY, text.to_owned()).await?)
    }
}

/// What the gateway does, and one thing more: it tells the benchmark that the start is durable.
async fn hold(
    Extracted((clients, published)): Extracted<(Arc<Clients>, Published)>,
) -> std::result::Result<String, (StatusCode, String)> {
    let failed = |error: String| (StatusCode::INTERNAL_SERVER_ERROR, error);
    let deadline = std::time::SystemTime::now() + Duration::from_mins(1);
    let started = clients.next().start(weather, ()).here().deadline(deadline).await;
    let instance = started.map_err(|error| failed(error.to_string()))?;
    published.announce(instance.id().map_err(|error| failed(error.to_string()))?.to_string());
    instance.wait(LONG).await.map_err(|error| failed(error.to_string()))
}

async fn reply(
    Extracted((clients, _)): Extracted<(Arc<Clients>, Published)>,
    UrlPath(id): UrlPath<String>,
    text: String,
) -> StatusCode {
    match clients.next().instance(id).raise(REPLY, text).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::NOT_FOUND,
    }
}
