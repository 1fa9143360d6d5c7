//! What is asked of entities: operations, and locks over several of them.

use std::sync::Arc;

use crate::{CallId, ExecutionId, InstanceId, Text, Timestamp, Trace};

/// One operation that an entity is asked to perform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Names the request; whoever answers says it again. Durable Task SDKs make it a GUID.
    pub request: Text,
    /// Which operation.
    pub name: Text,
    /// What it is given.
    pub input: Option<Text>,
    /// The trace of who asks.
    pub trace: Option<Trace>,
}

impl Operation {
    /// A request for `name` with `input`, and nothing else said.
    pub fn new(request: impl Into<Text>, name: impl Into<Text>, input: Option<Text>) -> Self {
        Self { request: request.into(), name: name.into(), input, trace: None }
    }
}

/// The call of an orchestration that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The calling instance.
    pub instance: InstanceId,
    /// The calling execution.
    pub execution: ExecutionId,
    /// The call.
    pub call: CallId,
}

/// An operation on its way to an entity, or waiting there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// What to do.
    pub operation: Operation,
    /// Who waits for the answer; nobody does for a signal.
    pub caller: Option<Caller>,
    /// When it may be performed at the earliest, if not at once.
    pub due: Option<Timestamp>,
}

/// A request to lock several entities: it goes from one to the next, in order of their ids, and
/// the last one tells the caller. So no two requests can wait for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRequest {
    /// Names the critical section.
    pub section: Text,
    /// The entities, sorted, each once.
    pub entities: Arc<[InstanceId]>,
    /// Which of them is asked now, from 0.
    pub position: u32,
    /// Who waits.
    pub caller: Caller,
}

/// What an entity is between operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntityState {
    /// Its state; `None` when it has none, which is how it begins and how it ends.
    pub state: Option<Text>,
    /// Who has it for himself.
    pub lock: Option<Lock>,
}

/// An entity is locked: only its holder's operations are performed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The critical section.
    pub section: Text,
    /// The orchestration in it.
    pub holder: InstanceId,
    /// Its execution.
    pub execution: ExecutionId,
}
