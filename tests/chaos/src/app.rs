//! The application that a node runs: requests held for a reply, chains, timers, entities.

use std::{
    collections::BTreeMap, error::Error, io, net::SocketAddr, path::PathBuf, time::Duration,
};

use axum::{
    extract::{Path, State as Shared},
    http::StatusCode,
};
use clap::Parser;
use serde::{Deserialize, Serialize};
use taskhub::{Cluster, RaiseError, prelude::*};
use taskhub_postgres::PostgresOptions;

use crate::journal::{Journal, Ran};

/// The reply to one request, raised by whoever received it.
const REPLY: Event<String> = Event::new("weather_response");

/// What all nodes know.
const SECRET: &str = "known to all nodes";

/// Longer than any run lasts: nothing here is to end by a deadline.
const WITHIN: Duration = Duration::from_hours(24);

/// How a node is started.
#[derive(Debug, Parser)]
pub struct NodeFlags {
    /// Address of the database
    #[arg(long)]
    store: String,
    /// Address to serve on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where the other nodes reach it
    #[arg(long)]
    address: String,
    /// How long its leases last, in milliseconds
    #[arg(long)]
    ttl: u64,
    /// How long the database may take to answer, in milliseconds
    #[arg(long)]
    patience: u64,
    /// Where its activities write down what they did
    #[arg(long)]
    folder: PathBuf,
}

/// Asks for the weather.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    pub city: String,
}

/// Asks for so many steps, one after another.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Steps {
    pub count: u32,
    pub pause: u64,
}

/// Asks to sleep, in milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Nap {
    pub millis: u64,
}

/// Asks two counters to count an operation.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Count {
    pub called: String,
    pub signalled: String,
    pub operation: String,
}

/// Counts how often it performed each operation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counter {
    pub performed: BTreeMap<String, u32>,
}

#[entity]
impl Counter {
    async fn add(&mut self, operation: String) -> Result<u32> {
        let count = self.performed.entry(operation).or_default();
        *count += 1;
        Ok(*count)
    }
}

#[orchestration]
async fn weather(ctx: Context, question: Question) -> Result<String> {
    ctx.call(publish, question.city).await?;
    ctx.event(REPLY).await
}

/// One step after another, a timer, a child elsewhere, and two steps at once.
#[orchestration]
async fn chain(ctx: Context, steps: Steps) -> Result<Vec<String>> {
    let mut marks = Vec::new();
    for step in 0..steps.count {
        marks.push(ctx.call(stamp, step.to_string()).await?);
    }
    ctx.sleep(Duration::from_millis(steps.pause)).await;
    ctx.call(nap, Nap { millis: steps.pause }).await?;
    let both = ["a", "b"].map(|step| ctx.call(stamp, step.to_owned()));
    marks.extend(try_join_all(both).await?);
    Ok(marks)
}

#[orchestration]
async fn nap(ctx: Context, nap: Nap) -> Result<u64> {
    ctx.sleep(Duration::from_millis(nap.millis)).await;
    Ok(nap.millis)
}

#[orchestration]
async fn count(ctx: Context, count: Count) -> Result<u32> {
    let signalled = ctx.entity::<Counter>(count.signalled);
    signalled.signal(Counter::add, format!("{}-signalled", count.operation))?;
    let called = ctx.entity::<Counter>(count.called);
    called.call(Counter::add, format!("{}-called", count.operation)).await
}

/// Asks the world for the weather: the clients read the journals and reply.
#[activity]
async fn publish(call: ActivityContext, journal: State<Journal>, city: String) -> Result<String> {
    note(&call, &journal, city)
}

#[activity]
async fn stamp(call: ActivityContext, journal: State<Journal>, step: String) -> Result<String> {
    note(&call, &journal, step)
}

fn note(call: &ActivityContext, journal: &Journal, step: String) -> Result<String> {
    let mark = uuid::Uuid::now_v7().simple().to_string();
    let (activity, instance) = (call.name().to_owned(), call.instance_id().to_string());
    journal.note(&Ran { activity, instance, step, mark: mark.clone() })?;
    Ok(mark)
}

async fn reply(
    Shared(hub): Shared<Client>,
    Path(instance): Path<String>,
    text: String,
) -> (StatusCode, String) {
    match hub.instance(&instance).raise(REPLY, text).await {
        Ok(()) => (StatusCode::OK, String::new()),
        Err(RaiseError::Ended(..)) => (StatusCode::CONFLICT, "it has ended".to_owned()),
        Err(RaiseError::NotFound(_)) => (StatusCode::NOT_FOUND, "there is none".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

async fn signal(
    Shared(hub): Shared<Client>,
    Path(counter): Path<String>,
    operation: String,
) -> (StatusCode, String) {
    match hub.entity::<Counter>(&counter).signal(Counter::add, operation).await {
        Ok(()) => (StatusCode::OK, String::new()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// Runs a node until it is told to stop.
pub fn serve(flags: &NodeFlags) -> Result<(), Box<dyn Error>> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    logs.with_writer(io::stderr).init();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    runtime?.block_on(host(flags))
}

async fn host(flags: &NodeFlags) -> Result<(), Box<dyn Error>> {
    let patience = Duration::from_millis(flags.patience);
    let store = PostgresOptions::new(&flags.store).patience(patience);
    let store = tokio::task::block_in_place(|| store.open("default"))?;
    let journal = Journal::open(&flags.folder)?;
    let cluster = Cluster::new(&flags.address, SECRET).ttl(Duration::from_millis(flags.ttl));
    Host::builder()
        .store(store)
        .cluster(cluster)
        .orchestration(weather)
        .orchestration(chain)
        .orchestration(nap)
        .orchestration(count)
        .activity(publish)
        .activity(stamp)
        .entity::<Counter>()
        .state(journal)
        .route("/weather", post(sync_over_async(weather).within(WITHIN)))
        .route("/chain", post(sync_over_async(chain).within(WITHIN)))
        .route("/nap", post(sync_over_async(nap).within(WITHIN)))
        .route("/count", post(sync_over_async(count).within(WITHIN)))
        .route("/reply/{instance}", post(reply))
        .route("/signal/{counter}", post(signal))
        .build()?
        .serve(flags.listen)
        .await?;
    Ok(())
}
