//! What an activity is given besides its input: shared state, the hub's client, and who calls.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::Arc,
};

use serde::Serialize;
use taskhub_core::{CallId, InstanceId, Ticket, Work};

use crate::{
    Client, Data, Failure, Result,
    attempt::Pulse,
    data::{decode, write},
    labels,
};

/// Something that the process has and activities use: a connection pool, an HTTP client.
///
/// Give it to the host with `.state(..)`, and take it as an argument before the input. Building
/// the host fails if an activity asks for a state that is not there.
///
/// ```
/// use taskhub::prelude::*;
///
/// #[derive(Clone)]
/// struct Rates { vat: u64 }
///
/// #[activity]
/// async fn tax(State(rates): State<Rates>, net: u64) -> Result<u64> {
///     Ok(net * rates.vat / 100)
/// }
///
/// let tax = futures::executor::block_on(tax(State(Rates { vat: 20 }), 50));
/// assert_eq!(tax, Ok(10));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct State<T>(pub T);

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Which call an activity runs for.
#[derive(Clone)]
pub struct ActivityContext {
    call: Arc<(Ticket, CallId, Work)>,
    states: Arc<States>,
    client: Option<Client>,
    pulse: Arc<Pulse>,
}

impl ActivityContext {
    pub(crate) fn new(
        call: (Ticket, CallId, Work),
        states: Arc<States>,
        client: Option<Client>,
        pulse: Arc<Pulse>,
    ) -> Self {
        Self { call: Arc::new(call), states, client, pulse }
    }

    /// The instance that called.
    #[must_use]
    pub fn instance_id(&self) -> &InstanceId {
        &self.call.0.instance
    }

    /// The name under which the activity was called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.call.2.name
    }

    /// The version that was asked for, if any.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.call.2.version.as_deref()
    }

    /// The value of a label that the [call](crate::Call::tag) has.
    #[must_use]
    pub fn tag(&self, key: impl AsRef<str>) -> Option<&str> {
        labels::find(&self.call.2.tags, key.as_ref()).map(|value| &**value)
    }

    /// A text that names this call and no other. An activity may be run more than once for one
    /// call, after a crash for instance; then the text is the same, so that whoever does the work
    /// can recognise the repetition. An attempt that a [`Retry`](crate::Retry) makes is another
    /// call: for a key that all attempts share, pass a [`uuid`](crate::Context::uuid).
    #[must_use]
    pub fn call_key(&self) -> String {
        format!("{}-{}", self.call.0.execution, self.call.1.0)
    }

    /// The trace of this call, as the header `traceparent` has it: for requests that the activity
    /// sends to others, and for whoever answers them.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.call.2.trace.as_ref().map(|trace| &*trace.parent)
    }

    /// Gives a sign of life, with how far the work has come. An activity that has a heartbeat
    /// (`#[activity(heartbeat = ..)]`, or [`heartbeat_timeout`](crate::Call::heartbeat_timeout)
    /// at the call) and is silent for longer fails with the kind [`Failure::TIMEOUT`].
    ///
    /// If this attempt fails, however it does, the next one finds the progress as
    /// [`last_progress`](Self::last_progress).
    ///
    /// It fails once nobody waits any more, so code on a blocking thread that calls it with `?`
    /// ends by itself.
    pub fn heartbeat<T: Serialize + ?Sized>(&self, progress: &T) -> Result<()> {
        if self.is_cancelled() {
            let message = format!("nobody waits for this run of `{}` any more", self.name());
            return Err(Failure::new("Cancelled", message).no_retry());
        }
        self.pulse.beat(write(progress)?.unwrap_or_else(|| "null".into()));
        Ok(())
    }

    /// What an earlier attempt of this call last reported by [`heartbeat`](Self::heartbeat), if
    /// one failed after it did. An attempt that was cut off from outside (the process died, its
    /// attempt timeout was over) leaves nothing.
    pub fn last_progress<T: Data>(&self) -> Result<Option<T>> {
        let text = labels::find(&self.call.2.tags, labels::PROGRESS);
        text.map(|text| decode(Some(text), "the last progress")).transpose()
    }

    /// Whether nobody waits for this run any more: its call was given up, its orchestration has
    /// ended, or the run itself has.
    ///
    /// The activity's future is dropped then, at its next await. Work that it handed to a
    /// blocking thread or to a task of its own is not: let that look here, or await
    /// [`cancelled`](Self::cancelled).
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.pulse.is_over()
    }

    /// Completes when nobody waits for this run any more; see [`is_cancelled`](Self::is_cancelled).
    pub async fn cancelled(&self) {
        self.pulse.over().await;
    }
}

impl fmt::Debug for ActivityContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActivityContext({} for {:?})", self.name(), self.instance_id())
    }
}

/// What can stand before the input of an activity: [`State`], [`Client`], [`ActivityContext`]; and
/// before that of an operation, with an [`EntityContext`](crate::EntityContext) instead.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given to an activity or an operation",
    label = "neither the input nor an extractor",
    note = "arguments before the input are `State<T>`, `Client` or `{C}`",
    note = "the `T` of a `State<T>` must be `Clone + Send + Sync + 'static`: wrap it in an `Arc`"
)]
pub trait Extract<C = ActivityContext>: Sized {
    #[doc(hidden)]
    fn extract(context: &C) -> Result<Self>;

    #[doc(hidden)]
    #[must_use]
    fn needs() -> Option<Needed> {
        None
    }
}

impl<T: Clone + Send + Sync + 'static> Extract for State<T> {
    fn extract(context: &ActivityContext) -> Result<Self> {
        context.states.find()
    }

    fn needs() -> Option<Needed> {
        Some(Needed::of::<T>())
    }
}

impl Extract for ActivityContext {
    fn extract(context: &ActivityContext) -> Result<Self> {
        Ok(context.clone())
    }
}

impl Extract for Client {
    fn extract(context: &ActivityContext) -> Result<Self> {
        let missing = || Failure::new("MissingClient", "this activity runs outside of a hub");
        context.client.clone().ok_or_else(missing)
    }
}

/// A state that an activity needs.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Needed {
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
}

impl Needed {
    pub(crate) fn of<T: 'static>() -> Self {
        Self { id: TypeId::of::<T>(), name: type_name::<T>() }
    }
}

/// The states of a process, by type.
#[derive(Default)]
pub(crate) struct States(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl States {
    pub(crate) fn insert<T: Clone + Send + Sync + 'static>(&mut self, state: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(state));
    }

    pub(crate) fn find<T: Clone + 'static>(&self) -> Result<State<T>> {
        let found = self.0.get(&TypeId::of::<T>()).and_then(|state| state.downcast_ref::<T>());
        found.cloned().map(State).ok_or_else(|| {
            let message = format!("there is no state of type {}", type_name::<T>());
            Failure::new("MissingState", message).no_retry()
        })
    }

    pub(crate) fn contains(&self, needed: &Needed) -> bool {
        self.0.contains_key(&needed.id)
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.0.len())
    }
}
