//! Why a request failed: one type per operation, and one for what can befall all of them.

use std::{fmt, time::Duration};

use taskhub_core::{
    InstanceId, InvalidInstanceId, Refusal, RuntimeStatus, Text, store::StoreError,
};

use taskhub_link::LinkError;

use super::Refused;
use crate::Failure;

/// What can befall any request, whatever the instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The id cannot be one.
    #[error(transparent)]
    InvalidId(#[from] InvalidInstanceId),
    /// A limit is reached for now; nothing happened.
    #[error("the hub is too busy: {0}; try again a little later")]
    Busy(&'static str),
    /// The hub shuts down; nothing happened.
    #[error("the hub is shutting down; try again in a moment")]
    Stopping,
    /// The owner of the instance cannot serve it just now; nothing happened.
    #[error("instance {0} cannot be served at the moment: {1}; try again")]
    Unavailable(InstanceId, String),
    /// The store, or the node that was asked, failed before it was safe: nobody knows whether it
    /// happened.
    #[error("nobody knows whether this was done ({0}); look what became of it, or try again")]
    Lost(String),
    /// The store failed while it was read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server of the hub cannot be reached, or did not answer. A request that was on its way
    /// may have happened.
    #[error("the server of the hub does not answer ({0}); look what became of it, or try again")]
    Unreachable(String),
    /// The server of the hub refused, for this reason.
    #[error("the server of the hub refused: {0}")]
    Refused(String),
    /// The hub answered what does not belong to the request.
    #[error("the hub answered something unexpected: {0}")]
    Unexpected(String),
}

impl HubError {
    /// Whether the same request may well succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy(_)
            | Self::Stopping
            | Self::Unavailable(..)
            | Self::Lost(_)
            | Self::Unreachable(_) => true,
            Self::Store(error) => !matches!(error, StoreError::Damaged(_)),
            Self::InvalidId(_) | Self::Refused(_) | Self::Unexpected(_) => false,
        }
    }

    /// What a refusal says about the hub; given back when it is about the instance.
    pub(super) fn of(refusal: Refusal) -> Result<Self, Refusal> {
        match refusal {
            Refusal::Busy(why) => Ok(Self::Busy(why)),
            Refusal::Stopping => Ok(Self::Stopping),
            Refusal::Unavailable(id, why) => Ok(Self::Unavailable(id, why)),
            Refusal::Lost(why) => Ok(Self::Lost(why)),
            about_instance => Err(about_instance),
        }
    }
}

impl From<LinkError> for HubError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Unsent(why) | LinkError::Lost(why) => Self::Unreachable(why),
            LinkError::Busy => Self::Busy("its server has as much to do as it takes"),
            LinkError::Refused(why) => Self::Refused(why),
            LinkError::Unexpected(what) => Self::Unexpected(what),
            other => Self::Unexpected(other.to_string()),
        }
    }
}

/// Why an instance was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The payload has so many bytes, and only so many are allowed.
    #[error(fmt = too_large)]
    TooLarge(InstanceId, usize, usize),
    /// The id is in use.
    #[error("instance {0} exists already and is {1:?}; use another id, join it, or replace it")]
    Exists(InstanceId, RuntimeStatus),
    /// The instance that is to get an event has ended, and is not to be replaced.
    #[error("instance {0} has ended: it is {1:?}; let the start replace it, or use another id")]
    Ended(InstanceId, RuntimeStatus),
    /// The input cannot be written as JSON.
    #[error("{0}")]
    Input(Failure),
    /// It is about the hub, not the instance.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// Why an event was not raised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RaiseError {
    /// The payload has so many bytes, and only so many are allowed.
    #[error(fmt = too_large)]
    TooLarge(InstanceId, usize, usize),
    /// No instance has that id.
    #[error("there is no instance {0}")]
    NotFound(InstanceId),
    /// The instance has ended; nobody will wait for the event.
    #[error("instance {0} has ended: it is {1:?}")]
    Ended(InstanceId, RuntimeStatus),
    /// The payload cannot be written as JSON.
    #[error("{0}")]
    Payload(Failure),
    /// It is about the hub, not the instance.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// Why a request into a running instance got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// No instance has that id.
    #[error("there is no instance {0}")]
    NotFound(InstanceId),
    /// The instance has ended; nobody will answer.
    #[error("instance {0} has ended: it is {1:?}")]
    Ended(InstanceId, RuntimeStatus),
    /// There was no answer in time. The instance may still do what it was asked for.
    #[error("there was no answer within {0:?}; the instance may still do it")]
    Timeout(Duration),
    /// There was no answer in time, and will be none before somebody helps: the instance is
    /// parked, for this reason.
    #[error("the instance is parked until somebody mends it and resumes it: {0}")]
    Parked(Text),
    /// The instance refused.
    #[error("the instance refused: {0}")]
    Refused(Failure),
    /// What is asked cannot be written as JSON.
    #[error("{0}")]
    Payload(Failure),
    /// The answer cannot be read as the type that is asked for.
    #[error("{0}")]
    Answer(Failure),
    /// It is about the hub, not the instance.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// Why an entity was not signaled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// The payload has so many bytes, and only so many are allowed.
    #[error(fmt = too_large)]
    TooLarge(InstanceId, usize, usize),
    /// The input cannot be written as JSON.
    #[error("{0}")]
    Input(Failure),
    /// It is about the hub, not the entity.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// Why an entity was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntityError {
    /// The state cannot be read as the type that is asked for.
    #[error("{0}")]
    State(Failure),
    /// It is about the hub, not the entity.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// Why an instance was not terminated, suspended or resumed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// No instance has that id.
    #[error("there is no instance {0}")]
    NotFound(InstanceId),
    /// The instance has ended.
    #[error("instance {0} has ended: it is {1:?}")]
    Ended(InstanceId, RuntimeStatus),
    /// It is about the hub, not the instance.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// Why an instance was not rewound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RewindError {
    /// No instance has that id.
    #[error("there is no instance {0}")]
    NotFound(InstanceId),
    /// The instance has not failed.
    #[error("instance {0} is {1:?}; only instances that have failed can be rewound")]
    NotFailed(InstanceId, RuntimeStatus),
    /// The instance has failed, and cannot go on from before that.
    #[error("instance {0} cannot be rewound: {1}")]
    CannotRewind(InstanceId, Text),
    /// It is about the hub, not the instance.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// Why the status of an instance is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// No instance has that id.
    #[error("there is no instance {0}")]
    NotFound(InstanceId),
    /// It is about the hub, not the instance.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// Why a wait gave no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// What was waited for has not come to pass; the instance goes on.
    #[error("the instance has not come so far within {0:?}; it goes on")]
    Timeout(Duration),
    /// What was waited for has not come to pass, and will not before somebody helps: the instance
    /// is parked, for this reason.
    #[error("the instance is parked until somebody mends it and resumes it: {0}")]
    Parked(Text),
    /// What was waited for has not come to pass, and will not before somebody has the code: nobody
    /// runs the orchestration that is named here. The instance waits for it.
    #[error("the instance has not come so far within {0:?}: {1}")]
    Unregistered(Duration, Text),
    /// The instance failed.
    #[error("the instance failed: {0}")]
    Failed(Failure),
    /// The instance was terminated.
    #[error("the instance was terminated{}", because(.0.as_ref()))]
    Terminated(Option<Text>),
    /// The output cannot be read as the type that is asked for.
    #[error("{0}")]
    Output(Failure),
    /// No instance has that id.
    #[error("there is no instance {0}")]
    NotFound(InstanceId),
    /// It is about the hub, not the instance.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// Why an instance was not forgotten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PurgeError {
    /// No instance has that id.
    #[error("there is no instance {0}")]
    NotFound(InstanceId),
    /// The instance has not ended.
    #[error("instance {0} is {1:?}; only instances that have ended can be purged")]
    NotEnded(InstanceId, RuntimeStatus),
    /// It is about the hub, not the instance.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// Why an instance was not started again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestartError {
    /// No instance has that id.
    #[error("there is no instance {0}")]
    NotFound(InstanceId),
    /// The instance has not ended.
    #[error("instance {0} is {1:?}; only instances that have ended can be started again")]
    NotEnded(InstanceId, RuntimeStatus),
    /// The id of the new run is in use.
    #[error("instance {0} exists already and is {1:?}; use another id, or end it first")]
    Exists(InstanceId, RuntimeStatus),
    /// It is about the hub, not the instance.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// Why there is no history to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// No instance has that id.
    #[error("there is no instance {0}")]
    NotFound(InstanceId),
    /// It is about the hub, not the instance.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// Why instances could not be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// It is about the hub.
    #[error(transparent)]
    Hub(#[from] HubError),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "thiserror calls it so")]
fn too_large(
    id: &InstanceId,
    bytes: &usize,
    bytes_max: &usize,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(f, "{}", Refusal::TooLarge(id.clone(), *bytes, *bytes_max))
}

fn because(reason: Option<&Text>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

/// Turns a refusal about an instance into the variant that says so.
macro_rules! refusals {
    ($($error:ident { $($variant:ident($($field:ident),+)),* })*) => { $(
        impl From<Refused> for $error {
            fn from(refused: Refused) -> Self {
                match refused {
                    Refused::Hub(error) => Self::Hub(error),
                    $(Refused::Instance(Refusal::$variant($($field),+)) => {
                        Self::$variant($($field),+)
                    })*
                    Refused::Instance(other) => Self::Hub(HubError::Unexpected(other.to_string())),
                }
            }
        }
    )* };
}

refusals! {
    StartError { Exists(id, status), Ended(id, status), TooLarge(id, bytes, limit) }
    RaiseError { NotFound(id), Ended(id, status), TooLarge(id, bytes, limit) }
    SignalError { TooLarge(id, bytes, limit) }
    ControlError { NotFound(id), Ended(id, status) }
    RewindError { NotFound(id), NotFailed(id, status), CannotRewind(id, why) }
    StatusError { NotFound(id) }
    WaitError { NotFound(id) }
    PurgeError { NotFound(id), NotEnded(id, status) }
    RestartError { NotFound(id), NotEnded(id, status), Exists(id, status) }
}
