//! What workers are given to do, and what they give back.

use std::sync::Arc;

use crate::{
    CallId, Epoch, Event, ExecutionId, Failure, InstanceId, Outcome, PartitionId, Requested, Text,
    Timestamp, Work, turn::Step,
};

/// Something to do, somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Which run of what it is.
    pub ticket: Ticket,
    /// What to do.
    pub job: Job,
}

/// What can be given to a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Run an activity.
    Activity(Work),
    /// Run a turn of an orchestration whose code is not in this process.
    Turn(Box<Turn>),
    /// Perform operations of an entity.
    Operations(Box<Operations>),
}

/// A turn of an orchestration, for a worker that has its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The orchestration.
    pub name: Text,
    /// Its version.
    pub version: Option<Text>,
    /// The whole history of the execution, in pieces.
    pub history: Vec<Arc<[Event]>>,
    /// How many of the arrivals in it that no turn has taken are for this one: the oldest.
    pub takes: u32,
    /// What the code is to take for the time.
    pub clock: Timestamp,
    /// Behind which turn it comes, if that is known.
    pub after: Option<Mark>,
}

/// What a worker calls a turn that it ran: a number, drawn at random, that no other turn has. Who
/// keeps code knows by it that nothing else happened to the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark(pub u64);

/// Operations of one entity, to be performed in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operations {
    /// The state to begin with.
    pub state: Option<Text>,
    /// What to do.
    pub requested: Vec<Requested>,
}

/// Names one dispatch of one piece of work: a result counts only while its ticket is outstanding.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The partition that waits for it.
    pub partition: PartitionId,
    /// The epoch under which it was dispatched.
    pub epoch: Epoch,
    /// The instance that it is for.
    pub instance: InstanceId,
    /// Its execution.
    pub execution: ExecutionId,
    /// Which piece of that execution's work.
    pub piece: Piece,
}

/// A piece of work of one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Piece {
    /// The activity of this call.
    Activity(CallId),
    /// The turn that begins when the history has so many events.
    Turn(u64),
    /// The operations that begin when the history has so many events.
    Operations(u64),
}

impl Piece {
    /// How many kinds of work there are; each has bounds of its own, so that none waits for
    /// another.
    pub const KINDS: usize = 3;

    /// Which kind of work it is, below [`Self::KINDS`].
    #[must_use]
    pub fn kind(self) -> usize {
        match self {
            Self::Activity(_) => 0,
            Self::Turn(_) => 1,
            Self::Operations(_) => 2,
        }
    }
}

/// What a worker gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskResult {
    /// For which task.
    pub ticket: Ticket,
    /// What came of it.
    pub done: Done,
}

/// What came of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// How the activity ended.
    Activity(Outcome),
    /// How the activity ended, and the turn that takes that.
    Ahead(Box<Ahead>),
    /// What the turn came to.
    Turn(Box<Taken>),
    /// What the operations came to.
    Operations(Box<Performed>),
}

/// What a turn elsewhere came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// How many arrivals it took, if not all that it was given.
    pub takes: Option<u32>,
    /// Where the code stands, and what it called.
    pub step: Step,
    /// What its worker calls it, if that keeps the code.
    pub mark: Option<Mark>,
}

/// The result of an activity, and a turn that took it before anybody asked for that: its worker
/// keeps the code of the instance. The turn counts if it is the next one; if not, the result does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    /// How the activity ended.
    pub outcome: Outcome,
    /// When, for the code.
    pub at: Timestamp,
    /// Behind which turn the code stood.
    pub after: Mark,
    /// What the turn came to. It took this result and nothing else.
    pub taken: Taken,
}

/// What operations came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Performed {
    /// How each ended, in order. Those without a result wait for the next turn of the entity.
    pub outcomes: Vec<Outcome>,
    /// The state after them; `None` deletes it.
    pub state: Option<Text>,
    /// What the entity did beside.
    pub acts: Vec<Act>,
    /// Why not one was performed: all of them fail with this, and the state stays.
    pub failed: Option<Failure>,
}

/// What an operation can do to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Ask another entity, or itself, for an operation.
    Signal(InstanceId, Requested),
    /// Start an orchestration.
    Start {
        /// The id of the instance.
        instance: InstanceId,
        /// What to start.
        work: Work,
        /// When its first turn may run, if not at once.
        at: Option<Timestamp>,
    },
}
