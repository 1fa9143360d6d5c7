//! Between the engine's values and the stored schema.

use std::collections::BTreeMap;

use super::{DecodeError, schema as wire};
use crate::{
    CallId, Caller, EntityState, ExecutionId, Failure, InstanceId, Lock, LockRequest, Operation,
    Outcome, Parent, Requested, RuntimeStatus, Started, Tags, Text, Timestamp, Trace, Work,
};

pub(super) fn out(text: Option<&Text>) -> Option<String> {
    text.map(ToString::to_string)
}

pub(super) fn back(text: Option<String>) -> Option<Text> {
    text.map(Text::from)
}

pub(super) fn tags_out(tags: &Tags) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

pub(super) fn tags_in(tags: BTreeMap<String, String>) -> Tags {
    tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect::<Vec<_>>().into()
}

pub(super) fn execution_out(execution: ExecutionId) -> Vec<u8> {
    execution.0.to_be_bytes().to_vec()
}

pub(super) fn execution_in(bytes: &[u8]) -> Result<ExecutionId, DecodeError> {
    let bytes = bytes.try_into().map_err(|_| DecodeError::new("execution id", "not 16 bytes"))?;
    Ok(ExecutionId(u128::from_be_bytes(bytes)))
}

pub(super) fn trace_in(parent: Option<String>, state: Option<String>) -> Option<Trace> {
    Some(Trace { parent: parent?.into(), state: back(state) })
}

impl From<&Started> for wire::Started {
    fn from(started: &Started) -> Self {
        let trace = started.trace.as_ref();
        Self {
            name: started.name.to_string(),
            version: out(started.version.as_ref()),
            input: out(started.input.as_ref()),
            execution: execution_out(started.execution),
            parent: started.parent.as_ref().map(wire::Parent::from),
            start_at: started.start_at.map(|at| at.0),
            deadline: started.deadline.map(|at| at.0),
            origin: started.origin.map(execution_out).unwrap_or_default(),
            tags: tags_out(&started.tags),
            trace_parent: trace.map(|trace| trace.parent.to_string()),
            trace_state: trace.and_then(|trace| out(trace.state.as_ref())),
        }
    }
}

impl TryFrom<wire::Started> for Started {
    type Error = DecodeError;

    fn try_from(wire: wire::Started) -> Result<Self, DecodeError> {
        let trace = trace_in(wire.trace_parent, wire.trace_state);
        Ok(Self {
            name: wire.name.into(),
            version: back(wire.version),
            input: back(wire.input),
            execution: execution_in(&wire.execution)?,
            parent: wire.parent.map(Parent::try_from).transpose()?,
            start_at: wire.start_at.map(Timestamp),
            deadline: wire.deadline.map(Timestamp),
            origin: match &wire.origin[..] {
                [] => None,
                bytes => Some(execution_in(bytes)?),
            },
            tags: tags_in(wire.tags),
            trace,
        })
    }
}

impl From<&Parent> for wire::Parent {
    fn from(parent: &Parent) -> Self {
        Self {
            instance: parent.instance.to_string(),
            execution: execution_out(parent.execution),
            name: parent.name.to_string(),
            call: parent.call.0,
        }
    }
}

impl TryFrom<wire::Parent> for Parent {
    type Error = DecodeError;

    fn try_from(wire: wire::Parent) -> Result<Self, DecodeError> {
        Ok(Self {
            instance: InstanceId::trusted(wire.instance),
            execution: execution_in(&wire.execution)?,
            name: wire.name.into(),
            call: CallId(wire.call),
        })
    }
}

impl From<&Failure> for wire::Failure {
    fn from(failure: &Failure) -> Self {
        Self {
            kind: failure.kind.to_string(),
            message: failure.message.to_string(),
            stack: out(failure.stack.as_ref()),
            cause: failure.cause.as_deref().map(|cause| Box::new(cause.into())),
            non_retriable: failure.non_retriable,
            details: out(failure.details.as_ref()),
        }
    }
}

impl From<wire::Failure> for Failure {
    fn from(wire: wire::Failure) -> Self {
        Self {
            kind: wire.kind.into(),
            message: wire.message.into(),
            stack: back(wire.stack),
            cause: wire.cause.map(|cause| Box::new((*cause).into())),
            non_retriable: wire.non_retriable,
            details: back(wire.details),
        }
    }
}

impl From<&Outcome> for wire::Outcome {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Ok(output) => Self { output: out(output.as_ref()), failure: None },
            Err(failure) => Self { output: None, failure: Some(failure.into()) },
        }
    }
}

impl From<wire::Outcome> for Outcome {
    fn from(wire: wire::Outcome) -> Self {
        match wire.failure {
            Some(failure) => Err(failure.into()),
            None => Ok(back(wire.output)),
        }
    }
}

pub(super) fn called(call: CallId, work: &Work, instance: Option<&InstanceId>) -> wire::Called {
    let trace = work.trace.as_ref();
    wire::Called {
        call: call.0,
        name: work.name.to_string(),
        version: out(work.version.as_ref()),
        input: out(work.input.as_ref()),
        tags: tags_out(&work.tags),
        instance: instance.map(ToString::to_string).unwrap_or_default(),
        trace_parent: trace.map(|trace| trace.parent.to_string()),
        trace_state: trace.and_then(|trace| out(trace.state.as_ref())),
        at: None,
    }
}

pub(super) fn finished(call: CallId, outcome: &Outcome) -> wire::Finished {
    wire::Finished { call: call.0, outcome: Some(outcome.into()), execution: Vec::new() }
}

pub(super) fn named(name: &Text, input: Option<&Text>) -> wire::Named {
    wire::Named { name: name.to_string(), input: out(input) }
}

pub(super) fn reason(reason: Option<&Text>) -> wire::Reason {
    wire::Reason { why: out(reason), ..Default::default() }
}

impl From<wire::Called> for Work {
    fn from(wire: wire::Called) -> Self {
        Self {
            name: wire.name.into(),
            version: back(wire.version),
            input: back(wire.input),
            tags: tags_in(wire.tags),
            trace: trace_in(wire.trace_parent, wire.trace_state),
        }
    }
}

pub(super) fn outcome(wire: Option<wire::Outcome>) -> Outcome {
    wire.map_or(Ok(None), Outcome::from)
}

pub(super) fn status(number: u32) -> Result<RuntimeStatus, DecodeError> {
    u8::try_from(number)
        .ok()
        .and_then(RuntimeStatus::from_number)
        .ok_or_else(|| DecodeError::new("runtime status", number))
}

impl From<&Caller> for wire::Caller {
    fn from(caller: &Caller) -> Self {
        Self {
            instance: caller.instance.to_string(),
            execution: execution_out(caller.execution),
            call: caller.call.0,
        }
    }
}

impl TryFrom<wire::Caller> for Caller {
    type Error = DecodeError;

    fn try_from(wire: wire::Caller) -> Result<Self, DecodeError> {
        Ok(Self {
            instance: InstanceId::trusted(wire.instance),
            execution: execution_in(&wire.execution)?,
            call: CallId(wire.call),
        })
    }
}

pub(super) fn caller_in(wire: Option<wire::Caller>) -> Result<Caller, DecodeError> {
    wire.ok_or_else(|| DecodeError::new("lock", "nobody asks for it"))?.try_into()
}

pub(super) fn operation_out(
    call: CallId,
    entity: &InstanceId,
    operation: &Operation,
    at: Option<Timestamp>,
) -> wire::Operation {
    wire::Operation {
        call: call.0,
        entity: entity.to_string(),
        at: at.map(|at| at.0),
        ..operation.into()
    }
}

impl From<&Operation> for wire::Operation {
    fn from(operation: &Operation) -> Self {
        let trace = operation.trace.as_ref();
        Self {
            request: operation.request.to_string(),
            name: operation.name.to_string(),
            input: out(operation.input.as_ref()),
            trace_parent: trace.map(|trace| trace.parent.to_string()),
            trace_state: trace.and_then(|trace| out(trace.state.as_ref())),
            ..Default::default()
        }
    }
}

impl From<wire::Operation> for Operation {
    fn from(wire: wire::Operation) -> Self {
        let trace = trace_in(wire.trace_parent, wire.trace_state);
        Self { trace, ..Self::new(wire.request, wire.name, back(wire.input)) }
    }
}

impl From<&Requested> for wire::Operation {
    fn from(requested: &Requested) -> Self {
        Self {
            at: requested.due.map(|at| at.0),
            caller: requested.caller.as_ref().map(wire::Caller::from),
            ..(&requested.operation).into()
        }
    }
}

impl TryFrom<wire::Operation> for Requested {
    type Error = DecodeError;

    fn try_from(mut wire: wire::Operation) -> Result<Self, DecodeError> {
        Ok(Self {
            caller: wire.caller.take().map(Caller::try_from).transpose()?,
            due: wire.at.map(Timestamp),
            operation: wire.into(),
        })
    }
}

pub(super) fn locks_out(call: CallId, section: &Text, entities: &[InstanceId]) -> wire::Locks {
    wire::Locks {
        call: call.0,
        section: section.to_string(),
        entities: entities.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

pub(super) fn entities_in(wire: Vec<String>) -> std::sync::Arc<[InstanceId]> {
    wire.into_iter().map(InstanceId::trusted).collect()
}

impl From<&LockRequest> for wire::Locks {
    fn from(request: &LockRequest) -> Self {
        Self {
            position: request.position,
            caller: Some((&request.caller).into()),
            ..locks_out(CallId(0), &request.section, &request.entities)
        }
    }
}

impl TryFrom<wire::Locks> for LockRequest {
    type Error = DecodeError;

    fn try_from(wire: wire::Locks) -> Result<Self, DecodeError> {
        Ok(Self {
            section: wire.section.into(),
            entities: entities_in(wire.entities),
            position: wire.position,
            caller: caller_in(wire.caller)?,
        })
    }
}

impl From<&EntityState> for wire::Entity {
    fn from(entity: &EntityState) -> Self {
        let holder = |lock: &Lock| wire::Caller {
            instance: lock.holder.to_string(),
            execution: execution_out(lock.execution),
            call: 0,
        };
        Self {
            state: out(entity.state.as_ref()),
            section: entity.lock.as_ref().map(|lock| lock.section.to_string()),
            holder: entity.lock.as_ref().map(holder),
        }
    }
}

impl TryFrom<wire::Entity> for EntityState {
    type Error = DecodeError;

    fn try_from(wire: wire::Entity) -> Result<Self, DecodeError> {
        let lock = match wire.section {
            None => None,
            Some(section) => {
                let Caller { instance, execution, .. } = caller_in(wire.holder)?;
                Some(Lock { section: section.into(), holder: instance, execution })
            }
        };
        Ok(Self { state: back(wire.state), lock })
    }
}
