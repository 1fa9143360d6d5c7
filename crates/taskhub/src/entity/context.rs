//! What an operation can do beside changing its entity's state.

use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use taskhub_core::{Act, InstanceId, InvalidInstanceId, Operation, Requested, Text, Work};
use uuid::Uuid;

use super::{Around, Entity, id};
use crate::{
    Client, InstanceId as Id, Result, State, Timestamp,
    activity::{Extract, Needed},
    client::Untyped,
    data::encode,
    handle::{Operates, Startable},
};

/// Which operation runs, of which entity; and a way to reach others.
///
/// What it signals and starts leaves with the operation, in the same commit as the state. If the
/// operation fails, nothing of it happens.
#[derive(Clone)]
pub struct EntityContext {
    inner: Arc<Inner>,
}

struct Inner {
    id: InstanceId,
    requested: Requested,
    around: Around,
    done: Mutex<Deeds>,
}

/// What an operation did so far.
#[derive(Default)]
pub(super) struct Deeds {
    pub acts: Vec<Act>,
    pub deletes: bool,
}

impl EntityContext {
    pub(super) fn new(id: InstanceId, requested: Requested, around: Around) -> Self {
        let done = Mutex::default();
        Self { inner: Arc::new(Inner { id, requested, around, done }) }
    }

    fn done(&self) -> MutexGuard<'_, Deeds> {
        self.inner.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self) -> Deeds {
        std::mem::take(&mut *self.done())
    }

    pub(super) fn around(&self) -> &Around {
        &self.inner.around
    }

    /// The id of the entity, such as `@counter@a`.
    #[must_use]
    pub fn id(&self) -> &Id {
        &self.inner.id
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.inner.id.as_entity().map_or("", |(_, key)| key)
    }

    /// The operation, as it was asked for.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.inner.requested.operation.name
    }

    /// The orchestration that waits for the operation; nobody does if it is a signal.
    #[must_use]
    pub fn caller(&self) -> Option<&Id> {
        self.inner.requested.caller.as_ref().map(|caller| &caller.instance)
    }

    /// A text that names this request and no other. An operation may be run more than once, after
    /// a crash for instance, though only one run of it counts; then the text is the same, so that
    /// others can recognise the repetition. Empty for signals of clients that gave none.
    #[must_use]
    pub fn request(&self) -> &str {
        &self.inner.requested.operation.request
    }

    /// Deletes the state, once this operation has succeeded. Whoever asks for another operation
    /// finds a state that is `Default`.
    pub fn delete_state(&self) {
        self.done().deletes = true;
    }

    /// Another entity, or this one, to be signaled.
    #[must_use]
    pub fn entity<E: Entity>(&self, key: impl AsRef<str>) -> SignalProxy<'_, E> {
        SignalProxy { context: self, id: id::<E>(key.as_ref()), entity: PhantomData }
    }

    /// An entity in another program, to be signaled. What it can do is an
    /// [`External::operation`](crate::External::operation).
    #[must_use]
    pub fn entity_by_name(
        &self,
        name: impl AsRef<str>,
        key: impl AsRef<str>,
    ) -> SignalProxy<'_, Untyped> {
        let id = InstanceId::entity(name.as_ref(), key.as_ref());
        SignalProxy { context: self, id, entity: PhantomData }
    }

    /// Starts an orchestration, under an id that is made; nothing is heard of it.
    pub fn start<M, C: Startable<M>>(&self, orchestration: C, input: C::Input) -> Result<Id> {
        let id = InstanceId::trusted(Uuid::now_v7().simple().to_string());
        self.start_instance(id, orchestration, input)
    }

    /// Starts an orchestration under this id. If an instance of that id is there and has not
    /// ended, it is left alone.
    pub fn start_as<M, C: Startable<M>>(
        &self,
        id: impl AsRef<str>,
        orchestration: C,
        input: C::Input,
    ) -> Result<Id> {
        self.start_instance(InstanceId::parse(id.as_ref())?, orchestration, input)
    }

    fn start_instance<M, C: Startable<M>>(
        &self,
        instance: InstanceId,
        orchestration: C,
        input: C::Input,
    ) -> Result<Id> {
        let target = orchestration.target();
        let version = target.version.map(Text::from);
        let work = Work { version, ..Work::new(target.name, encode(input)?) };
        self.done().acts.push(Act::Start { instance: instance.clone(), work, at: None });
        Ok(instance)
    }
}

impl fmt::Debug for EntityContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityContext({} of {:?})", self.operation(), self.id())
    }
}

/// An entity as another one sees it, made by [`EntityContext::entity`].
pub struct SignalProxy<'a, E> {
    context: &'a EntityContext,
    id: Result<InstanceId, InvalidInstanceId>,
    entity: PhantomData<fn() -> E>,
}

impl<E> SignalProxy<'_, E> {
    /// Asks it for an operation, and does not wait for it.
    pub fn signal<M, O: Operates<E, M>>(&self, operation: O, input: O::Input) -> Result<()> {
        self.send(None, operation, input)
    }

    /// Asks it for an operation at a later time.
    pub fn signal_at<M, O: Operates<E, M>>(
        &self,
        time: impl Into<Timestamp>,
        operation: O,
        input: O::Input,
    ) -> Result<()> {
        self.send(Some(time.into()), operation, input)
    }

    fn send<M, O: Operates<E, M>>(
        &self,
        at: Option<Timestamp>,
        operation: O,
        input: O::Input,
    ) -> Result<()> {
        let id = self.id.clone()?;
        let input = encode(input)?;
        let mut done = self.context.done();
        // The same at every run of the operation, so that the receiver recognises a repetition.
        let request = format!("{}.{}", self.context.request(), done.acts.len());
        let trace = self.context.inner.requested.operation.trace.clone();
        let operation = Operation { trace, ..Operation::new(request, operation.name(), input) };
        let requested = Requested { operation, caller: None, due: at.map(Timestamp::core) };
        done.acts.push(Act::Signal(id, requested));
        Ok(())
    }
}

impl<E> fmt::Debug for SignalProxy<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignalProxy({:?})", self.id)
    }
}

impl Extract<EntityContext> for EntityContext {
    fn extract(context: &EntityContext) -> Result<Self> {
        Ok(context.clone())
    }
}

impl Extract<EntityContext> for Client {
    fn extract(context: &EntityContext) -> Result<Self> {
        Ok(context.around().client.clone())
    }
}

impl<T: Clone + Send + Sync + 'static> Extract<EntityContext> for State<T> {
    fn extract(context: &EntityContext) -> Result<Self> {
        context.around().states.find()
    }

    fn needs() -> Option<Needed> {
        Some(Needed::of::<T>())
    }
}
