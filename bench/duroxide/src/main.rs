//! The peer duroxide, on its `SQLite` and `PostgreSQL` providers, under the works of the benchmark.
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use bench_harness::{Api, Job, Place, Published, Result, Steps, System};
use duroxide::providers::Provider;
use duroxide::providers::sqlite::SqliteProvider;
use duroxide::runtime::Runtime;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::{
    ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus,
};
use duroxide_pg::PostgresProvider;

fn main() {
    let order = std::env::args().nth(1).expect("an order, as JSON");
    bench_harness::obey::<Duroxide>(&order);
}

struct Duroxide {
    client: Arc<Client>,
    _runtime: Arc<Runtime>,
}

impl System for Duroxide {
    async fn open(place: &Place, steps: Steps) -> Result<Duroxide> {
        let store: Arc<dyn Provider> = if place.database.is_empty() {
            let file = place.folder.join("duroxide.db");
            let url = format!("sqlite:{}?mode=rwc", file.display());
            Arc::new(SqliteProvider::new(&url, None).await?)
        } else {
            Arc::new(PostgresProvider::new(&place.database).await?)
        };
        let counter = steps.clone();
        let activities = ActivityRegistry::builder()
            .register("step", move |_: ActivityContext, input: String| {
                counter.mark();
                async move { Ok(input) }
            })
            .build();
        let orchestrations = OrchestrationRegistry::builder()
            .register("chain", chain)
            .register("fan_out", fan_out)
            .register("wait", move |ctx: OrchestrationContext, _: String| {
                steps.mark();
                wait(ctx)
            })
            .build();
        let runtime = Runtime::start_with_store(store.clone(), activities, orchestrations).await;
        Ok(Duroxide { client: Arc::new(Client::new(store)), _runtime: runtime })
    }

    fn weather(&self, published: Published) -> Api {
        Router::new()
            .route("/api/weather", get(weather))
            .route("/api/replies/{id}", post(reply))
            .with_state(Desk { client: self.client.clone(), published })
            .into()
    }

    async fn start(&self, id: &str, job: Job) -> Result<()> {
        let (name, input) = match job {
            Job::Chain(length) => ("chain", length.to_string()),
            Job::FanOut(width) => ("fan_out", width.to_string()),
            Job::Wait => ("wait", String::new()),
        };
        Ok(self.client.start_orchestration(id, name, input).await?)
    }

    async fn wait(&self, id: &str) -> Result<String> {
        wait_for(&self.client, id, Duration::from_hours(1)).await
    }

    async fn raise(&self, id: &str, text: &str) -> Result<()> {
        Ok(self.client.enqueue_event(id, REPLY, text).await?)
    }
}

/// A queue, not a positional event: those are dropped when they come before the wait.
const REPLY: &str = "weather_response";

async fn chain(ctx: OrchestrationContext, length: String) -> Result<String, String> {
    for step in 0..length.parse().map_err(|error| format!("{error}"))? {
        let _: u32 = step;
        ctx.schedule_activity("step", step.to_string()).await?;
    }
    Ok(length)
}

async fn fan_out(ctx: OrchestrationContext, width: String) -> Result<String, String> {
    let width: u32 = width.parse().map_err(|error| format!("{error}"))?;
    let steps = (0..width).map(|step| ctx.schedule_activity("step", step.to_string()));
    let results = ctx.join(steps.collect()).await;
    results.into_iter().collect::<Result<Vec<_>, _>>().map(|steps| steps.len().to_string())
}

async fn wait(ctx: OrchestrationContext) -> Result<String, String> {
    Ok(ctx.dequeue_event(REPLY).await)
}

#[derive(Clone)]
struct Desk {
    client: Arc<Client>,
    published: Published,
}

async fn weather(State(desk): State<Desk>) -> (StatusCode, String) {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let answer = async {
        desk.client.start_orchestration(&id, "wait", "Berlin").await?;
        desk.published.announce(id.clone());
        wait_for(&desk.client, &id, Duration::from_mins(1)).await
    };
    match answer.await {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn reply(
    State(desk): State<Desk>,
    UrlPath(id): UrlPath<String>,
    text: String,
) -> Result<StatusCode, StatusCode> {
    let raised = desk.client.enqueue_event(id, REPLY, text).await;
    raised.map(|()| StatusCode::NO_CONTENT).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn wait_for(client: &Client, id: &str, at_most: Duration) -> Result<String> {
    match client.wait_for_orchestration(id, at_most).await? {
        OrchestrationStatus::Completed { output, .. } => Ok(output),
        other => Err(format!("the instance ended as {other:?}").into()),
    }
}
