//! What clients ask of the owner of an instance, and what they are told.

use crate::{
    ExecutionId, InstanceId, Record, RequestId, Requested, RuntimeStatus, Started, TaskResult,
    Text, Timestamp,
};

/// A client's request for one instance; answered once, after what it caused is durable.
#[derive(Debug, Clone)]
pub struct Request {
    /// Finds the way back to the client.
    pub id: RequestId,
    /// The instance it is about.
    pub instance: InstanceId,
    /// What is asked.
    pub verb: Verb,
}

/// What can be asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Verb {
    /// Start it.
    Start {
        /// How it begins.
        started: Box<Started>,
        /// What to do when the id is in use.
        reuse: Reuse,
    },
    /// Raise an event.
    Raise {
        /// The event's name.
        name: Text,
        /// The event's payload.
        input: Option<Text>,
    },
    /// Raise an event, or, if nobody has started the instance yet, keep it for who does.
    RaiseEarly {
        /// The event's name.
        name: Text,
        /// The event's payload.
        input: Option<Text>,
        /// Until when it is kept.
        until: Timestamp,
    },
    /// Start it and raise an event for it; only the latter if it is there and has not ended.
    StartOrRaise {
        /// How it begins.
        started: Box<Started>,
        /// What to do when the id is in use by an instance that has ended.
        reuse: Reuse,
        /// The event's name.
        name: Text,
        /// The event's payload.
        input: Option<Text>,
    },
    /// End it now, unless it has ended.
    Terminate {
        /// Why; becomes the output.
        reason: Option<Text>,
        /// Whether its children end too.
        recursive: bool,
    },
    /// Let it accept events but not run.
    Suspend {
        /// Why.
        reason: Option<Text>,
    },
    /// Let a suspended or parked instance go on.
    Resume {
        /// Why.
        reason: Option<Text>,
    },
    /// Let a failed orchestration go on from before its failure: what was done stays done.
    Rewind {
        /// Why.
        reason: Option<Text>,
    },
    /// Ask an entity for an operation, and do not wait for it.
    Signal(Box<Requested>),
    /// Give back an entity for an orchestration that is gone. The engine does so by itself, as
    /// long as it can read what the orchestration has locked.
    Unlock {
        /// The critical section that it was locked for.
        section: Text,
    },
    /// A worker did what it was given.
    Finish(Box<TaskResult>),
    /// Forget it; only when it has ended, is parked, or is an entity that nobody uses.
    Purge,
    /// Tell where it stands.
    Status,
    /// Tell when its first turn has run, or when it has ended without one.
    WaitStart,
    /// Tell when it has ended.
    Wait,
    /// The same two, whether or not it is there: who starts it may come later. If it is purged
    /// meanwhile, another may be started under its id.
    ExpectStart,
    /// See [`ExpectStart`](Self::ExpectStart).
    Expect,
}

impl Verb {
    /// Whether its answer may be long in coming, as it tells of something that has yet to happen.
    #[must_use]
    pub fn waits(&self) -> bool {
        matches!(self, Self::Wait | Self::WaitStart) || self.expects()
    }

    /// Whether it waits for an instance that may not be there yet, too.
    #[must_use]
    pub fn expects(&self) -> bool {
        matches!(self, Self::Expect | Self::ExpectStart)
    }
}

/// What a start does when its id is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reuse {
    /// The id was made just now and cannot be in use: refuses if it is. Nothing is looked up for
    /// the id of the execution ([`InstanceId::fresh`]).
    Fresh,
    /// Replaces an instance that has one of these statuses; refuses otherwise.
    Replace(Vec<RuntimeStatus>),
    /// Leaves the instance that is there alone and joins it, whatever its status.
    Join,
}

impl Reuse {
    /// Replaces any instance that has ended: the default of Durable Functions.
    #[must_use]
    pub fn ended() -> Self {
        Self::Replace(RuntimeStatus::ALL.into_iter().filter(|s| s.is_terminal()).collect())
    }
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It was started, or joined; this is its execution.
    Started(ExecutionId),
    /// What was asked is durable.
    Done,
    /// Where it stands, or where it ended.
    Status(Box<Record>),
    /// It was refused; nothing happened.
    Refused(Refusal),
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No instance has that id.
    #[error("there is no instance {0}")]
    NotFound(InstanceId),
    /// The id of a start is in use.
    #[error(
        "orchestration instance already exists: {0} is {1:?}; use another id, or end and purge it"
    )]
    Exists(InstanceId, RuntimeStatus),
    /// The instance has ended.
    #[error("instance {0} has ended: it is {1:?}")]
    Ended(InstanceId, RuntimeStatus),
    /// The instance has not ended.
    #[error("instance {0} is {1:?}; only instances that have ended can be purged or started again")]
    NotEnded(InstanceId, RuntimeStatus),
    /// The instance has not failed.
    #[error("instance {0} is {1:?}; only instances that have failed can be rewound")]
    NotFailed(InstanceId, RuntimeStatus),
    /// The instance has failed, and cannot go on from before that.
    #[error("instance {0} cannot be rewound: {1}")]
    CannotRewind(InstanceId, Text),
    /// Orchestrations and entities are asked different things.
    #[error(
        "this cannot be asked of {0}: entities are signaled and read, orchestrations are started, \
         told events and waited for"
    )]
    OtherKind(InstanceId),
    /// The entity is in use.
    #[error("entity {0} is locked, or operations of it are under way; try again when it rests")]
    InUse(InstanceId),
    /// The payload has so many bytes, and only so many are allowed.
    #[error(
        "a payload of {1} bytes for instance {0} is too large, {2} are allowed; pass a reference \
         to it, or raise `Limits::payload_bytes_max`, of a server its setting \
         `limits.payload_bytes`"
    )]
    TooLarge(InstanceId, usize, usize),
    /// A limit is reached for now.
    #[error("too busy: {0}; try again a little later")]
    Busy(&'static str),
    /// This node does not own the partition of the instance, or not any more. Nothing happened:
    /// ask its owner. Only nodes hear this of each other.
    #[error("instance {0} lives on another node; try again")]
    Moved(InstanceId),
    /// This node is shutting down. Nothing happened.
    #[error("this node is shutting down; try again in a moment")]
    Stopping,
    /// The store could not be read, or no node owns the partition just now. Nothing happened.
    #[error("instance {0} cannot be served at the moment: {1}; try again")]
    Unavailable(InstanceId, String),
    /// The store, or the node that was asked, failed before it was safe: nobody knows whether it
    /// happened.
    #[error("nobody knows whether this was done ({0}); look what became of it, or try again")]
    Lost(String),
}

impl Refusal {
    /// Whether it is certain that what was asked did not happen, though the same may well be done
    /// when it is asked again, here or of another node.
    #[must_use]
    pub fn nothing_happened(&self) -> bool {
        matches!(self, Self::Moved(_) | Self::Stopping | Self::Unavailable(..) | Self::Busy(_))
    }
}
