//! Tests without a server or a clock.
//!
//! | to test | use |
//! |---|---|
//! | one orchestration, the test plays the world | [`Run`] |
//! | a whole program in memory, in virtual time | [`TestHub`] |
//! | that it survives a crash anywhere | [`chaos`](chaos()) |
//! | that today's code still fits yesterday's histories | [`replay`] |
//!
//! A [`Run`] drives an orchestration with the engine's own executor. The test plays the world: it
//! answers calls, raises events and moves time.
//!
//! ```
//! use std::time::Duration;
//! use taskhub::prelude::*;
//!
//! const APPROVED: Event<bool> = Event::new("approved");
//!
//! #[activity]
//! async fn price(item: String) -> Result<u64> {
//!     # Ok(item.len() as u64)
//!     // .. ask the shop ..
//! }
//!
//! #[orchestration]
//! async fn buy(ctx: Context, items: Vec<String>) -> Result<Option<u64>> {
//!     let prices = items.into_iter().map(|item| ctx.call(price, item));
//!     let sum = try_join_all(prices).await?.iter().sum();
//!     let approved = match ctx.event(APPROVED).timeout(Duration::from_secs(3600)).await {
//!         Err(failure) if failure.is_timeout() => false,
//!         answer => answer?,
//!     };
//!     Ok(approved.then_some(sum))
//! }
//!
//! # // The functions below are tests in a real program.
//! fn gives_up_after_an_hour() {
//!     let mut run = Run::of(buy).input(vec!["pen".to_owned(), "ink".to_owned()]);
//!     run.expect(price).given("ink".to_owned()).returns(3);
//!     run.expect(price).given("pen".to_owned()).returns(4);
//!     run.advance(Duration::from_secs(3600));
//!     assert_eq!(run.output(), Ok(None));
//! }
//!
//! fn passes_a_failure_on() {
//!     let mut run = Run::of(buy).input(vec!["pen".to_owned()]);
//!     run.expect(price).fails(Failure::terminal("sold out"));
//!     assert_eq!(run.output().unwrap_err().message(), "sold out");
//! }
//! # gives_up_after_an_hour();
//! # passes_a_failure_on();
//! ```
//!
//! After each step the whole history is replayed several times and compared, cut into turns in
//! different ways. Code that is not deterministic fails the test there, and says where it differs.

mod chaos;
mod check;
mod entities;
mod expected;
mod life;
pub mod replay;
mod stray;
mod test_hub;
mod updates;

use std::{cell::Cell, fmt, marker::PhantomData, thread, time::Duration};

use taskhub_core::{InstanceId, Kind};

pub use chaos::chaos;
pub use entities::TestEntity;
use expected::Callee;
pub use expected::Expected;
use life::Life;
pub use test_hub::TestHub;
pub use updates::TestUpdate;

use crate::{
    Data, Entity, Event, Failure, History, Result, Timestamp, Untyped,
    code::Replayed,
    data::{decode, encode},
    entity,
    handle::{Callable, Function, OrchestrationCode, Signature},
    turn::blocked,
};

/// When runs begin: 2024-01-01, noon.
const NOON: Timestamp = Timestamp::from_micros(1_704_110_400_000_000);

/// The id of a run that was given none: what its test is called, which is what its thread is
/// called, and which run of it this is.
fn named_after_test() -> InstanceId {
    thread_local!(static RUNS: Cell<u32> = const { Cell::new(0) });
    let run = RUNS.get() + 1;
    RUNS.set(run);
    let thread = thread::current();
    let test = thread.name().filter(|name| *name != "main").unwrap_or("test").replace("::", ".");
    let id = if run == 1 { test } else { format!("{test}-{run}") };
    InstanceId::parse(&id).unwrap_or_else(|_| InstanceId::trusted(format!("test-{run}")))
}

/// A run of an orchestration in a test. See the [module](self).
///
/// Its methods panic when the test expects what does not happen.
pub struct Run<S> {
    life: Life,
    /// How many requests the test made of it.
    updates: u32,
    signature: PhantomData<fn() -> S>,
}

/// A run that has not begun, made by [`Run::of`].
#[derive(Debug)]
#[must_use = "it begins with `.input(..)`"]
pub struct Prepared<S> {
    id: InstanceId,
    at: Timestamp,
    signature: PhantomData<fn() -> S>,
}

impl<S: OrchestrationCode> Prepared<S> {
    /// Under which instance id it runs, instead of the name of the test (`orders.is_paid`, with
    /// `-2` behind it for the second run of that test). So each run of each test has a file of its
    /// own when its [`history`](Run::history) is saved.
    ///
    /// # Panics
    ///
    /// If it cannot be an id.
    #[track_caller]
    pub fn id(mut self, id: impl AsRef<str>) -> Self {
        match InstanceId::parse(id.as_ref()) {
            Ok(id) => self.id = id,
            Err(invalid) => panic!("{invalid}"),
        }
        self
    }

    /// When it begins, instead of at noon of 2024-01-01.
    pub fn at(mut self, time: impl Into<Timestamp>) -> Self {
        self.at = time.into();
        self
    }

    /// Begins, and runs until it waits for something. `()` when it takes no input.
    ///
    /// # Panics
    ///
    /// If the input cannot be written as JSON, or the code cannot be replayed.
    #[track_caller]
    pub fn input(self, input: S::Input) -> Run<S> {
        let input = encode(input).unwrap_or_else(|failure| panic!("{failure}"));
        let code = Box::new(Replayed::<S>::new());
        let life = Life::begin(S::NAME, code, self.id, self.at.core(), input);
        Run { life, updates: 0, signature: PhantomData }
    }
}

impl<S: OrchestrationCode> Run<S> {
    /// Prepares a run; [`Prepared::input`] begins it.
    pub fn of<M, F: Function<M, Signature = S>>(_orchestration: F) -> Prepared<S> {
        blocked::watch();
        Prepared { id: named_after_test(), at: NOON, signature: PhantomData }
    }

    /// Expects that the run waits for a call, of the first one if there are several.
    ///
    /// # Panics
    ///
    /// If it waits for no such call. The message says what it waits for.
    #[track_caller]
    pub fn expect<M, C: Callable<M>>(&mut self, target: C) -> Expected<'_, C::Input, C::Output> {
        Expected::find(&mut self.life, Callee::of::<C::Kind>(), target.target().name)
    }

    /// An entity that it calls or signals. Locks need nothing: in a test all entities are free.
    ///
    /// # Panics
    ///
    /// If the key cannot be one.
    #[track_caller]
    pub fn entity<E: Entity>(&mut self, key: impl AsRef<str>) -> TestEntity<'_, E> {
        TestEntity::new(&mut self.life, entity::id::<E>(key.as_ref()))
    }

    /// An entity in another program that it calls or signals.
    ///
    /// # Panics
    ///
    /// If the name or the key cannot be one.
    #[track_caller]
    pub fn entity_by_name(
        &mut self,
        name: impl AsRef<str>,
        key: impl AsRef<str>,
    ) -> TestEntity<'_, Untyped> {
        TestEntity::new(&mut self.life, InstanceId::entity(name.as_ref(), key.as_ref()))
    }

    /// Raises an event, as a client would.
    ///
    /// # Panics
    ///
    /// If the payload cannot be written as JSON, or the code cannot be replayed.
    #[track_caller]
    pub fn raise<T: Data>(&mut self, event: Event<T>, payload: T) {
        let input = encode(payload).unwrap_or_else(|failure| panic!("{failure}"));
        self.life.arrive(Kind::EventRaised { name: event.name().into(), input });
    }

    /// Lets time pass: timers that are due fire one after another, each at its time.
    ///
    /// # Panics
    ///
    /// If the code cannot be replayed.
    #[track_caller]
    pub fn advance(&mut self, time: Duration) {
        self.life.advance(time);
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::of(self.life.now)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.life.outcome.is_some()
    }

    /// What it returned.
    ///
    /// # Panics
    ///
    /// If it has not ended. The message says what it waits for.
    #[track_caller]
    pub fn output(&self) -> Result<S::Output> {
        let Some(outcome) = &self.life.outcome else {
            panic!("`{}` has not ended; {}", S::NAME, self.life.waits_for());
        };
        let output = outcome.clone().map_err(Failure::of);
        output.and_then(|output| decode(output.as_deref(), "the output"))
    }

    /// What it shows to the outside, if it set something.
    ///
    /// # Panics
    ///
    /// If that cannot be read as a `T`.
    #[must_use]
    #[track_caller]
    pub fn custom_status<T: Data>(&self) -> Option<T> {
        let text = self.life.custom_status.as_deref()?;
        Some(decode(Some(text), "the custom status").unwrap_or_else(|failure| panic!("{failure}")))
    }

    /// The events of this name that it raised for other instances, with their receivers.
    ///
    /// # Panics
    ///
    /// If a payload cannot be read as a `T`.
    #[must_use]
    #[track_caller]
    pub fn raised<T: Data>(&self, event: Event<T>) -> Vec<(InstanceId, T)> {
        let sent = self.life.sent.iter().filter(|sent| *sent.name == *event.name());
        sent.map(|sent| {
            let payload = decode(sent.input.as_deref(), "the payload");
            (sent.to.clone(), payload.unwrap_or_else(|failure| panic!("{failure}")))
        })
        .collect()
    }

    /// What happened so far, as [`InstanceRef::export`](crate::InstanceRef::export) would give it.
    #[must_use]
    pub fn history(&self) -> History {
        self.life.export()
    }

    /// What it waits for, one line each, for messages and snapshots. Waits for events have none.
    #[must_use]
    pub fn open_calls(&self) -> Vec<String> {
        self.life.open.iter().map(|(call, open)| format!("{call} {open}")).collect()
    }
}

impl<S: Signature> fmt::Debug for Run<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Run({}, {})", S::NAME, self.life.waits_for())
    }
}
