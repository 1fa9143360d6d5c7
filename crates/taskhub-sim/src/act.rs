//! What the simulated clients ask for.

use taskhub_core::{Reuse, Text};

/// What a client can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Start the program of that index, perhaps only after some microseconds.
    Start(usize, Reuse, Option<i64>),
    /// Raise an event with a payload that no other client uses.
    Raise(Text, Text),
    /// Raise an event; keep it for so many microseconds if nobody has started the instance.
    RaiseEarly(Text, Text, i64),
    /// Start the program of that index and raise an event, or only the latter.
    StartOrRaise(usize, Reuse, Text, Text),
    /// Terminate it, perhaps with its children.
    Terminate(bool),
    /// Suspend it.
    Suspend,
    /// Resume it.
    Resume,
    /// Purge it.
    Purge,
    /// Ask the entity for an operation, perhaps for only after some microseconds.
    Signal(Option<i64>),
    /// Ask where it stands.
    Status,
    /// Wait for its end.
    Wait,
}

impl Act {
    /// The payload of the event that is raised, if one is.
    pub(crate) fn payload(&self) -> Option<&Text> {
        match self {
            Self::Raise(_, payload)
            | Self::RaiseEarly(_, payload, _)
            | Self::StartOrRaise(_, _, _, payload) => Some(payload),
            _ => None,
        }
    }
}
