//! History events: the immutable entries from which an instance can be rebuilt.
//!
//! A history is a log. *Arrivals* are written when they are accepted; [`Kind::TurnStarted`] says
//! how many waiting arrivals one turn took; the calls that the turn made follow it. So everything
//! accepted is in the instance's own log at once, whether or not anybody can run it yet.

use std::sync::Arc;

use crate::{
    CallId, EntityState, ExecutionId, Failure, InstanceId, LockRequest, Operation, Requested,
    RuntimeStatus, Started, Text, Timestamp, Work,
};

/// What a finished call gave: its output, or why it failed.
pub type Outcome = Result<Option<Text>, Failure>;

/// One entry of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When the owner of the instance wrote it; never earlier than the entry before.
    pub at: Timestamp,
    /// What happened.
    pub kind: Kind,
}

/// What happened to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The execution was created.
    Started(Box<Started>),
    /// A turn took the oldest `takes` arrivals that no turn had taken.
    TurnStarted {
        /// How many arrivals it took.
        takes: u32,
        /// What its code took for the time, where that is not the time of this event: a worker
        /// elsewhere was told the time at which it got the turn.
        clock: Option<Timestamp>,
    },
    /// The code called an activity.
    ActivityScheduled {
        /// Its id.
        call: CallId,
        /// What was called.
        work: Work,
    },
    /// An activity ended; counted once per call.
    ActivityFinished {
        /// The call that ended.
        call: CallId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The code called another orchestration.
    ChildScheduled {
        /// Its id.
        call: CallId,
        /// The id of the instance that runs it.
        instance: InstanceId,
        /// What was called.
        work: Work,
    },
    /// A child orchestration ended.
    ChildFinished {
        /// The call that ended.
        call: CallId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The code began to wait for a point in time.
    TimerCreated {
        /// Its id.
        call: CallId,
        /// The earliest time at which it may fire.
        fire_at: Timestamp,
    },
    /// A timer fired; never before its time, and once.
    TimerFired {
        /// The timer.
        call: CallId,
    },
    /// The code sent an event to another instance.
    EventSent {
        /// Its id.
        call: CallId,
        /// The receiver.
        to: InstanceId,
        /// The event's name.
        name: Text,
        /// The event's payload.
        input: Option<Text>,
    },
    /// The code started an orchestration that it does not wait for.
    InstanceStarted {
        /// Its id.
        call: CallId,
        /// The id of the instance.
        instance: InstanceId,
        /// What was started.
        work: Work,
        /// When its first turn may run, if not at once.
        at: Option<Timestamp>,
    },
    /// The code ended another instance.
    TerminateSent {
        /// Its id.
        call: CallId,
        /// The instance.
        to: InstanceId,
        /// Why.
        reason: Option<Text>,
        /// Whether its children end too.
        recursive: bool,
    },
    /// The code called an operation of an entity.
    OperationCalled {
        /// Its id.
        call: CallId,
        /// The entity.
        entity: InstanceId,
        /// The operation.
        operation: Operation,
    },
    /// An operation of an entity ended.
    OperationFinished {
        /// The call that ended.
        call: CallId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The code asked for an operation of an entity, and does not wait for it.
    OperationSignaled {
        /// Its id.
        call: CallId,
        /// The entity.
        entity: InstanceId,
        /// The operation.
        operation: Operation,
        /// When it may be performed at the earliest, if not at once.
        at: Option<Timestamp>,
    },
    /// The code asked for several entities for itself.
    LocksRequested {
        /// Its id.
        call: CallId,
        /// Names the critical section.
        section: Text,
        /// The entities, sorted, each once.
        entities: Arc<[InstanceId]>,
    },
    /// It has them.
    LocksGranted {
        /// The request that is granted.
        call: CallId,
        /// The critical section.
        section: Text,
    },
    /// The code gave one of them back.
    Unlocked {
        /// Its id.
        call: CallId,
        /// The critical section.
        section: Text,
        /// The entity.
        entity: InstanceId,
    },
    /// The code noted something that later versions of it will ask for.
    Noted {
        /// Its id.
        call: CallId,
        /// What it is about.
        name: Text,
        /// What was noted.
        value: Text,
    },
    /// A failed execution goes on from before its failure: what stands before this is what is left
    /// of its history. A turn follows, which may take nothing.
    Rewound {
        /// Why.
        reason: Option<Text>,
    },
    /// Nobody has started the instance yet: until this time its events are kept for who does.
    Awaited {
        /// Until when; the latest of these counts.
        until: Timestamp,
    },
    /// What an entity was when this was written; its history begins anew with this.
    Entity(Box<EntityState>),
    /// An entity is asked to perform an operation.
    OperationRequested(Box<Requested>),
    /// The time has come of so many operations that an entity was asked for later, the earliest of
    /// them: here they take their places in line.
    OperationsDue {
        /// How many.
        count: u32,
    },
    /// Somebody wants to have an entity for himself.
    LockRequested(Box<LockRequest>),
    /// Somebody no longer wants to have an entity for himself.
    LockReleased {
        /// The critical section.
        section: Text,
    },
    /// Somebody raised an event.
    EventRaised {
        /// The event's name; matched without regard to case.
        name: Text,
        /// The event's payload.
        input: Option<Text>,
    },
    /// The code no longer waits for a call: a late result of it does not count.
    CallCancelled {
        /// The call given up.
        call: CallId,
    },
    /// A child has ended that no code waits for any more.
    ChildGone {
        /// The execution that called it.
        execution: ExecutionId,
        /// The call.
        call: CallId,
    },
    /// Somebody suspended the instance.
    Suspended {
        /// Why.
        reason: Option<Text>,
    },
    /// Somebody resumed the instance.
    Resumed {
        /// Why.
        reason: Option<Text>,
    },
    /// Somebody terminated the instance.
    Terminated {
        /// Why; becomes the output.
        reason: Option<Text>,
    },
    /// The execution ended; its output stands in the instance's record.
    Completed {
        /// How it ended.
        status: RuntimeStatus,
    },
}

impl Kind {
    /// Whether it came from outside the code, and waits until a turn takes it.
    #[must_use]
    pub fn is_arrival(&self) -> bool {
        let own = matches!(
            self,
            Self::TurnStarted { .. }
                | Self::Completed { .. }
                | Self::Rewound { .. }
                | Self::Awaited { .. }
                | Self::Entity(_)
                | Self::OperationsDue { .. }
                | Self::ChildGone { .. }
        );
        !own && !self.is_action()
    }

    /// Whether the code did it.
    #[must_use]
    pub fn is_action(&self) -> bool {
        self.call().is_some()
            && !matches!(
                self,
                Self::ActivityFinished { .. }
                    | Self::ChildFinished { .. }
                    | Self::OperationFinished { .. }
                    | Self::LocksGranted { .. }
                    | Self::TimerFired { .. }
            )
    }

    /// How many bytes of payload it carries.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        let len = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.len());
        match self {
            Self::Started(started) => len(&started.input),
            Self::ActivityScheduled { work, .. }
            | Self::ChildScheduled { work, .. }
            | Self::InstanceStarted { work, .. } => len(&work.input),
            Self::ActivityFinished { outcome: Ok(output), .. }
            | Self::ChildFinished { outcome: Ok(output), .. }
            | Self::OperationFinished { outcome: Ok(output), .. } => len(output),
            Self::EventSent { input, .. } | Self::EventRaised { input, .. } => len(input),
            Self::OperationCalled { operation, .. } | Self::OperationSignaled { operation, .. } => {
                len(&operation.input)
            }
            Self::OperationRequested(requested) => len(&requested.operation.input),
            Self::Entity(entity) => len(&entity.state),
            Self::Noted { value, .. } => value.len(),
            Self::TerminateSent { reason, .. } => len(reason),
            _ => 0,
        }
    }

    /// The call it makes, ends or gives up.
    #[must_use]
    pub fn call(&self) -> Option<CallId> {
        match self {
            Self::ActivityScheduled { call, .. }
            | Self::ActivityFinished { call, .. }
            | Self::ChildScheduled { call, .. }
            | Self::ChildFinished { call, .. }
            | Self::TimerCreated { call, .. }
            | Self::TimerFired { call }
            | Self::EventSent { call, .. }
            | Self::InstanceStarted { call, .. }
            | Self::TerminateSent { call, .. }
            | Self::OperationCalled { call, .. }
            | Self::OperationFinished { call, .. }
            | Self::OperationSignaled { call, .. }
            | Self::LocksRequested { call, .. }
            | Self::LocksGranted { call, .. }
            | Self::Unlocked { call, .. }
            | Self::Noted { call, .. }
            | Self::CallCancelled { call } => Some(*call),
            _ => None,
        }
    }
}
