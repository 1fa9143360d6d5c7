//! One instance, and what can be asked of it.

use std::{fmt, marker::PhantomData, time::Duration};

use taskhub_core::{
    Answer, Event as Entry, InstanceId, InvalidInstanceId, RuntimeStatus, Text, Verb,
};

use super::{
    Ask, Client, ControlError, HistoryError, HubError, Purge, RaiseError, Restart, RewindError,
    Status, StatusError, Terminate, WaitError,
};
use crate::{
    Data, Event, Failure, History, Update,
    data::{decode, encode, write},
    handle::{Named, Startable},
};

/// How often an export tries to read an instance as it stood at one moment.
const EXPORTS_MAX: u32 = 100;

/// How long to look what became of an instance that has not ended in time.
const LOOK_TIME_MAX: Duration = Duration::from_secs(1);

/// Stands for an orchestration of which only the name is known: its output is any JSON.
#[derive(Debug, Clone, Copy)]
pub enum Untyped {}

impl Named for Untyped {
    type Output = serde_json::Value;
}

/// An instance by its id. `H` stands for its orchestration, so that its output has a type:
/// an `InstanceRef<weather>` is an instance of the function `weather`.
pub struct InstanceRef<H> {
    client: Client,
    id: Result<InstanceId, InvalidInstanceId>,
    handle: PhantomData<fn() -> H>,
}

impl<H> InstanceRef<H> {
    pub(super) fn new(client: Client, id: Result<InstanceId, InvalidInstanceId>) -> Self {
        Self { client, id, handle: PhantomData }
    }

    /// Its id.
    pub fn id(&self) -> Result<&InstanceId, InvalidInstanceId> {
        self.id.as_ref().map_err(Clone::clone)
    }

    /// The same instance, known to be one of this orchestration.
    #[must_use]
    pub fn of<M, C: Startable<M>>(self, _orchestration: C) -> InstanceRef<C::Handle> {
        InstanceRef::new(self.client, self.id)
    }

    /// Raises an event; it is kept until the code waits for it.
    pub async fn raise<T: Data>(&self, event: Event<T>, payload: T) -> Result<(), RaiseError> {
        self.raise_stored(event.name(), encode(payload)).await
    }

    /// Raises an event that is known by its name only. Prefer a typed [`Event`].
    pub async fn raise_by_name<T: serde::Serialize + ?Sized>(
        &self,
        name: impl AsRef<str>,
        payload: &T,
    ) -> Result<(), RaiseError> {
        self.raise_stored(name.as_ref(), write(payload)).await
    }

    async fn raise_stored(
        &self,
        name: &str,
        payload: crate::Result<Option<Text>>,
    ) -> Result<(), RaiseError> {
        let input = payload.map_err(RaiseError::Payload)?;
        if let (Some(traces), Ok(id)) = (self.client.traces(), &self.id) {
            traces.raise(name, id, None);
        }
        let verb = Verb::Raise { name: name.into(), input };
        let answer = self.client.ask(&self.id, verb).await?;
        Ok(done(&answer)?)
    }

    /// Raises an event for an instance that may not be started yet: then the event is kept for so
    /// long, and whoever starts the instance meanwhile finds it. A reply that overtakes its request
    /// is not lost. How many are kept is limited, per instance and per hub:
    /// [`Limits::early_events_max`](crate::Limits::early_events_max) and
    /// [`Limits::early_instances_max`](crate::Limits::early_instances_max).
    pub async fn raise_early<T: Data>(
        &self,
        event: Event<T>,
        payload: T,
        keep: Duration,
    ) -> Result<(), RaiseError> {
        let input = encode(payload).map_err(RaiseError::Payload)?;
        let until = (self.client.now() + keep).core();
        let verb = Verb::RaiseEarly { name: event.name().into(), input, until };
        let answer = self.client.ask(&self.id, verb).await?;
        Ok(done(&answer)?)
    }

    /// Asks the running instance for something, and gives its answer; `.await` it. See [`Update`].
    pub fn update<I: Data, O: Data>(&self, update: Update<I, O>, input: I) -> Ask<O> {
        Ask::new(self.client.clone(), self.id.clone(), update, input)
    }

    /// Ends the instance now; `.await` it. Activities that run are told to stop.
    pub fn terminate(&self, reason: impl AsRef<str>) -> Terminate<'_> {
        let reason = Some(reason.as_ref()).filter(|reason| !reason.is_empty()).map(Into::into);
        Terminate { client: &self.client, id: &self.id, reason, recursive: false }
    }

    /// Lets the instance accept events but not run, until it is resumed.
    pub async fn suspend(&self, reason: impl AsRef<str>) -> Result<(), ControlError> {
        let verb = Verb::Suspend { reason: Some(reason.as_ref().into()) };
        let answer = self.client.ask(&self.id, verb).await?;
        Ok(done(&answer)?)
    }

    /// Lets a suspended instance go on; one that is parked is tried again.
    pub async fn resume(&self, reason: impl AsRef<str>) -> Result<(), ControlError> {
        let verb = Verb::Resume { reason: Some(reason.as_ref().into()) };
        let answer = self.client.ask(&self.id, verb).await?;
        Ok(done(&answer)?)
    }

    /// Lets an instance that has failed go on from before its failure: what was done stays done,
    /// what failed is done again, and children that failed go on too. It may be rewound again.
    ///
    /// The history must still fit the code, without what failed; otherwise nothing changes.
    pub async fn rewind(&self, reason: impl AsRef<str>) -> Result<(), RewindError> {
        let verb = Verb::Rewind { reason: Some(reason.as_ref().into()) };
        let answer = self.client.ask(&self.id, verb).await?;
        Ok(done(&answer)?)
    }

    /// Where it stands.
    pub async fn status(&self) -> Result<Status, StatusError> {
        let answer = self.client.ask(&self.id, Verb::Status).await?;
        Ok(self.read(answer)?)
    }

    /// Forgets the instance with its history; `.await` it. It must have ended, or be parked.
    pub fn purge(&self) -> Purge<'_> {
        Purge { client: &self.client, id: &self.id, recursive: false }
    }

    /// Starts it again with the same input, version and labels; `.await` it. It must have ended.
    /// Its history is forgotten, unless the new run gets an id of its own: see [`Restart`].
    pub fn restart(&self) -> Restart<H> {
        Restart::new(self.client.clone(), self.id.clone())
    }

    /// What happened to it, in order, in the words of the engine.
    pub async fn history(&self) -> Result<Vec<Entry>, HistoryError> {
        let id = self.id.clone().map_err(HubError::from)?;
        let history = self.client.connection.history(id.clone()).await?;
        history.ok_or(HistoryError::NotFound(id))
    }

    /// Its history with where it stands, to look at or to keep for
    /// [tests](crate::testing::replay).
    ///
    /// ```no_run
    /// # use taskhub::prelude::*;
    /// async fn keep(hub: &Client) -> Result<()> {
    ///     hub.instance("order-17").export().await?.save("tests/histories")?;
    ///     Ok(())
    /// }
    /// ```
    pub async fn export(&self) -> Result<History, HistoryError> {
        // Two questions, between which something may happen.
        for _ in 0..EXPORTS_MAX {
            let stands = self.status().await.map_err(|error| match error {
                StatusError::NotFound(id) => HistoryError::NotFound(id),
                StatusError::Hub(error) => HistoryError::Hub(error),
            })?;
            let events = self.history().await?;
            if events.len() as u64 == stands.events {
                return Ok(History {
                    custom_status: stands.custom_status_text().map(Text::from),
                    instance: stands.id,
                    status: stands.status,
                    outcome: stands.outcome,
                    events,
                });
            }
        }
        Err(HubError::Busy("the instance changes too fast to be read").into())
    }

    /// Waits until its first turn has run, and tells where it stands; at once if it has ended.
    pub async fn began(&self, timeout: Duration) -> Result<Status, WaitError> {
        self.wait_for(Verb::WaitStart, timeout).await
    }

    /// Waits until it has ended, however it did, and tells where it stands. Nothing is polled.
    pub async fn ended(&self, timeout: Duration) -> Result<Status, WaitError> {
        self.wait_for(Verb::Wait, timeout).await
    }

    async fn wait_for(&self, verb: Verb, timeout: Duration) -> Result<Status, WaitError> {
        let asked = self.client.ask(&self.id, verb);
        match tokio::time::timeout(timeout, asked).await {
            Ok(answer) => Ok(self.read(answer?)?),
            Err(_) => Err(self.late(timeout).await),
        }
    }

    /// Why it has not come so far, as far as that is known.
    async fn late(&self, timeout: Duration) -> WaitError {
        let Some(status) = self.look().await else { return WaitError::Timeout(timeout) };
        let parked = status.stuck.map(WaitError::Parked);
        let unregistered = status.hint.map(|hint| WaitError::Unregistered(timeout, hint));
        parked.or(unregistered).unwrap_or(WaitError::Timeout(timeout))
    }

    /// Where it stands, if that is told soon.
    pub(super) async fn look(&self) -> Option<Status> {
        tokio::time::timeout(LOOK_TIME_MAX, self.status()).await.ok()?.ok()
    }

    fn read(&self, answer: Answer) -> Result<Status, HubError> {
        match (answer, &self.id) {
            (Answer::Status(record), Ok(id)) => {
                let mut status = Status::of(id.clone(), *record);
                status.hint = self.client.hint(&status);
                Ok(status)
            }
            (other, _) => Err(HubError::Unexpected(format!("{other:?}"))),
        }
    }
}

impl<H: Named> InstanceRef<H> {
    /// Waits until it has ended, and gives its output. The caller is told at once; nothing is
    /// polled. When the time is over, the instance goes on, or is told to be parked.
    pub async fn wait(&self, timeout: Duration) -> Result<H::Output, WaitError> {
        let ended = self.ended(timeout).await?;
        match (ended.status, ended.outcome) {
            (RuntimeStatus::Terminated, outcome) => {
                Err(WaitError::Terminated(outcome.and_then(Result::ok).flatten()))
            }
            (_, Some(Ok(output))) => {
                let what = format!("the output of `{}`", ended.name);
                decode(output.as_deref(), &what).map_err(WaitError::Output)
            }
            (_, Some(Err(failure))) => Err(WaitError::Failed(Failure::of(failure))),
            (status, None) => {
                let message = format!("it is {status:?} and has no outcome");
                Err(HubError::Unexpected(message).into())
            }
        }
    }
}

pub(super) fn done(answer: &Answer) -> Result<(), HubError> {
    match answer {
        Answer::Done => Ok(()),
        other => Err(HubError::Unexpected(format!("{other:?}"))),
    }
}

impl<H> Clone for InstanceRef<H> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.id.clone())
    }
}

impl<H> fmt::Debug for InstanceRef<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceRef({:?})", self.id)
    }
}
