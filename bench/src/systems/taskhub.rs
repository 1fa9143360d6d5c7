//! This hub on its embedded store: every acknowledgement is synced to the disk.
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as UrlPath, State as Extracted};
use axum::http::StatusCode;
use axum::routing::{get, post};
use bench_harness::{Job, Published, Result as Measured, Steps, System};
use taskhub::prelude::{
    Client, Context, Embedded, Event, Host, HostBuilder, Result, activity, orchestration,
    try_join_all,
};

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
async fn weather(ctx: Context) -> Result<String> {
    ctx.event(REPLY).await
}

#[derive(Debug)]
pub(crate) struct Taskhub {
    host: Host,
}

impl Taskhub {
    /// The functions on a hub that is in the process, or not.
    pub(super) fn on(
        hub: impl FnOnce(HostBuilder) -> HostBuilder,
        steps: Steps,
    ) -> Measured<Taskhub> {
        let _ = STEPS.set(steps);
        let host = Host::builder()
            .orchestration(chain)
            .orchestration(fan_out)
            .orchestration(parked)
            .orchestration(weather)
            .activity(step);
        Ok(Taskhub { host: hub(host).build()? })
    }

    /// The routes that its host was given.
    pub(super) fn routes(&self) -> Router {
        self.host.router()
    }
}

impl System for Taskhub {
    async fn open(folder: &Path, steps: Steps) -> Measured<Taskhub> {
        let store = Embedded::open(folder)?;
        Taskhub::on(|host| host.store(store), steps)
    }

    fn weather(&self, published: Published) -> Router {
        Router::new()
            .route("/api/weather", get(hold))
            .route("/api/replies/{id}", post(reply))
            .with_state((self.host.client().clone(), published))
    }

    async fn start(&self, id: &str, job: Job) -> Measured<()> {
        let client = self.host.client();
        match job {
            Job::Chain(steps) => drop(client.start(chain, steps).id(id).await?),
            Job::FanOut(steps) => drop(client.start(fan_out, steps).id(id).await?),
            Job::Wait => drop(client.start(parked, ()).id(id).await?),
        }
        Ok(())
    }

    async fn wait(&self, id: &str) -> Measured<String> {
        let output = self.host.client().instance(id).of(chain).wait(LONG).await?;
        Ok(output)
    }

    async fn raise(&self, id: &str, text: &str) -> Measured<()> {
        Ok(self.host.client().instance(id).raise(REPLY, text.to_owned()).await?)
    }
}

/// What the gateway does, and one thing more: it tells the benchmark that the start is durable.
async fn hold(
    Extracted((client, published)): Extracted<(Client, Published)>,
) -> std::result::Result<String, (StatusCode, String)> {
    let failed = |error: String| (StatusCode::INTERNAL_SERVER_ERROR, error);
    let deadline = std::time::SystemTime::now() + Duration::from_mins(1);
    let started = client.start(weather, ()).deadline(deadline).await;
    let instance = started.map_err(|error| failed(error.to_string()))?;
    published.announce(instance.id().map_err(|error| failed(error.to_string()))?.to_string());
    instance.wait(LONG).await.map_err(|error| failed(error.to_string()))
}

async fn reply(
    Extracted((client, _)): Extracted<(Client, Published)>,
    UrlPath(id): UrlPath<String>,
    text: String,
) -> StatusCode {
    match client.instance(id).raise(REPLY, text).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::NOT_FOUND,
    }
}
