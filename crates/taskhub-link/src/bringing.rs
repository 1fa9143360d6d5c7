//! What a worker brings back: results, or the work itself.

use std::time::Duration;

use taskhub_core::{CallId, Done, Job, Outcome, Piece, Task, Ticket, turn::Progress};
use taskhub_wire::{
    outcome_out, performed_out,
    proto::{
        AbandonActivityTaskRequest, AbandonEntityTaskRequest, AbandonOrchestrationTaskRequest,
        ActivityResponse, EntityBatchResult, OrchestratorResponse, WorkItem, work_item::Request,
    },
    results::Ahead,
    taken_out,
};
use tokio::{sync::oneshot, time::Instant};
use tonic::{Code, Status};

use crate::{
    Link,
    error::{is_absent, is_busy},
    link::{Service, soon},
};

/// How long to try to bring a result back. Then the server gives the work out again.
const TIME_MAX: Duration = Duration::from_mins(1);

/// How long to wait before a result is brought again: first, and at most.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What a worker hands back.
#[derive(Debug, Clone)]
pub enum Brought {
    /// How an activity ended, and a turn that took that ahead. The turn is dropped where only
    /// results are taken.
    Activity(ActivityResponse, Option<Box<Ahead>>),
    /// What a turn came to.
    Turn(OrchestratorResponse),
    /// What operations of an entity came to.
    Operations(EntityBatchResult),
    /// An activity, undone.
    ActivityUndone(AbandonActivityTaskRequest),
    /// A turn, undone; or parked, for the reason it names.
    TurnUndone(AbandonOrchestrationTaskRequest),
    /// Operations, undone.
    OperationsUndone(AbandonEntityTaskRequest),
}

impl Brought {
    /// An item, given back undone; none for a ping, or for what cannot be read.
    #[must_use]
    pub fn undone(item: &WorkItem) -> Option<Self> {
        let completion_token = item.completion_token.clone();
        Some(match item.request.as_ref()? {
            Request::HealthPing(_) => return None,
            Request::ActivityRequest(_) => {
                Self::ActivityUndone(AbandonActivityTaskRequest { completion_token })
            }
            Request::OrchestratorRequest(_) => Self::turn_undone(completion_token, None),
            Request::EntityRequest(_) | Request::EntityRequestV2(_) => {
                Self::OperationsUndone(AbandonEntityTaskRequest { completion_token })
            }
        })
    }

    /// A turn, given back undone; with a reason it is parked instead of given to another.
    #[must_use]
    pub fn turn_undone(completion_token: String, stuck: Option<String>) -> Self {
        Self::TurnUndone(AbandonOrchestrationTaskRequest { completion_token, stuck })
    }

    fn activity(ticket: &Ticket, call: CallId, token: String, outcome: &Outcome) -> Self {
        Self::Activity(outcome_out(&ticket.instance, call, token, outcome), None)
    }

    /// What came of a task; none if it does not belong to it.
    #[must_use]
    pub fn of(task: &Task, completion_token: String, done: &Done) -> Option<Self> {
        let ticket = &task.ticket;
        Some(match (done, ticket.piece, &task.job) {
            (Done::Activity(outcome), Piece::Activity(call), _) => {
                Self::activity(ticket, call, completion_token, outcome)
            }
            // The turn is one of a worker here, whose code the node that gave this out cannot know.
            (Done::Ahead(ahead), Piece::Activity(call), _) => {
                Self::activity(ticket, call, completion_token, &ahead.outcome)
            }
            (Done::Turn(taken), ..) => match &taken.step.progress {
                Progress::Stuck(why) => Self::turn_undone(completion_token, Some(why.to_string())),
                _ => Self::Turn(taken_out(
                    &ticket.instance,
                    ticket.execution,
                    completion_token,
                    taken,
                )?),
            },
            (Done::Operations(performed), _, Job::Operations(operations)) => {
                Self::Operations(performed_out(operations, completion_token, performed))
            }
            _ => return None,
        })
    }
}

impl Link {
    /// Brings a result to the server, and tries until it answers.
    pub async fn bring(&self, result: Brought) -> Result<(), Status> {
        let (tell, told) = oneshot::channel();
        self.post(result, move |status| drop(tell.send(status)));
        // Who says nothing took it.
        told.await.map_or(Ok(()), Err)
    }

    /// The same without waiting: `refused` is told if it was not taken, and dropped if it was.
    /// Results that are under way are lost with the last clone of this link. May be called from
    /// any thread.
    pub fn post(&self, result: Brought, refused: impl FnOnce(Status) + Send + 'static) {
        self.results.post(result, Box::new(refused));
    }
}

/// Brings a result by a call of its own, and tries until it is answered.
pub(crate) async fn by_call(service: &Service, result: Brought) -> Result<(), Status> {
    let (began, mut pause) = (Instant::now(), PAUSE);
    loop {
        match call(service.clone(), result.clone()).await {
            // What was taken already counts once.
            Err(status) if is_later(&status) && began.elapsed() < TIME_MAX => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            ended => return ended,
        }
    }
}

async fn call(mut service: Service, result: Brought) -> Result<(), Status> {
    match result {
        Brought::Activity(it, _) => service.complete_activity_task(soon(it)).await.map(drop),
        Brought::Turn(it) => service.complete_orchestrator_task(soon(it)).await.map(drop),
        Brought::Operations(it) => service.complete_entity_task(soon(it)).await.map(drop),
        Brought::ActivityUndone(it) => {
            service.abandon_task_activity_work_item(soon(it)).await.map(drop)
        }
        Brought::TurnUndone(it) => {
            service.abandon_task_orchestrator_work_item(soon(it)).await.map(drop)
        }
        Brought::OperationsUndone(it) => {
            service.abandon_task_entity_work_item(soon(it)).await.map(drop)
        }
    }
}

/// Whether the same is to be tried again.
pub(crate) fn is_later(status: &Status) -> bool {
    is_absent(status) || is_busy(status) || status.code() == Code::DeadlineExceeded
}
