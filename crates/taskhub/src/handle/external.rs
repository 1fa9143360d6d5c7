//! Functions in other programs, as those who call them refer to them.

use std::{fmt, marker::PhantomData};

use super::{Activity, Callable, Kind, Named, Operation, Orchestration, Target};
use crate::Data;

/// A function that lives in another program: its name, and the types of its input and output.
///
/// ```
/// use taskhub::prelude::*;
///
/// /// Lives in a Python worker.
/// const GET_TAX: External<u64, u64> = External::activity("GetTax");
/// /// Lives in a .NET worker.
/// const BILL: External<u64, String, handle::Orchestration> = External::orchestration("Bill");
///
/// #[orchestration]
/// async fn gross(ctx: Context, net: u64) -> Result<u64> {
///     Ok(net + ctx.call(GET_TAX, net).await?)
/// }
/// ```
pub struct External<I, O, K = Activity> {
    name: &'static str,
    version: Option<&'static str>,
    types: PhantomData<fn(I) -> (O, K)>,
}

impl<I, O> External<I, O, Activity> {
    /// An activity under this name.
    #[must_use]
    pub const fn activity(name: &'static str) -> Self {
        Self { name, version: None, types: PhantomData }
    }
}

impl<I, O> External<I, O, Orchestration> {
    /// An orchestration under this name.
    #[must_use]
    pub const fn orchestration(name: &'static str) -> Self {
        Self { name, version: None, types: PhantomData }
    }
}

impl<I, O> External<I, O, Operation> {
    /// An operation of this name, of an entity in another program.
    #[must_use]
    pub const fn operation(name: &'static str) -> Self {
        Self { name, version: None, types: PhantomData }
    }
}

impl<I, O, K> External<I, O, K> {
    /// The same function, asked for in this version.
    #[must_use]
    pub const fn version(self, version: &'static str) -> Self {
        Self { version: Some(version), ..self }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<I: Data, O: Data, K: Kind> Named for External<I, O, K> {
    type Output = O;
}

#[diagnostic::do_not_recommend]
impl<I: Data, O: Data, K: Kind> Callable<()> for External<I, O, K> {
    type Input = I;
    type Output = O;
    type Handle = Self;
    type Kind = K;

    fn target(self) -> Target {
        Target { version: self.version, ..Target::named(self.name) }
    }
}

impl<I, O, K> Clone for External<I, O, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O, K> Copy for External<I, O, K> {}

impl<I, O, K> fmt::Debug for External<I, O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "External({})", self.name)
    }
}
