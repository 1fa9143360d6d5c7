//! What a worker brings back: results, or the work itself.

use std::time::Duration;

use taskhub_wire::proto::{
    AbandonActivityTaskRequest, AbandonEntityTaskRequest, AbandonOrchestrationTaskRequest,
    ActivityResponse, EntityBatchResult, OrchestratorResponse,
};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::{
    Link,
    error::{is_absent, is_busy},
    link::soon,
};

/// How long to try to bring a result back. Then the server gives the work out again.
const TIME_MAX: Duration = Duration::from_mins(1);

/// How long to wait before a result is brought again: first, and at most.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What a worker hands back.
#[derive(Debug, Clone)]
pub enum Brought {
    /// How an activity ended.
    Activity(ActivityResponse),
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

impl Link {
    /// Brings a result to the server, and tries until it answers.
    pub async fn bring(&self, result: Brought) -> Result<(), Status> {
        let (began, mut pause) = (Instant::now(), PAUSE);
        loop {
            match self.bring_once(result.clone()).await {
                // What was taken already counts once.
                Err(status) if is_later(&status) && began.elapsed() < TIME_MAX => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                ended => return ended,
            }
        }
    }

    async fn bring_once(&self, result: Brought) -> Result<(), Status> {
        let mut service = self.service();
        match result {
            Brought::Activity(it) => service.complete_activity_task(soon(it)).await.map(drop),
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
}

/// Whether the same is to be tried again.
fn is_later(status: &Status) -> bool {
    is_absent(status) || is_busy(status) || status.code() == Code::DeadlineExceeded
}
