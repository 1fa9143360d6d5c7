//! One piece of work that a server handed out: done here, and its result brought back.

use std::time::Duration;

use taskhub_core::{Done, Failure, Job, Performed, Task};
use taskhub_engine::{Admission, perform};
use taskhub_link::Brought;
use taskhub_wire::{
    Given, InvalidMessage,
    proto::{OrchestratorRequest, WorkItem, work_item::Request},
    work_item_in,
};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::{turns::Came, worker::Worker};

/// How long to keep work that nobody here can do, and a turn that was given back as parked before,
/// so that it does not go to and fro.
const ABSENT_PAUSE: Duration = Duration::from_secs(1);

impl Worker {
    /// Begins with an item. Limits of activities count in the order in which items come.
    pub(super) fn begin(&self, item: WorkItem, hand: &mut JoinSet<()>) {
        let Some(undone) = Brought::undone(&item) else { return };
        let token = item.completion_token.clone();
        if let Some(Request::OrchestratorRequest(request)) = item.request {
            hand.spawn(self.clone().turn(request, token));
            return;
        }
        match work_item_in(item) {
            Ok(given) => {
                let Some(task) = given.map(Given::task) else { return };
                let admission = self.code.activities.admit(&task);
                hand.spawn(self.clone().task(task, token, admission));
            }
            Err(error) => {
                hand.spawn(self.clone().give_back(undone, error));
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
        let brought = Brought::of(task, token.to_owned(), done)
            .ok_or_else(|| Status::internal("the result does not belong to the work"))?;
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
                tracing::warn!(instance, %why, "an orchestration is parked");
                if self.park(&instance) {
                    tokio::time::sleep(ABSENT_PAUSE).await;
                }
                Some(why.to_string())
            }
            Came::Absent | Came::Missed(_) => {
                tokio::time::sleep(ABSENT_PAUSE).await;
                None
            }
        };
        if let Err(status) = self.link.bring(Brought::turn_undone(token, stuck)).await {
            tracing::warn!(instance, %status, "a turn could not be given back");
        }
    }

    /// What a turn comes to, by code that was kept, or else with its whole history.
    async fn come_to(&self, mut request: OrchestratorRequest, token: &str) -> Result<Came, Status> {
        let run =
            async |request| self.turns.run(request, token.to_owned()).await.unwrap_or(Came::Absent);
        if request.left_out.is_some() {
            match run(request).await {
                Came::Missed(missed) => request = *missed,
                came => return Ok(came),
            }
        }
        self.link.fill(&mut request).await?;
        Ok(run(request).await)
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
