//! What an orchestration asks of entities, in a test.

use std::{fmt, marker::PhantomData};

use taskhub_core::{InstanceId, InvalidInstanceId};

use super::{
    expected::{Callee, Expected, same},
    life::Life,
};
use crate::{data::decode, handle::Operates};

/// An entity as a test sees it, made by [`Run::entity`](super::Run::entity).
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use taskhub::prelude::*;
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Stock { pieces: u64 }
///
/// #[entity]
/// impl Stock {
///     async fn take(&mut self, pieces: u64) -> Result<bool> {
///         let enough = self.pieces >= pieces;
///         self.pieces -= if enough { pieces } else { 0 };
///         Ok(enough)
///     }
///     async fn sold_out(&mut self) -> Result<()> { Ok(()) }
/// }
///
/// #[orchestration]
/// async fn buy(ctx: Context, article: String) -> Result<bool> {
///     let stock = ctx.entity::<Stock>(article);
///     let bought = stock.call(Stock::take, 2).await?;
///     if !bought {
///         stock.signal(Stock::sold_out, ())?;
///     }
///     Ok(bought)
/// }
///
/// let mut run = Run::of(buy).input("pen".to_owned());
/// run.entity::<Stock>("pen").expect(Stock::take).given(2).returns(false);
/// assert_eq!(run.output(), Ok(false));
/// assert_eq!(run.entity::<Stock>("pen").signals(Stock::sold_out), [()]);
/// ```
pub struct TestEntity<'a, E> {
    life: &'a mut Life,
    id: InstanceId,
    entity: PhantomData<fn() -> E>,
}

impl<'a, E> TestEntity<'a, E> {
    #[track_caller]
    pub(super) fn new(life: &'a mut Life, id: Result<InstanceId, InvalidInstanceId>) -> Self {
        let id = id.unwrap_or_else(|invalid| panic!("{invalid}"));
        Self { life, id, entity: PhantomData }
    }

    /// Expects that the run waits for a call of this operation, of the first one if there are
    /// several.
    ///
    /// # Panics
    ///
    /// If it waits for no such call. The message says what it waits for.
    #[track_caller]
    pub fn expect<M, O: Operates<E, M>>(self, operation: O) -> Expected<'a, O::Input, O::Output> {
        Expected::find(self.life, Callee::Operation(self.id), operation.name())
    }

    /// The inputs of the signals that asked for this operation so far.
    ///
    /// # Panics
    ///
    /// If an input cannot be read.
    #[must_use]
    #[track_caller]
    pub fn signals<M, O: Operates<E, M>>(self, operation: O) -> Vec<O::Input> {
        let name = operation.name();
        let signals = self.life.signaled.iter();
        let signals = signals.filter(|(to, asked)| *to == self.id && same(&asked.name, name));
        signals
            .map(|(_, asked)| {
                let input = decode(asked.input.as_deref(), "the input");
                input.unwrap_or_else(|failure| panic!("{failure}"))
            })
            .collect()
    }
}

impl<E> fmt::Debug for TestEntity<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestEntity({:?})", self.id)
    }
}
