//! Between the events of a history and the stored schema.

use super::{
    DecodeError, schema as wire,
    values::{
        back, called, entities_in, execution_in, execution_out, finished, locks_out, named,
        operation_out, out, outcome, reason, status,
    },
};
use crate::{CallId, Event, InstanceId, Kind, Timestamp};

impl From<&Event> for wire::Event {
    fn from(event: &Event) -> Self {
        Self { at: event.at.0, kind: Some((&event.kind).into()) }
    }
}

impl From<&Kind> for wire::Kind {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::Started(started) => Self::Started(Box::new((&**started).into())),
            Kind::TurnStarted { takes, clock: None } => Self::TurnStarted(*takes),
            Kind::TurnStarted { takes, clock: Some(at) } => {
                Self::TurnStartedAt(wire::Timer { call: *takes, fire_at: at.0 })
            }
            Kind::ActivityScheduled { call, work } => {
                Self::ActivityScheduled(called(*call, work, None))
            }
            Kind::ActivityFinished { call, outcome } => {
                Self::ActivityFinished(finished(*call, outcome))
            }
            Kind::ChildScheduled { call, instance, work } => {
                Self::ChildScheduled(called(*call, work, Some(instance)))
            }
            Kind::ChildFinished { call, outcome } => Self::ChildFinished(finished(*call, outcome)),
            Kind::TimerCreated { call, fire_at } => {
                Self::TimerCreated(wire::Timer { call: call.0, fire_at: fire_at.0 })
            }
            Kind::TimerFired { call } => Self::TimerFired(call.0),
            Kind::EventSent { call, to, name, input } => Self::EventSent(wire::Called {
                call: call.0,
                name: name.to_string(),
                input: out(input.as_ref()),
                instance: to.to_string(),
                ..Default::default()
            }),
            Kind::EventRaised { name, input } => Self::EventRaised(named(name, input.as_ref())),
            Kind::CallCancelled { call } => Self::CallCancelled(call.0),
            Kind::Suspended { reason: why } => Self::Suspended(reason(why.as_ref())),
            Kind::Resumed { reason: why } => Self::Resumed(reason(why.as_ref())),
            Kind::Terminated { reason: why } => Self::Terminated(reason(why.as_ref())),
            Kind::Completed { status } => Self::Completed(status.number().into()),
            Kind::InstanceStarted { .. } | Kind::TerminateSent { .. } => to_instance(kind),
            Kind::Noted { call, name, value } => Self::Noted(wire::Note {
                call: call.0,
                name: name.to_string(),
                value: value.to_string(),
            }),
            Kind::Rewound { reason: why } => Self::Rewound(reason(why.as_ref())),
            Kind::Awaited { until } => Self::Awaited(until.0),
            Kind::OperationsDue { count } => Self::OperationsDue(*count),
            Kind::ChildGone { execution, call } => Self::ChildGone(wire::Inherited {
                execution: execution_out(*execution),
                call: call.0,
                instance: String::new(),
            }),
            Kind::OperationCalled { .. }
            | Kind::OperationFinished { .. }
            | Kind::OperationSignaled { .. }
            | Kind::LocksRequested { .. }
            | Kind::LocksGranted { .. }
            | Kind::Unlocked { .. }
            | Kind::Entity(_)
            | Kind::OperationRequested(_)
            | Kind::LockRequested(_)
            | Kind::LockReleased { .. } => of_entity(kind),
        }
    }
}

/// What the code does to other instances.
fn to_instance(kind: &Kind) -> wire::Kind {
    use wire::Kind as Wire;
    match kind {
        Kind::InstanceStarted { call, instance, work, at } => {
            let called = called(*call, work, Some(instance));
            Wire::InstanceStarted(wire::Called { at: at.map(|at| at.0), ..called })
        }
        Kind::TerminateSent { call, to, reason: why, recursive } => {
            let reason = wire::Reason { recursive: *recursive, ..reason(why.as_ref()) };
            let (call, instance) = (call.0, to.to_string());
            Wire::TerminateSent(wire::Ended { call, instance, reason: Some(reason) })
        }
        _ => unreachable!("{kind:?} is about no other instance"),
    }
}

/// The kinds that have to do with entities.
fn of_entity(kind: &Kind) -> wire::Kind {
    use wire::Kind as Wire;
    match kind {
        Kind::OperationCalled { call, entity, operation } => {
            Wire::OperationCalled(operation_out(*call, entity, operation, None))
        }
        Kind::OperationFinished { call, outcome } => {
            Wire::OperationFinished(finished(*call, outcome))
        }
        Kind::OperationSignaled { call, entity, operation, at } => {
            Wire::OperationSignaled(operation_out(*call, entity, operation, *at))
        }
        Kind::LocksRequested { call, section, entities } => {
            Wire::LocksRequested(locks_out(*call, section, entities))
        }
        Kind::LocksGranted { call, section } => Wire::LocksGranted(locks_out(*call, section, &[])),
        Kind::Unlocked { call, section, entity } => {
            Wire::Unlocked(locks_out(*call, section, std::slice::from_ref(entity)))
        }
        Kind::Entity(entity) => Wire::Entity(Box::new((&**entity).into())),
        Kind::OperationRequested(requested) => {
            Wire::OperationRequested(Box::new((&**requested).into()))
        }
        Kind::LockRequested(request) => Wire::LockRequested(Box::new((&**request).into())),
        Kind::LockReleased { section } => Wire::LockReleased(locks_out(CallId(0), section, &[])),
        _ => unreachable!("{kind:?} has nothing to do with entities"),
    }
}

impl TryFrom<wire::Event> for Event {
    type Error = DecodeError;

    fn try_from(wire: wire::Event) -> Result<Self, DecodeError> {
        let kind = wire.kind.ok_or_else(|| {
            DecodeError::new("history event", "of a kind that this version does not know")
        })?;
        Ok(Self { at: Timestamp(wire.at), kind: kind.try_into()? })
    }
}

impl TryFrom<wire::Kind> for Kind {
    type Error = DecodeError;

    fn try_from(wire: wire::Kind) -> Result<Self, DecodeError> {
        use wire::Kind as Wire;
        Ok(match wire {
            Wire::Started(started) => Self::Started(Box::new((*started).try_into()?)),
            Wire::TurnStarted(takes) => Self::TurnStarted { takes, clock: None },
            Wire::TurnStartedAt(wire) => {
                Self::TurnStarted { takes: wire.call, clock: Some(Timestamp(wire.fire_at)) }
            }
            Wire::ActivityScheduled(wire) => {
                Self::ActivityScheduled { call: CallId(wire.call), work: wire.into() }
            }
            Wire::ActivityFinished(wire) => {
                Self::ActivityFinished { call: CallId(wire.call), outcome: outcome(wire.outcome) }
            }
            Wire::ChildScheduled(wire) => Self::ChildScheduled {
                call: CallId(wire.call),
                instance: InstanceId::trusted(&*wire.instance),
                work: wire.into(),
            },
            Wire::ChildFinished(wire) => {
                Self::ChildFinished { call: CallId(wire.call), outcome: outcome(wire.outcome) }
            }
            Wire::TimerCreated(wire) => {
                Self::TimerCreated { call: CallId(wire.call), fire_at: Timestamp(wire.fire_at) }
            }
            Wire::TimerFired(call) => Self::TimerFired { call: CallId(call) },
            Wire::EventSent(wire) => Self::EventSent {
                call: CallId(wire.call),
                to: InstanceId::trusted(wire.instance),
                name: wire.name.into(),
                input: back(wire.input),
            },
            Wire::EventRaised(wire) => {
                Self::EventRaised { name: wire.name.into(), input: back(wire.input) }
            }
            Wire::CallCancelled(call) => Self::CallCancelled { call: CallId(call) },
            Wire::Suspended(wire) => Self::Suspended { reason: back(wire.why) },
            Wire::Resumed(wire) => Self::Resumed { reason: back(wire.why) },
            Wire::Terminated(wire) => Self::Terminated { reason: back(wire.why) },
            Wire::Completed(number) => Self::Completed { status: status(number)? },
            Wire::InstanceStarted(wire) => instance_started(wire),
            Wire::TerminateSent(wire) => terminate_sent(wire),
            Wire::Noted(wire) => noted(wire),
            Wire::Rewound(wire) => Self::Rewound { reason: back(wire.why) },
            Wire::Awaited(until) => Self::Awaited { until: Timestamp(until) },
            Wire::ChildGone(wire) => child_gone(&wire)?,
            wire @ (Wire::OperationCalled(_)
            | Wire::OperationFinished(_)
            | Wire::OperationSignaled(_)
            | Wire::LocksRequested(_)
            | Wire::LocksGranted(_)
            | Wire::Unlocked(_)
            | Wire::Entity(_)
            | Wire::OperationRequested(_)
            | Wire::LockRequested(_)
            | Wire::LockReleased(_)
            | Wire::OperationsDue(_)) => about_entity(wire)?,
        })
    }
}

fn about_entity(wire: wire::Kind) -> Result<Kind, DecodeError> {
    use wire::Kind as Wire;
    Ok(match wire {
        Wire::OperationCalled(wire) => Kind::OperationCalled {
            call: CallId(wire.call),
            entity: InstanceId::trusted(&*wire.entity),
            operation: wire.into(),
        },
        Wire::OperationFinished(wire) => {
            Kind::OperationFinished { call: CallId(wire.call), outcome: outcome(wire.outcome) }
        }
        Wire::OperationSignaled(wire) => Kind::OperationSignaled {
            call: CallId(wire.call),
            entity: InstanceId::trusted(&*wire.entity),
            at: wire.at.map(Timestamp),
            operation: wire.into(),
        },
        Wire::LocksRequested(wire) => Kind::LocksRequested {
            call: CallId(wire.call),
            section: wire.section.into(),
            entities: entities_in(wire.entities),
        },
        Wire::LocksGranted(wire) => {
            Kind::LocksGranted { call: CallId(wire.call), section: wire.section.into() }
        }
        Wire::Unlocked(wire) => {
            let entity = wire.entities.into_iter().next().unwrap_or_default();
            Kind::Unlocked {
                call: CallId(wire.call),
                section: wire.section.into(),
                entity: InstanceId::trusted(entity),
            }
        }
        Wire::Entity(wire) => Kind::Entity(Box::new((*wire).try_into()?)),
        Wire::OperationRequested(wire) => Kind::OperationRequested(Box::new((*wire).try_into()?)),
        Wire::LockRequested(wire) => Kind::LockRequested(Box::new((*wire).try_into()?)),
        Wire::LockReleased(wire) => Kind::LockReleased { section: wire.section.into() },
        Wire::OperationsDue(count) => Kind::OperationsDue { count },
        other => unreachable!("{other:?} has nothing to do with entities"),
    })
}

fn instance_started(wire: wire::Called) -> Kind {
    Kind::InstanceStarted {
        call: CallId(wire.call),
        instance: InstanceId::trusted(&*wire.instance),
        at: wire.at.map(Timestamp),
        work: wire.into(),
    }
}

fn noted(wire::Note { call, name, value }: wire::Note) -> Kind {
    Kind::Noted { call: CallId(call), name: name.into(), value: value.into() }
}

fn child_gone(wire: &wire::Inherited) -> Result<Kind, DecodeError> {
    let execution = execution_in(&wire.execution)?;
    Ok(Kind::ChildGone { execution, call: CallId(wire.call) })
}

fn terminate_sent(wire: wire::Ended) -> Kind {
    let reason = wire.reason.unwrap_or_default();
    Kind::TerminateSent {
        call: CallId(wire.call),
        to: InstanceId::trusted(wire.instance),
        recursive: reason.recursive,
        reason: back(reason.why),
    }
}
