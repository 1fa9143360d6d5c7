//! Why a message of a client or a worker makes no sense.

use taskhub_core::{Failure, InvalidInstanceId};

/// What is wrong with a message, in words for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMessage {
    /// A time outside of what can be counted, or with too many nanoseconds.
    #[error("{field}: {seconds} s and {nanos} ns are no time; nanos lie in 0..1000000000")]
    Time {
        /// The field.
        field: &'static str,
        /// The seconds sent.
        seconds: i64,
        /// The nanoseconds sent.
        nanos: i32,
    },
    /// A number that stands for no status.
    #[error("{field}: {number} is no status; the statuses are 0 to 7")]
    Status {
        /// The field.
        field: &'static str,
        /// The number sent.
        number: i32,
    },
    /// Something is not there, or empty, that has to be.
    #[error("{field} is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A text that names no instance, or no entity.
    #[error("{field}: {why}")]
    Instance {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: InvalidInstanceId,
    },
    /// A text that names no execution.
    #[error("{field}: {text:?} is no execution id; those have 32 hex digits")]
    Execution {
        /// The field.
        field: &'static str,
        /// The text sent.
        text: String,
    },
    /// A number that no call has.
    #[error("{field}: {number} is not the id of a call; those are 0 or more")]
    Call {
        /// The field.
        field: &'static str,
        /// The number sent.
        number: i32,
    },
    /// Two actions of one turn have the same id.
    #[error("action.id: two actions of one turn have the id {number}; give each its own")]
    Twice {
        /// The id.
        number: u32,
    },
    /// An answer to what nobody asked.
    #[error("{field}: nothing in the history before it is called {name:?}")]
    Unasked {
        /// The field.
        field: &'static str,
        /// What it answers.
        name: String,
    },
    /// A status with which no execution ends.
    #[error("an orchestration cannot end with the status {number}; send 1 to 5")]
    End {
        /// The number sent.
        number: i32,
    },
    /// One turn ends in two ways.
    #[error("a turn ends at most once: send one completeOrchestration")]
    TwoEnds,
    /// A history that a worker rewound.
    #[error("the hub rewinds histories by itself; send what the turn came to")]
    Rewinds,
    /// A chunk that does not follow the one before.
    #[error("chunk {got} came after {expected} chunks; send them in order, from 0")]
    Chunk {
        /// The index sent.
        got: i32,
        /// How many there are.
        expected: i32,
    },
    /// A text that is too long, or several that are together.
    #[error("{field}: {bytes} bytes are too many, {bytes_max} are allowed")]
    TooLong {
        /// The field.
        field: &'static str,
        /// How many were sent.
        bytes: usize,
        /// How many are allowed.
        bytes_max: usize,
    },
    /// A list that is too long.
    #[error("{field}: {count} are too many, {count_max} are allowed")]
    TooMany {
        /// The field.
        field: &'static str,
        /// How many were sent.
        count: usize,
        /// How many are allowed.
        count_max: usize,
    },
    /// Chunks that are too much together.
    #[error("the response has more than {bytes_max} bytes; make fewer calls in one turn")]
    TooLarge {
        /// How many it may have.
        bytes_max: usize,
    },
}

impl InvalidMessage {
    /// The same as the failure of whatever sent it: where trying again would give the same.
    #[must_use]
    pub fn failure(&self) -> Failure {
        Failure::new("InvalidMessage", self.to_string()).non_retriable()
    }
}
