//! How an execution begins, and what functions are called with.

use std::sync::Arc;

use crate::{CallId, ExecutionId, InstanceId, Text, Timestamp, Trace};

/// How an execution was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The orchestration's name.
    pub name: Text,
    /// The orchestration's version, if it has one.
    pub version: Option<Text>,
    /// What it was started with.
    pub input: Option<Text>,
    /// Which run of the instance this is.
    pub execution: ExecutionId,
    /// Which run it was at first, if it was rewound: the code goes on drawing its chance from that.
    pub origin: Option<ExecutionId>,
    /// Who called it, for a child.
    pub parent: Option<Parent>,
    /// When its first turn may run, if not at once.
    pub start_at: Option<Timestamp>,
    /// When it is terminated, unless it has ended by then.
    pub deadline: Option<Timestamp>,
    /// Labels, sorted by key.
    pub tags: Tags,
    /// The caller's trace.
    pub trace: Option<Trace>,
    /// Children of earlier executions that may run still, oldest first.
    pub inherited: Arc<[Inherited]>,
}

/// A child of an earlier execution, which had not ended when a later one began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inherited {
    /// The execution that called it.
    pub execution: ExecutionId,
    /// The call.
    pub call: CallId,
    /// The instance that runs it.
    pub instance: InstanceId,
}

impl Started {
    /// A start of `name` with `input`, and nothing else said.
    #[must_use]
    pub fn new(name: impl Into<Text>, input: Option<Text>, execution: ExecutionId) -> Self {
        Self {
            name: name.into(),
            version: None,
            input,
            execution,
            origin: None,
            parent: None,
            start_at: None,
            deadline: None,
            tags: Arc::new([]),
            trace: None,
            inherited: Arc::new([]),
        }
    }
}

/// Labels of an instance: keys and values, sorted by key.
pub type Tags = Arc<[(Text, Text)]>;

/// The instance that called a child, and the call by which it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The calling instance.
    pub instance: InstanceId,
    /// The calling execution.
    pub execution: ExecutionId,
    /// The calling orchestration's name.
    pub name: Text,
    /// The call.
    pub call: CallId,
}

/// A function and what it is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The function's name.
    pub name: Text,
    /// The version asked for, if any.
    pub version: Option<Text>,
    /// The input.
    pub input: Option<Text>,
    /// Labels for whoever runs it.
    pub tags: Tags,
    /// The caller's trace.
    pub trace: Option<Trace>,
}

impl Work {
    /// A call of `name` with `input`, and nothing else said.
    pub fn new(name: impl Into<Text>, input: Option<Text>) -> Self {
        Self { name: name.into(), version: None, input, tags: Arc::new([]), trace: None }
    }
}
