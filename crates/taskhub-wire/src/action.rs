//! What code asks for, as the actions of a response: each becomes the event that records it.

use taskhub_core::{ExecutionId, InstanceId, Kind};

use crate::{
    InvalidMessage, bounds,
    call::{Speaker, call_event_in, call_event_out},
    ids::{call_in, call_out, receiver_in},
    proto::{
        CreateSubOrchestrationAction, CreateTimerAction, EventSentEvent, OrchestrationInstance,
        OrchestratorAction, ScheduleTaskAction, SendEntityMessageAction, SendEventAction,
        SubOrchestrationInstanceCreatedEvent, TaskScheduledEvent, TerminateOrchestrationAction,
        TimerCreatedEvent, history_event::EventType, orchestrator_action::OrchestratorActionType,
        send_entity_message_action::EntityMessageType,
    },
    text::{text_in, text_out},
};

/// What an action of `execution` asks for; `None` for one that ends the turn.
pub(crate) fn action_in(
    execution: ExecutionId,
    id: i32,
    wire: OrchestratorActionType,
) -> Result<Option<Kind>, InvalidMessage> {
    let call = call_in("action.id", id)?;
    let event = match wire {
        OrchestratorActionType::ScheduleTask(wire) => EventType::TaskScheduled(scheduled(wire)),
        OrchestratorActionType::CreateSubOrchestration(mut wire) => {
            if wire.instance_id.is_empty() {
                wire.instance_id = InstanceId::of_child(execution, call).to_string();
            }
            EventType::SubOrchestrationInstanceCreated(created(wire))
        }
        OrchestratorActionType::CreateTimer(CreateTimerAction { fire_at }) => {
            EventType::TimerCreated(TimerCreatedEvent { fire_at })
        }
        OrchestratorActionType::SendEvent(SendEventAction { instance, name, data }) => {
            let instance_id = instance.unwrap_or_default().instance_id;
            EventType::EventSent(EventSentEvent { instance_id, name, input: data })
        }
        OrchestratorActionType::SendEntityMessage(wire) => {
            let field = "sendEntityMessage.EntityMessageType";
            message(wire.entity_message_type.ok_or(InvalidMessage::Missing { field })?)
        }
        OrchestratorActionType::TerminateOrchestration(wire) => {
            let to = receiver_in("terminateOrchestration.instanceId", &wire.instance_id)?;
            let (reason, recursive) = (text_in(wire.reason), wire.recurse);
            return Ok(Some(Kind::TerminateSent { call, to, reason, recursive }));
        }
        OrchestratorActionType::CompleteOrchestration(_)
        | OrchestratorActionType::RewindOrchestration(_) => return Ok(None),
    };
    bounds::asked(&event)?;
    call_event_in(call, event)
}

fn scheduled(wire: ScheduleTaskAction) -> TaskScheduledEvent {
    let ScheduleTaskAction { name, version, input, tags, parent_trace_context } = wire;
    TaskScheduledEvent { name, version, input, parent_trace_context, tags }
}

fn created(wire: CreateSubOrchestrationAction) -> SubOrchestrationInstanceCreatedEvent {
    let CreateSubOrchestrationAction {
        instance_id,
        name,
        version,
        input,
        parent_trace_context,
        tags,
    } = wire;
    SubOrchestrationInstanceCreatedEvent {
        instance_id,
        name,
        version,
        input,
        parent_trace_context,
        tags,
    }
}

fn message(wire: EntityMessageType) -> EventType {
    match wire {
        EntityMessageType::EntityOperationSignaled(it) => EventType::EntityOperationSignaled(it),
        EntityMessageType::EntityOperationCalled(it) => EventType::EntityOperationCalled(it),
        EntityMessageType::EntityLockRequested(it) => EventType::EntityLockRequested(it),
        EntityMessageType::EntityUnlockSent(it) => EventType::EntityUnlockSent(it),
    }
}

/// The action that asks for it; `None` for what is no call.
pub(crate) fn action_out(kind: &Kind, speaker: Speaker<'_>) -> Option<OrchestratorAction> {
    let id = call_out(kind.call()?);
    let event = call_event_out(kind, speaker)?;
    let wire = match (kind, event) {
        (Kind::TerminateSent { to, reason, recursive, .. }, _) => {
            OrchestratorActionType::TerminateOrchestration(TerminateOrchestrationAction {
                instance_id: to.to_string(),
                reason: text_out(reason.as_ref()),
                recurse: *recursive,
            })
        }
        (_, event) => asked(event)?,
    };
    Some(OrchestratorAction { id, orchestrator_action_type: Some(wire) })
}

fn asked(event: EventType) -> Option<OrchestratorActionType> {
    Some(match event {
        EventType::TaskScheduled(wire) => {
            let TaskScheduledEvent { name, version, input, parent_trace_context, tags } = wire;
            let wire = ScheduleTaskAction { name, version, input, tags, parent_trace_context };
            OrchestratorActionType::ScheduleTask(wire)
        }
        EventType::SubOrchestrationInstanceCreated(wire) => {
            OrchestratorActionType::CreateSubOrchestration(CreateSubOrchestrationAction {
                instance_id: wire.instance_id,
                name: wire.name,
                version: wire.version,
                input: wire.input,
                parent_trace_context: wire.parent_trace_context,
                tags: wire.tags,
            })
        }
        EventType::TimerCreated(TimerCreatedEvent { fire_at }) => {
            OrchestratorActionType::CreateTimer(CreateTimerAction { fire_at })
        }
        EventType::EventSent(EventSentEvent { instance_id, name, input }) => {
            let instance = Some(OrchestrationInstance { instance_id, execution_id: None });
            OrchestratorActionType::SendEvent(SendEventAction { instance, name, data: input })
        }
        event => OrchestratorActionType::SendEntityMessage(SendEntityMessageAction {
            entity_message_type: Some(entity_message(event)?),
        }),
    })
}

fn entity_message(event: EventType) -> Option<EntityMessageType> {
    Some(match event {
        EventType::EntityOperationSignaled(it) => EntityMessageType::EntityOperationSignaled(it),
        EventType::EntityOperationCalled(it) => EntityMessageType::EntityOperationCalled(it),
        EventType::EntityLockRequested(it) => EntityMessageType::EntityLockRequested(it),
        EventType::EntityUnlockSent(it) => EntityMessageType::EntityUnlockSent(it),
        _ => return None,
    })
}
