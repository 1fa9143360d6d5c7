//! The stream of work to one worker: items as it has room for them, and a sign of life between.

use std::time::Duration;

use futures::Stream;
use taskhub_core::Text;
use taskhub_engine::{Delivery, Names, Serves, Worker, WorkerOptions};
use taskhub_wire::{
    proto::{
        self, GetWorkItemsRequest, HealthPing, WorkItem, WorkItemFilters, WorkerCapability,
        work_item::Request,
    },
    work_item_out,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{service::Call, workers::token_of};
use crate::serve::Connection;

/// How much of each kind a worker gets at once that does not say.
const ROOM: usize = 100;

/// How often a worker hears something: SDKs connect anew after 120 s of silence.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long a worker whose stream has ended may finish what it has, on the same connection.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(30);

/// The items of a worker, until one side ends the stream.
pub(super) fn stream(
    call: &Call<'_>,
    request: GetWorkItemsRequest,
    connection: Option<Connection>,
) -> impl Stream<Item = Result<WorkItem, Status>> + Send + use<> {
    let streams = request.capabilities().any(|it| it == WorkerCapability::HistoryStreaming);
    let worker = call.hub.connect_worker(options(request));
    tracing::info!(hub = %call.name, ?worker, "a worker connected");
    let (items, stream) = mpsc::channel(1);
    let feed = Feed { worker, items, streams, stopping: call.hubs.stopping().clone(), connection };
    tokio::spawn(feed.run());
    futures::stream::unfold(stream, |mut stream| async { Some((stream.recv().await?, stream)) })
}

/// One worker and the way to it.
struct Feed {
    worker: Worker,
    items: mpsc::Sender<Result<WorkItem, Status>>,
    /// Whether it asks for long histories itself.
    streams: bool,
    stopping: CancellationToken,
    connection: Option<Connection>,
}

impl Feed {
    async fn run(mut self) {
        let mut ping = tokio::time::interval(PING_EVERY);
        loop {
            let item = tokio::select! {
                delivery = self.worker.next() => match delivery {
                    Some(delivery) => self.item(delivery),
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

    fn item(&self, delivery: Delivery) -> WorkItem {
        work_item_out(&delivery.task, token_of(delivery.id), self.streams)
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

fn options(request: GetWorkItemsRequest) -> WorkerOptions {
    let room = |asked: i32| match usize::try_from(asked) {
        Ok(0) | Err(_) => ROOM,
        Ok(room) => room,
    };
    WorkerOptions {
        activities: room(request.max_concurrent_activity_work_items),
        turns: room(request.max_concurrent_orchestration_work_items),
        entities: room(request.max_concurrent_entity_work_items),
        serves: request.work_item_filters.map(serves).unwrap_or_default(),
        name: request.worker_instance_id,
    }
}

/// Filters that are there name all that a worker takes: an empty list is nothing.
fn serves(filters: WorkItemFilters) -> Serves {
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
        entities: Names::Only(entities.map(|proto::EntityFilter { name }| named(name)).collect()),
    }
}
