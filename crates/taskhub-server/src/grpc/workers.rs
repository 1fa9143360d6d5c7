//! What workers give back: results, or the work itself.
//!
//! A completion token names one delivery of one hub. One that counts no longer is answered like any
//! other: nothing happens, and there is nothing that the worker could do about it. One of work of
//! another kind is refused, and its work stays where it is. Some SDKs send none; `hands.rs` finds
//! the delivery for them.

use std::time::Instant;

use taskhub_core::{
    self as core, Answer, Done, Job, Mark, Performed, Piece, Refusal, Taken, Ticket, Timestamp,
    turn::{Progress, Step},
};
use taskhub_engine::DeliveryId;
use taskhub_wire::{
    InvalidMessage, outcome_in, performed_in,
    proto::{
        AbandonActivityTaskRequest, AbandonActivityTaskResponse, AbandonEntityTaskRequest,
        AbandonEntityTaskResponse, AbandonOrchestrationTaskRequest,
        AbandonOrchestrationTaskResponse, ActivityResponse, CompleteTaskResponse,
        EntityBatchResult, OrchestrationTraceContext, OrchestratorResponse,
    },
    results::Ahead,
    taken_in,
};
use tonic::Status;

use super::{
    call::Call,
    hands::{Whose, Work},
    partial::NotTaken,
    refusal::{bad_message, busy, refused, unexpected},
    tokens::delivery_of,
};

/// What a worker says that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Activity,
    Turn,
    Operations,
}

impl Given {
    fn of(ticket: &Ticket) -> Self {
        match ticket.piece {
            Piece::Activity(_) => Self::Activity,
            Piece::Turn(_) => Self::Turn,
            Piece::Operations(_) => Self::Operations,
        }
    }

    /// The same for people.
    fn what(self) -> &'static str {
        match self {
            Self::Activity => "an activity",
            Self::Turn => "a turn of an orchestration",
            Self::Operations => "operations of an entity",
        }
    }

    /// A delivery of this, if it counts still. If not, at least its worker has room again.
    fn delivered(
        self,
        call: &Call<'_>,
        delivery: DeliveryId,
    ) -> Result<Option<(DeliveryId, Ticket)>, Status> {
        let Some(ticket) = call.hub.delivered(delivery) else {
            call.hub.give_back(delivery);
            return Ok(None);
        };
        let is = Self::of(&ticket);
        if is != self {
            return Err(Status::invalid_argument(format!(
                "completionToken: this is the token of {}, and was sent as that of {}",
                is.what(),
                self.what(),
            )));
        }
        Ok(Some((delivery, ticket)))
    }

    /// The same by its token.
    fn named(self, call: &Call<'_>, token: &str) -> Result<Option<(DeliveryId, Ticket)>, Status> {
        delivery_of(token).map_or(Ok(None), |delivery| self.delivered(call, delivery))
    }

    /// The delivery that a result is of, if it counts still.
    fn ended(
        self,
        call: &Call<'_>,
        token: &str,
        work: impl Fn() -> Option<Work>,
    ) -> Result<Option<(DeliveryId, Ticket)>, Status> {
        let hands = call.connection.as_ref().map(|connection| &connection.hands);
        if !token.is_empty() {
            let delivered = self.named(call, token)?;
            if let Some(hands) = hands
                && !hands.is_empty()
                && let (Some(delivery), Some(work)) = (delivery_of(token), work())
            {
                hands.end(&work, delivery);
            }
            return Ok(delivered);
        }
        let (Some(hands), Some(work)) = (hands, work()) else { return Ok(None) };
        match hands.end_one(&work, Instant::now()) {
            Whose::Any(all) => {
                let mut latest_first = all.into_iter().rev();
                let counts = |delivery| self.delivered(call, delivery).transpose();
                latest_first.find_map(counts).transpose()
            }
            Whose::Unclear(all) => {
                for delivery in all {
                    call.hub.give_back(delivery);
                }
                Ok(None)
            }
        }
    }

    /// Lets others have it.
    fn abandon(self, call: &Call<'_>, token: &str) -> Result<(), Status> {
        if let Some((delivery, ticket)) = self.named(call, token)? {
            if let (Some(by), Some(work)) = (&call.connection, Work::of(&call.name, &ticket)) {
                by.hands.end(&work, delivery);
            }
            call.hub.give_back(delivery);
        }
        Ok(())
    }
}

/// What a worker handed back, as the hub takes it.
pub(super) struct Ended {
    /// The delivery, which still counts.
    pub delivery: DeliveryId,
    /// What it came to.
    pub done: Done,
    /// What to tell the worker, if that is not what it meant.
    pub refused: Option<Status>,
}

impl Ended {
    fn well(delivery: DeliveryId, done: Done) -> Self {
        Self { delivery, done, refused: None }
    }

    /// The worker would only note the refusal, and be given the same again: so it has failed.
    fn senseless(delivery: DeliveryId, done: Done, error: InvalidMessage) -> Self {
        Self { delivery, done, refused: Some(bad_message(error)) }
    }
}

/// An activity ended.
pub(super) async fn activity(
    call: &Call<'_>,
    response: ActivityResponse,
) -> Result<CompleteTaskResponse, Status> {
    finish(call, of_activity(call, response, None)?).await
}

/// A turn of an orchestration ended.
pub(super) async fn turn(
    call: &Call<'_>,
    response: OrchestratorResponse,
) -> Result<CompleteTaskResponse, Status> {
    finish(call, of_turn(call, response)?).await
}

/// Operations of an entity ended.
pub(super) async fn operations(
    call: &Call<'_>,
    result: EntityBatchResult,
) -> Result<CompleteTaskResponse, Status> {
    finish(call, of_operations(call, result)?).await
}

/// What an activity came to, if anybody waits for it, and the turn that took that ahead. One that
/// cannot be read is dropped.
pub(super) fn of_activity(
    call: &Call<'_>,
    response: ActivityResponse,
    ahead: Option<Ahead>,
) -> Result<Option<Ended>, Status> {
    let work = || Work::told(&call.name, &response.instance_id, Some(response.task_id));
    let ended = Given::Activity.ended(call, &response.completion_token, work)?;
    Ok(ended.map(|(delivery, ticket)| {
        let outcome = outcome_in(response);
        let taken = ahead.and_then(|it| Some((taken_in(&ticket, it.turn?).ok()?, it.after, it.at)));
        let done = match taken {
            Some((taken, after, at)) => {
                let (at, after) = (Timestamp(at), Mark(after));
                Done::Ahead(Box::new(core::Ahead { outcome, at, after, taken }))
            }
            None => Done::Activity(outcome),
        };
        Ended::well(delivery, done)
    }))
}

/// What a turn came to, if anybody waits for it, and once it is whole.
pub(super) fn of_turn(
    call: &Call<'_>,
    response: OrchestratorResponse,
) -> Result<Option<Ended>, Status> {
    let work = || Work::told(&call.name, &response.instance_id, None);
    let ended = Given::Turn.ended(call, &response.completion_token, work)?;
    let Some((delivery, ticket)) = ended else { return Ok(None) };
    let failed = |error: InvalidMessage| {
        let done = came_to(Progress::Finished(Err(error.failure())));
        Ok(Some(Ended::senseless(delivery, done, error)))
    };
    if response.requires_history {
        // It always had the whole history; so it is to be tried again, perhaps elsewhere.
        call.hub.give_back(delivery);
        return Ok(None);
    }
    let counts = |delivery| call.hub.delivered(delivery).is_some();
    let response = match call.chunks.add(&call.name, delivery, response, counts) {
        Ok(Some(response)) => response,
        Ok(None) => return Ok(None),
        Err(NotTaken::Invalid(error @ InvalidMessage::TooLarge { .. })) => return failed(error),
        Err(error) => {
            // The next time it is given out, its chunks may come in order, and have room.
            call.hub.give_back(delivery);
            return Err(match error {
                NotTaken::Invalid(error) => bad_message(error),
                full @ NotTaken::Full => busy(&full.to_string()),
            });
        }
    };
    let span = response.orchestration_trace_context.clone();
    match taken_in(&ticket, response) {
        // Taken as a turn it would be written, and the same would be given out again, for ever.
        Ok(taken) if is_nothing(&taken) && had_news(call, &ticket) => {
            call.hub.give_back(delivery);
            Ok(None)
        }
        Ok(taken) => {
            if let Some(span) = span {
                told(call, &ticket, span);
            }
            Ok(Some(Ended::well(delivery, Done::Turn(Box::new(taken)))))
        }
        Err(error) => failed(error),
    }
}

/// Whether a worker says that it took nothing, and did nothing.
fn is_nothing(taken: &Taken) -> bool {
    let Step { progress, actions, custom_status } = &taken.step;
    let waits = matches!(progress, Progress::Waiting);
    taken.takes == Some(0) && waits && actions.is_empty() && custom_status.is_none()
}

/// Whether there was something for a turn to take.
fn had_news(call: &Call<'_>, ticket: &Ticket) -> bool {
    let task = call.hub.delivered_turn(&ticket.instance);
    task.is_some_and(|task| matches!(task.job, Job::Turn(turn) if turn.takes > 0))
}

/// What operations came to, if anybody waits for that.
pub(super) fn of_operations(
    call: &Call<'_>,
    result: EntityBatchResult,
) -> Result<Option<Ended>, Status> {
    let ended = Given::Operations.named(call, &result.completion_token)?;
    let Some((delivery, ticket)) = ended else { return Ok(None) };
    if result.requires_state {
        // It always had the state; so it is to be tried again, perhaps elsewhere.
        call.hub.give_back(delivery);
        return Ok(None);
    }
    let done = |performed| Done::Operations(Box::new(performed));
    Ok(Some(match performed_in(&ticket, result) {
        Ok(performed) => Ended::well(delivery, done(performed)),
        Err(error) => {
            let failed = Performed { failed: Some(error.failure()), ..Performed::default() };
            Ended::senseless(delivery, done(failed), error)
        }
    }))
}

/// Tells the hub, and answers when it is durable.
async fn finish(call: &Call<'_>, ended: Option<Ended>) -> Result<CompleteTaskResponse, Status> {
    let Some(Ended { delivery, done, refused: meant }) = ended else {
        return Ok(CompleteTaskResponse {});
    };
    match call.hub.finish(delivery, done).await {
        Answer::Done | Answer::Refused(Refusal::NotFound(_)) => {
            meant.map_or(Ok(CompleteTaskResponse {}), Err)
        }
        Answer::Refused(refusal) => Err(refused(refusal)),
        other => Err(unexpected(other)),
    }
}

/// A worker named a span for an execution.
fn told(call: &Call<'_>, ticket: &Ticket, span: OrchestrationTraceContext) {
    // Whoever names a span sends it, too; it is given the one that was named to it.
    if let Some(traces) = call.hubs.traces()
        && span.span_id.is_some()
    {
        traces.leave(ticket.execution);
    }
    call.spans.note(ticket.execution, span);
}

/// Lets others have an activity.
#[expect(clippy::unused_async, reason = "the service awaits every answer")]
pub(super) async fn abandon_activity(
    call: &Call<'_>,
    request: AbandonActivityTaskRequest,
) -> Result<AbandonActivityTaskResponse, Status> {
    Given::Activity.abandon(call, &request.completion_token)?;
    Ok(AbandonActivityTaskResponse {})
}

/// Lets others have a turn; or nobody, if the worker says that the code is wrong.
pub(super) async fn abandon_turn(
    call: &Call<'_>,
    request: AbandonOrchestrationTaskRequest,
) -> Result<AbandonOrchestrationTaskResponse, Status> {
    let Some(why) = request.stuck else {
        Given::Turn.abandon(call, &request.completion_token)?;
        return Ok(AbandonOrchestrationTaskResponse {});
    };
    if let Some((delivery, _)) = Given::Turn.named(call, &request.completion_token)? {
        finish(call, Some(Ended::well(delivery, came_to(Progress::Stuck(why.into()))))).await?;
    }
    Ok(AbandonOrchestrationTaskResponse {})
}

/// A turn that did nothing but come to this.
fn came_to(progress: Progress) -> Done {
    let step = Step { progress, actions: Vec::new(), custom_status: None };
    Done::Turn(Box::new(Taken { takes: None, step, mark: None }))
}

/// Lets others have the operations of an entity.
#[expect(clippy::unused_async, reason = "the service awaits every answer")]
pub(super) async fn abandon_operations(
    call: &Call<'_>,
    request: AbandonEntityTaskRequest,
) -> Result<AbandonEntityTaskResponse, Status> {
    Given::Operations.abandon(call, &request.completion_token)?;
    Ok(AbandonEntityTaskResponse {})
}
