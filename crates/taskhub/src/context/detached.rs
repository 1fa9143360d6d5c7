//! Starts of orchestrations that nobody waits for.

use std::{
    fmt,
    future::{IntoFuture, Ready, ready},
};

use taskhub_core::{
    InstanceId, Work,
    turn::{Command, Place, Scope},
};
use uuid::Uuid;

use crate::{Result, Timestamp, labels};

/// A start that nobody waits for, made by [`Context::start`](crate::Context::start).
///
/// Awaiting it takes no time and gives the id of the instance, which is started with this turn.
#[must_use = "nothing is started until it is awaited"]
pub struct Detached {
    scope: Scope,
    place: Place,
    work: Result<Work>,
    id: Result<Option<InstanceId>>,
    at: Option<Timestamp>,
}

impl Detached {
    pub(super) fn new(scope: Scope, place: Place, work: Result<Work>) -> Self {
        Self { scope, place, work, id: Ok(None), at: None }
    }

    /// The id of the instance; without it one is made. If an instance of that id is there and has
    /// not ended, it is left alone.
    pub fn id(mut self, id: impl AsRef<str>) -> Self {
        self.id = InstanceId::parse(id.as_ref()).map(Some).map_err(Into::into);
        self
    }

    /// When to run the first turn. Until then the instance is pending, and keeps its events.
    pub fn at(mut self, time: impl Into<Timestamp>) -> Self {
        self.at = Some(time.into());
        self
    }

    /// The version of the orchestration, instead of the one that this program knows.
    pub fn version(mut self, version: impl AsRef<str>) -> Self {
        if let Ok(work) = &mut self.work {
            work.version = Some(version.as_ref().into());
        }
        self
    }

    /// A label of the instance, by which it can be listed.
    pub fn tag(mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        if let Ok(work) = &mut self.work {
            labels::put(&mut work.tags, key.as_ref(), value.as_ref());
        }
        self
    }

    fn send(self) -> Result<InstanceId> {
        let work = self.work?;
        let made =
            || InstanceId::trusted(Uuid::from_u128(self.scope.unique()).simple().to_string());
        let instance = self.id?.unwrap_or_else(made);
        let at = self.at.map(Timestamp::core);
        let command = Command::Start { instance: Some(instance.clone()), work, at };
        self.scope.tell_at(self.place, command);
        Ok(instance)
    }
}

impl IntoFuture for Detached {
    type Output = Result<InstanceId>;
    type IntoFuture = Ready<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        ready(self.send())
    }
}

impl fmt::Debug for Detached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Detached({:?})", self.work.as_ref().map(|work| &work.name))
    }
}
