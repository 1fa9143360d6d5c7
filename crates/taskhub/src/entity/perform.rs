//! Performs operations: in order, each on the state that the last one that succeeded has left.

use std::{any::type_name, fmt, marker::PhantomData, panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use futures::FutureExt as _;
use taskhub_core::{
    Act, Failure as Stored, InstanceId, Operation, Operations, Outcome, Performed, Requested, Text,
};

use super::{Entity, EntityContext};
use crate::{
    Client, Failure,
    activity::{Needed, States},
    data::{decode, encode},
    handle::OperationCode,
};

/// The operation that every entity has, unless it has one of this name itself.
pub(crate) const DELETE: &str = "delete";

/// What a process has for its entities.
#[derive(Clone)]
pub(crate) struct Around {
    pub states: Arc<States>,
    pub client: Client,
}

/// An entity without its types.
pub(crate) trait Actor: Send + Sync {
    fn perform(&self, id: InstanceId, asked: Operations, around: Around) -> Performing;

    /// The states that its operations ask for.
    fn needs(&self) -> Vec<Needed>;
}

type Performing = Pin<Box<dyn Future<Output = Performed> + Send>>;

type Run<E> = for<'a> fn(&'a mut E, EntityContext, Option<Text>) -> Running<'a>;

type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// An operation without its types; written by the attribute.
pub struct Performer<E> {
    name: &'static str,
    changes: bool,
    run: Run<E>,
    needs: fn() -> Vec<Needed>,
}

impl<E: Entity> Performer<E> {
    #[doc(hidden)]
    #[must_use]
    pub fn of<S: OperationCode<Entity = E>>() -> Self {
        Self { name: S::NAME, changes: S::CHANGES, run: run::<S>, needs: S::needs }
    }
}

fn run<S: OperationCode>(
    entity: &mut S::Entity,
    context: EntityContext,
    input: Option<Text>,
) -> Running<'_> {
    Box::pin(async move {
        let what = format!("the input of `{}` of `{}`", S::NAME, S::Entity::NAME);
        let input = decode::<S::Input>(input.as_deref(), &what)?;
        Ok(encode(S::begin(entity, &context, input)?.await?)?)
    })
}

impl<E> fmt::Debug for Performer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Performer({})", self.name)
    }
}

pub(crate) struct Acting<E>(PhantomData<fn() -> E>);

impl<E: Entity> Acting<E> {
    pub(crate) fn boxed() -> Arc<dyn Actor> {
        Arc::new(Self(PhantomData))
    }
}

impl<E: Entity> Actor for Acting<E> {
    fn perform(&self, id: InstanceId, asked: Operations, around: Around) -> Performing {
        Box::pin(perform::<E>(id, asked, around))
    }

    fn needs(&self) -> Vec<Needed> {
        E::operations().iter().flat_map(|operation| (operation.needs)()).collect()
    }
}

async fn perform<E: Entity>(id: InstanceId, asked: Operations, around: Around) -> Performed {
    let Operations { state, requested } = asked;
    let operations = E::operations();
    let mut stage = Stage::<E> { state, entity: None, acts: Vec::new() };
    let mut outcomes = Vec::with_capacity(requested.len());
    for requested in requested {
        let run = stage.perform(&operations, &id, &requested, &around);
        let Operation { name, trace, .. } = &requested.operation;
        let outcome = match around.client.traces() {
            None => run.await,
            Some(traces) => traces.operation(name, &id, trace.as_ref(), run).await,
        };
        outcomes.push(outcome);
    }
    Performed { outcomes, state: stage.state, acts: stage.acts, failed: None }
}

/// An entity between operations.
struct Stage<E> {
    /// As the last operation that succeeded has left it.
    state: Option<Text>,
    /// The same, unless it has to be read first.
    entity: Option<E>,
    acts: Vec<Act>,
}

impl<E: Entity> Stage<E> {
    async fn perform(
        &mut self,
        operations: &[Performer<E>],
        id: &InstanceId,
        requested: &Requested,
        around: &Around,
    ) -> Outcome {
        let name = &*requested.operation.name;
        let Some(operation) = find(operations, name) else {
            if !same(name, DELETE) {
                return Err(unknown::<E>(name));
            }
            (self.state, self.entity) = (None, None);
            return Ok(None);
        };
        let mut entity = match self.entity.take() {
            Some(entity) => entity,
            None => self.read()?,
        };
        let context = EntityContext::new(id.clone(), requested.clone(), around.clone());
        let input = requested.operation.input.clone();
        let running = (operation.run)(&mut entity, context.clone(), input);
        let ended = AssertUnwindSafe(running).catch_unwind().await;
        let output = ended.unwrap_or_else(|panic| Err(Stored::panic("the operation", &*panic)))?;
        let done = context.take();
        if done.deletes {
            self.state = None;
        } else {
            if operation.changes {
                self.state = entity.to_stored()?;
            }
            self.entity = Some(entity);
        }
        self.acts.extend(done.acts);
        Ok(output)
    }

    fn read(&self) -> Result<E, Failure> {
        let Some(state) = self.state.as_deref() else { return Ok(E::default()) };
        decode(Some(state), &format!("the state of the entity `{}`", E::NAME))
    }
}

fn find<'a, E>(operations: &'a [Performer<E>], name: &str) -> Option<&'a Performer<E>> {
    let exact = operations.iter().find(|it| it.name == name);
    exact.or_else(|| operations.iter().find(|it| same(it.name, name)))
}

/// Names are compared as the field does: case is ignored.
fn same(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

fn unknown<E: Entity>(name: &str) -> Stored {
    let message =
        format!("the entity `{}` ({}) has no operation `{name}`", E::NAME, type_name::<E>());
    Failure::new("UnknownOperation", message).no_retry().into()
}
