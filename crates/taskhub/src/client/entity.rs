//! One entity, and what can be asked of it from outside.

use std::{fmt, marker::PhantomData};

use taskhub_core::{
    EntityMetadata, InstanceId, InvalidInstanceId, Operation, Requested, Text, Verb,
};
use uuid::Uuid;

use super::{Client, EntityError, HubError, SignalError, instance::done};
use crate::{
    Data, Entity, Result, Timestamp,
    data::{decode, encode},
    entity::DELETE,
    handle::Operates,
};

/// An entity by its id, made by [`Client::entity`]. Clients signal entities and read what they
/// are; only orchestrations call them and wait.
///
/// ```no_run
/// # use serde::{Deserialize, Serialize};
/// # use taskhub::prelude::*;
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { value: i64 }
/// # #[entity]
/// # impl Counter {
/// #     async fn add(&mut self, amount: i64) -> Result<i64> { Ok(self.value + amount) }
/// # }
/// async fn visited(hub: &Client, page: &str) -> Result<i64> {
///     let counter = hub.entity::<Counter>(page);
///     counter.signal(Counter::add, 1).await?;
///     let so_far = counter.state().await?; // of the signals before, what is done by now
///     Ok(so_far.map_or(0, |counter| counter.value))
/// }
/// ```
pub struct EntityRef<E> {
    client: Client,
    id: Result<InstanceId, InvalidInstanceId>,
    entity: PhantomData<fn() -> E>,
}

impl<E> EntityRef<E> {
    pub(super) fn new(client: Client, id: Result<InstanceId, InvalidInstanceId>) -> Self {
        Self { client, id, entity: PhantomData }
    }

    /// Its id, such as `@counter@a`.
    pub fn id(&self) -> Result<&InstanceId, InvalidInstanceId> {
        self.id.as_ref().map_err(Clone::clone)
    }

    /// Asks it for an operation, and does not wait for that to be performed. The signals that one
    /// client sends one after another are performed in that order.
    pub async fn signal<M, O: Operates<E, M>>(
        &self,
        operation: O,
        input: O::Input,
    ) -> Result<(), SignalError> {
        self.send(None, operation.name(), encode(input)).await
    }

    /// Asks it for an operation at a later time.
    pub async fn signal_at<M, O: Operates<E, M>>(
        &self,
        time: impl Into<Timestamp>,
        operation: O,
        input: O::Input,
    ) -> Result<(), SignalError> {
        self.send(Some(time.into()), operation.name(), encode(input)).await
    }

    /// Deletes its state when its turn comes: behind the operations that it was asked for before.
    /// An entity that has an operation named `delete` is asked for that instead.
    pub async fn delete(&self) -> Result<(), SignalError> {
        self.send(None, DELETE, Ok(None)).await
    }

    async fn send(
        &self,
        at: Option<Timestamp>,
        name: &str,
        input: Result<Option<Text>>,
    ) -> Result<(), SignalError> {
        let input = input.map_err(SignalError::Input)?;
        let trace = match (self.client.traces(), &self.id) {
            (Some(traces), Ok(id)) => Some(traces.signal(name, id, None)),
            _ => None,
        };
        let request = Uuid::now_v7().to_string();
        let operation = Operation { trace, ..Operation::new(request, name, input) };
        let requested = Requested { operation, caller: None, due: at.map(Timestamp::core) };
        let answer = self.client.ask(&self.id, Verb::Signal(Box::new(requested))).await?;
        Ok(done(&answer)?)
    }

    /// What is known of it; `None` when there is no such entity.
    pub async fn status(&self) -> Result<Option<EntityStatus>, EntityError> {
        let id = self.id.clone().map_err(HubError::from)?;
        let entity = self.client.connection.entity(id).await?;
        Ok(entity.map(EntityStatus::of))
    }
}

impl<E: Entity> EntityRef<E> {
    /// Its state, as last committed; `None` when it has none.
    pub async fn state(&self) -> Result<Option<E>, EntityError> {
        let Some(status) = self.status().await? else { return Ok(None) };
        status.state().transpose().map_err(EntityError::State)
    }
}

impl<E> Clone for EntityRef<E> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.id.clone())
    }
}

impl<E> fmt::Debug for EntityRef<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityRef({:?})", self.id)
    }
}

/// What is known of an entity, as last committed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntityStatus {
    /// Its id, such as `@counter@a`.
    pub id: InstanceId,
    /// The orchestration that has it for itself, in a critical section.
    pub locked_by: Option<InstanceId>,
    /// How many operations and locks it was asked for that are not done, later ones included.
    pub backlog: usize,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Why it is parked: it cannot go on until a person helps.
    pub stuck: Option<Text>,
    state: Option<Text>,
}

impl EntityStatus {
    pub(super) fn of(entity: EntityMetadata) -> Self {
        Self {
            id: entity.id,
            locked_by: entity.locked_by,
            backlog: entity.backlog,
            modified_at: Timestamp::of(entity.modified),
            stuck: entity.stuck,
            state: entity.state,
        }
    }

    /// Its name, in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        self.id.as_entity().map_or("", |(name, _)| name)
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.id.as_entity().map_or("", |(_, key)| key)
    }

    /// Its state, if it has one.
    #[must_use]
    pub fn state<T: Data>(&self) -> Option<Result<T>> {
        let what = format!("the state of {}", self.id);
        self.state.as_deref().map(|state| decode(Some(state), &what))
    }

    /// Its state as it is stored, if it has one.
    #[must_use]
    pub fn state_text(&self) -> Option<&str> {
        self.state.as_deref()
    }
}
