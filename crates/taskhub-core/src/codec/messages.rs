//! Between messages and the stored schema.

use super::{
    DecodeError, schema as wire,
    values::{
        back, caller_in, entities_in, execution_in, execution_out, finished, locks_out, named, out,
        outcome,
    },
};
use crate::{CallId, Message};

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
            Message::Terminate { child_of, reason, recursive } => {
                let (execution, call) = child_of.unzip();
                wire::Body::Terminate(wire::Reason {
                    why: out(reason.as_ref()),
                    recursive: *recursive,
                    execution: execution.map(execution_out).unwrap_or_default(),
                    call: call.map_or(0, |call| call.0),
                })
            }
            Message::Rewind { started, execution, reason } => {
                wire::Body::Rewind(Box::new(wire::Rewind {
                    started: Some((&**started).into()),
                    execution: execution_out(*execution),
                    why: out(reason.as_ref()),
                }))
            }
            Message::Operation(requested) => wire::Body::Operation(Box::new((&**requested).into())),
            Message::OperationFinished { execution, call, outcome } => {
                wire::Body::OperationFinished(wire::Finished {
                    execution: execution_out(*execution),
                    ..finished(*call, outcome)
                })
            }
            Message::Lock(request) => wire::Body::Lock(Box::new((&**request).into())),
            Message::LocksGranted { execution, call, section, entities } => {
                let caller = wire::Caller {
                    execution: execution_out(*execution),
                    call: call.0,
                    ..Default::default()
                };
                let locks = locks_out(*call, section, entities);
                wire::Body::LocksGranted(wire::Locks { caller: Some(caller), ..locks })
            }
            Message::Unlock { section, next } => {
                wire::Body::Unlock(locks_out(CallId(0), section, next))
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
                child_of: match &wire.execution[..] {
                    [] => None,
                    bytes => Some((execution_in(bytes)?, CallId(wire.call))),
                },
                reason: back(wire.why),
                recursive: wire.recursive,
            },
            wire::Body::Rewind(wire) => Self::Rewind {
                started: Box::new(wire.started.unwrap_or_default().try_into()?),
                execution: execution_in(&wire.execution)?,
                reason: back(wire.why),
            },
            wire::Body::Operation(wire) => Self::Operation(Box::new((*wire).try_into()?)),
            wire::Body::OperationFinished(wire) => Self::OperationFinished {
                execution: execution_in(&wire.execution)?,
                call: CallId(wire.call),
                outcome: outcome(wire.outcome),
            },
            wire::Body::Lock(wire) => Self::Lock(Box::new((*wire).try_into()?)),
            wire::Body::LocksGranted(wire) => {
                let caller = caller_in(wire.caller)?;
                let entities = entities_in(wire.entities);
                let (execution, call) = (caller.execution, caller.call);
                Self::LocksGranted { execution, call, section: wire.section.into(), entities }
            }
            wire::Body::Unlock(wire) => {
                let next = entities_in(wire.entities);
                Self::Unlock { section: wire.section.into(), next }
            }
        })
    }
}
