//! Batches of operations of an entity, and what they came to.

use taskhub_core::{
    Act, CallId, Caller, ExecutionId, InstanceId, Operation, Operations, Outcome, Performed,
    Requested, Ticket, Work,
};

use crate::{
    InvalidMessage,
    arrival::requested_out,
    bounds::{named, short, traced},
    call::{due_in, operation_in},
    failure_in, failure_out,
    ids::{entity_in, execution_in, execution_out, instance_in, maybe_execution_in},
    proto::{
        EntityBatchRequest, EntityBatchResult, EntityRequest, HistoryEvent, OperationAction,
        OperationInfo, OperationResult, OperationResultFailure, OperationResultSuccess,
        SendSignalAction, StartNewOrchestrationAction, history_event::EventType,
        operation_action::OperationActionType, operation_result::ResultType,
    },
    text::{text_in, text_out},
    timestamp_out, trace_out,
    work::work_in,
};

/// Operations as events.
pub(crate) fn operations_out(ticket: &Ticket, operations: &Operations) -> EntityRequest {
    let event = |requested: &Requested| HistoryEvent {
        event_id: -1,
        timestamp: None,
        event_type: Some(requested_out(requested, &ticket.instance)),
    };
    EntityRequest {
        instance_id: ticket.instance.to_string(),
        execution_id: ticket.execution.to_string(),
        entity_state: text_out(operations.state.as_ref()),
        operation_requests: operations.requested.iter().map(event).collect(),
    }
}

pub(crate) fn operations_in(
    wire: EntityRequest,
) -> Result<(InstanceId, Option<ExecutionId>, Operations), InvalidMessage> {
    let entity = entity_in("entityRequest.instanceId", &wire.instance_id)?;
    let execution = maybe_execution_in(Some(&wire.execution_id))?;
    let events = wire.operation_requests.into_iter().map(|event| event.event_type);
    let requested = events.map(requested_in).collect::<Result<_, _>>()?;
    Ok((entity, execution, Operations { state: text_in(wire.entity_state), requested }))
}

/// Operations in the older form, which does not say who waits for them.
pub(crate) fn batch_in(
    wire: EntityBatchRequest,
) -> Result<(InstanceId, Operations), InvalidMessage> {
    let entity = entity_in("entityBatchRequest.instanceId", &wire.instance_id)?;
    let requested = wire.operations.into_iter().map(|it| {
        let operation = operation_in(it.request_id, it.operation, it.input, it.trace_context);
        Requested { operation, caller: None, due: None }
    });
    let requested = requested.collect();
    Ok((entity, Operations { state: text_in(wire.entity_state), requested }))
}

fn requested_in(wire: Option<EventType>) -> Result<Requested, InvalidMessage> {
    match wire {
        Some(EventType::EntityOperationSignaled(wire)) => Ok(Requested {
            operation: operation_in(
                wire.request_id,
                wire.operation,
                wire.input,
                wire.trace_context,
            ),
            caller: None,
            due: due_in(wire.scheduled_time.as_ref())?,
        }),
        Some(EventType::EntityOperationCalled(wire)) => {
            let parent = wire.parent_instance_id.unwrap_or_default();
            let execution = wire.parent_execution_id.unwrap_or_default();
            let caller = Caller {
                instance: instance_in("parentInstanceId", &parent)?,
                execution: execution_in("parentExecutionId", &execution)?,
                call: CallId(0),
            };
            Ok(Requested {
                operation: operation_in(
                    wire.request_id,
                    wire.operation,
                    wire.input,
                    wire.trace_context,
                ),
                caller: Some(caller),
                due: due_in(wire.scheduled_time.as_ref())?,
            })
        }
        _ => Err(InvalidMessage::Missing { field: "operationRequests.eventType" }),
    }
}

/// What the operations of `ticket` came to.
///
/// The protocol has no failure of the whole beside results: where there are results, they count.
pub fn performed_in(ticket: &Ticket, wire: EntityBatchResult) -> Result<Performed, InvalidMessage> {
    let outcomes: Vec<_> = wire.results.into_iter().map(outcome_in).collect::<Result<_, _>>()?;
    let failed = wire.failure_details.filter(|_| outcomes.is_empty()).map(failure_in);
    let acts = wire.actions.into_iter().zip(0..).map(|(action, index)| {
        // A batch is an execution of its own, so that no two acts ever share a name.
        act_in(action, ticket.execution.derive(1 << 36 | index))
    });
    let acts = acts.collect::<Result<_, _>>()?;
    let state = text_in(wire.entity_state.filter(|state| !state.is_empty()));
    Ok(Performed { outcomes, state, acts, failed })
}

fn outcome_in(wire: OperationResult) -> Result<Outcome, InvalidMessage> {
    let field = "results.resultType";
    Ok(match wire.result_type.ok_or(InvalidMessage::Missing { field })? {
        ResultType::Success(wire) => Ok(text_in(wire.result)),
        ResultType::Failure(wire) => Err(failure_in(wire.failure_details.unwrap_or_default())),
    })
}

/// `name` is for what the worker left unnamed.
fn act_in(wire: OperationAction, name: ExecutionId) -> Result<Act, InvalidMessage> {
    let field = "actions.operationActionType";
    match wire.operation_action_type.ok_or(InvalidMessage::Missing { field })? {
        OperationActionType::SendSignal(wire) => {
            let entity = entity_in("sendSignal.instanceId", &wire.instance_id)?;
            named("sendSignal.name", &wire.name)?;
            traced(wire.parent_trace_context.as_ref())?;
            let trace = wire.parent_trace_context;
            let operation = operation_in(guid(name), wire.name, wire.input, trace);
            let due = due_in(wire.scheduled_time.as_ref())?;
            Ok(Act::Signal(entity, Requested { operation, caller: None, due }))
        }
        OperationActionType::StartNewOrchestration(wire) => {
            let instance = match wire.instance_id.as_str() {
                "" => InstanceId::trusted(name.to_string()),
                id => instance_in("startNewOrchestration.instanceId", id)?,
            };
            named("startNewOrchestration.name", &wire.name)?;
            short("startNewOrchestration.version", wire.version.as_deref().unwrap_or_default())?;
            traced(wire.parent_trace_context.as_ref())?;
            let at = due_in(wire.scheduled_time.as_ref())?;
            let tags = std::collections::BTreeMap::new();
            let work =
                work_in(wire.name, wire.version, wire.input, tags, wire.parent_trace_context);
            Ok(Act::Start { instance, work, at })
        }
    }
}

/// Requests are named by GUIDs: .NET reads them as such.
fn guid(name: ExecutionId) -> String {
    let hex = name.to_string();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The result of a batch; `operations` is what was to be done.
#[must_use]
pub fn performed_out(
    operations: &Operations,
    completion_token: String,
    performed: &Performed,
) -> EntityBatchResult {
    let info = |Requested { operation, caller, .. }: &Requested| OperationInfo {
        request_id: operation.request.to_string(),
        response_destination: caller
            .as_ref()
            .map(|caller| execution_out(&caller.instance, Some(caller.execution))),
    };
    let results = performed.outcomes.iter().map(outcome_out);
    let done = operations.requested.iter().take(performed.outcomes.len());
    EntityBatchResult {
        results: results.collect(),
        actions: performed.acts.iter().zip(1..).map(|(act, id)| act_out(act, id)).collect(),
        entity_state: text_out(performed.state.as_ref()),
        failure_details: performed.failed.as_ref().map(failure_out),
        completion_token,
        operation_infos: done.map(info).collect(),
        requires_state: false,
    }
}

fn outcome_out(outcome: &Outcome) -> OperationResult {
    let result = match outcome {
        Ok(output) => ResultType::Success(OperationResultSuccess {
            result: text_out(output.as_ref()),
            ..OperationResultSuccess::default()
        }),
        Err(failure) => ResultType::Failure(OperationResultFailure {
            failure_details: Some(failure_out(failure)),
            ..OperationResultFailure::default()
        }),
    };
    OperationResult { result_type: Some(result) }
}

fn act_out(act: &Act, id: i32) -> OperationAction {
    let act = match act {
        Act::Signal(entity, Requested { operation, due, .. }) => {
            let Operation { name, input, trace, .. } = operation;
            OperationActionType::SendSignal(SendSignalAction {
                instance_id: entity.to_string(),
                name: name.to_string(),
                input: text_out(input.as_ref()),
                scheduled_time: due.map(timestamp_out),
                parent_trace_context: trace.as_ref().map(trace_out),
                ..SendSignalAction::default()
            })
        }
        Act::Start { instance, work, at } => {
            let Work { name, version, input, trace, .. } = work;
            OperationActionType::StartNewOrchestration(StartNewOrchestrationAction {
                instance_id: instance.to_string(),
                name: name.to_string(),
                version: text_out(version.as_ref()),
                input: text_out(input.as_ref()),
                scheduled_time: at.map(timestamp_out),
                request_time: None,
                parent_trace_context: trace.as_ref().map(trace_out),
            })
        }
    };
    OperationAction { id, operation_action_type: Some(act) }
}
