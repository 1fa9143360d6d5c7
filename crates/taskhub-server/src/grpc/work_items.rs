//! The stream of work to one worker: items as it has room for them, and a sign of life between.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::Stream;
use prost::Message as _;
use taskhub_core::{
    Done, Failure, Job, Performed, Taken, Text,
    turn::{Progress, Step},
};
use taskhub_engine::{Delivery, Hub, Names, Serves, Worker, WorkerOptions};
use taskhub_wire::{
    Dialect,
    proto::{
        self, GetWorkItemsRequest, HealthPing, WorkItem, WorkItemFilters, WorkerCapability,
        work_item::Request,
    },
    work_item_out,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{
    agent::{Agent, ROOM},
    service::Call,
    spans::{self, Spans},
    workers::token_of,
};
use crate::{HubName, serve::Connection};

/// How often a worker hears something: SDKs connect anew after 120 s of silence.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long a worker whose stream has ended may finish what it has, on the same connection.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(30);

/// Items that are ready before the connection takes them: it sends all that are there at once.
const ITEMS_AHEAD: usize = 64;

/// The items of a worker, until one side ends the stream.
pub(super) fn stream(
    call: &Call<'_>,
    request: tonic::Request<GetWorkItemsRequest>,
) -> impl Stream<Item = Result<WorkItem, Status>> + Send + use<> {
    let agent = Agent::of(request.metadata());
    let request = request.into_inner();
    let bytes_max = match usize::try_from(request.message_bytes_max) {
        Ok(0) | Err(_) => agent.bytes_max(),
        Ok(told) => told,
    };
    let streams = request.capabilities().any(|it| it == WorkerCapability::HistoryStreaming);
    let history_bytes_max = if streams { Dialect::STREAMED_BYTES } else { usize::MAX };
    let options = options(request, agent, call.from_node);
    let worker = call.hub.connect_worker(options);
    tracing::info!(hub = %call.name, ?worker, "a worker connected");
    let (items, stream) = mpsc::channel(ITEMS_AHEAD);
    let dialect = Dialect { history_bytes_max, ..Dialect::default() };
    let stopping = call.hubs.stopping().clone();
    let (hub, name, spans) = (call.hub.clone(), call.name.clone(), call.spans.clone());
    let connection = call.connection.clone();
    let traced = call.hubs.traces().is_some();
    let feed =
        Feed { hub, name, spans, traced, worker, items, dialect, bytes_max, stopping, connection };
    tokio::spawn(feed.run());
    futures::stream::unfold(stream, |mut stream| async { Some((stream.recv().await?, stream)) })
}

/// One worker and the way to it.
struct Feed {
    hub: Hub,
    name: HubName,
    spans: Arc<Spans>,
    /// Whether this server sends traces.
    traced: bool,
    worker: Worker,
    items: mpsc::Sender<Result<WorkItem, Status>>,
    dialect: Dialect,
    /// How large an item may be that it can receive.
    bytes_max: usize,
    stopping: CancellationToken,
    connection: Option<Connection>,
}

impl Feed {
    async fn run(mut self) {
        let mut ping = tokio::time::interval(PING_EVERY);
        loop {
            let item = tokio::select! {
                delivery = self.worker.next() => match delivery {
                    Some(delivery) => match self.item(delivery) {
                        Some(item) => item,
                        None => continue,
                    },
                    None => break,
                },
                _ = ping.tick() => health_ping(),
                () = self.items.closed() => break,
                () = self.stopping.cancelled() => {
                    let end = Status::unavailable("this server is shutting down");
                    let _ = self.items.send(Err(end)).await;
                    break;
                }
            };
            ping.reset();
            if self.items.send(Ok(item)).await.is_err() {
                break;
            }
        }
        self.drain().await;
    }

    /// The item for a delivery. One that the worker cannot receive would end its stream, again and
    /// again: that is the result of it.
    fn item(&self, delivery: Delivery) -> Option<WorkItem> {
        let Delivery { id, task, is_kept } = delivery;
        let dialect = Dialect { keeps_code: is_kept, ..self.dialect };
        let mut item = work_item_out(&task, token_of(id), dialect);
        if let Some(Request::OrchestratorRequest(request)) = &mut item.request {
            let execution = task.ticket.execution;
            let own = match &task.job {
                Job::Turn(turn) if self.traced => spans::own(turn, execution),
                _ => None,
            };
            request.orchestration_trace_context = own.or_else(|| self.spans.of(execution));
        }
        let bytes = item.encoded_len();
        if bytes <= self.bytes_max {
            if let Some(connection) = &self.connection {
                connection.hands.give(&self.name, &task.ticket, id, Instant::now());
            }
            return Some(item);
        }
        let (hub, done) = (self.hub.clone(), too_large(&task.job, bytes, self.bytes_max));
        tokio::spawn(async move { hub.finish(id, done).await });
        None
    }

    /// SDKs end the stream first and then finish what they have, so that still counts, as long as
    /// their connection lasts. When it is gone, others get the work at once.
    async fn drain(mut self) {
        self.worker.leave();
        let Some(connection) = self.connection else { return };
        tokio::select! {
            () = connection.gone.cancelled() => {}
            () = self.stopping.cancelled() => {}
            () = tokio::time::sleep(DRAIN_TIME_MAX) => {}
            _ = self.worker.next() => {}
        }
        tracing::info!(worker = ?self.worker, "a worker left");
    }
}

fn health_ping() -> WorkItem {
    WorkItem { request: Some(Request::HealthPing(HealthPing {})), completion_token: String::new() }
}

/// Where a worker does not say how much it takes, it is left to us; a node means nothing by it.
fn options(request: GetWorkItemsRequest, agent: Agent, is_node: bool) -> WorkerOptions {
    let room_or = |asked: i32, unsaid: usize| match usize::try_from(asked).unwrap_or(0) {
        0 if !is_node => unsaid,
        room => room,
    };
    let room = |asked| room_or(asked, ROOM);
    WorkerOptions {
        activities: room(request.max_concurrent_activity_work_items),
        turns: room(request.max_concurrent_orchestration_work_items),
        entities: room_or(request.max_concurrent_entity_work_items, agent.unsaid_entities()),
        serves: request.work_item_filters.map(|it| serves(it, agent)).unwrap_or_default(),
        name: request.worker_instance_id,
        keeps_code: request.keeps_code,
        is_node,
    }
}

/// Filters that are there name all that a worker takes: an empty list is nothing, but for entities
/// where the SDK cannot name them.
fn serves(filters: WorkItemFilters, agent: Agent) -> Serves {
    let any_entity =
        filters.any_entity || (filters.entities.is_empty() && !agent.filters_entities());
    let texts = |texts: Vec<String>| texts.into_iter().map(Text::from).collect();
    let orchestrations = filters.orchestrations.into_iter();
    let activities = filters.activities.into_iter();
    let entities = filters.entities.into_iter();
    let named = |name: String| (Text::from(name), Vec::new());
    Serves {
        orchestrations: Names::Only(
            orchestrations
                .map(|proto::OrchestrationFilter { name, versions }| (name.into(), texts(versions)))
                .collect(),
        ),
        activities: Names::Only(
            activities
                .map(|proto::ActivityFilter { name, versions }| (name.into(), texts(versions)))
                .collect(),
        ),
        entities: if any_entity {
            Names::All
        } else {
            Names::Only(entities.map(|proto::EntityFilter { name }| named(name)).collect())
        },
    }
}

fn too_large(job: &Job, bytes: usize, bytes_max: usize) -> Done {
    let what = match job {
        Job::Activity(_) => "the input of the activity",
        Job::Turn(_) => "the history of the orchestration",
        Job::Operations(_) => "the state and the operations of the entity",
    };
    let message = format!(
        "{what} makes a message of {bytes} bytes, and the limit of this worker's gRPC library is \
         {bytes_max}; use smaller payloads, or continue-as-new"
    );
    let failure = Failure::new("WorkItemTooLarge", message).non_retriable();
    match job {
        Job::Activity(_) => Done::Activity(Err(failure)),
        Job::Turn(_) => {
            let progress = Progress::Finished(Err(failure));
            let step = Step { progress, actions: Vec::new(), custom_status: None };
            Done::Turn(Box::new(Taken { takes: None, step }))
        }
        Job::Operations(_) => {
            Done::Operations(Box::new(Performed { failed: Some(failure), ..Default::default() }))
        }
    }
}
