//! What instances send each other.

use crate::{CallId, ExecutionId, InstanceId, MessageId, Outcome, PartitionId, Started, Text};

/// A message from one instance to another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// Begin to run; from a parent to its child.
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
    /// End now; from a terminated parent to its child. Ignored by whoever is not its child.
    Terminate {
        /// The execution that called it.
        execution: ExecutionId,
        /// The call.
        call: CallId,
        /// Why.
        reason: Option<Text>,
        /// Whether its own children end too.
        recursive: bool,
    },
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
