//! Operations of entities: methods that are their own handles, as durable functions are.

use std::{
    fmt,
    pin::Pin,
    task::{Context as Task, Poll},
};

use futures::FutureExt as _;

use super::{External, Fails};
use crate::{Data, Entity, EntityContext, Result, activity::Needed, turn};

/// The kind of what entities do; only an [`External`] names it.
#[derive(Debug, Clone, Copy)]
pub enum Operation {}

/// What the attribute knows about an operation.
pub trait OperationSignature: 'static {
    /// What it is called.
    const NAME: &'static str;
    /// Whose operation it is.
    type Entity: Entity;
    /// What it takes; `()` when it takes nothing.
    type Input: Data;
    /// What it gives when it succeeds.
    type Output: Data;
}

/// An operation that the engine can perform; written by the attribute.
pub trait OperationCode: OperationSignature + Sized {
    #[doc(hidden)]
    const CHANGES: bool;
    #[doc(hidden)]
    fn begin<'entity>(
        entity: &'entity mut Self::Entity,
        context: &EntityContext,
        input: Self::Input,
    ) -> Result<OperationBody<'entity, Self>>;
    #[doc(hidden)]
    fn needs() -> Vec<Needed>;
}

/// The future of an operation, which remembers whose it is.
#[must_use = "nothing happens until it is awaited"]
pub struct OperationBody<'entity, S: OperationSignature>(
    Pin<Box<dyn Future<Output = Result<S::Output>> + Send + 'entity>>,
);

impl<'entity, S: OperationSignature> OperationBody<'entity, S> {
    #[doc(hidden)]
    #[track_caller]
    pub fn new<E: Fails>(
        future: impl Future<Output = Result<S::Output, E>> + Send + 'entity,
    ) -> Self {
        turn::refuse_direct_operation::<S>();
        Self(Box::pin(future.map(|result| result.map_err(Fails::into_failure))))
    }
}

impl<S: OperationSignature> Future for OperationBody<'_, S> {
    type Output = Result<S::Output>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(task)
    }
}

impl<S: OperationSignature> fmt::Debug for OperationBody<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperationBody({})", S::NAME)
    }
}

/// What entities of the type `E` can be asked for: a method of it, or an [`External`].
///
/// `M` tells apart the methods by their arguments; it is never written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an operation of `{E}`",
    label = "the entity has no such operation",
    note = "name an `async fn` of its #[entity] block, such as `Counter::add`",
    note = "an operation in another program is an `External::operation(..)`"
)]
pub trait Operates<E, M>: Sized {
    /// What it takes.
    type Input: Data;
    /// What it gives when it succeeds.
    type Output: Data;

    #[doc(hidden)]
    fn name(self) -> &'static str;
}

#[diagnostic::do_not_recommend]
impl<E, I: Data, O: Data> Operates<E, ()> for External<I, O, Operation> {
    type Input = I;
    type Output = O;

    fn name(self) -> &'static str {
        External::name(&self)
    }
}

/// Marks methods that take `&mut self`, and those that take `&self`.
#[doc(hidden)]
#[derive(Debug)]
pub enum Changes {}

#[doc(hidden)]
#[derive(Debug)]
pub enum Reads {}

macro_rules! operations {
    ($($mark:ident ($this:ty) ($($argument:ident)*))*) => { $(
        impl<F, E, S, $($argument),*> Operates<E, (S, $mark, $($argument,)*)> for F
        where
            F: for<'entity> Fn($this, $($argument),*) -> OperationBody<'entity, S>,
            S: OperationSignature<Entity = E>,
            E: Entity,
        {
            type Input = S::Input;
            type Output = S::Output;

            fn name(self) -> &'static str {
                S::NAME
            }
        }
    )* };
}

macro_rules! by_arguments {
    ($(($($argument:ident)*))*) => { operations! { $(
        Changes (&'entity mut E) ($($argument)*)
        Reads (&'entity E) ($($argument)*)
    )* } };
}

by_arguments! {
    ()
    (A)
    (A B)
    (A B C)
    (A B C D)
    (A B C D G)
    (A B C D G H)
    (A B C D G H I)
    (A B C D G H I J)
}
