//! The protobuf schema of what is stored. A number, once given, stays given.

use std::collections::BTreeMap;

use prost::{Message as Proto, Oneof};

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Events {
    #[prost(message, repeated, tag = "1")]
    pub events: Vec<Event>,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Event {
    #[prost(sint64, tag = "1")]
    pub at: i64,
    #[prost(
        oneof = "Kind",
        tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, \
        17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32"
    )]
    pub kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Kind {
    #[prost(message, tag = "2")]
    Started(Box<Started>),
    #[prost(uint32, tag = "3")]
    TurnStarted(u32),
    #[prost(message, tag = "4")]
    ActivityScheduled(Called),
    #[prost(message, tag = "5")]
    ActivityFinished(Finished),
    #[prost(message, tag = "6")]
    ChildScheduled(Called),
    #[prost(message, tag = "7")]
    ChildFinished(Finished),
    #[prost(message, tag = "8")]
    TimerCreated(Timer),
    #[prost(uint32, tag = "9")]
    TimerFired(u32),
    #[prost(message, tag = "10")]
    EventSent(Called),
    #[prost(message, tag = "11")]
    EventRaised(Named),
    #[prost(uint32, tag = "12")]
    CallCancelled(u32),
    #[prost(message, tag = "13")]
    Suspended(Reason),
    #[prost(message, tag = "14")]
    Resumed(Reason),
    #[prost(message, tag = "15")]
    Terminated(Reason),
    #[prost(uint32, tag = "16")]
    Completed(u32),
    #[prost(message, tag = "17")]
    TurnStartedAt(Timer),
    #[prost(message, tag = "18")]
    InstanceStarted(Called),
    #[prost(message, tag = "19")]
    TerminateSent(Ended),
    #[prost(message, tag = "20")]
    OperationCalled(Operation),
    #[prost(message, tag = "21")]
    OperationFinished(Finished),
    #[prost(message, tag = "22")]
    OperationSignaled(Operation),
    #[prost(message, tag = "23")]
    LocksRequested(Locks),
    #[prost(message, tag = "24")]
    LocksGranted(Locks),
    #[prost(message, tag = "25")]
    Unlocked(Locks),
    #[prost(message, tag = "26")]
    Noted(Note),
    #[prost(message, tag = "27")]
    Rewound(Reason),
    #[prost(message, tag = "28")]
    Entity(Box<Entity>),
    #[prost(message, tag = "29")]
    OperationRequested(Box<Operation>),
    #[prost(message, tag = "30")]
    LockRequested(Box<Locks>),
    #[prost(message, tag = "31")]
    LockReleased(Locks),
    #[prost(sint64, tag = "32")]
    Awaited(i64),
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Started {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, optional, tag = "2")]
    pub version: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub input: Option<String>,
    #[prost(bytes = "vec", tag = "4")]
    pub execution: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub parent: Option<Parent>,
    #[prost(sint64, optional, tag = "6")]
    pub start_at: Option<i64>,
    #[prost(btree_map = "string, string", tag = "7")]
    pub tags: BTreeMap<String, String>,
    #[prost(string, optional, tag = "8")]
    pub trace_parent: Option<String>,
    #[prost(string, optional, tag = "9")]
    pub trace_state: Option<String>,
    #[prost(sint64, optional, tag = "10")]
    pub deadline: Option<i64>,
    #[prost(bytes = "vec", tag = "11")]
    pub origin: Vec<u8>,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Parent {
    #[prost(string, tag = "1")]
    pub instance: String,
    #[prost(bytes = "vec", tag = "2")]
    pub execution: Vec<u8>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(uint32, tag = "4")]
    pub call: u32,
}

/// A call of an activity or a child, or an event sent.
#[derive(Clone, PartialEq, Proto)]
pub(super) struct Called {
    #[prost(uint32, tag = "1")]
    pub call: u32,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(string, optional, tag = "3")]
    pub version: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub input: Option<String>,
    #[prost(btree_map = "string, string", tag = "5")]
    pub tags: BTreeMap<String, String>,
    /// The instance addressed: the child's, or the receiver of the event.
    #[prost(string, tag = "6")]
    pub instance: String,
    #[prost(string, optional, tag = "7")]
    pub trace_parent: Option<String>,
    #[prost(string, optional, tag = "8")]
    pub trace_state: Option<String>,
    #[prost(sint64, optional, tag = "9")]
    pub at: Option<i64>,
}

/// Another instance that is ended.
#[derive(Clone, PartialEq, Proto)]
pub(super) struct Ended {
    #[prost(uint32, tag = "1")]
    pub call: u32,
    #[prost(string, tag = "2")]
    pub instance: String,
    #[prost(message, optional, tag = "3")]
    pub reason: Option<Reason>,
}

/// An operation that an entity is asked for. The caller's fields are those of who waits: of the
/// event itself where the code called, of the sender where the entity was asked.
#[derive(Clone, PartialEq, Proto)]
pub(super) struct Operation {
    #[prost(uint32, tag = "1")]
    pub call: u32,
    #[prost(string, tag = "2")]
    pub entity: String,
    #[prost(string, tag = "3")]
    pub request: String,
    #[prost(string, tag = "4")]
    pub name: String,
    #[prost(string, optional, tag = "5")]
    pub input: Option<String>,
    #[prost(sint64, optional, tag = "6")]
    pub at: Option<i64>,
    #[prost(message, optional, tag = "7")]
    pub caller: Option<Caller>,
    #[prost(string, optional, tag = "8")]
    pub trace_parent: Option<String>,
    #[prost(string, optional, tag = "9")]
    pub trace_state: Option<String>,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Caller {
    #[prost(string, tag = "1")]
    pub instance: String,
    #[prost(bytes = "vec", tag = "2")]
    pub execution: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub call: u32,
}

/// Entities that are locked, or one of them.
#[derive(Clone, PartialEq, Proto)]
pub(super) struct Locks {
    #[prost(uint32, tag = "1")]
    pub call: u32,
    #[prost(string, tag = "2")]
    pub section: String,
    #[prost(string, repeated, tag = "3")]
    pub entities: Vec<String>,
    #[prost(uint32, tag = "4")]
    pub position: u32,
    #[prost(message, optional, tag = "5")]
    pub caller: Option<Caller>,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Note {
    #[prost(uint32, tag = "1")]
    pub call: u32,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(string, tag = "3")]
    pub value: String,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Entity {
    #[prost(string, optional, tag = "1")]
    pub state: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub section: Option<String>,
    #[prost(message, optional, tag = "3")]
    pub holder: Option<Caller>,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Finished {
    #[prost(uint32, tag = "1")]
    pub call: u32,
    #[prost(message, optional, tag = "2")]
    pub outcome: Option<Outcome>,
    /// The execution that waits; only in messages.
    #[prost(bytes = "vec", tag = "3")]
    pub execution: Vec<u8>,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Outcome {
    #[prost(string, optional, tag = "1")]
    pub output: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub failure: Option<Failure>,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Failure {
    #[prost(string, tag = "1")]
    pub kind: String,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(string, optional, tag = "3")]
    pub stack: Option<String>,
    #[prost(message, optional, boxed, tag = "4")]
    pub cause: Option<Box<Failure>>,
    #[prost(bool, tag = "5")]
    pub non_retriable: bool,
    #[prost(string, optional, tag = "6")]
    pub details: Option<String>,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Timer {
    #[prost(uint32, tag = "1")]
    pub call: u32,
    #[prost(sint64, tag = "2")]
    pub fire_at: i64,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Named {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, optional, tag = "2")]
    pub input: Option<String>,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Reason {
    #[prost(string, optional, tag = "1")]
    pub why: Option<String>,
    /// Whether children are meant too; only in messages.
    #[prost(bool, tag = "2")]
    pub recursive: bool,
    /// The execution and the call that the receiver is a child of; only in messages.
    #[prost(bytes = "vec", tag = "3")]
    pub execution: Vec<u8>,
    #[prost(uint32, tag = "4")]
    pub call: u32,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Rewind {
    #[prost(message, optional, tag = "1")]
    pub started: Option<Started>,
    /// The parent's execution before.
    #[prost(bytes = "vec", tag = "2")]
    pub execution: Vec<u8>,
    #[prost(string, optional, tag = "3")]
    pub why: Option<String>,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Tags {
    #[prost(btree_map = "string, string", tag = "1")]
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Proto)]
pub(super) struct Message {
    #[prost(oneof = "Body", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
    pub body: Option<Body>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Body {
    #[prost(message, tag = "1")]
    Start(Box<Started>),
    #[prost(message, tag = "2")]
    Raise(Named),
    #[prost(message, tag = "3")]
    ChildFinished(Finished),
    #[prost(message, tag = "4")]
    Terminate(Reason),
    #[prost(message, tag = "5")]
    Rewind(Box<Rewind>),
    #[prost(message, tag = "6")]
    Operation(Box<Operation>),
    #[prost(message, tag = "7")]
    OperationFinished(Finished),
    #[prost(message, tag = "8")]
    Lock(Box<Locks>),
    #[prost(message, tag = "9")]
    LocksGranted(Locks),
    #[prost(message, tag = "10")]
    Unlock(Locks),
}
