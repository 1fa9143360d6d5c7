//! Why a message of a client makes no sense.

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
}
