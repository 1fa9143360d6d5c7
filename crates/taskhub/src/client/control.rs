//! What is done to an instance with options: it is ended, forgotten, or started again.

use std::{fmt, future::IntoFuture, marker::PhantomData, pin::Pin};

use taskhub_core::{Answer, ExecutionId, InstanceId, InvalidInstanceId, Reuse, Text, Verb};
use uuid::Uuid;

use super::{
    Client, ControlError, HubError, InstanceRef, PurgeError, RestartError, instance::done,
};
use crate::handle::Named;

/// An end of an instance that comes when it is awaited, made by [`InstanceRef::terminate`].
#[must_use = "nothing ends until it is awaited"]
#[derive(Debug)]
pub struct Terminate<'a> {
    pub(super) client: &'a Client,
    pub(super) id: &'a Result<InstanceId, InvalidInstanceId>,
    pub(super) reason: Option<Text>,
    pub(super) recursive: bool,
}

impl Terminate<'_> {
    /// Ends its children too, and theirs.
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }
}

impl<'a> IntoFuture for Terminate<'a> {
    type Output = Result<(), ControlError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let verb = Verb::Terminate { reason: self.reason, recursive: self.recursive };
            let answer = self.client.ask(self.id, verb).await?;
            Ok(done(&answer)?)
        })
    }
}

/// An instance that is forgotten when this is awaited, made by [`InstanceRef::purge`].
#[must_use = "nothing is forgotten until it is awaited"]
#[derive(Debug)]
pub struct Purge<'a> {
    pub(super) client: &'a Client,
    pub(super) id: &'a Result<InstanceId, InvalidInstanceId>,
    pub(super) recursive: bool,
}

impl Purge<'_> {
    /// Forgets its children too, and theirs, as far as they have ended.
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }
}

impl<'a> IntoFuture for Purge<'a> {
    type Output = Result<(), PurgeError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            if !self.recursive {
                return Ok(done(&self.client.ask(self.id, Verb::Purge).await?)?);
            }
            let id = self.id.clone().map_err(HubError::from)?;
            Ok(done(&self.client.connection.purge_with_children(id).await?)?)
        })
    }
}

/// A start that repeats another when it is awaited, made by [`InstanceRef::restart`].
///
/// It gives the new run. Without an [`id`](Self::id) that takes the place of the old one.
#[must_use = "nothing is started until it is awaited"]
pub struct Restart<H> {
    client: Client,
    ended: Result<InstanceId, InvalidInstanceId>,
    id: Option<Result<InstanceId, InvalidInstanceId>>,
    reuse: Reuse,
    execution: ExecutionId,
    handle: PhantomData<fn() -> H>,
}

impl<H> Restart<H> {
    pub(super) fn new(client: Client, ended: Result<InstanceId, InvalidInstanceId>) -> Self {
        let (reuse, execution) = (Reuse::ended(), ExecutionId(Uuid::now_v7().as_u128()));
        Self { client, ended, id: None, reuse, execution, handle: PhantomData }
    }

    /// The id of the new run. An instance of that id that has ended is replaced.
    pub fn id(mut self, id: impl AsRef<str>) -> Self {
        (self.id, self.reuse) = (Some(InstanceId::parse(id.as_ref())), Reuse::ended());
        self
    }

    /// Gives the new run a fresh id, which sorts by time.
    pub fn new_id(mut self) -> Self {
        (self.id, self.reuse) = (Some(Ok(InstanceId::fresh(self.execution))), Reuse::Fresh);
        self
    }

    async fn send(self) -> Result<InstanceRef<H>, RestartError> {
        let ended = self.ended.map_err(HubError::from)?;
        let id = self.id.unwrap_or_else(|| Ok(ended.clone())).map_err(HubError::from)?;
        let connection = &self.client.connection;
        match connection.restart(ended, id.clone(), self.reuse, self.execution).await? {
            Answer::Started(_) => Ok(InstanceRef::new(self.client, Ok(id))),
            other => Err(HubError::Unexpected(format!("{other:?}")).into()),
        }
    }
}

impl<H: Named> IntoFuture for Restart<H> {
    type Output = Result<InstanceRef<H>, RestartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl<H> fmt::Debug for Restart<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Restart({:?})", self.ended)
    }
}
