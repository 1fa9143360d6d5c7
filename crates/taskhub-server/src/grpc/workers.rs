//! What workers give back: results, or the work itself.
//!
//! A completion token names one delivery of one hub. One that counts no longer is answered like any
//! other: nothing happens, and there is nothing that the worker could do about it. One of work of
//! another kind is refused, and its work stays where it is. Some SDKs send none; `hands.rs` finds
//! the delivery for them.

use std::time::Instant;

use taskhub_core::{
    Answer, Done, Performed, Piece, Refusal, Taken, Ticket,
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
    taken_in,
};
use tonic::Status;

use super::{
    hands::{Whose, Work},
    instances::unexpected,
    partial::NotTaken,
    refusal::{bad_message, busy, refused},
    service::Call,
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
        if let Some((delivery, _)) = self.named(call, token)? {
            call.hub.give_back(delivery);
        }
        Ok(())
    }
}

/// An activity ended.
pub(super) async fn activity(
    call: &Call<'_>,
    response: ActivityResponse,
) -> Result<CompleteTaskResponse, Status> {
    let work = || Work::told(&call.name, &response.instance_id, Some(response.task_id));
    let ended = Given::Activity.ended(call, &response.completion_token, work)?;
    let Some((delivery, _)) = ended else {
        return Ok(CompleteTaskResponse {});
    };
    finish(call, delivery, Done::Activity(outcome_in(response))).await
}

/// A turn of an orchestration ended.
pub(super) async fn turn(
    call: &Call<'_>,
    response: OrchestratorResponse,
) -> Result<CompleteTaskResponse, Status> {
    let work = || Work::told(&call.name, &response.instance_id, None);
    let ended = Given::Turn.ended(call, &response.completion_token, work)?;
    let Some((delivery, ticket)) = ended else {
        return Ok(CompleteTaskResponse {});
    };
    if response.requires_history {
        // It always had the whole history; so it is to be tried again, perhaps elsewhere.
        call.hub.give_back(delivery);
        return Ok(CompleteTaskResponse {});
    }
    let counts = |delivery| call.hub.delivered(delivery).is_some();
    let response = match call.chunks.add(&call.name, delivery, response, counts) {
        Ok(Some(response)) => response,
        Ok(None) => return Ok(CompleteTaskResponse {}),
        Err(NotTaken::Invalid(error @ InvalidMessage::TooLarge { .. })) => {
            return senseless(call, delivery, error).await;
        }
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
        Ok(taken) => {
            if let Some(span) = span {
                told(call, &ticket, span);
            }
            finish(call, delivery, Done::Turn(Box::new(taken))).await
        }
        Err(error) => senseless(call, delivery, error).await,
    }
}

/// The worker would only note the refusal, and be given the same turn again: the instance fails.
async fn senseless(
    call: &Call<'_>,
    delivery: DeliveryId,
    error: InvalidMessage,
) -> Result<CompleteTaskResponse, Status> {
    finish(call, delivery, came_to(Progress::Finished(Err(error.failure())))).await?;
    Err(bad_message(error))
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

/// Operations of an entity ended.
pub(super) async fn operations(
    call: &Call<'_>,
    result: EntityBatchResult,
) -> Result<CompleteTaskResponse, Status> {
    let ended = Given::Operations.named(call, &result.completion_token)?;
    let Some((delivery, ticket)) = ended else {
        return Ok(CompleteTaskResponse {});
    };
    match performed_in(&ticket, result) {
        Ok(performed) => finish(call, delivery, Done::Operations(Box::new(performed))).await,
        Err(error) => {
            let failed = Performed { failed: Some(error.failure()), ..Performed::default() };
            finish(call, delivery, Done::Operations(Box::new(failed))).await?;
            Err(bad_message(error))
        }
    }
}

async fn finish(
    call: &Call<'_>,
    delivery: DeliveryId,
    done: Done,
) -> Result<CompleteTaskResponse, Status> {
    match call.hub.finish(delivery, done).await {
        Answer::Done | Answer::Refused(Refusal::NotFound(_)) => Ok(CompleteTaskResponse {}),
        Answer::Refused(refusal) => Err(refused(refusal)),
        other => Err(unexpected(other)),
    }
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
        finish(call, delivery, came_to(Progress::Stuck(why.into()))).await?;
    }
    Ok(AbandonOrchestrationTaskResponse {})
}

/// A turn that did nothing but come to this.
fn came_to(progress: Progress) -> Done {
    let step = Step { progress, actions: Vec::new(), custom_status: None };
    Done::Turn(Box::new(Taken { takes: None, step }))
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
