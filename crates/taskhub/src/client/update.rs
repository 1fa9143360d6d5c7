//! A request into a running instance, as clients make it.

use std::{fmt, future::IntoFuture, marker::PhantomData, pin::Pin, time::Duration};

use taskhub_core::{InstanceId, InvalidInstanceId};

use super::{
    Client, HubError, InstanceRef, PurgeError, StartError, StatusError, UpdateError, WaitError,
};
use crate::{
    Data, Failure, Result,
    data::{of_value, value},
    update::{self, Errand, Update},
};

/// How long to wait for an answer, if nobody says.
const TIME_MAX: Duration = Duration::from_mins(1);

/// A request that is made when it is awaited, and gives the answer; from
/// [`InstanceRef::update`](super::InstanceRef::update).
#[must_use = "nothing is asked until it is awaited"]
pub struct Ask<O> {
    client: Client,
    instance: Result<InstanceId, InvalidInstanceId>,
    update: &'static str,
    input: Result<serde_json::Value, Failure>,
    id: Option<String>,
    within: Duration,
    output: PhantomData<fn() -> O>,
}

impl<O: Data> Ask<O> {
    pub(super) fn new<I: Data>(
        client: Client,
        instance: Result<InstanceId, InvalidInstanceId>,
        update: Update<I, O>,
        input: I,
    ) -> Self {
        let (update, input) = (update.name(), value(input));
        let (id, within, output) = (None, TIME_MAX, PhantomData);
        Self { client, instance, update, input, id, within, output }
    }

    /// How long to wait for the answer, 60 seconds otherwise. When the time is over nobody waits
    /// for it any more, but the instance may still do what it is asked for.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// Names the request: who asks again under the same id, after his connection was lost or his
    /// time was over, asks nothing new and gets the same answer. The instance of that id waits for
    /// the answer and keeps it, until somebody terminates or purges it.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    async fn send(self) -> Result<O, UpdateError> {
        let instance = self.instance.map_err(HubError::from)?;
        let target = self.client.instance(instance.as_str());
        let status = target.status().await.map_err(|error| match error {
            StatusError::NotFound(id) => UpdateError::NotFound(id),
            StatusError::Hub(error) => UpdateError::Hub(error),
        })?;
        if status.status.is_terminal() && self.id.is_none() {
            return Err(UpdateError::Ended(instance, status.status));
        }
        let input = self.input.map_err(UpdateError::Payload)?;
        let (instance, update) = (instance.to_string(), self.update.to_owned());
        let deadline = self.client.now() + self.within;
        let start = self.client.start(update::ask, Errand { instance, update, input }).join();
        let keeps = self.id.is_some();
        // Who has named it may come back for the answer: then only this wait ends.
        let (start, wait) = match self.id {
            Some(id) => (start.id(id), self.within),
            None => (start.deadline(deadline), self.within.saturating_add(TIME_MAX)),
        };
        let asking = start.await.map_err(|error| match error {
            StartError::Hub(error) => UpdateError::Hub(error),
            other => UpdateError::Hub(HubError::Unexpected(other.to_string())),
        })?;
        // A deadline belongs to the start; beside it, this is for a hub that does not answer.
        let answer = asking.wait(wait).await;
        if !keeps && let Err(PurgeError::Hub(error)) = asking.purge().await {
            tracing::debug!(%error, "an update that was answered is not forgotten");
        }
        match answer {
            Ok(value) => of_value(value, "the answer").map_err(UpdateError::Answer),
            Err(WaitError::Failed(failure)) => Err(UpdateError::Refused(failure)),
            Err(WaitError::Terminated(_) | WaitError::Timeout(_) | WaitError::Unregistered(..)) => {
                Err(unanswered(&target).await.unwrap_or(UpdateError::Timeout(self.within)))
            }
            Err(WaitError::Hub(error)) => Err(UpdateError::Hub(error)),
            Err(other) => Err(HubError::Unexpected(other.to_string()).into()),
        }
    }
}

/// Why an instance has not answered, if that is known.
async fn unanswered<H>(target: &InstanceRef<H>) -> Option<UpdateError> {
    let status = target.look().await?;
    let ended = || UpdateError::Ended(status.id, status.status);
    status.stuck.map(UpdateError::Parked).or_else(|| status.status.is_terminal().then(ended))
}

impl<O: Data> IntoFuture for Ask<O> {
    type Output = Result<O, UpdateError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl<O> fmt::Debug for Ask<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ask({} of {:?})", self.update, self.instance)
    }
}
