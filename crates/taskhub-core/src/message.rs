//! What instances send each other.

use std::sync::Arc;

use crate::mutation::{Mutation, mutated};
use crate::{
    CallId, ExecutionId, InstanceId, LockRequest, MessageId, Outcome, PartitionId, Requested,
    Started, Text,
};

/// A message from one instance to another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// Begin to run; from a parent to its child, or from whoever starts it and does not wait.
    Start(Box<Started>),
    /// An event.
    Raise {
        /// The event's name.
        name: Text,
        /// The event's payload.
        input: Option<Text>,
    },
    /// A child ended; ignored unless that execution still waits for that call.
    ChildFinished {
        /// The execution that called it.
        execution: ExecutionId,
        /// The call.
        call: CallId,
        /// How it ended.
        outcome: Outcome,
    },
    /// End now.
    Terminate {
        /// Only as the child of this execution, by this call: from a terminated parent, which
        /// does not know whether the id was in use when it called its child.
        child_of: Option<(ExecutionId, CallId)>,
        /// Why.
        reason: Option<Text>,
        /// Whether its own children end too.
        recursive: bool,
    },
    /// The parent goes on from before its failure, under a new execution, and waits for this child:
    /// one that failed goes on too, one that returned says so again, one that runs takes note, and
    /// any other is started.
    Rewind {
        /// How it would begin now; names the parent as it is now.
        started: Box<Started>,
        /// The parent's execution before.
        execution: ExecutionId,
        /// Why.
        reason: Option<Text>,
    },
    /// Perform an operation; to an entity.
    Operation(Box<Requested>),
    /// An operation ended; ignored unless that execution still waits for that call.
    OperationFinished {
        /// The execution that called it.
        execution: ExecutionId,
        /// The call.
        call: CallId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Be there for one orchestration only; to an entity.
    Lock(Box<LockRequest>),
    /// All entities of a critical section are locked. Given back if nobody waits for that.
    LocksGranted {
        /// The execution that asked.
        execution: ExecutionId,
        /// The call.
        call: CallId,
        /// The critical section.
        section: Text,
        /// The entities.
        entities: Arc<[InstanceId]>,
    },
    /// Be there for everybody again; to an entity, which passes it on as a request to lock is: so
    /// it overtakes no request that is still on its way.
    Unlock {
        /// The critical section.
        section: Text,
        /// The entities behind this one.
        next: Arc<[InstanceId]>,
    },
}

impl Message {
    /// What unlocks these entities, one after another.
    pub(crate) fn unlock(section: &Text, entities: &[InstanceId]) -> Option<(InstanceId, Self)> {
        let (first, next) = entities.split_first()?;
        let next = if mutated(Mutation::UnlockFirst) { &[] } else { next };
        Some((first.clone(), Self::Unlock { section: section.clone(), next: next.into() }))
    }
}

/// A message on its way: it stands in the receiver's inbox from the sender's commit until the
/// commit of the turn that takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Which message this is.
    pub id: MessageId,
    /// The receiver.
    pub to: InstanceId,
    /// The receiver's partition.
    pub partition: PartitionId,
    /// What is sent.
    pub message: Message,
}
