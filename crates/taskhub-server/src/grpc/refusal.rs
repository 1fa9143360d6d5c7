//! Refusals of the hub in the words of gRPC.

use prost::Message as _;
use taskhub_core::{Answer, InvalidInstanceId, Refusal, store::StoreError};
use taskhub_wire::{InvalidMessage, REFUSAL_KEY, refusal_out};
use tonic::{Status, metadata::MetadataValue};

use crate::HubError;

/// Where a status says when to try again.
const RETRY_AFTER: &str = "grpc-retry-pushback-ms";

/// When to try again, in milliseconds.
const RETRY_AFTER_MS: &str = "250";

/// A limit is reached for now.
pub(crate) fn busy(what: &str) -> Status {
    let mut status = Status::resource_exhausted(format!("{what}; try again a little later"));
    let after = MetadataValue::from_static(RETRY_AFTER_MS);
    status.metadata_mut().insert(RETRY_AFTER, after);
    status
}

/// Whether a status says that a limit is reached for now.
pub(super) fn is_busy(status: &Status) -> bool {
    status.metadata().contains_key(RETRY_AFTER)
}

/// A refusal as a status. Anything else would be an answer to another question.
pub(super) fn unexpected(answer: Answer) -> Status {
    match answer {
        Answer::Refused(refusal) => refused(refusal),
        other => Status::unknown(format!("the hub answered something else: {other:?}")),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(super) fn refused(refusal: Refusal) -> Status {
    let told = MetadataValue::from_bytes(&refusal_out(&refusal).encode_to_vec());
    let mut status = status(&refusal);
    status.metadata_mut().insert_bin(REFUSAL_KEY, told);
    status
}

fn status(refusal: &Refusal) -> Status {
    let message = refusal.to_string();
    match refusal {
        Refusal::NotFound(_) => Status::not_found(message),
        Refusal::Exists(..) => Status::already_exists(message),
        Refusal::Ended(..)
        | Refusal::NotEnded(..)
        | Refusal::NotFailed(..)
        | Refusal::CannotRewind(..)
        | Refusal::InUse(_) => Status::failed_precondition(message),
        Refusal::OtherKind(_) => Status::invalid_argument(message),
        Refusal::TooLarge(..) => Status::resource_exhausted(message),
        Refusal::Busy(what) => busy(what),
        // Whether it happened is not known: nobody may repeat it without looking.
        Refusal::Lost(_) => Status::unknown(message),
        _ => Status::unavailable(message),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(super) fn unreadable(error: StoreError) -> Status {
    match error {
        StoreError::Damaged(_) => Status::data_loss(error.to_string()),
        _ => Status::unavailable(error.to_string()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(super) fn bad_id(error: InvalidInstanceId) -> Status {
    Status::invalid_argument(error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(super) fn bad_message(error: InvalidMessage) -> Status {
    Status::invalid_argument(error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(super) fn no_hub(error: HubError) -> Status {
    let message = error.to_string();
    match error {
        HubError::Name(_) => Status::invalid_argument(message),
        HubError::Unlisted(_) => Status::not_found(message),
        HubError::TooMany(..) => Status::resource_exhausted(message),
        HubError::Stopping => refused(Refusal::Stopping),
        _ => Status::unavailable(message),
    }
}
