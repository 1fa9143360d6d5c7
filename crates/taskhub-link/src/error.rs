//! What a status of gRPC says: a refusal of the hub, or why there is no answer.

use prost::Message as _;
use taskhub_core::{InstanceId, Refusal};
use taskhub_wire::{InvalidMessage, REFUSAL_KEY, proto, refusal_in};
use tonic::{Code, ConnectError, Status};

/// Why a server did not answer as a hub does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It cannot be reached; nothing was sent.
    #[error("the server cannot be reached: {0}; try again")]
    Unsent(String),
    /// It did not answer. What was asked may have happened.
    #[error("the server does not answer ({0}); look what became of it, or try again")]
    Lost(String),
    /// It has as much to do as it takes; nothing happened.
    #[error("the server has as much to do as it takes; try again a little later")]
    Busy,
    /// It refused, for this reason.
    #[error("the server refused: {0}")]
    Refused(String),
    /// It answered what does not belong to the request.
    #[error("the server answered something unexpected: {0}")]
    Unexpected(String),
}

impl LinkError {
    /// What a status says about the server.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        if is_busy(status) {
            return Self::Busy;
        }
        match status.code() {
            _ if is_unsent(status) => Self::Unsent(said(status)),
            _ if is_absent(status) => Self::Lost(said(status)),
            Code::DeadlineExceeded | Code::Unknown | Code::Aborted => Self::Lost(said(status)),
            _ => Self::Refused(said(status)),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
    pub(crate) fn unreadable(error: InvalidMessage) -> Self {
        Self::Unexpected(error.to_string())
    }
}

/// Whether the server was not there, or left before it answered: later it may be back.
pub(crate) fn is_absent(status: &Status) -> bool {
    // What comes from the server has no cause on this side.
    std::error::Error::source(status).is_some()
        || matches!(status.code(), Code::Unavailable | Code::Cancelled)
}

/// Whether there was no connection to send anything on.
fn is_unsent(status: &Status) -> bool {
    let mut next = std::error::Error::source(status);
    while let Some(cause) = next {
        if cause.is::<ConnectError>() {
            return true;
        }
        next = cause.source();
    }
    false
}

/// Whether the same call is to be tried again a little later, as the server says.
pub(crate) fn is_busy(status: &Status) -> bool {
    status.code() == Code::ResourceExhausted
        && status.metadata().contains_key("grpc-retry-pushback-ms")
}

/// Why the hub refused what was asked of `id`, if a status says so. A server of ours tells it
/// exactly, of another one the code tells it.
pub(crate) fn refusal(id: &InstanceId, status: &Status) -> Option<Refusal> {
    let told = status.metadata().get_bin(REFUSAL_KEY).and_then(|told| told.to_bytes().ok());
    let told = told.and_then(|bytes| proto::Refusal::decode(bytes).ok()).and_then(refusal_in);
    told.or_else(|| (status.code() == Code::NotFound).then(|| Refusal::NotFound(id.clone())))
}

fn said(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(cause) => causes(cause),
        None => status.message().to_owned(),
    }
}

/// What an error says, and what those behind it say.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
