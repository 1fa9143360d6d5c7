//! A worker at another node that stands for one of this node.
//!
//! What it is given goes into the pool of this node, where any worker takes it, and what comes of
//! it goes back to where it came from. A node gives a stand-in only what its own workers have no
//! room for, and what was lent is never lent on.

use std::time::Duration;

use taskhub_core::{
    Done, Epoch, ExecutionId, Job, PartitionId, Piece, Task, Text, Ticket, turn::Progress,
};
use taskhub_engine::{Hub, Names, Serves, WorkerOptions};
use taskhub_link::{Brought, Link, MESSAGE_BYTES_MAX};
use taskhub_wire::{
    Given, outcome_out, performed_out,
    proto::{
        AbandonActivityTaskRequest, AbandonEntityTaskRequest, AbandonOrchestrationTaskRequest,
        ActivityFilter, EntityFilter, GetWorkItemsRequest, OrchestrationFilter,
        StreamInstanceHistoryRequest, WorkItem, WorkItemFilters, WorkerCapability,
        work_item::Request,
    },
    taken_out, work_item_in,
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How long to wait before a node is asked for work again: first, and at most.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long what it had in hand still counts after it has left.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(30);

/// A worker of this node, as another node sees it.
#[derive(Clone)]
pub(super) struct StandIn {
    link: Link,
    hub: Hub,
    offer: GetWorkItemsRequest,
}

impl StandIn {
    pub(super) fn new(link: Link, hub: Hub, options: &WorkerOptions) -> Self {
        Self { link, hub, offer: offer(options) }
    }

    /// Works until it is told to stop, and comes back when its node was away.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut hand = JoinSet::new();
        let mut pause = PAUSE;
        while !stop.is_cancelled() {
            let mut heard = false;
            let listens = self.listen(&mut hand, &mut heard);
            let Some(Err(why)) = stop.run_until_cancelled(listens).await else { break };
            tracing::debug!(node = ?self.link, %why, "a node gives no work just now");
            pause = if heard { PAUSE } else { (pause * 2).min(PAUSE_MAX) };
            let _ = stop.run_until_cancelled(sleep(pause)).await;
        }
        let finished = async { while hand.join_next().await.is_some() {} };
        let _ = timeout(DRAIN_TIME_MAX, finished).await;
    }

    async fn listen(&self, hand: &mut JoinSet<()>, heard: &mut bool) -> Result<(), Status> {
        let mut items = self.link.work(self.offer.clone()).await?;
        loop {
            tokio::select! {
                item = items.next() => {
                    *heard = true;
                    hand.spawn(self.clone().pass_on(item?));
                }
                Some(_) = hand.join_next() => {}
            }
        }
    }

    /// Has an item done here, and brings back what came of it.
    async fn pass_on(self, item: WorkItem) {
        let token = item.completion_token.clone();
        let Some(undone) = undone(&item, token.clone()) else { return };
        let brought = match self.read(item).await {
            Ok(Some(task)) => self.have_done(task, token).await,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(node = ?self.link, %error, "lent work cannot be read");
                None
            }
        };
        if let Err(status) = self.link.bring(brought.unwrap_or(undone)).await {
            // Its node gives it to somebody else.
            tracing::warn!(node = ?self.link, %status, "a result of lent work was not taken");
        }
    }

    /// The work of an item, with its history if that was left out; none of a ping.
    async fn read(&self, mut item: WorkItem) -> Result<Option<Task>, Status> {
        let mut past = Vec::new();
        if let Some(Request::OrchestratorRequest(turn)) = &mut item.request
            && turn.requires_history_streaming
        {
            turn.requires_history_streaming = false;
            let history = StreamInstanceHistoryRequest {
                instance_id: turn.instance_id.clone(),
                execution_id: turn.execution_id.clone(),
                for_work_item_processing: true,
            };
            past = self.link.events(history).await?;
        }
        let given = work_item_in(item, past);
        Ok(given.map_err(|error| Status::internal(error.to_string()))?.map(task))
    }

    async fn have_done(&self, task: Task, completion_token: String) -> Option<Brought> {
        let Task { ticket, job } = task.clone();
        match (self.hub.borrow(task).result().await?, ticket.piece, job) {
            (Done::Activity(outcome), Piece::Activity(call), _) => Some(Brought::Activity(
                outcome_out(&ticket.instance, call, completion_token, &outcome),
            )),
            (Done::Turn(taken), ..) => {
                if let Progress::Stuck(why) = &taken.step.progress {
                    let stuck = Some(why.to_string());
                    return Some(Brought::TurnUndone(AbandonOrchestrationTaskRequest {
                        completion_token,
                        stuck,
                    }));
                }
                let turn = taken_out(&ticket.instance, ticket.execution, completion_token, &taken);
                turn.map(Brought::Turn)
            }
            (Done::Operations(performed), _, Job::Operations(operations)) => {
                Some(Brought::Operations(performed_out(&operations, completion_token, &performed)))
            }
            _ => None,
        }
    }
}

/// Work as the pool of this node takes it. Its partition is that of the node it comes from.
fn task(given: Given) -> Task {
    let ticket = Ticket {
        partition: PartitionId(0),
        epoch: Epoch(0),
        instance: given.instance,
        execution: given.execution.unwrap_or(ExecutionId(0)),
        piece: given.piece,
    };
    Task { ticket, job: given.job }
}

/// How an item is given back undone; none for a ping.
fn undone(item: &WorkItem, completion_token: String) -> Option<Brought> {
    Some(match item.request.as_ref()? {
        Request::HealthPing(_) => return None,
        Request::ActivityRequest(_) => {
            Brought::ActivityUndone(AbandonActivityTaskRequest { completion_token })
        }
        Request::OrchestratorRequest(_) => {
            let stuck = None;
            Brought::TurnUndone(AbandonOrchestrationTaskRequest { completion_token, stuck })
        }
        Request::EntityRequest(_) | Request::EntityRequestV2(_) => {
            Brought::OperationsUndone(AbandonEntityTaskRequest { completion_token })
        }
    })
}

fn offer(options: &WorkerOptions) -> GetWorkItemsRequest {
    let room = |count| i32::try_from(count).unwrap_or(i32::MAX);
    let Serves { orchestrations, activities, entities } = &options.serves;
    let is_all = [orchestrations, activities, entities].iter().all(|it| **it == Names::All);
    let filters = WorkItemFilters {
        orchestrations: named(orchestrations, |name, versions| OrchestrationFilter {
            name,
            versions,
        }),
        activities: named(activities, |name, versions| ActivityFilter { name, versions }),
        entities: named(entities, |name, _| EntityFilter { name }),
        any_entity: *entities == Names::All,
    };
    GetWorkItemsRequest {
        max_concurrent_orchestration_work_items: room(options.turns),
        max_concurrent_activity_work_items: room(options.activities),
        max_concurrent_entity_work_items: room(options.entities),
        capabilities: vec![WorkerCapability::HistoryStreaming.into()],
        work_item_filters: (!is_all).then_some(filters),
        worker_instance_id: options.name.clone(),
        keeps_code: false,
        message_bytes_max: i64::try_from(MESSAGE_BYTES_MAX).unwrap_or(i64::MAX),
    }
}

fn named<F>(names: &Names, filter: impl Fn(String, Vec<String>) -> F) -> Vec<F> {
    let Names::Only(names) = names else { return Vec::new() };
    let texts = |texts: &[Text]| texts.iter().map(ToString::to_string).collect();
    names.iter().map(|(name, versions)| filter(name.to_string(), texts(versions))).collect()
}
