//! The hub as seen from outside of orchestrations: start, list, and lead to single instances.

mod connection;
mod control;
mod entities;
mod entity;
mod errors;
mod instance;
mod list;
mod start;
mod status;
mod update;

use std::{fmt, sync::Arc};

use futures::{StreamExt as _, stream};
use serde::Serialize;
use taskhub_core::{
    Answer, ExecutionId, InstanceId, InvalidInstanceId, Text, Verb, turn::Functions,
};
use taskhub_engine::Hub;
use taskhub_server::Traces;

pub(crate) use connection::{Connection, Place, Refused};
pub use control::{Purge, Restart, Terminate};
pub use entities::{Cleaned, EntityFilter, EntityPage};
pub use entity::{EntityRef, EntityStatus};
pub use errors::{
    ControlError, EntityError, HistoryError, HubError, ListError, PurgeError, RaiseError,
    RestartError, RewindError, SignalError, StartError, StatusError, UpdateError, WaitError,
};
pub use instance::{InstanceRef, Untyped};
pub use list::{Filter, Page};
pub use start::Start;
pub use status::Status;
pub use update::Ask;

use crate::{
    Remote, RemoteError, Timestamp,
    data::{encode, write},
    handle::Startable,
    registry::unregistered,
};

/// Requests that a bulk operation makes at the same time.
const AT_ONCE: usize = 64;

/// What the names of the library's own orchestrations begin with.
const OWN_NAMES: &str = "taskhub.";

/// A connection to a hub. Clones are the same connection; they are cheap.
///
/// ```no_run
/// # use std::time::Duration;
/// # use taskhub::prelude::*;
/// # #[orchestration]
/// # async fn order(ctx: Context, items: Vec<String>) -> Result<u64> { Ok(0) }
/// # const APPROVED: Event<bool> = Event::new("approved");
/// async fn place(hub: &Client, items: Vec<String>) -> Result<u64> {
///     let run = hub.start(order, items).id("order-17").tag("shop", "north").await?;
///     hub.instance("order-17").raise(APPROVED, true).await?;
///     Ok(run.wait(Duration::from_secs(30)).await?)
/// }
/// ```
///
/// Whatever a method reports as done is durable: it survives a crash of the process.
#[derive(Clone)]
pub struct Client {
    connection: Connection,
    traces: Option<Traces>,
    /// The functions of this process, where nobody else has any.
    functions: Option<Arc<dyn Functions>>,
}

impl Client {
    /// A connection to a hub that runs in this process.
    #[must_use]
    pub fn new(hub: Hub) -> Self {
        Self { connection: Connection::Here(hub), traces: None, functions: None }
    }

    /// The same, which knows that nobody runs anything but these functions.
    pub(crate) fn knowing(self, functions: Option<Arc<dyn Functions>>) -> Self {
        Self { functions, ..self }
    }

    /// That nobody runs what an instance waits for, as far as that is known here.
    fn hint(&self, status: &Status) -> Option<Text> {
        let waits = !status.is_ended() && status.id.as_entity().is_none();
        let functions = self.functions.as_ref().filter(|_| waits)?;
        let (name, version) = (&*status.name, status.version.as_deref());
        let is_missing = functions.orchestration(name, version).is_none();
        is_missing.then(|| unregistered(name, version).into())
    }

    /// The same, with a way for traces.
    pub(crate) fn traced(self, traces: Option<Traces>) -> Self {
        Self { traces, ..self }
    }

    /// A fresh execution, of an instance that lives in this process if it has no other id.
    pub(crate) fn fresh_here(&self) -> ExecutionId {
        self.connection.fresh_here()
    }

    /// The way for traces, if they are sent anywhere.
    pub(crate) fn traces(&self) -> Option<&Traces> {
        self.traces.as_ref()
    }

    /// A connection to a hub that a server has, such as `http://127.0.0.1:7071`; see [`Remote`].
    /// It is made when it is first needed, and again when it is lost. Call this within tokio.
    ///
    /// All that a client can do works over the wire too. Who waits, for a start or an end, waits on
    /// while the server is away; everything else fails meanwhile with [`HubError::Unreachable`].
    pub fn connect(remote: impl Into<Remote>) -> Result<Self, RemoteError> {
        Ok(Self::over(remote.into().link()?))
    }

    pub(crate) fn over(link: taskhub_link::Link) -> Self {
        Self { connection: Connection::There(link), traces: None, functions: None }
    }

    /// The engine behind it; `None` when a server has the hub.
    #[must_use]
    pub fn hub(&self) -> Option<&Hub> {
        match &self.connection {
            Connection::Here(hub) => Some(hub),
            Connection::There(_) => None,
        }
    }

    /// What time it is for the hub: by the clock of this machine, or of a
    /// [test](crate::testing::TestHub).
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.connection.now()
    }

    /// Starts an orchestration; `.await` it. See [`Start`] for its options.
    pub fn start<M, C: Startable<M>>(&self, target: C, input: C::Input) -> Start<C::Handle> {
        let target = target.target();
        let start = Start::new(self.clone(), target.name, encode(input));
        match target.version {
            Some(version) => start.version(version),
            None => start,
        }
    }

    /// Starts an orchestration that is known by its name only. Prefer a typed handle.
    pub fn start_by_name<T: Serialize>(&self, name: impl AsRef<str>, input: &T) -> Start<Untyped> {
        Start::new(self.clone(), name.as_ref(), write(input))
    }

    /// The instance of this id, whether there is one or not. An id that cannot be one is reported
    /// by what is done with it.
    #[must_use]
    pub fn instance(&self, id: impl AsRef<str>) -> InstanceRef<Untyped> {
        InstanceRef::new(self.clone(), InstanceId::parse(id.as_ref()))
    }

    /// One page of the instances that match, oldest first.
    ///
    /// ```no_run
    /// # use taskhub::{Client, Filter, ListError, RuntimeStatus};
    /// async fn failed(hub: &Client) -> Result<u64, ListError> {
    ///     let mut next = Some(Filter::new().status(RuntimeStatus::Failed));
    ///     let mut count = 0;
    ///     while let Some(filter) = next {
    ///         let page = hub.list(filter).await?;
    ///         count += page.instances.len() as u64;
    ///         next = page.next;
    ///     }
    ///     Ok(count)
    /// }
    /// ```
    pub async fn list(&self, filter: Filter) -> Result<Page, ListError> {
        let (found, next) = self.connection.list(filter.core.clone(), filter.from.clone()).await?;
        let instances = found.into_iter().map(|(id, record)| Status::of(id, record));
        let next = next.map(|from| Filter { from: Some(from), ..filter });
        Ok(Page { instances: instances.collect(), next })
    }

    /// Forgets every instance that matches and has ended, with its history; says how many. Those
    /// that have not ended are left alone. So are those of [triggers](crate::trigger), which
    /// remember what was handled, unless the filter asks for a prefix of their ids.
    pub async fn purge_many(&self, filter: Filter) -> Result<u64, ListError> {
        let all = filter.core.prefix.is_some();
        let mut next = Some(filter);
        let mut purged = 0;
        while let Some(filter) = next {
            let page = self.list(filter).await?;
            let meant = |status: &Status| all || !status.name.starts_with(OWN_NAMES);
            let asked = page.instances.into_iter().filter(meant).map(|status| {
                let instance = self.instance(status.id.as_str());
                async move { instance.purge().await }
            });
            let mut done = stream::iter(asked).buffer_unordered(AT_ONCE);
            while let Some(result) = done.next().await {
                match result {
                    Ok(()) => purged += 1,
                    Err(PurgeError::Hub(error)) => return Err(error.into()),
                    Err(_) => {}
                }
            }
            next = page.next;
        }
        Ok(purged)
    }

    /// Asks the owner of an instance.
    pub(crate) async fn ask(
        &self,
        id: &Result<InstanceId, InvalidInstanceId>,
        verb: Verb,
    ) -> Result<Answer, Refused> {
        let id = id.clone().map_err(|invalid| Refused::Hub(invalid.into()))?;
        self.ask_of(id, verb).await
    }

    /// The same, where the id is known to be one.
    pub(crate) fn ask_of(
        &self,
        id: InstanceId,
        verb: Verb,
    ) -> impl Future<Output = Result<Answer, Refused>> + Send {
        self.connection.ask(id, verb)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({:?})", self.connection)
    }
}
