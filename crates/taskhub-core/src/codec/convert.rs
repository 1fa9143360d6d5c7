//! Between the engine's words and the stored schema.

use std::collections::BTreeMap;

use super::{DecodeError, schema as wire};
use crate::{
    CallId, Event, ExecutionId, Failure, InstanceId, Kind, Message, Outcome, Parent, RuntimeStatus,
    Started, Tags, Text, Timestamp, Trace, Work,
};

fn out(text: Option<&Text>) -> Option<String> {
    text.map(ToString::to_string)
}

fn back(text: Option<String>) -> Option<Text> {
    text.map(Text::from)
}

pub(super) fn tags_out(tags: &Tags) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

pub(super) fn tags_in(tags: BTreeMap<String, String>) -> Tags {
    tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect::<Vec<_>>().into()
}

fn execution_out(execution: ExecutionId) -> Vec<u8> {
    execution.0.to_be_bytes().to_vec()
}

fn execution_in(bytes: &[u8]) -> Result<ExecutionId, DecodeError> {
    let bytes = bytes.try_into().map_err(|_| DecodeError::new("execution id", "not 16 bytes"))?;
    Ok(ExecutionId(u128::from_be_bytes(bytes)))
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
            tags: tags_out(&started.tags),
            trace_parent: trace.map(|trace| trace.parent.to_string()),
            trace_state: trace.and_then(|trace| out(trace.state.as_ref())),
        }
    }
}

impl TryFrom<wire::Started> for Started {
    type Error = DecodeError;

    fn try_from(wire: wire::Started) -> Result<Self, DecodeError> {
        let state = back(wire.trace_state);
        Ok(Self {
            name: wire.name.into(),
            version: back(wire.version),
            input: back(wire.input),
            execution: execution_in(&wire.execution)?,
            parent: wire.parent.map(Parent::try_from).transpose()?,
            start_at: wire.start_at.map(Timestamp),
            deadline: wire.deadline.map(Timestamp),
            tags: tags_in(wire.tags),
            trace: wire.trace_parent.map(|parent| Trace { parent: parent.into(), state }),
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

fn called(call: CallId, work: &Work, instance: Option<&InstanceId>) -> wire::Called {
    wire::Called {
        call: call.0,
        name: work.name.to_string(),
        version: out(work.version.as_ref()),
        input: out(work.input.as_ref()),
        tags: tags_out(&work.tags),
        instance: instance.map(ToString::to_string).unwrap_or_default(),
    }
}

fn finished(call: CallId, outcome: &Outcome) -> wire::Finished {
    wire::Finished { call: call.0, outcome: Some(outcome.into()), execution: Vec::new() }
}

fn named(name: &Text, input: Option<&Text>) -> wire::Named {
    wire::Named { name: name.to_string(), input: out(input) }
}

fn reason(reason: Option<&Text>) -> wire::Reason {
    wire::Reason { why: out(reason), ..Default::default() }
}

impl From<&Event> for wire::Event {
    fn from(event: &Event) -> Self {
        Self { at: event.at.0, kind: Some((&event.kind).into()) }
    }
}

impl From<&Kind> for wire::Kind {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::Started(started) => Self::Started(Box::new((&**started).into())),
            Kind::TurnStarted { takes } => Self::TurnStarted(*takes),
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
        }
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
            Wire::TurnStarted(takes) => Self::TurnStarted { takes },
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
        })
    }
}

impl From<wire::Called> for Work {
    fn from(wire: wire::Called) -> Self {
        Self {
            name: wire.name.into(),
            version: back(wire.version),
            input: back(wire.input),
            tags: tags_in(wire.tags),
        }
    }
}

fn outcome(wire: Option<wire::Outcome>) -> Outcome {
    wire.map_or(Ok(None), Outcome::from)
}

fn status(number: u32) -> Result<RuntimeStatus, DecodeError> {
    u8::try_from(number)
        .ok()
        .and_then(RuntimeStatus::from_number)
        .ok_or_else(|| DecodeError::new("runtime status", number))
}

impl From<&Message> for wire::Message {
    fn from(message: &Message) -> Self {
        let body = match message {
            Message::Start(started) => wire::Body::Start(Box::new((&**started).into())),
            Message::Raise { name, input } => wire::Body::Raise(named(name, input.as_ref())),
            Message::ChildFinished { execution, call, outcome } => {
                wire::Body::ChildFinished(wire::Finished {
                    execution: execution_out(*execution),
                    ..finished(*call, outcome)
                })
            }
            Message::Terminate { execution, call, reason, recursive } => {
                wire::Body::Terminate(wire::Reason {
                    why: out(reason.as_ref()),
                    recursive: *recursive,
                    execution: execution_out(*execution),
                    call: call.0,
                })
            }
        };
        Self { body: Some(body) }
    }
}

impl TryFrom<wire::Message> for Message {
    type Error = DecodeError;

    fn try_from(wire: wire::Message) -> Result<Self, DecodeError> {
        let body = wire.body.ok_or_else(|| {
            DecodeError::new("message", "of a kind that this version does not know")
        })?;
        Ok(match body {
            wire::Body::Start(started) => Self::Start(Box::new((*started).try_into()?)),
            wire::Body::Raise(wire) => {
                Self::Raise { name: wire.name.into(), input: back(wire.input) }
            }
            wire::Body::ChildFinished(wire) => Self::ChildFinished {
                execution: execution_in(&wire.execution)?,
                call: CallId(wire.call),
                outcome: outcome(wire.outcome),
            },
            wire::Body::Terminate(wire) => Self::Terminate {
                execution: execution_in(&wire.execution)?,
                call: CallId(wire.call),
                reason: back(wire.why),
                recursive: wire.recursive,
            },
        })
    }
}
