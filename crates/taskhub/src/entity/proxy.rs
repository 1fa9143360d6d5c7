//! An entity as an orchestration sees it.

use std::{fmt, marker::PhantomData};

use taskhub_core::{
    InstanceId, InvalidInstanceId, Operation,
    turn::{Command, Scope},
};

use super::{Sections, perform::DELETE};
use crate::{Call, Result, Timestamp, data::encode, handle::Operates};

/// An entity, made by [`Context::entity`](crate::Context::entity). Nothing happens until it is
/// called or signaled; it need not be there yet.
pub struct EntityProxy<E> {
    scope: Scope,
    sections: Sections,
    id: Result<InstanceId, InvalidInstanceId>,
    entity: PhantomData<fn() -> E>,
}

impl<E> EntityProxy<E> {
    pub(crate) fn new(
        scope: &Scope,
        sections: &Sections,
        id: Result<InstanceId, InvalidInstanceId>,
    ) -> Self {
        let (scope, sections) = (scope.clone(), sections.clone());
        Self { scope, sections, id, entity: PhantomData }
    }

    /// Its id, such as `@counter@a`.
    pub fn id(&self) -> Result<&InstanceId, InvalidInstanceId> {
        self.id.as_ref().map_err(Clone::clone)
    }

    /// Calls an operation and waits for what it gives. If it fails, the state of the entity is what
    /// it was before, and the failure is that of the call.
    ///
    /// The call has the options of every [`Call`], such as [`timeout`](Call::timeout) and
    /// [`retry`](Call::retry).
    #[track_caller]
    pub fn call<M, O: Operates<E, M>>(&self, operation: O, input: O::Input) -> Call<O::Output> {
        let (scope, sections) = (self.scope.clone(), self.sections.clone());
        Call::of_operation(scope, sections, self.id.clone(), operation.name(), input)
    }

    /// Asks for an operation, and does not wait for it. It leaves with this turn.
    #[track_caller]
    pub fn signal<M, O: Operates<E, M>>(&self, operation: O, input: O::Input) -> Result<()> {
        self.send(None, operation, input)
    }

    /// Asks for an operation at a later time.
    #[track_caller]
    pub fn signal_at<M, O: Operates<E, M>>(
        &self,
        time: impl Into<Timestamp>,
        operation: O,
        input: O::Input,
    ) -> Result<()> {
        self.send(Some(time.into()), operation, input)
    }

    #[track_caller]
    fn send<M, O: Operates<E, M>>(
        &self,
        at: Option<Timestamp>,
        operation: O,
        input: O::Input,
    ) -> Result<()> {
        let entity = self.id.clone()?;
        self.sections.check_signal(&entity)?;
        let operation = Operation::new("", operation.name(), encode(input)?);
        let at = at.map(Timestamp::core);
        self.scope.tell_at(self.scope.place(), Command::Signal { entity, operation, at });
        Ok(())
    }

    /// Deletes its state, and waits until that is done. An entity that has an operation named
    /// `delete` is asked for that instead.
    #[track_caller]
    pub fn delete(&self) -> Call<()> {
        let (scope, sections) = (self.scope.clone(), self.sections.clone());
        Call::of_operation(scope, sections, self.id.clone(), DELETE, ())
    }
}

impl<E> Clone for EntityProxy<E> {
    fn clone(&self) -> Self {
        Self::new(&self.scope, &self.sections, self.id.clone())
    }
}

impl<E> fmt::Debug for EntityProxy<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityProxy({:?})", self.id)
    }
}
