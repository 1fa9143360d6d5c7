//! One piece of work that a server handed out: done here, and its result brought back.

use std::time::Duration;

use taskhub_core::{
    Done, Epoch, ExecutionId, Failure, InstanceId, Job, PartitionId, Performed, Piece, Task, Ticket,
};
use taskhub_engine::{Admission, perform};
use taskhub_wire::{
    Given, InvalidMessage, outcome_out, performed_out,
    proto::{
        AbandonActivityTaskRequest, AbandonEntityTaskRequest, AbandonOrchestrationTaskRequest,
        OrchestratorRequest, WorkItem, work_item::Request,
    },
    work_item_in,
};
use tokio::{task::JoinSet, time::Instant};
use tonic::{Code, Status};

use super::{
    asking::soon,
    refusal::{is_absent, is_busy},
    turns::Came,
    worker::Worker,
};

/// How long to try to bring a result back. Then the server gives the work out again.
const BRING_TIME_MAX: Duration = Duration::from_secs(60);

/// How long to wait before a result is brought again: first, and at most.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long to keep a turn that nobody here can run, so that it does not go to and fro.
const ABSENT_PAUSE: Duration = Duration::from_secs(1);

impl Worker {
    /// Begins with an item. Limits of activities count in the order in which items come.
    pub(super) fn begin(&self, item: WorkItem, hand: &mut JoinSet<()>) {
        let token = item.completion_token.clone();
        match item.request {
            None | Some(Request::HealthPing(_)) => {}
            Some(Request::OrchestratorRequest(request)) => {
                hand.spawn(self.clone().turn(request, token));
            }
            Some(request) => {
                let is_activity = matches!(request, Request::ActivityRequest(_));
                let item = WorkItem { request: Some(request), completion_token: token.clone() };
                match work_item_in(item, Vec::new()) {
                    Ok(Some(given)) => {
                        let task = task(given);
                        let admission = self.code.activities.admit(&task);
                        hand.spawn(self.clone().task(task, token, admission));
                    }
                    Ok(None) => {}
                    Err(error) => {
                        hand.spawn(self.clone().give_back(is_activity, token, error));
                    }
                }
            }
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
        if matches!(refused.code(), Code::ResourceExhausted | Code::OutOfRange) {
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
        let Ticket { instance, piece, .. } = &task.ticket;
        insist(async || {
            let mut service = self.link.service.clone();
            match (done, piece, &task.job) {
                (Done::Activity(outcome), Piece::Activity(call), _) => {
                    let response = outcome_out(instance, *call, token.to_owned(), outcome);
                    service.complete_activity_task(soon(response)).await.map(drop)
                }
                (Done::Operations(performed), _, Job::Operations(operations)) => {
                    let result = performed_out(operations, token.to_owned(), performed);
                    service.complete_entity_task(soon(result)).await.map(drop)
                }
                _ => Err(Status::internal("the result does not belong to the work")),
            }
        })
        .await
    }

    /// Runs a turn of an orchestration.
    async fn turn(self, request: OrchestratorRequest, token: String) {
        let instance = request.instance_id.clone();
        let came = match self.whole(request).await {
            Ok(request) => self.turns.run(request, token.clone()).await.unwrap_or(Came::Absent),
            Err(status) => {
                tracing::warn!(instance, %status, "the history of a turn could not be fetched");
                Came::Absent
            }
        };
        let stuck = match came {
            Came::To(response) => {
                let mut service = self.link.service.clone();
                let brought = insist(async || {
                    let response = soon((*response).clone());
                    service.complete_orchestrator_task(response).await.map(drop)
                });
                if let Err(status) = brought.await {
                    tracing::error!(instance, %status, "the server did not take a turn");
                }
                return;
            }
            Came::Stuck(why) => {
                tracing::warn!(instance, %why, "an orchestration is stuck");
                Some(why.to_string())
            }
            Came::Absent => {
                tokio::time::sleep(ABSENT_PAUSE).await;
                None
            }
        };
        let mut service = self.link.service.clone();
        let given_back = insist(async || {
            let (completion_token, stuck) = (token.clone(), stuck.clone());
            let request = AbandonOrchestrationTaskRequest { completion_token, stuck };
            service.abandon_task_orchestrator_work_item(soon(request)).await.map(drop)
        });
        if let Err(status) = given_back.await {
            tracing::warn!(instance, %status, "a turn could not be given back");
        }
    }

    /// A turn with its history, fetched if the item left it out.
    async fn whole(&self, mut request: OrchestratorRequest) -> Result<OrchestratorRequest, Status> {
        if request.requires_history_streaming {
            let id = InstanceId::trusted(&*request.instance_id);
            let execution = request.execution_id.clone();
            request.past_events = self.link.events(&id, Some(execution)).await?;
            request.requires_history_streaming = false;
        }
        Ok(request)
    }

    /// Gives back what cannot be read: another worker may be newer.
    async fn give_back(self, is_activity: bool, token: String, error: InvalidMessage) {
        tracing::error!(%error, "the server sent work that cannot be read");
        tokio::time::sleep(ABSENT_PAUSE).await;
        let mut service = self.link.service.clone();
        let given_back = insist(async || {
            let completion_token = token.clone();
            if is_activity {
                let request = AbandonActivityTaskRequest { completion_token };
                service.abandon_task_activity_work_item(soon(request)).await.map(drop)
            } else {
                let request = AbandonEntityTaskRequest { completion_token };
                service.abandon_task_entity_work_item(soon(request)).await.map(drop)
            }
        });
        if let Err(status) = given_back.await {
            tracing::warn!(%status, "work could not be given back");
        }
    }
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

/// Tries until the server answers, though it may be away for a while.
async fn insist(mut attempt: impl AsyncFnMut() -> Result<(), Status>) -> Result<(), Status> {
    let (began, mut pause) = (Instant::now(), PAUSE);
    loop {
        match attempt().await {
            Err(status)
                if (is_absent(&status) || is_busy(&status)) && began.elapsed() < BRING_TIME_MAX =>
            {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            ended => return ended,
        }
    }
}
