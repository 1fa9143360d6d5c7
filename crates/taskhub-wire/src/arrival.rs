//! What came to an instance from outside of its code, as events.

use std::collections::BTreeMap;

use taskhub_core::{
    CallId, Caller, InstanceId, Kind, LockRequest, Outcome, Requested, Text, Timestamp,
};

use crate::{
    InvalidMessage,
    call::{called_out, signaled_out},
    failure_in, failure_out,
    ids::{call_in, call_out},
    proto::{
        EntityLockGrantedEvent, EntityLockRequestedEvent, EntityOperationCompletedEvent,
        EntityOperationFailedEvent, EntityUnlockSentEvent, EventRaisedEvent, ExecutionResumedEvent,
        ExecutionSuspendedEvent, ExecutionTerminatedEvent, GenericEvent,
        SubOrchestrationInstanceCompletedEvent, SubOrchestrationInstanceFailedEvent,
        TaskCompletedEvent, TaskFailedEvent, TimerFiredEvent, history_event::EventType,
    },
    started::{started_in, started_out},
    text::{text_in, text_out},
    timestamp_out,
};

/// What is known of calls when their answers come. An id may be used again once its call has
/// ended; then the latest call counts.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    timers: BTreeMap<CallId, Timestamp>,
    requests: BTreeMap<CallId, Text>,
    names: BTreeMap<Text, CallId>,
}

impl Calls {
    /// Takes note of what the code asked for.
    pub(crate) fn note(&mut self, kind: &Kind) {
        match kind {
            Kind::TimerCreated { call, fire_at } => {
                self.timers.insert(*call, *fire_at);
            }
            Kind::OperationCalled { call, operation, .. } => {
                self.requests.insert(*call, operation.request.clone());
                self.names.insert(operation.request.clone(), *call);
            }
            Kind::LocksRequested { call, section, .. } => {
                self.names.insert(section.clone(), *call);
            }
            _ => {}
        }
    }

    fn named(&self, field: &'static str, name: String) -> Result<CallId, InvalidMessage> {
        let call = self.names.get(name.as_str()).copied();
        call.ok_or(InvalidMessage::Unasked { field, name })
    }
}

/// One arrival as one event, so that they can be counted; `None` for what is no arrival.
pub(crate) fn arrival_out(
    kind: &Kind,
    at: Timestamp,
    instance: &InstanceId,
    calls: &Calls,
) -> Option<EventType> {
    Some(match kind {
        Kind::Started(started) => EventType::ExecutionStarted(started_out(instance, started)),
        Kind::ActivityFinished { call, outcome } => activity_finished(*call, outcome),
        Kind::ChildFinished { call, outcome } => child_finished(*call, outcome),
        Kind::OperationFinished { call, outcome } => operation_finished(*call, outcome, calls),
        Kind::TimerFired { call } => {
            let fire_at = calls.timers.get(call).copied().unwrap_or(at);
            let (fire_at, timer_id) = (Some(timestamp_out(fire_at)), call_out(*call));
            EventType::TimerFired(TimerFiredEvent { fire_at, timer_id })
        }
        Kind::LocksGranted { section, .. } => {
            let critical_section_id = section.to_string();
            EventType::EntityLockGranted(EntityLockGrantedEvent { critical_section_id })
        }
        Kind::EventRaised { name, input } => {
            let input = text_out(input.as_ref());
            EventType::EventRaised(EventRaisedEvent { name: name.to_string(), input })
        }
        Kind::Suspended { reason } => {
            let input = text_out(reason.as_ref());
            EventType::ExecutionSuspended(ExecutionSuspendedEvent { input })
        }
        Kind::Resumed { reason } => {
            let input = text_out(reason.as_ref());
            EventType::ExecutionResumed(ExecutionResumedEvent { input })
        }
        Kind::Terminated { reason } => {
            let input = text_out(reason.as_ref());
            EventType::ExecutionTerminated(ExecutionTerminatedEvent { input, recurse: false })
        }
        kind => return asked_out(kind, instance),
    })
}

/// What an entity is asked for.
fn asked_out(kind: &Kind, entity: &InstanceId) -> Option<EventType> {
    Some(match kind {
        Kind::OperationRequested(requested) => requested_out(requested, entity),
        Kind::LockRequested(request) => lock_out(request),
        Kind::LockReleased { section } => EventType::EntityUnlockSent(EntityUnlockSentEvent {
            critical_section_id: section.to_string(),
            parent_instance_id: None,
            target_instance_id: Some(entity.to_string()),
        }),
        _ => return None,
    })
}

/// An operation, for the entity that is to perform it.
pub(crate) fn requested_out(requested: &Requested, entity: &InstanceId) -> EventType {
    let Requested { operation, caller, due } = requested;
    let Some(Caller { instance, execution, .. }) = caller else {
        return EventType::EntityOperationSignaled(signaled_out(operation, entity, *due));
    };
    let mut wire = called_out(operation, entity, *due);
    wire.parent_instance_id = Some(instance.to_string());
    wire.parent_execution_id = Some(execution.to_string());
    EventType::EntityOperationCalled(wire)
}

fn lock_out(request: &LockRequest) -> EventType {
    EventType::EntityLockRequested(EntityLockRequestedEvent {
        critical_section_id: request.section.to_string(),
        lock_set: request.entities.iter().map(ToString::to_string).collect(),
        position: i32::try_from(request.position).unwrap_or(i32::MAX),
        parent_instance_id: Some(request.caller.instance.to_string()),
    })
}

fn activity_finished(call: CallId, outcome: &Outcome) -> EventType {
    let task_scheduled_id = call_out(call);
    match outcome {
        Ok(output) => {
            let result = text_out(output.as_ref());
            EventType::TaskCompleted(TaskCompletedEvent { task_scheduled_id, result })
        }
        Err(failure) => {
            let failure_details = Some(failure_out(failure));
            EventType::TaskFailed(TaskFailedEvent { task_scheduled_id, failure_details })
        }
    }
}

fn child_finished(call: CallId, outcome: &Outcome) -> EventType {
    let task_scheduled_id = call_out(call);
    match outcome {
        Ok(output) => {
            EventType::SubOrchestrationInstanceCompleted(SubOrchestrationInstanceCompletedEvent {
                task_scheduled_id,
                result: text_out(output.as_ref()),
            })
        }
        Err(failure) => {
            EventType::SubOrchestrationInstanceFailed(SubOrchestrationInstanceFailedEvent {
                task_scheduled_id,
                failure_details: Some(failure_out(failure)),
            })
        }
    }
}

/// The answer to a call that the history does not have is a note without effect: workers fail an
/// orchestration that hears of a request it did not make.
fn operation_finished(call: CallId, outcome: &Outcome, calls: &Calls) -> EventType {
    let Some(request) = calls.requests.get(&call) else {
        return EventType::GenericEvent(GenericEvent { data: None });
    };
    let request_id = request.to_string();
    match outcome {
        Ok(output) => {
            let output = text_out(output.as_ref());
            EventType::EntityOperationCompleted(EntityOperationCompletedEvent {
                request_id,
                output,
            })
        }
        Err(failure) => {
            let failure_details = Some(failure_out(failure));
            EventType::EntityOperationFailed(EntityOperationFailedEvent {
                request_id,
                failure_details,
            })
        }
    }
}

/// The arrival that an event is; `None` for an event that is none.
pub(crate) fn arrival_in(wire: EventType, calls: &Calls) -> Result<Option<Kind>, InvalidMessage> {
    let call = |id| call_in("taskScheduledId", id);
    let failed = |details: Option<_>| Err(failure_in(details.unwrap_or_default()));
    Ok(Some(match wire {
        EventType::ExecutionStarted(wire) => Kind::Started(Box::new(started_in(wire)?)),
        EventType::TaskCompleted(wire) => {
            let (call, outcome) = (call(wire.task_scheduled_id)?, Ok(text_in(wire.result)));
            Kind::ActivityFinished { call, outcome }
        }
        EventType::TaskFailed(wire) => {
            let (call, outcome) = (call(wire.task_scheduled_id)?, failed(wire.failure_details));
            Kind::ActivityFinished { call, outcome }
        }
        EventType::SubOrchestrationInstanceCompleted(wire) => {
            let (call, outcome) = (call(wire.task_scheduled_id)?, Ok(text_in(wire.result)));
            Kind::ChildFinished { call, outcome }
        }
        EventType::SubOrchestrationInstanceFailed(wire) => {
            let (call, outcome) = (call(wire.task_scheduled_id)?, failed(wire.failure_details));
            Kind::ChildFinished { call, outcome }
        }
        EventType::EntityOperationCompleted(wire) => {
            let call = calls.named("requestId", wire.request_id)?;
            Kind::OperationFinished { call, outcome: Ok(text_in(wire.output)) }
        }
        EventType::EntityOperationFailed(wire) => {
            let call = calls.named("requestId", wire.request_id)?;
            Kind::OperationFinished { call, outcome: failed(wire.failure_details) }
        }
        EventType::EntityLockGranted(wire) => {
            let section = wire.critical_section_id;
            let call = calls.named("criticalSectionId", section.clone())?;
            Kind::LocksGranted { call, section: section.into() }
        }
        EventType::TimerFired(wire) => {
            Kind::TimerFired { call: call_in("timerId", wire.timer_id)? }
        }
        wire => return Ok(verb_in(wire)),
    }))
}

/// What a client did to the instance.
fn verb_in(wire: EventType) -> Option<Kind> {
    Some(match wire {
        EventType::EventRaised(EventRaisedEvent { name, input }) => {
            Kind::EventRaised { name: name.into(), input: text_in(input) }
        }
        EventType::ExecutionSuspended(wire) => Kind::Suspended { reason: text_in(wire.input) },
        EventType::ExecutionResumed(wire) => Kind::Resumed { reason: text_in(wire.input) },
        EventType::ExecutionTerminated(wire) => Kind::Terminated { reason: text_in(wire.input) },
        _ => return None,
    })
}

/// What goes over from one execution to the next.
pub(crate) fn carried_in(wire: EventType) -> Option<Kind> {
    verb_in(wire).filter(|kind| {
        matches!(kind, Kind::EventRaised { .. } | Kind::Suspended { .. } | Kind::Resumed { .. })
    })
}
