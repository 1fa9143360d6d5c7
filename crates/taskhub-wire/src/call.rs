//! What code asked for, as the event that records it.

use taskhub_core::{CallId, ExecutionId, InstanceId, Kind, Operation, Timestamp};

use crate::{
    InvalidMessage,
    aside::{aside_in, aside_out},
    ids::{entities_in, entity_in, receiver_in},
    proto::{
        EntityLockRequestedEvent, EntityOperationCalledEvent, EntityOperationSignaledEvent,
        EntityUnlockSentEvent, EventSentEvent, TimerCreatedEvent, TraceContext,
        history_event::EventType,
    },
    text::{text_in, text_out},
    timestamp_in, timestamp_out, trace_in, trace_out,
    work::{activity_in, activity_out, child_out, start_in, started_out},
};

/// An execution that speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speaker<'a> {
    pub instance: &'a InstanceId,
    /// Known once its start was read.
    pub execution: Option<ExecutionId>,
}

/// The event that records a call; `None` for what is no call.
pub(crate) fn call_event_out(kind: &Kind, speaker: Speaker<'_>) -> Option<EventType> {
    let wire = match kind {
        Kind::ActivityScheduled { work, .. } => EventType::TaskScheduled(activity_out(work)),
        Kind::ChildScheduled { instance, work, .. } => {
            EventType::SubOrchestrationInstanceCreated(child_out(instance, work))
        }
        Kind::InstanceStarted { instance, work, at, .. } => {
            EventType::SubOrchestrationInstanceCreated(started_out(instance, work, *at))
        }
        Kind::TimerCreated { fire_at, .. } => {
            let fire_at = Some(timestamp_out(*fire_at));
            EventType::TimerCreated(TimerCreatedEvent { fire_at })
        }
        Kind::EventSent { to, name, input, .. } => EventType::EventSent(EventSentEvent {
            instance_id: to.to_string(),
            name: name.to_string(),
            input: text_out(input.as_ref()),
        }),
        Kind::Noted { .. } | Kind::CallCancelled { .. } | Kind::TerminateSent { .. } => {
            let (instance_id, name, input) = aside_out(kind)?;
            EventType::EventSent(EventSentEvent { instance_id, name, input })
        }
        kind => return entity_event_out(kind, speaker),
    };
    Some(wire)
}

fn entity_event_out(kind: &Kind, speaker: Speaker<'_>) -> Option<EventType> {
    let instance = || Some(speaker.instance.to_string());
    let wire = match kind {
        Kind::OperationCalled { entity, operation, .. } => {
            let execution = speaker.execution.map(|execution| execution.to_string());
            let mut called = called_out(operation, entity, None);
            (called.parent_instance_id, called.parent_execution_id) = (instance(), execution);
            EventType::EntityOperationCalled(called)
        }
        Kind::OperationSignaled { entity, operation, at, .. } => {
            EventType::EntityOperationSignaled(signaled_out(operation, entity, *at))
        }
        Kind::LocksRequested { section, entities, .. } => {
            EventType::EntityLockRequested(EntityLockRequestedEvent {
                critical_section_id: section.to_string(),
                lock_set: entities.iter().map(ToString::to_string).collect(),
                position: 0,
                parent_instance_id: instance(),
            })
        }
        Kind::Unlocked { section, entity, .. } => {
            EventType::EntityUnlockSent(EntityUnlockSentEvent {
                critical_section_id: section.to_string(),
                parent_instance_id: instance(),
                target_instance_id: Some(entity.to_string()),
            })
        }
        _ => return None,
    };
    Some(wire)
}

/// An operation that somebody waits for; who, is to be filled in.
pub(crate) fn called_out(
    operation: &Operation,
    entity: &InstanceId,
    due: Option<Timestamp>,
) -> EntityOperationCalledEvent {
    EntityOperationCalledEvent {
        request_id: operation.request.to_string(),
        operation: operation.name.to_string(),
        scheduled_time: due.map(timestamp_out),
        input: text_out(operation.input.as_ref()),
        parent_instance_id: None,
        parent_execution_id: None,
        target_instance_id: Some(entity.to_string()),
        trace_context: operation.trace.as_ref().map(trace_out),
    }
}

/// An operation that nobody waits for.
pub(crate) fn signaled_out(
    operation: &Operation,
    entity: &InstanceId,
    due: Option<Timestamp>,
) -> EntityOperationSignaledEvent {
    EntityOperationSignaledEvent {
        request_id: operation.request.to_string(),
        operation: operation.name.to_string(),
        scheduled_time: due.map(timestamp_out),
        input: text_out(operation.input.as_ref()),
        target_instance_id: Some(entity.to_string()),
        trace_context: operation.trace.as_ref().map(trace_out),
    }
}

/// The call that an event records; `None` for an event that records none.
pub(crate) fn call_event_in(call: CallId, wire: EventType) -> Result<Option<Kind>, InvalidMessage> {
    Ok(Some(match wire {
        EventType::TaskScheduled(wire) => Kind::ActivityScheduled { call, work: activity_in(wire) },
        EventType::SubOrchestrationInstanceCreated(wire) => start_in(call, wire)?,
        EventType::TimerCreated(wire) => {
            let field = "timer.fireAt";
            let fire_at = wire.fire_at.ok_or(InvalidMessage::Missing { field })?;
            Kind::TimerCreated { call, fire_at: timestamp_in(field, &fire_at)? }
        }
        EventType::EventSent(EventSentEvent { instance_id, name, input }) => {
            let input = text_in(input);
            if let Some(aside) = aside_in(call, &instance_id, &name, input.as_ref()) {
                return Ok(Some(aside));
            }
            let to = receiver_in("event.instanceId", &instance_id)?;
            Kind::EventSent { call, to, name: name.into(), input }
        }
        EventType::EntityOperationCalled(wire) => {
            let entity = target_in(wire.target_instance_id)?;
            let operation =
                operation_in(wire.request_id, wire.operation, wire.input, wire.trace_context);
            Kind::OperationCalled { call, entity, operation }
        }
        EventType::EntityOperationSignaled(wire) => {
            let entity = target_in(wire.target_instance_id)?;
            let operation =
                operation_in(wire.request_id, wire.operation, wire.input, wire.trace_context);
            let at = due_in(wire.scheduled_time.as_ref())?;
            Kind::OperationSignaled { call, entity, operation, at }
        }
        EventType::EntityLockRequested(wire) => {
            let entities = entities_in("lockSet", &wire.lock_set)?;
            Kind::LocksRequested { call, section: wire.critical_section_id.into(), entities }
        }
        EventType::EntityUnlockSent(wire) => {
            let entity = target_in(wire.target_instance_id)?;
            Kind::Unlocked { call, section: wire.critical_section_id.into(), entity }
        }
        _ => return Ok(None),
    }))
}

pub(crate) fn operation_in(
    request: String,
    name: String,
    input: Option<String>,
    trace: Option<TraceContext>,
) -> Operation {
    let trace = trace.and_then(trace_in);
    Operation { trace, ..Operation::new(request, name, text_in(input)) }
}

pub(crate) fn due_in(
    wire: Option<&prost_types::Timestamp>,
) -> Result<Option<Timestamp>, InvalidMessage> {
    wire.map(|at| timestamp_in("scheduledTime", at)).transpose()
}

fn target_in(wire: Option<String>) -> Result<InstanceId, InvalidMessage> {
    entity_in("targetInstanceId", &wire.unwrap_or_default())
}
