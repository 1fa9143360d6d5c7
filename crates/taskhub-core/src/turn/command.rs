//! What code can ask for, before it has an id.

use std::{panic::Location, sync::Arc};

use crate::{InstanceId, Operation, Tags, Text, Timestamp, Work};

/// Something that takes time and whose end is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Run an activity.
    Activity(Work),
    /// Run another orchestration, under this id or a derived one.
    Child {
        /// The child's id.
        instance: Option<InstanceId>,
        /// What to run.
        work: Work,
    },
    /// Wait until a point in time.
    Timer {
        /// The earliest moment to go on.
        fire_at: Timestamp,
    },
    /// Wait for an event of this name.
    Event {
        /// The name; case does not matter.
        name: Text,
    },
    /// Call an operation of an entity.
    Operation {
        /// The entity.
        entity: InstanceId,
        /// The operation; without a name for the request, one is made.
        operation: Operation,
    },
    /// Lock entities.
    Lock {
        /// The entities, in any order.
        entities: Arc<[InstanceId]>,
    },
    /// Start an orchestration; nothing is waited for.
    Start {
        /// The id of the instance, or one is made.
        instance: Option<InstanceId>,
        /// What to start.
        work: Work,
        /// When its first turn may run, if not at once.
        at: Option<Timestamp>,
    },
    /// Ask an entity for an operation; nothing is waited for.
    Signal {
        /// The entity.
        entity: InstanceId,
        /// The operation.
        operation: Operation,
        /// When it may be performed at the earliest, if not at once.
        at: Option<Timestamp>,
    },
    /// Unlock an entity; nothing is waited for.
    Unlock {
        /// The critical section.
        section: Text,
        /// The entity.
        entity: InstanceId,
    },
    /// End another instance; nothing is waited for.
    Terminate {
        /// The instance.
        to: InstanceId,
        /// Why.
        reason: Option<Text>,
        /// Whether its children end too.
        recursive: bool,
    },
    /// Note something in the history; nothing is waited for.
    Note {
        /// What it is about.
        name: Text,
        /// What is noted.
        value: Text,
    },
    /// Send an event; nothing is waited for.
    Send {
        /// The receiver.
        to: InstanceId,
        /// The event's name.
        name: Text,
        /// The event's payload.
        input: Option<Text>,
    },
}

impl Command {
    /// Whether it ends at once, as nothing is waited for.
    pub(super) fn is_sent(&self) -> bool {
        matches!(
            self,
            Self::Send { .. }
                | Self::Start { .. }
                | Self::Signal { .. }
                | Self::Unlock { .. }
                | Self::Terminate { .. }
                | Self::Note { .. }
        )
    }
}

/// How an execution goes on as a new one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContinueAsNew {
    /// The input of the new execution.
    pub input: Option<Text>,
    /// Its version, if it changes.
    pub version: Option<Text>,
    /// Whether events that nobody took go over to it.
    pub keep_events: bool,
    /// Its labels, if they change.
    pub tags: Option<Tags>,
}

impl ContinueAsNew {
    /// The kind of failure by which code returns early in order to go on as a new execution. Any
    /// other failure fails the execution although it meant to go on; a panic parks it.
    pub const FAILURE: &'static str = "ContinueAsNew";
}

/// A place among the calls of an execution, taken before it is known what will be called.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub(super) seq: u64,
    pub(super) location: &'static Location<'static>,
}
