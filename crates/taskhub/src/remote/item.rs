//! One piece of work that a server handed out: done here, and its result brought back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use taskhub_core::{Done, Failure, Job, Performed, Task, Timestamp};
use taskhub_engine::{Admission, perform};
use taskhub_link::Brought;
use taskhub_wire::{
    Given, InvalidMessage,
    proto::{
        AbandonActivityTaskRequest, ActivityRequest, OrchestratorRequest, WorkItem,
        work_item::Request,
    },
    work_item_in,
};
use tonic::{Code, Status};

use super::{
    hand::Held,
    turns::{Came, Ended},
    worker::Worker,
};

/// The longest that an activity may take and its instance be run ahead with the result: the clocks
/// of both sides do not go alike, and of the time that it takes, messages are a small part.
const AHEAD_MAX: Duration = Duration::from_secs(1);

/// How long to keep work that nobody here can do, and a turn that was given back as parked before,
/// so that it does not go to and fro.
const ABSENT_PAUSE: Duration = Duration::from_secs(1);

impl Worker {
    /// Begins with an item. Limits of activities count in the order in which items come.
    pub(super) fn begin(self: &Arc<Self>, item: WorkItem) {
        for token in &item.withdrawn {
            self.withdraw(token);
        }
        let Some(undone) = Brought::undone(&item) else { return };
        let token = item.completion_token.clone();
        let given_at = match item.request {
            Some(Request::OrchestratorRequest(request)) => return self.begin_turn(request, token),
            Some(Request::ActivityRequest(ref request)) => GivenAt::of(request),
            _ => None,
        };
        match work_item_in(item) {
            Ok(given) => {
                let Some(task) = given.map(Given::task) else { return };
                let admission = self.code.activities.admit(&task);
                let worker = self.clone();
                self.hand.begin_held(&token.clone(), |held| {
                    worker.task(task, token, given_at, admission, held)
                });
            }
            Err(error) => self.hand.begin(&token, self.clone().give_back(undone, error)),
        }
    }

    /// Nobody waits for an activity any more: it is stopped, and given back.
    fn withdraw(self: &Arc<Self>, completion_token: &str) {
        if self.hand.stop(completion_token) {
            let completion_token = completion_token.to_owned();
            let undone = AbandonActivityTaskRequest { completion_token };
            self.link.post(Brought::ActivityUndone(undone), |status| {
                tracing::debug!(%status, "an activity that nobody waits for is not given back");
            });
        }
    }

    /// Begins with a turn. Where nothing is in the way its thread sends what it comes to.
    fn begin_turn(self: &Arc<Self>, request: OrchestratorRequest, token: String) {
        if request.requires_history_streaming && request.left_out.is_none() {
            return self.hand.begin(&token.clone(), self.clone().turn(request, token));
        }
        let (worker, held) = (self.clone(), self.hand.held());
        let (instance, sent) = (request.instance_id.clone(), token.clone());
        self.turns.ask(request, sent, move |came| match came {
            Came::To(response) => {
                let link = worker.link.clone();
                link.post(Brought::Turn(*response), move |status| {
                    let _held = held;
                    let ended = worker.clone().not_taken(instance, token.clone(), status);
                    worker.hand.begin(&token, ended);
                });
            }
            Came::Missed(request) => {
                worker.hand.begin(&token.clone(), worker.clone().turn(*request, token));
            }
            came => {
                let ended = worker.clone().turn_back(instance, token.clone(), came);
                worker.hand.begin(&token, ended);
            }
        });
    }

    /// Runs an activity, or operations of an entity. It is in hand until its result is taken.
    async fn task(
        self: Arc<Self>,
        task: Task,
        token: String,
        given_at: Option<GivenAt>,
        admission: Option<Admission>,
        held: Held,
    ) {
        let _admitted = match admission {
            Some(admission) => Some(admission.await),
            None => None,
        };
        let Ok(_slot) = self.slots.acquire().await else { return };
        let done = perform(&*self.code.activities, &task).await;
        let Some(brought) = Brought::of(&task, token.clone(), &done) else { return };
        let now = given_at.and_then(GivenAt::now);
        let ended = match &brought {
            Brought::Activity(result, _) => now.and_then(|at| Ended::of(&task.ticket, result, at)),
            _ => None,
        };
        let (worker, link) = (self.clone(), self.link.clone());
        let refused = move |status| worker.result_refused(&task, token, &status, held);
        match (brought, ended) {
            (Brought::Activity(result, _), Some(ended)) => self.turns.ahead(ended, move |ahead| {
                link.post(Brought::Activity(result, ahead), refused);
            }),
            (brought, _) => link.post(brought, refused),
        }
    }

    /// The server did not take a result. One that is too large to be sent is a failure.
    fn result_refused(&self, task: &Task, token: String, refused: &Status, held: Held) {
        let instance = &task.ticket.instance;
        tracing::warn!(%instance, %refused, "the server did not take a result");
        if !is_too_large(refused) {
            return;
        }
        let message = format!("its result cannot be sent: {}", refused.message());
        let failure = Failure::new("ResultTooLarge", message).non_retriable();
        let failed = match &task.job {
            Job::Activity(_) | Job::Turn(_) => Done::Activity(Err(failure)),
            Job::Operations(_) => Done::Operations(Box::new(Performed {
                failed: Some(failure),
                ..Performed::default()
            })),
        };
        if let Some(brought) = Brought::of(task, token, &failed) {
            self.link.post(brought, move |_| drop(held));
        }
    }

    /// Runs a turn whose history is to be fetched before.
    async fn turn(self: Arc<Self>, mut request: OrchestratorRequest, token: String) {
        let instance = request.instance_id.clone();
        let came = match self.link.fill(&mut request).await {
            Ok(()) => self.turns.run(request, token.clone()).await.unwrap_or(Came::Absent),
            Err(status) => {
                tracing::warn!(instance, %status, "the history of a turn could not be fetched");
                Came::Absent
            }
        };
        let Came::To(response) = came else {
            return self.turn_back(instance, token, came).await;
        };
        if let Err(status) = self.link.bring(Brought::Turn(*response)).await {
            self.not_taken(instance, token, status).await;
        }
    }

    /// The server did not take a turn.
    async fn not_taken(self: Arc<Self>, instance: String, token: String, status: Status) {
        tracing::error!(instance, %status, "the server did not take a turn");
        if is_too_large(&status) {
            let why = status.message();
            let why = format!("what one turn asks for is too much for one message: {why}");
            self.turn_back(instance, token, Came::Stuck(why.into())).await;
        }
    }

    /// Gives a turn back that came to nothing.
    async fn turn_back(self: Arc<Self>, instance: String, token: String, came: Came) {
        let stuck = if let Came::Stuck(why) = came {
            tracing::warn!(instance, %why, "an instance is parked, until it is mended");
            if self.park(&instance) {
                tokio::time::sleep(ABSENT_PAUSE).await;
            }
            Some(why.to_string())
        } else {
            tokio::time::sleep(ABSENT_PAUSE).await;
            None
        };
        if let Err(status) = self.link.bring(Brought::turn_undone(token, stuck)).await {
            tracing::warn!(instance, %status, "a turn could not be given back");
        }
    }

    /// Gives back what cannot be read: another worker may be newer.
    async fn give_back(self: Arc<Self>, undone: Brought, error: InvalidMessage) {
        tracing::error!(%error, "the server sent work that cannot be read");
        tokio::time::sleep(ABSENT_PAUSE).await;
        if let Err(status) = self.link.bring(undone).await {
            tracing::warn!(%status, "work could not be given back");
        }
    }
}

/// When an activity was given out by a server that takes turns ahead.
#[derive(Debug, Clone, Copy)]
pub(super) struct GivenAt {
    /// By its clock.
    at: Timestamp,
    /// By the clock here, a little later.
    came: Instant,
}

impl GivenAt {
    fn of(request: &ActivityRequest) -> Option<Self> {
        let given = Self { at: Timestamp(request.given_at), came: Instant::now() };
        (request.given_at > 0).then_some(given)
    }

    /// What time it is by the clock of the server, or a little earlier; none after a long time.
    fn now(self) -> Option<Timestamp> {
        let passed = self.came.elapsed();
        (passed <= AHEAD_MAX).then(|| self.at.plus(passed))
    }
}

/// Whether a message was larger than what the server takes.
fn is_too_large(status: &Status) -> bool {
    matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange)
}
