//! What code can ask for, before it has an id.

use std::panic::Location;

use crate::{InstanceId, Text, Timestamp, Work};

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

/// How an execution goes on as a new one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContinueAsNew {
    /// The input of the new execution.
    pub input: Option<Text>,
    /// Its version, if it changes.
    pub version: Option<Text>,
    /// Whether events that nobody took go over to it.
    pub keep_events: bool,
}

impl ContinueAsNew {
    /// The kind of failure by which code returns early in order to go on as a new execution. Any
    /// other failure, or a panic, fails the execution although it meant to go on.
    pub const FAILURE: &'static str = "ContinueAsNew";
}

/// A place among the calls of an execution, taken before it is known what will be called.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub(super) seq: u64,
    pub(super) location: &'static Location<'static>,
}
