//! Typed names: functions, events and functions in other programs, as one refers to them.
//!
//! A function under [`#[activity]`](macro@crate::activity) or
//! [`#[orchestration]`](crate::orchestration) stays a function, and is its own handle: its name,
//! input and output travel in the type that it returns, a [`Body`]. So the compiler checks
//! `ctx.call(fetch_quote, vendor)`, and `fetch_quote(State(http), vendor).await` is an ordinary
//! call in a unit test.
//!
//! ```
//! use taskhub::prelude::*;
//!
//! #[activity]
//! async fn greet(name: String) -> Result<String> {
//!     Ok(format!("Hello, {name}"))
//! }
//!
//! #[orchestration]
//! async fn welcome(ctx: Context, names: Vec<String>) -> Result<Vec<String>> {
//!     try_join_all(names.into_iter().map(|name| ctx.call(greet, name))).await
//! }
//! # assert_eq!(futures::executor::block_on(greet("Ada".into())), Ok("Hello, Ada".into()));
//! ```
//!
//! What lives elsewhere is a constant: an [`Event`], or an [`External`] function.

mod event;
mod external;
mod operation;

use std::{
    fmt,
    pin::Pin,
    task::{Context as Task, Poll},
    time::Duration,
};

use futures::FutureExt as _;

pub use event::Event;
pub use external::External;
pub use operation::{
    Changes, Operates, Operation, OperationBody, OperationCode, OperationSignature, Reads,
};

use crate::{ActivityContext, Context, Data, Failure, Result, Retry, activity::Needed, turn};

/// The kind of a durable function, and what its future may do.
pub trait Kind: sealed::Sealed + 'static {
    #[doc(hidden)]
    const IS_ACTIVITY: bool;
    #[doc(hidden)]
    type Future<T: 'static>: Future<Output = T> + Unpin;
}

/// The kind of functions that do things: they may be run twice, on any thread.
#[derive(Debug, Clone, Copy)]
pub enum Activity {}

/// The kind of functions that are replayed: they stay on one thread, and only wait.
#[derive(Debug, Clone, Copy)]
pub enum Orchestration {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Activity {}
    impl Sealed for super::Orchestration {}
}

impl Kind for Activity {
    const IS_ACTIVITY: bool = true;
    type Future<T: 'static> = Pin<Box<dyn Future<Output = T> + Send>>;
}

impl Kind for Orchestration {
    const IS_ACTIVITY: bool = false;
    type Future<T: 'static> = Pin<Box<dyn Future<Output = T>>>;
}

/// What the attributes know about a function.
pub trait Signature: 'static {
    /// Under what name it is registered and stored.
    const NAME: &'static str;
    /// Its version, if it has one.
    const VERSION: Option<&'static str>;
    /// Whether it is an activity or an orchestration.
    type Kind: Kind;
    /// What it takes; `()` when it takes nothing.
    type Input: Data;
    /// What it gives when it succeeds.
    type Output: Data;

    /// How often callers try it, unless they say so themselves.
    #[must_use]
    fn retry() -> Option<Retry> {
        None
    }

    /// How long one attempt may take, unless callers say so themselves.
    #[must_use]
    fn attempt_timeout() -> Option<Duration> {
        None
    }

    /// How long an activity may be silent, unless callers say so themselves.
    #[must_use]
    fn heartbeat() -> Option<Duration> {
        None
    }

    /// How many of it run at the same time in one process.
    #[must_use]
    fn limit() -> Option<usize> {
        None
    }

    /// How many of it run at the same time in one process for each key.
    #[must_use]
    fn limit_per_key() -> Option<usize> {
        None
    }
}

/// What a durable function returns: a [`Result<T>`](crate::Result), or one whose error becomes a
/// [`Failure`] as it does with `?`.
#[diagnostic::on_unimplemented(
    message = "a durable function cannot return `{Self}`",
    label = "not a `Result`",
    note = "return `taskhub::Result<T>`"
)]
pub trait Returns {
    /// The `T` in it.
    type Output;
}

// Whatever `T` and `E` are: what they have to be is asked in one place, so that it is one error.
impl<T, E> Returns for Result<T, E> {
    type Output = T;
}

/// What a durable function may fail with: a [`Failure`], and whatever `?` makes one of.
#[diagnostic::on_unimplemented(
    message = "a durable function cannot fail with `{Self}`: no `Failure` can be made of it",
    label = "returns this error",
    note = "return `taskhub::Result<T>`, and make a `Failure` of what is no `std::error::Error`: \
            `.map_err(|error| Failure::new(\"Kind\", error))`"
)]
pub trait Fails {
    #[doc(hidden)]
    fn into_failure(self) -> Failure;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Failure>> Fails for E {
    fn into_failure(self) -> Failure {
        self.into()
    }
}

/// The future of a durable function, which remembers whose it is.
#[must_use = "nothing happens until it is awaited"]
pub struct Body<S: Signature>(<S::Kind as Kind>::Future<Result<S::Output>>);

impl<S: Signature<Kind = Activity>> Body<S> {
    #[doc(hidden)]
    #[track_caller]
    pub fn activity<E: Fails>(
        future: impl Future<Output = Result<S::Output, E>> + Send + 'static,
    ) -> Self {
        turn::refuse_direct::<S>();
        Self(Box::pin(future.map(|result| result.map_err(Fails::into_failure))))
    }
}

impl<S: Signature<Kind = Orchestration>> Body<S> {
    #[doc(hidden)]
    #[track_caller]
    pub fn orchestration<E: Fails>(
        future: impl Future<Output = Result<S::Output, E>> + 'static,
    ) -> Self {
        turn::refuse_direct::<S>();
        Self(Box::pin(future.map(|result| result.map_err(Fails::into_failure))))
    }

    /// Where the variables of the function lie.
    pub(crate) fn code(&self) -> &dyn Future<Output = Result<S::Output>> {
        &*self.0
    }
}

impl<S: Signature> Future for Body<S> {
    type Output = Result<S::Output>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(task)
    }
}

impl<S: Signature> fmt::Debug for Body<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({})", S::NAME)
    }
}

/// An orchestration that the engine can begin; written by the attribute.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an orchestration",
    note = "mark the function with #[orchestration]; an activity is registered by `.activity(..)`"
)]
pub trait OrchestrationCode: Signature<Kind = Orchestration> + Sized {
    #[doc(hidden)]
    fn begin(context: Context, input: Self::Input) -> Body<Self>;
}

/// An activity that the engine can run; written by the attribute.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an activity",
    note = "mark it with #[activity]; an orchestration is registered by `.orchestration(..)`"
)]
pub trait ActivityCode: Signature<Kind = Activity> + Sized {
    #[doc(hidden)]
    fn begin(context: &ActivityContext, input: Self::Input) -> Result<Body<Self>>;
    #[doc(hidden)]
    fn needs() -> Vec<Needed>;
}

/// What can be called from an orchestration: a function under an attribute, or an [`External`].
///
/// `M` tells apart the functions by their arguments; it is never written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a durable function",
    label = "cannot be called durably",
    note = "mark the function with #[activity] or #[orchestration], or name it by an `External`",
    note = "an operation is called through its entity: `ctx.entity::<E>(key).call(operation, ..)`"
)]
pub trait Callable<M>: Sized {
    /// What it takes.
    type Input: Data;
    /// What it gives when it succeeds.
    type Output: Data;
    /// The type that stands for it, as in [`InstanceRef`](crate::InstanceRef).
    type Handle: Named<Output = Self::Output>;
    /// Whether it is an activity or an orchestration.
    type Kind: Kind;

    #[doc(hidden)]
    fn target(self) -> Target;
}

/// What can be started as an instance of its own: an orchestration, here or elsewhere.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an orchestration",
    label = "only orchestrations can be started and registered as such",
    note = "mark the function with #[orchestration]; an activity is called from one"
)]
pub trait Startable<M>: Callable<M, Kind = Orchestration> {}

#[diagnostic::do_not_recommend]
impl<M, C: Callable<M, Kind = Orchestration>> Startable<M> for C {}

/// A type that stands for a durable function and knows what it gives.
pub trait Named: 'static {
    /// What the function gives when it succeeds.
    type Output: Data;
}

impl<S: Signature> Named for S {
    type Output = S::Output;
}

/// What to call, and how often.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) name: &'static str,
    pub(crate) version: Option<&'static str>,
    pub(crate) retry: Option<Retry>,
    pub(crate) attempt_timeout: Option<Duration>,
}

/// A function that is a handle: it returns a [`Body`]. `M` is never written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a durable function",
    label = "not marked",
    note = "mark the function with #[activity] or #[orchestration]"
)]
pub trait Function<M> {
    /// The type that stands for it.
    type Signature: Signature;
}

macro_rules! functions {
    ($(($($argument:ident)*))*) => { $(
        impl<F, S, $($argument),*> Function<(S, $($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Body<S>,
            S: Signature,
        {
            type Signature = S;
        }

        impl<F, S, $($argument),*> Callable<(S, $($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Body<S>,
            S: Signature,
        {
            type Input = S::Input;
            type Output = S::Output;
            type Handle = S;
            type Kind = S::Kind;

            fn target(self) -> Target {
                Target {
                    name: S::NAME,
                    version: S::VERSION,
                    retry: S::retry(),
                    attempt_timeout: S::attempt_timeout(),
                }
            }
        }
    )* };
}

functions! {
    ()
    (A)
    (A B)
    (A B C)
    (A B C D)
    (A B C D E)
    (A B C D E G)
    (A B C D E G H)
    (A B C D E G H I)
}

impl Target {
    pub(crate) fn named(name: &'static str) -> Self {
        Self { name, version: None, retry: None, attempt_timeout: None }
    }
}
