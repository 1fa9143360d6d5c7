//! What a turn or an activity came to, as a worker hands it back.

use taskhub_core::{
    CallId, ExecutionId, Failure, InstanceId, Kind, Mark, Outcome, Taken, Ticket, Timestamp,
    turn::{ContinueAsNew, Progress, Step},
};

use crate::{
    InvalidMessage,
    action::{action_in, action_out},
    arrival::{Calls, arrival_out, carried_in},
    bounds::{short, short_tags},
    call::Speaker,
    failure_in, failure_out,
    ids::call_out,
    proto::{
        ActivityResponse, CompleteOrchestrationAction, HistoryEvent, OrchestrationStatus,
        OrchestratorAction, OrchestratorResponse, orchestrator_action::OrchestratorActionType,
    },
    tags_in, tags_out,
    text::{text_in, text_out},
};

/// What the turn of `ticket` came to.
///
/// Ask [`OrchestratorResponse::requires_history`] and [`crate::Chunks`] before. Where the history
/// says that the instance was suspended, [`crate::drop_repeated`] after.
pub fn taken_in(ticket: &Ticket, response: OrchestratorResponse) -> Result<Taken, InvalidMessage> {
    let span = response.orchestration_trace_context.and_then(|it| it.span_id);
    short("orchestrationTraceContext.spanID", span.as_deref().unwrap_or_default())?;
    let mut actions = Vec::with_capacity(response.actions.len());
    let mut end = None;
    for OrchestratorAction { id, orchestrator_action_type } in response.actions {
        let field = "action.orchestratorActionType";
        let progress = match orchestrator_action_type.ok_or(InvalidMessage::Missing { field })? {
            OrchestratorActionType::CompleteOrchestration(wire) => completed_in(wire)?,
            OrchestratorActionType::RewindOrchestration(_) => return Err(InvalidMessage::Rewinds),
            wire => {
                actions.extend(action_in(ticket.execution, id, wire)?);
                continue;
            }
        };
        if end.replace(progress).is_some() {
            return Err(InvalidMessage::TwoEnds);
        }
    }
    let mut calls: Vec<_> = actions.iter().filter_map(Kind::call).collect();
    calls.sort_unstable();
    if let Some(twice) = calls.windows(2).find(|two| two[0] == two[1]) {
        return Err(InvalidMessage::Twice { number: twice[0].0 });
    }
    // The beginning of the turn counts outside, and is no arrival inside.
    let takes = response.num_events_processed.map(|count| count.saturating_sub(1));
    let takes = takes.map(|count| u32::try_from(count).unwrap_or_default());
    let progress = end.unwrap_or(Progress::Waiting);
    let custom_status = text_in(response.custom_status);
    let mark = Some(Mark(response.mark)).filter(|mark| mark.0 != 0);
    Ok(Taken { takes, step: Step { progress, actions, custom_status }, mark })
}

fn completed_in(wire: CompleteOrchestrationAction) -> Result<Progress, InvalidMessage> {
    let number = wire.orchestration_status;
    let result = text_in(wire.result);
    Ok(match OrchestrationStatus::try_from(number) {
        Ok(OrchestrationStatus::Completed) => Progress::Finished(Ok(result)),
        Ok(OrchestrationStatus::Failed) => {
            let unsaid = || wire.details.map(Into::into).or(result).unwrap_or_default();
            let failure = wire.failure_details.map(failure_in);
            let failure = failure.unwrap_or_else(|| Failure::new("OrchestrationFailed", unsaid()));
            Progress::Finished(Err(failure))
        }
        Ok(OrchestrationStatus::Terminated | OrchestrationStatus::Canceled) => {
            Progress::Terminated(result)
        }
        Ok(OrchestrationStatus::ContinuedAsNew) => {
            short(
                "completeOrchestration.newVersion",
                wire.new_version.as_deref().unwrap_or_default(),
            )?;
            short_tags("completeOrchestration.tags", &wire.tags)?;
            let how = ContinueAsNew {
                input: result,
                version: text_in(wire.new_version.filter(|version| !version.is_empty())),
                keep_events: true,
                tags: Some(wire.tags).filter(|tags| !tags.is_empty()).map(tags_in),
            };
            let kept = wire.carryover_events.into_iter().filter_map(|it| it.event_type);
            let kept: Vec<_> = kept.filter_map(carried_in).collect();
            for kind in &kept {
                if let Kind::EventRaised { name, .. } = kind {
                    short("completeOrchestration.carryoverEvents.name", name)?;
                }
            }
            Progress::ContinuedAsNew(how, kept)
        }
        _ => return Err(InvalidMessage::End { number }),
    })
}

/// A turn's response; `None` for code that is stuck, of which the protocol knows nothing: a worker
/// gives that turn back.
#[must_use]
pub fn taken_out(
    instance: &InstanceId,
    execution: ExecutionId,
    completion_token: String,
    taken: &Taken,
) -> Option<OrchestratorResponse> {
    let Taken { takes, step, mark } = taken;
    let speaker = Speaker { instance, execution: Some(execution) };
    let calls = step.actions.iter().filter_map(|kind| action_out(kind, speaker));
    let end = match &step.progress {
        Progress::Waiting => None,
        Progress::Stuck(_) => return None,
        Progress::Finished(Ok(output)) => Some(ended(CompleteOrchestrationAction {
            orchestration_status: OrchestrationStatus::Completed.into(),
            result: text_out(output.as_ref()),
            ..CompleteOrchestrationAction::default()
        })),
        Progress::Finished(Err(failure)) => Some(ended(CompleteOrchestrationAction {
            orchestration_status: OrchestrationStatus::Failed.into(),
            failure_details: Some(failure_out(failure)),
            ..CompleteOrchestrationAction::default()
        })),
        Progress::Terminated(reason) => Some(ended(CompleteOrchestrationAction {
            orchestration_status: OrchestrationStatus::Terminated.into(),
            result: text_out(reason.as_ref()),
            ..CompleteOrchestrationAction::default()
        })),
        Progress::ContinuedAsNew(how, kept) => Some(continued_out(instance, how, kept)),
    };
    let end = end.map(|wire| OrchestratorAction { id: -1, orchestrator_action_type: Some(wire) });
    let processed = |takes| i32::try_from(takes).unwrap_or(i32::MAX).saturating_add(1);
    Some(OrchestratorResponse {
        instance_id: instance.to_string(),
        actions: calls.chain(end).collect(),
        custom_status: text_out(step.custom_status.as_ref()),
        completion_token,
        num_events_processed: takes.map(processed),
        mark: mark.map_or(0, |mark| mark.0),
        ..OrchestratorResponse::default()
    })
}

fn ended(wire: CompleteOrchestrationAction) -> OrchestratorActionType {
    OrchestratorActionType::CompleteOrchestration(wire)
}

fn continued_out(
    instance: &InstanceId,
    how: &ContinueAsNew,
    kept: &[Kind],
) -> OrchestratorActionType {
    let calls = Calls::default();
    let carried = kept.iter().filter_map(|kind| {
        let event_type = arrival_out(kind, Timestamp(0), instance, &calls);
        event_type.map(|it| HistoryEvent { event_id: -1, timestamp: None, event_type: Some(it) })
    });
    ended(CompleteOrchestrationAction {
        orchestration_status: OrchestrationStatus::ContinuedAsNew.into(),
        result: text_out(how.input.as_ref()),
        new_version: text_out(how.version.as_ref()),
        carryover_events: carried.collect(),
        tags: how.tags.as_ref().map(tags_out).unwrap_or_default(),
        ..CompleteOrchestrationAction::default()
    })
}

/// How an activity ended: it failed if there are details of a failure, whatever they say.
pub fn outcome_in(response: ActivityResponse) -> Outcome {
    match response.failure_details {
        Some(details) => Err(failure_in(details)),
        None => Ok(text_in(response.result)),
    }
}

/// The response of an activity.
#[must_use]
pub fn outcome_out(
    instance: &InstanceId,
    call: CallId,
    completion_token: String,
    outcome: &Outcome,
) -> ActivityResponse {
    let (result, failure_details) = match outcome {
        Ok(output) => (text_out(output.as_ref()), None),
        Err(failure) => (None, Some(failure_out(failure))),
    };
    ActivityResponse {
        instance_id: instance.to_string(),
        task_id: call_out(call),
        result,
        failure_details,
        completion_token,
    }
}
