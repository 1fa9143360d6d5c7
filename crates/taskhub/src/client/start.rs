//! A start of an instance, with its options.

use std::{collections::BTreeMap, fmt, future::IntoFuture, marker::PhantomData, pin::Pin};

use taskhub_core::{Answer, ExecutionId, InstanceId, Reuse, RuntimeStatus, Started, Text, Verb};
use taskhub_server::Request;
use uuid::Uuid;

use super::{Client, HubError, InstanceRef, StartError};
use crate::{Data, Event, Result, Timestamp, data::encode, handle::Named};

/// A start that happens when it is awaited, made by [`Client::start`].
///
/// It is durable when it returns. Without an [`id`](Self::id) the instance gets a fresh one, which
/// sorts by time.
#[must_use = "nothing is started until it is awaited"]
pub struct Start<H> {
    client: Client,
    name: Text,
    input: Result<Option<Text>>,
    id: Option<String>,
    here: bool,
    version: Option<Text>,
    tags: BTreeMap<Text, Text>,
    first_turn: Option<Timestamp>,
    deadline: Option<Timestamp>,
    reuse: Reuse,
    event: Option<(Text, Result<Option<Text>>)>,
    handle: PhantomData<fn() -> H>,
}

impl<H> Start<H> {
    pub(super) fn new(client: Client, name: &str, input: Result<Option<Text>>) -> Self {
        Self {
            client,
            name: name.into(),
            input,
            id: None,
            here: false,
            version: None,
            tags: BTreeMap::new(),
            first_turn: None,
            deadline: None,
            reuse: Reuse::ended(),
            event: None,
            handle: PhantomData,
        }
    }

    /// The id of the instance, 1 to 200 bytes. An instance of that id that has ended is replaced;
    /// one that has not is a [`StartError::Exists`], unless [`join`](Self::join) says otherwise.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Gives it a fresh id that lives on this node of a [`Cluster`](crate::Cluster), as a gateway
    /// does for whom it holds: what is asked here of the instance is not passed on to another node.
    /// Without it the instances that one node starts are spread over all of them.
    pub fn here(mut self) -> Self {
        (self.id, self.here) = (None, true);
        self
    }

    /// If an instance of that id is there, whatever its status, leave it alone and take it for the
    /// one that was asked for: the same start can then be repeated safely.
    pub fn join(mut self) -> Self {
        self.reuse = Reuse::Join;
        self
    }

    /// Replace an instance of that id only if it has one of these statuses.
    pub fn replace(mut self, statuses: impl IntoIterator<Item = RuntimeStatus>) -> Self {
        self.reuse = Reuse::Replace(statuses.into_iter().collect());
        self
    }

    /// The version of the orchestration, instead of the one that this program knows.
    pub fn version(mut self, version: impl AsRef<str>) -> Self {
        self.version = Some(version.as_ref().into());
        self
    }

    /// A label of the instance, by which it can be listed.
    pub fn tag(mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.tags.insert(key.as_ref().into(), value.as_ref().into());
        self
    }

    /// When to run the first turn. Until then the instance is pending, and keeps its events.
    pub fn at(mut self, time: impl Into<Timestamp>) -> Self {
        self.first_turn = Some(time.into());
        self
    }

    /// When to terminate the instance, unless it has ended by then.
    pub fn deadline(mut self, time: impl Into<Timestamp>) -> Self {
        self.deadline = Some(time.into());
        self
    }

    /// Raises this event for the instance, in one with the start. If an instance of that id is
    /// there and has not ended, it gets the event and nothing is started.
    ///
    /// ```no_run
    /// # use taskhub::{StartError, prelude::*};
    /// # const ITEM: Event<String> = Event::new("item");
    /// # #[orchestration]
    /// # async fn cart(ctx: Context) -> Result<()> { let _ = ctx; Ok(()) }
    /// /// The first thing that a customer picks starts the cart, all others go into it.
    /// async fn pick(hub: &Client, customer: &str, item: String) -> Result<(), StartError> {
    ///     hub.start(cart, ()).id(format!("cart-{customer}")).raise(ITEM, item).await?;
    ///     Ok(())
    /// }
    /// ```
    pub fn raise<T: Data>(mut self, event: Event<T>, payload: T) -> Self {
        self.event = Some((event.name().into(), encode(payload)));
        self
    }

    async fn send(self) -> Result<InstanceRef<H>, StartError> {
        let execution = if self.here {
            self.client.fresh_here()
        } else {
            ExecutionId(Uuid::now_v7().as_u128())
        };
        let (id, reuse) = match &self.id {
            Some(id) => (InstanceId::parse(id).map_err(HubError::from)?, self.reuse),
            None => (InstanceId::fresh(execution), Reuse::Fresh),
        };
        let input = self.input.map_err(StartError::Input)?;
        let mut started = Started::new(self.name, input, execution);
        started.version = self.version;
        started.start_at = self.first_turn.map(Timestamp::core);
        started.deadline = self.deadline.map(Timestamp::core);
        started.tags = self.tags.into_iter().collect();
        let span = self.client.traces().map(|traces| traces.start(&started.name, &id, None));
        started.trace = span.as_ref().map(Request::trace);
        let started = Box::new(started);
        let verb = match self.event {
            None => Verb::Start { started, reuse },
            Some((name, input)) => {
                let input = input.map_err(StartError::Input)?;
                Verb::StartOrRaise { started, reuse, name, input }
            }
        };
        let id = Ok(id);
        match self.client.ask(&id, verb).await? {
            Answer::Started(_) => Ok(InstanceRef::new(self.client, id)),
            other => Err(HubError::Unexpected(format!("{other:?}")).into()),
        }
    }
}

impl<H: Named> IntoFuture for Start<H> {
    type Output = Result<InstanceRef<H>, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl<H> fmt::Debug for Start<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Start({})", self.name)
    }
}
