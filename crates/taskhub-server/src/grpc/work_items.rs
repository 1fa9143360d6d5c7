//! The stream of work to one worker: items as it has room for them, and a sign of life between.

use std::{
    mem::take,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::Stream;
use prost::Message as _;
use taskhub_core::{
    Done, Failure, Job, Performed, Taken,
    turn::{Progress, Step},
};
use taskhub_engine::{Delivery, Hub, Told, Worker};
use taskhub_wire::{
    Dialect,
    proto::{GetWorkItemsRequest, HealthPing, WorkItem, WorkerCapability, work_item::Request},
    work_item_out,
};
use tokio::{runtime::Handle, time::Interval};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

use super::{
    agent::Agent,
    call::Call,
    offer,
    refusal::bad_message,
    spans::{self, Spans},
    tokens::{delivery_of, token_of},
};
use crate::{HubName, serve::Connection};

/// How often a worker hears something: SDKs connect anew after 120 s of silence.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long a worker whose stream has ended may finish what it has, on the same connection.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(30);

/// The items of a worker, until one side ends the stream.
pub(super) fn stream(
    call: &Call<'_>,
    request: tonic::Request<GetWorkItemsRequest>,
) -> Result<impl Stream<Item = Result<WorkItem, Status>> + Send + use<>, Status> {
    let library = request.metadata().get("user-agent").and_then(|library| library.to_str().ok());
    let library = library.unwrap_or_default().to_owned();
    let agent = Agent::of(request.metadata());
    let mut request = request.into_inner();
    offer::bounded(&request).map_err(bad_message)?;
    let (told, hears_withdrawn) = (take(&mut request.in_hand), request.hears_withdrawn);
    let bytes_max = match usize::try_from(request.message_bytes_max) {
        Ok(0) | Err(_) => agent.bytes_max(),
        Ok(told) => told,
    };
    let streams = request.capabilities().any(|it| it == WorkerCapability::HistoryStreaming);
    let history_bytes_max = if streams { Dialect::STREAMED_BYTES } else { usize::MAX };
    let options = offer::options(request, agent, call.from_node);
    let (mut in_hand, mut unwanted) = (Vec::new(), Vec::new());
    for token in told {
        match delivery_of(&token) {
            Some(delivery) => in_hand.push(delivery),
            None => unwanted.push(token),
        }
    }
    let mut called = options.name.clone();
    let (worker, not_wanted) = call.hub.reconnect_worker(options, in_hand);
    if called.is_empty() {
        called = worker.to_string();
    }
    tracing::info!(hub = %call.name, worker = called, library, "a worker connected");
    unwanted.extend(not_wanted.into_iter().map(token_of));
    let mut feed = Feed {
        hub: call.hub.clone(),
        name: call.name.clone(),
        called,
        spans: call.spans.clone(),
        traced: call.hubs.traces().is_some(),
        first: (!unwanted.is_empty()).then(|| withdrawn(unwanted)),
        worker: Some(worker),
        ping: tokio::time::interval(PING_EVERY),
        dialect: Dialect { history_bytes_max, ..Dialect::default() },
        hears_withdrawn,
        bytes_max,
        stopped: Box::pin(call.hubs.stopping().clone().cancelled_owned()),
        stopping: call.hubs.stopping().clone(),
        connection: call.connection.clone(),
        runtime: Handle::current(),
    };
    Ok(futures::stream::poll_fn(move |cx| feed.poll(cx)))
}

/// One worker, and what it is told. It has left when this is dropped.
struct Feed {
    hub: Hub,
    name: HubName,
    /// What the log calls the worker.
    called: String,
    spans: Arc<Spans>,
    /// Whether this server sends traces.
    traced: bool,
    /// What it is told before all else.
    first: Option<WorkItem>,
    /// None when the stream has ended.
    worker: Option<Worker>,
    ping: Interval,
    dialect: Dialect,
    /// Whether it wants to hear what nobody waits for any more.
    hears_withdrawn: bool,
    /// How large an item may be that it can receive.
    bytes_max: usize,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    stopping: CancellationToken,
    connection: Option<Connection>,
    runtime: Handle,
}

impl Feed {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<WorkItem, Status>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if self.worker.is_some() && self.stopped.as_mut().poll(cx).is_ready() {
            self.leave();
            let end = Status::unavailable("this server is shutting down");
            return Poll::Ready(Some(Err(end)));
        }
        while let Some(worker) = &mut self.worker
            && let Poll::Ready(told) = worker.poll_next(cx)
        {
            match told {
                None => {
                    self.leave();
                    let end = Status::unavailable("this hub was closed; connect again");
                    return Poll::Ready(Some(Err(end)));
                }
                Some(Told::Do(delivery)) => {
                    if let Some(item) = self.item(delivery) {
                        return Poll::Ready(Some(Ok(item)));
                    }
                }
                Some(Told::Withdrawn(delivery)) if self.hears_withdrawn => {
                    return Poll::Ready(Some(Ok(withdrawn(vec![token_of(delivery)]))));
                }
                // It cannot be told. What it says in the end changes nothing.
                Some(Told::Withdrawn(_)) => {}
            }
        }
        if self.worker.is_none() {
            return Poll::Ready(None);
        }
        self.ping.poll_tick(cx).map(|_| Some(Ok(health_ping())))
    }

    /// The item for a delivery. One that the worker cannot receive would end its stream, again and
    /// again: that is the result of it.
    fn item(&self, delivery: Delivery) -> Option<WorkItem> {
        let Delivery { id, task, is_kept, at } = delivery;
        let dialect = Dialect { keeps_code: is_kept, ..self.dialect };
        let mut item = work_item_out(&task, token_of(id), dialect);
        if let Some(Request::ActivityRequest(request)) = &mut item.request
            && is_kept
        {
            request.given_at = at.0;
        }
        if let Some(Request::OrchestratorRequest(request)) = &mut item.request {
            let execution = task.ticket.execution;
            let own = match &task.job {
                Job::Turn(turn) => spans::own(turn, execution),
                _ => None,
            };
            let told = self.spans.of(execution);
            request.orchestration_trace_context =
                if self.traced { own.or(told) } else { told.or(own) };
        }
        let bytes = item.encoded_len();
        if bytes <= self.bytes_max {
            if let Some(connection) = &self.connection
                && !self.hears_withdrawn
            {
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
    fn leave(&mut self) {
        let Some(mut worker) = self.worker.take() else { return };
        worker.leave();
        let Some(connection) = self.connection.take() else { return };
        let (hub, called) = (self.name.clone(), take(&mut self.called));
        let stopping = self.stopping.clone();
        self.runtime.spawn(async move {
            let through = async { while worker.next().await.is_some() {} };
            tokio::select! {
                () = connection.gone.cancelled() => {}
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(DRAIN_TIME_MAX) => {}
                () = through => {}
            }
            drop(worker);
            tracing::info!(%hub, worker = called, "a worker left");
        });
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Word that nobody waits for these any more.
fn withdrawn(tokens: Vec<String>) -> WorkItem {
    WorkItem { withdrawn: tokens, ..WorkItem::default() }
}

fn health_ping() -> WorkItem {
    WorkItem { request: Some(Request::HealthPing(HealthPing {})), ..WorkItem::default() }
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
            Done::Turn(Box::new(Taken { takes: None, step, mark: None }))
        }
        Job::Operations(_) => {
            Done::Operations(Box::new(Performed { failed: Some(failure), ..Default::default() }))
        }
    }
}
