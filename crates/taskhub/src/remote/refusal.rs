//! Statuses of gRPC, in the words of a hub.

use taskhub_core::{InstanceId, Refusal};
use tonic::{Code, Status};

use super::causes;
use crate::{HubError, client::Refused};

/// Whether the server was not there, or left before it answered: later it may be back.
pub(super) fn is_absent(status: &Status) -> bool {
    // What comes from the server has no cause on this side.
    std::error::Error::source(status).is_some()
        || matches!(status.code(), Code::Unavailable | Code::Cancelled)
}

/// Whether the same call is to be tried again a little later, as the server says.
pub(super) fn is_busy(status: &Status) -> bool {
    status.code() == Code::ResourceExhausted
        && status.metadata().contains_key("grpc-retry-pushback-ms")
}

/// What a status says about the hub.
pub(super) fn hub_error(status: &Status) -> HubError {
    if is_absent(status) {
        return HubError::Unreachable(said(status));
    }
    if is_busy(status) {
        return HubError::Busy("its server has as much to do as it takes");
    }
    match status.code() {
        Code::DeadlineExceeded | Code::Unknown | Code::Aborted => {
            HubError::Unreachable(said(status))
        }
        _ => HubError::Refused(said(status)),
    }
}

/// What a status says about a request for `id` that carried so many bytes of payload.
pub(super) fn refused(id: &InstanceId, bytes: usize, status: &Status) -> Refused {
    let bytes_max = status.metadata().get("taskhub-payload-bytes-max");
    let bytes_max = bytes_max.and_then(|max| max.to_str().ok()?.parse().ok());
    match (status.code(), bytes_max) {
        (Code::NotFound, _) => Refused::Instance(Refusal::NotFound(id.clone())),
        (Code::ResourceExhausted, Some(max)) => {
            Refused::Instance(Refusal::TooLarge(id.clone(), bytes, max))
        }
        _ => Refused::Hub(hub_error(status)),
    }
}

fn said(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(cause) => causes(cause),
        None => status.message().to_owned(),
    }
}
