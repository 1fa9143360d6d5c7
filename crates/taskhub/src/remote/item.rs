//! One piece of work that a server handed out: done here, and its result brought back.

use std::time::Duration;

use taskhub_core::{
    Done, Epoch, ExecutionId, Failure, Job, PartitionId, Performed, Piece, Task, Ticket,
};
use taskhub_engine::{Admission, perform};
use taskhub_link::Brought;
use taskhub_wire::{
    Given, InvalidMessage, outcome_out, performed_out,
    proto::{
        AbandonActivityTaskRequest, AbandonEntityTaskRequest, AbandonOrchestrationTaskRequest,
        OrchestratorRequest, StreamInstanceHistoryRequest, WorkItem, work_item::Request,
    },
    work_item_in,
};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::{turns::Came, worker::Worker};

/// How long to keep work that nobody here can do, so that it does not go to and fro.
const ABSENT_PAUSE: Duration = Duration::from_secs(1);

impl Worker {
    /// Begins with an item. Limits of activities count in the order in which items come.
    pub(super) fn begin(&self, item: WorkItem, hand: &mut JoinSet<()>) {
        let WorkItem { request, completion_token: token } = item;
        let undone = match &request {
            None | Some(Request::HealthPing(_)) => return,
            Some(Request::OrchestratorRequest(_)) => None,
            Some(Request::ActivityRequest(_)) => {
                let completion_token = token.clone();
                Some(Brought::ActivityUndone(AbandonActivityTaskRequest { completion_token }))
            }
            Some(Request::EntityRequest(_) | Request::EntityRequestV2(_)) => {
                let completion_token = token.clone();
                Some(Brought::OperationsUndone(AbandonEntityTaskRequest { completion_token }))
            }
        };
        match (request, undone) {
            (Some(Request::OrchestratorRequest(request)), _) => {
                hand.spawn(self.clone().turn(request, token));
            }
            (request, Some(undone)) => {
                let item = WorkItem { request, completion_token: token.clone() };
                match work_item_in(item, Vec::new()) {
                    Ok(Some(given)) => {
                        let task = task(given);
                        let admission = self.code.activities.admit(&task);
                        hand.spawn(self.clone().task(task, token, admission));
                    }
                    Ok(None) => {}
                    Err(error) => {
                        hand.spawn(self.clone().give_back(undone, error));
                    }
                }
            }
            (_, None) => {}
        }
    }

    /// Runs an activity, or operations of an entity.
    async fn task(self, task: Task, token: String, admission: Option<Admission>) {
        let _admitted = match admission {
            Some(admission) => Some(admission.await),
            None => None,
        };
        let Ok(_slot) = self.slots.acquire().await else { return };
        let done = perform(&*self.code.activities, &task).await;
        let Err(refused) = self.bring(&task, &token, &done).await else { return };
        let instance = &task.ticket.instance;
        tracing::warn!(%instance, %refused, "the server did not take a result");
        if is_too_large(&refused) {
            let message = format!("its result cannot be sent: {}", refused.message());
            let failure = Failure::new("ResultTooLarge", message).non_retriable();
            let failed = match &task.job {
                Job::Activity(_) | Job::Turn(_) => Done::Activity(Err(failure)),
                Job::Operations(_) => Done::Operations(Box::new(Performed {
                    failed: Some(failure),
                    ..Performed::default()
                })),
            };
            let _ = self.bring(&task, &token, &failed).await;
        }
    }

    async fn bring(&self, task: &Task, token: &str, done: &Done) -> Result<(), Status> {
        let (Ticket { instance, piece, .. }, token) = (&task.ticket, token.to_owned());
        let brought = match (done, piece, &task.job) {
            (Done::Activity(outcome), Piece::Activity(call), _) => {
                Brought::Activity(outcome_out(instance, *call, token, outcome))
            }
            (Done::Operations(performed), _, Job::Operations(operations)) => {
                Brought::Operations(performed_out(operations, token, performed))
            }
            _ => return Err(Status::internal("the result does not belong to the work")),
        };
        self.link.bring(brought).await
    }

    /// Runs a turn of an orchestration.
    async fn turn(self, request: OrchestratorRequest, token: String) {
        let instance = request.instance_id.clone();
        let came = self.come_to(request, &token).await.unwrap_or_else(|status| {
            tracing::warn!(instance, %status, "the history of a turn could not be fetched");
            Came::Absent
        });
        let stuck = match came {
            Came::To(response) => {
                let Err(status) = self.link.bring(Brought::Turn(*response)).await else { return };
                tracing::error!(instance, %status, "the server did not take a turn");
                if !is_too_large(&status) {
                    return;
                }
                let why = status.message();
                Some(format!("what one turn asks for is too much for one message: {why}"))
            }
            Came::Stuck(why) => {
                tracing::warn!(instance, %why, "an orchestration is stuck");
                Some(why.to_string())
            }
            Came::Absent | Came::Missed(_) => {
                tokio::time::sleep(ABSENT_PAUSE).await;
                None
            }
        };
        let undone = AbandonOrchestrationTaskRequest { completion_token: token, stuck };
        if let Err(status) = self.link.bring(Brought::TurnUndone(undone)).await {
            tracing::warn!(instance, %status, "a turn could not be given back");
        }
    }

    /// What a turn comes to, by code that was kept, or else with its whole history.
    async fn come_to(&self, request: OrchestratorRequest, token: &str) -> Result<Came, Status> {
        let run = async |request| {
            self.turns.run(request, token.to_owned()).await.unwrap_or(Came::Absent)
        };
        if request.requires_history_streaming && request.left_out.is_none() {
            return Ok(run(self.whole(request).await?).await);
        }
        match run(request).await {
            Came::Missed(request) => Ok(run(self.whole(request).await?).await),
            came => Ok(came),
        }
    }

    /// A turn with its history, which the item left out.
    async fn whole(&self, request: OrchestratorRequest) -> Result<OrchestratorRequest, Status> {
        let history = StreamInstanceHistoryRequest {
            instance_id: request.instance_id.clone(),
            execution_id: request.execution_id.clone(),
            for_work_item_processing: true,
        };
        let past_events = self.link.events(history).await?;
        let (requires_history_streaming, left_out) = (false, None);
        Ok(OrchestratorRequest { past_events, requires_history_streaming, left_out, ..request })
    }

    /// Gives back what cannot be read: another worker may be newer.
    async fn give_back(self, undone: Brought, error: InvalidMessage) {
        tracing::error!(%error, "the server sent work that cannot be read");
        tokio::time::sleep(ABSENT_PAUSE).await;
        if let Err(status) = self.link.bring(undone).await {
            tracing::warn!(%status, "work could not be given back");
        }
    }
}

/// Whether a message was larger than what the server takes.
fn is_too_large(status: &Status) -> bool {
    matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange)
}

/// Work as the activities and entities of a process take it. Partitions are those of the server.
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
